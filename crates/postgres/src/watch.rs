//! Who wakes those who wait for a version to come further, in any process?
//!
//! Each commit notifies through the server (`NOTIFY`). One thread per process listens in one session, for all who wait
//! here: a thousand of them cost no queries. When the session is lost, everyone is woken once it is back: there may have
//! been commits in between.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use factum_core::read_model::{
    AppliedWatch, Parameters, ProjectionName, ReadModelError, VersionNumber, Woken,
};
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, NoTls};

use crate::address::Address;
use crate::error::{Whose, translate};
use crate::link::Link;

/// The server's channel on which commits are told.
pub(crate) const CHANNEL: &str = "factum_applied";

/// How long the listening thread waits before it connects again: doubled each time up to the last.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// What is told of a version.
pub(crate) fn payload(name: &ProjectionName, number: VersionNumber) -> String {
    format!("{name} {number}")
}

/// Tells those who watch a version, once the transaction is committed.
pub(crate) fn notify(
    link: &mut Link,
    name: &ProjectionName,
    number: VersionNumber,
) -> Result<(), ReadModelError> {
    let parameters: &Parameters<'_> =
        &[("channel", CHANNEL.into()), ("payload", payload(name, number).into())];
    link.execute(Whose::Ours, "SELECT pg_notify(:channel, :payload)", parameters)
}

/// The thread that listens, for all watches of one database in this process. It ends with the last of them.
#[derive(Debug)]
pub(crate) struct Listener {
    state: Mutex<State>,
    changed: Condvar,
    end: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    /// How often each version was told of. Who waits compares with what it saw.
    told: HashMap<String, u64>,
    /// How often everyone was woken because something may have been missed.
    missed: u64,
    session: Session,
}

#[derive(Debug, Default)]
enum Session {
    #[default]
    Starting,
    Listens,
    Lost(ReadModelError),
}

impl Listener {
    /// Starts the thread and waits until it listens.
    pub(crate) fn start(database: &Arc<Address>) -> Result<Arc<Self>, ReadModelError> {
        let listener =
            Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), end: Arc::new(Notify::new()) });
        let (weak, end, address) =
            (Arc::downgrade(&listener), Arc::clone(&listener.end), Arc::clone(database));
        let thread = std::thread::Builder::new().name("factum listens".to_owned());
        thread.spawn(move || listen(&weak, &end, &address)).map_err(|error| ReadModelError::Unavailable {
            database: database.described().to_owned(),
            why: format!("no thread could be started: {error}"),
        })?;
        let state = listener.lock();
        let waited = listener.changed.wait_while(state, |state| matches!(state.session, Session::Starting));
        let state = waited.unwrap_or_else(PoisonError::into_inner);
        let failed = match &state.session {
            Session::Lost(error) => Some(error.clone()),
            Session::Starting | Session::Listens => None,
        };
        drop(state);
        failed.map_or(Ok(listener), Err)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for one version from now on.
    pub(crate) fn watch(self: &Arc<Self>, name: &ProjectionName, number: VersionNumber) -> Watch {
        let mut watch = Watch { listener: Arc::clone(self), payload: payload(name, number), seen: (0, 0) };
        watch.seen = watch.now(&self.lock());
        watch
    }

    fn session(&self, session: Session) {
        let mut state = self.lock();
        if matches!(session, Session::Listens) {
            state.missed += 1;
        }
        state.session = session;
        drop(state);
        self.changed.notify_all();
    }

    fn told(&self, payload: &str) {
        *self.lock().told.entry(payload.to_owned()).or_default() += 1;
        self.changed.notify_all();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.end.notify_one();
    }
}

/// Waits for one version.
#[derive(Debug)]
pub(crate) struct Watch {
    listener: Arc<Listener>,
    payload: String,
    seen: (u64, u64),
}

impl Watch {
    fn now(&self, state: &State) -> (u64, u64) {
        (state.told.get(&self.payload).copied().unwrap_or_default(), state.missed)
    }
}

impl AppliedWatch for Watch {
    fn wait(&mut self, at_most: Duration) -> Result<Woken, ReadModelError> {
        let listener = Arc::clone(&self.listener);
        let state = listener.lock();
        let waited =
            listener.changed.wait_timeout_while(state, at_most, |state| self.now(state) == self.seen);
        let now = self.now(&waited.unwrap_or_else(PoisonError::into_inner).0);
        let woken = if now == self.seen { Woken::TimedOut } else { Woken::Committed };
        self.seen = now;
        Ok(woken)
    }
}

/// Listens until nobody watches any more.
fn listen(listener: &Weak<Listener>, end: &Notify, database: &Address) {
    let runtime = match Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let (database, why) = (database.described().to_owned(), error.to_string());
            if let Some(listener) = listener.upgrade() {
                listener.session(Session::Lost(ReadModelError::Unavailable { database, why }));
            }
            return;
        }
    };
    runtime.block_on(async {
        let mut retry_after = FIRST_RETRY;
        loop {
            let lost = tokio::select! {
                () = end.notified() => return,
                lost = session(listener, database) => lost,
            };
            match lost {
                Ok(()) => retry_after = FIRST_RETRY,
                Err(error) => {
                    let Some(listener) = listener.upgrade() else { return };
                    let why = translate(database.described(), Whose::Ours, "LISTEN", &error);
                    listener.session(Session::Lost(why));
                }
            }
            tokio::select! {
                () = end.notified() => return,
                () = tokio::time::sleep(retry_after) => {}
            }
            retry_after = (retry_after * 2).min(LAST_RETRY);
        }
    });
}

/// One session: until the connection is lost. An error only where it did not get to listen.
async fn session(listener: &Weak<Listener>, database: &Address) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = database.config().connect(NoTls).await?;
    let (heard, mut messages) = tokio::sync::mpsc::unbounded_channel();
    let drive = async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(notification) = message
                && heard.send(notification.payload().to_owned()).is_err()
            {
                return;
            }
        }
    };
    let driven = tokio::spawn(drive);
    client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
    if let Some(listener) = listener.upgrade() {
        listener.session(Session::Listens);
    }
    while let Some(payload) = messages.recv().await {
        let Some(listener) = listener.upgrade() else { break };
        listener.told(&payload);
    }
    driven.abort();
    Ok(())
}
