//! How does a thread without a runtime talk to the server, and send many statements without waiting for each?
//!
//! A link is one session. Statements that change rows are sent one behind the other; their answers are looked at together
//! ([`Link::flush`]): before rows are read, every [`MAX_SENT`] statements, and before a commit. The first that failed is
//! told then; the server has passed over what came after it, since the transaction was given up.

use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use factum_core::read_model::{NamedStatement, Parameters, ReadModelError, Row, Rows};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::{Client, Column, NoTls, Statement};

use crate::address::Address;
use crate::column::{Cell, can_be_read};
use crate::error::{Whose, refused, translate};
use crate::parameter::Encoded;
use crate::qualify::Qualify;
use crate::words::Script;

/// Most statements whose answers have not been looked at: bounds what a batch holds in memory.
pub(crate) const MAX_SENT: usize = 256;

/// Most statements that stay prepared; beyond that all are forgotten. A projection has a few.
pub(crate) const MAX_PREPARED: usize = 500;

/// What every session begins with: answers read the same whatever the server's settings, and no chatter.
const SETTINGS: &str = "SET client_min_messages = error; SET TIME ZONE 'UTC'; SET DateStyle = 'ISO'; \
                        SET standard_conforming_strings = on; SET bytea_output = 'hex'";

type Answer = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send>>;

/// A statement that is on its way.
struct Sent {
    statement: Arc<Prepared>,
    answer: Answer,
}

/// A statement that the server knows.
struct Prepared {
    text: String,
    whose: Whose,
    names: Vec<String>,
    /// What the answer's columns are called.
    columns: Vec<String>,
    statement: Statement,
}

/// One session with the server.
pub(crate) struct Link {
    database: Arc<Address>,
    client: Arc<Client>,
    /// By whose they are, then by text: the rules for them differ.
    prepared: [HashMap<String, Arc<Prepared>>; 4],
    sent: Vec<Sent>,
    qualify: Qualify,
    runtime: Driver,
}

/// What drives the session's connection. It may be dropped anywhere, also within another runtime.
struct Driver(Option<Runtime>);

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Link {
    /// Connects.
    pub(crate) fn open(database: &Arc<Address>) -> Result<Self, ReadModelError> {
        let unavailable =
            |why: String| ReadModelError::Unavailable { database: database.described().to_owned(), why };
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| unavailable(error.to_string()))?;
        let runtime = Driver(Some(runtime));
        let connected = wait(&runtime, async {
            let (client, connection) = database.config().connect(NoTls).await?;
            // Errors of the connection come with the statement that meets them.
            tokio::spawn(async move { drop(connection.await) });
            client.batch_execute(SETTINGS).await?;
            Ok(client)
        });
        let client =
            connected.map_err(|error| translate(database.described(), Whose::Ours, "connect", &error))?;
        Ok(Self {
            database: Arc::clone(database),
            client: Arc::new(client),
            prepared: Default::default(),
            sent: Vec::new(),
            qualify: Qualify::default(),
            runtime,
        })
    }

    /// Which database it is, for messages.
    pub(crate) fn database(&self) -> &str {
        self.database.described()
    }

    /// From now on readers' statements see these schemas by the names of their projections.
    pub(crate) fn set_qualify(&mut self, qualify: Qualify) {
        self.qualify = qualify;
    }

    /// Whether the server still answers.
    pub(crate) fn answers(&self) -> bool {
        wait(&self.runtime, self.client.check_connection()).is_ok()
    }

    /// Sends a statement that changes rows. An error of it may come with a later call.
    pub(crate) fn execute(
        &mut self,
        whose: Whose,
        text: &str,
        parameters: &Parameters<'_>,
    ) -> Result<(), ReadModelError> {
        let prepared = self.prepare(whose, text)?;
        let values = encode(&prepared, parameters)?;
        let (client, statement) = (Arc::clone(&self.client), prepared.statement.clone());
        let mut answer: Answer = Box::pin(async move { client.execute_raw(&statement, values).await });
        // The first look puts the statement into the connection's queue; it needs no runtime for that.
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(error)) => return Err(self.failed(&prepared, &error)),
            Poll::Ready(Ok(_)) => {}
            Poll::Pending => self.sent.push(Sent { statement: prepared, answer }),
        }
        if self.sent.len() >= MAX_SENT { self.flush() } else { Ok(()) }
    }

    /// Waits for the answers to all that was sent. The first error is given.
    pub(crate) fn flush(&mut self) -> Result<(), ReadModelError> {
        if self.sent.is_empty() {
            return Ok(());
        }
        let sent = std::mem::take(&mut self.sent);
        let first = wait(&self.runtime, async {
            let mut first = None;
            for Sent { statement, answer } in sent {
                if let Err(error) = answer.await {
                    first.get_or_insert((statement, error));
                }
            }
            first
        });
        first.map_or(Ok(()), |(statement, error)| Err(self.failed(&statement, &error)))
    }

    /// Reads rows, after all that was sent before: it is sent behind that, in one round trip. An error of what was sent
    /// before is the one that is told.
    pub(crate) fn query(
        &mut self,
        whose: Whose,
        text: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Rows, ReadModelError> {
        let prepared = self.prepare(whose, text)?;
        let values = encode(&prepared, parameters)?;
        let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
            values.iter().map(|value| value as _).collect();
        let client = Arc::clone(&self.client);
        let mut answer = pin!(client.query(&prepared.statement, &parameters));
        let early = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.flush()?;
        let answer = match early {
            Poll::Ready(answer) => answer,
            Poll::Pending => wait(&self.runtime, answer),
        };
        let answer = answer.map_err(|error| self.failed(&prepared, &error))?;
        let columns = prepared.columns.clone();
        let mut rows = Vec::with_capacity(answer.len());
        for row in &answer {
            let cells = (0..row.len()).map(|index| {
                row.try_get::<_, Cell>(index).map(|cell| cell.0).map_err(|error| {
                    let why = std::error::Error::source(&error)
                        .map_or_else(|| error.to_string(), ToString::to_string);
                    refused(text, format!("column '{}': {why}", prepared.columns[index]))
                })
            });
            rows.push(cells.collect::<Result<Row, _>>()?);
        }
        Ok(Rows { columns, rows })
    }

    /// Runs statements without parameters, after all that was sent before.
    pub(crate) fn batch(&mut self, whose: Whose, text: &str) -> Result<(), ReadModelError> {
        self.flush()?;
        wait(&self.runtime, self.client.batch_execute(text))
            .map_err(|error| translate(self.database.described(), whose, text, &error))
    }

    /// Runs `change` in a transaction: all of it, or nothing where it fails.
    pub(crate) fn transaction<T>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, ReadModelError>,
    ) -> Result<T, ReadModelError> {
        self.batch(Whose::Ours, "BEGIN")?;
        let done = change(self).and_then(|done| self.flush().map(|()| done));
        match done {
            Ok(done) => self.batch(Whose::Ours, "COMMIT").map(|()| done),
            Err(error) => {
                // The error of interest is the first; a session that is gone has rolled back by itself.
                let _ = self.rollback();
                Err(error)
            }
        }
    }

    /// Leaves a transaction without keeping anything, whatever state it is in. Answers on their way are not looked at.
    pub(crate) fn rollback(&mut self) -> Result<(), ReadModelError> {
        self.sent.clear();
        self.batch(Whose::Ours, "ROLLBACK")
    }

    /// Goes back to a savepoint and removes it, within a transaction that goes on.
    pub(crate) fn back_to(&mut self, savepoint: &str) -> Result<(), ReadModelError> {
        self.sent.clear();
        self.batch(Whose::Ours, &format!("ROLLBACK TO {savepoint}; RELEASE {savepoint}"))
    }

    fn prepare(&mut self, whose: Whose, text: &str) -> Result<Arc<Prepared>, ReadModelError> {
        if let Some(known) = self.prepared[whose as usize].get(text) {
            return Ok(Arc::clone(known));
        }
        // In a transaction that was given up nothing can be prepared: the error that is on its way comes first.
        self.flush()?;
        let parsed = NamedStatement::parse(text);
        let mut rendered = parsed.render(|index| format!("${}", index + 1));
        match whose {
            Whose::Rows => crate::guard::check_rows(text)?,
            Whose::Reader => {
                crate::guard::check_reader(text)?;
                rendered = self.qualify.apply(&rendered);
            }
            Whose::Ours | Whose::Tables => {}
        }
        let ask = |rendered: &str| {
            wait(&self.runtime, self.client.prepare(rendered))
                .map_err(|error| translate(self.database.described(), whose, text, &error))
        };
        let mut statement = ask(&rendered)?;
        let columns: Vec<String> =
            statement.columns().iter().map(|column| column.name().to_owned()).collect();
        if let Some(readable) = as_text(&rendered, statement.columns()) {
            statement = ask(&readable)?;
        }
        if statement.params().len() != parsed.names.len() {
            return Err(refused(text, "parameters are written as ':' and a name, and not as $1"));
        }
        let prepared =
            Arc::new(Prepared { text: text.to_owned(), whose, names: parsed.names, columns, statement });
        let known = &mut self.prepared[whose as usize];
        if known.len() >= MAX_PREPARED {
            known.clear();
        }
        known.insert(text.to_owned(), Arc::clone(&prepared));
        Ok(prepared)
    }

    fn failed(&self, prepared: &Prepared, error: &tokio_postgres::Error) -> ReadModelError {
        translate(self.database.described(), prepared.whose, &prepared.text, error)
    }
}

/// The statement with its columns that cannot be read as they are cast to text; `None` where all can.
fn as_text(rendered: &str, columns: &[Column]) -> Option<String> {
    if columns.iter().all(|column| can_be_read(column.type_())) {
        return None;
    }
    let listed: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(n, column)| if can_be_read(column.type_()) { format!("c{n}") } else { format!("c{n}::text") })
        .collect();
    let names: Vec<String> = (0..columns.len()).map(|n| format!("c{n}")).collect();
    let statement = &rendered[Script::parse(rendered).statements.first()?.clone()];
    // A comment at the end of the statement ends with its line.
    Some(format!("SELECT {} FROM ({statement}\n) AS q ({})", listed.join(", "), names.join(", ")))
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("database", &self.database).finish_non_exhaustive()
    }
}

fn encode(prepared: &Prepared, parameters: &Parameters<'_>) -> Result<Vec<Encoded>, ReadModelError> {
    let wanted = prepared.names.iter().zip(prepared.statement.params());
    let encoded = wanted.map(|(name, wanted)| {
        let given = parameters.iter().find(|(given, _)| given == name);
        let (_, value) = given.ok_or_else(|| ReadModelError::MissingParameter {
            statement: prepared.text.clone(),
            parameter: name.clone(),
        })?;
        Encoded::new(value, wanted).map_err(|why| refused(&prepared.text, format!(":{name}: {why}")))
    });
    encoded.collect()
}

/// Drives the session until `future` is ready. A caller that is itself within a runtime may not drive another one: then a
/// thread of its own does.
fn wait<F>(driver: &Driver, future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    let Some(runtime) = &driver.0 else { unreachable!("it is taken only when the link is dropped") };
    if Handle::try_current().is_err() {
        return runtime.block_on(future);
    }
    std::thread::scope(|scope| {
        let driven = scope.spawn(|| runtime.block_on(future)).join();
        driven.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
