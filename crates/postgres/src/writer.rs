//! How does the one owner of a partition write rows and progress together?
//!
//! Taking a partition over raises its `owner` number and ends the session of the owner before, so that one which stands
//! still within a transaction holds no rows locked. Whoever commits looks first whether the number is still its own.
//!
//! Partitions of a version are applied beside each other. Where they change the same rows in different orders, the server
//! ends one of two transactions that wait for each other, after a second (`deadlock_timeout`). That is noted with the
//! version, and from then on its transactions go one at a time.

use std::sync::Arc;

use factum_core::read_model::{
    Fault, Parameters, Partition, Progress, ReadModelError, ReadModelWriter, Rows, Skip, Tables, Value,
};

use crate::address::Address;
use crate::catalog::{self, fault_text, of_version, ours, schema_of, signed};
use crate::error::{DEADLOCK, Whose};
use crate::link::Link;
use crate::watch;
use crate::words::quote;

/// How often a takeover is tried when others take over at the same moment.
const TAKE_OVERS: u32 = 3;

/// The one owner of a partition, with a session of its own.
#[derive(Debug)]
pub(crate) struct Writer {
    database: Arc<Address>,
    link: Link,
    partition: Partition,
    owner: i64,
    progress: Progress,
    transaction: Transaction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transaction {
    None,
    Open,
    /// A statement failed: it can only be rolled back.
    Failed,
}

impl Transaction {
    /// Refuses a call that does not fit.
    pub(crate) fn must_be(self, wanted: Self, database: &str) -> Result<(), ReadModelError> {
        let why = match self {
            is if is == wanted => return Ok(()),
            Self::Failed => "a statement before it failed: the transaction can only be rolled back",
            Self::Open => "a transaction is open",
            Self::None => "no transaction is open",
        };
        Err(ReadModelError::Failed { database: database.to_owned(), why: why.to_owned() })
    }
}

impl Writer {
    /// Takes the partition over. Where another does so at the same moment, it may end this session before the answer is
    /// here: then it is taken over once more.
    pub(crate) fn take_over(database: &Arc<Address>, partition: &Partition) -> Result<Self, ReadModelError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::take_over_once(database, partition) {
                Err(error) if error.is_transient() && attempts < TAKE_OVERS => {}
                taken => return taken,
            }
        }
    }

    fn take_over_once(database: &Arc<Address>, partition: &Partition) -> Result<Self, ReadModelError> {
        let mut link = Link::open(database)?;
        catalog::must_be_there(&mut link, &partition.name, partition.version)?;
        let schema = quote(&schema_of(&partition.name, partition.version));
        link.batch(Whose::Ours, &format!("SET search_path = {schema}"))?;
        end_owner(&mut link, partition)?;
        // From here on the next owner may end this session.
        let text = "UPDATE factum.partitions p SET owner = p.owner + 1, owner_pid = pg_backend_pid(), \
                    owner_since = (SELECT backend_start FROM pg_stat_get_activity(pg_backend_pid())) \
                    WHERE name = :name AND version = :version AND index = :index \
                    RETURNING applied, recorded_at, events, fault, owner";
        let taken = ours(&mut link, text, &of_partition(partition))?;
        let Some(row) = taken.rows.first() else {
            return Err(ReadModelError::UnknownVersion {
                name: partition.name.clone(),
                wanted: format!("{}, partition {}", partition.version, partition.index),
            });
        };
        let owner = row.get(4).and_then(Value::as_integer).unwrap_or_default();
        let progress = catalog::progress_of(link.database(), row)?;
        let (database, partition) = (Arc::clone(database), partition.clone());
        Ok(Self { database, link, partition, owner, progress, transaction: Transaction::None })
    }

    fn must_be(&self, wanted: Transaction) -> Result<(), ReadModelError> {
        self.transaction.must_be(wanted, self.link.database())
    }

    fn fenced(&self) -> ReadModelError {
        ReadModelError::Fenced { partition: self.partition.clone() }
    }

    /// Notes how a statement went; a session that was ended by a new owner is fenced.
    fn noted<T>(&mut self, done: Result<T, ReadModelError>) -> Result<T, ReadModelError> {
        done.map_err(|error| {
            self.transaction = Transaction::Failed;
            self.named(error)
        })
    }

    /// The error, or `Fenced` where the session ended because another took the partition over. A deadlock is noted.
    fn named(&self, error: ReadModelError) -> ReadModelError {
        if is_deadlock(&error) {
            // Without the note it only happens again.
            let _ = self.note_deadlock();
        }
        if !error.is_transient() {
            return error;
        }
        match self.ask_anew() {
            Ok(Some((owner, _))) if owner != self.owner => self.fenced(),
            _ => error,
        }
    }

    fn note_deadlock(&self) -> Result<(), ReadModelError> {
        let mut link = Link::open(&self.database)?;
        let text = "UPDATE factum.versions SET one_at_a_time = true WHERE name = :name AND number = :version";
        link.execute(Whose::Ours, text, &of_version(&self.partition.name, self.partition.version))?;
        link.flush()
    }

    /// Who owns the partition and how far it is, asked in a fresh session.
    fn ask_anew(&self) -> Result<Option<(i64, Progress)>, ReadModelError> {
        let mut link = Link::open(&self.database)?;
        let text = "SELECT applied, recorded_at, events, fault, owner FROM factum.partitions \
                    WHERE name = :name AND version = :version AND index = :index";
        let found = ours(&mut link, text, &of_partition(&self.partition))?;
        let Some(row) = found.rows.first() else { return Ok(None) };
        let owner = row.get(4).and_then(Value::as_integer).unwrap_or_default();
        Ok(Some((owner, catalog::progress_of(link.database(), row)?)))
    }

    /// Begins, and looks whether the partition is still this owner's. Waits for its turn where transactions of the version
    /// go one at a time.
    fn open(&mut self) -> Result<(), ReadModelError> {
        self.transaction = Transaction::Open;
        self.link.execute(Whose::Ours, "BEGIN", &[])?;
        let text = "SELECT p.owner, CASE WHEN v.one_at_a_time \
                    THEN pg_advisory_xact_lock(hashtext('factum ' || v.name), v.number) END \
                    FROM factum.partitions p JOIN factum.versions v ON v.name = p.name AND v.number = p.version \
                    WHERE p.name = :name AND p.version = :version AND p.index = :index";
        let found = ours(&mut self.link, text, &of_partition(&self.partition))?;
        match found.first_value().and_then(Value::as_integer) {
            Some(owner) if owner == self.owner => Ok(()),
            Some(_) => Err(self.fenced()),
            None => Err(catalog::unknown(&self.partition.name, self.partition.version)),
        }
    }

    /// Keeps the progress, behind all that was sent, if the partition is still this owner's, and tells those who watch once it is committed.
    fn save(&mut self, progress: &Progress) -> Result<(), ReadModelError> {
        let text = "UPDATE factum.partitions \
                    SET applied = :applied, recorded_at = :recorded_at, events = :events, fault = :fault \
                    WHERE name = :name AND version = :version AND index = :index AND owner = :owner \
                    RETURNING pg_notify(:channel, :payload)";
        let mut parameters = of_partition(&self.partition).to_vec();
        parameters.extend([
            ("applied", progress.applied.to_string().into()),
            ("recorded_at", progress.recorded_at.map(|time| time.0).into()),
            ("events", signed(progress.events).into()),
            ("fault", progress.fault.as_ref().map(fault_text).into()),
            ("owner", self.owner.into()),
            ("channel", watch::CHANNEL.into()),
            ("payload", watch::payload(&self.partition.name, self.partition.version).into()),
        ]);
        let saved = ours(&mut self.link, text, &parameters)?;
        if saved.rows.is_empty() { Err(self.fenced()) } else { Ok(()) }
    }

    /// Commits. Where the connection is lost before the answer, it is looked up whether the server got that far.
    fn close(&mut self, progress: &Progress) -> Result<(), ReadModelError> {
        let Err(error) = self.link.batch(Whose::Ours, "COMMIT") else { return Ok(()) };
        match self.ask_anew() {
            Ok(Some((owner, _))) if owner != self.owner => Err(self.fenced()),
            // The session is gone all the same, and the next call says so.
            Ok(Some((_, kept))) if error.is_transient() && kept == *progress && kept != self.progress => {
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Leaves the transaction, whatever state it is in.
    fn leave(&mut self) -> Result<(), ReadModelError> {
        if std::mem::replace(&mut self.transaction, Transaction::None) == Transaction::None {
            return Ok(());
        }
        self.link.rollback()
    }

    /// Does `change` in a transaction of its own.
    fn alone(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<Progress, ReadModelError>,
    ) -> Result<(), ReadModelError> {
        self.begin()?;
        let changed = change(self).and_then(|progress| self.commit(&progress));
        if changed.is_err() {
            // The error of interest is the first.
            let _ = self.leave();
        }
        changed
    }
}

impl Tables for Writer {
    fn execute(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<(), ReadModelError> {
        self.must_be(Transaction::Open)?;
        let done = self.link.execute(Whose::Rows, statement, parameters);
        self.noted(done)
    }

    fn query(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<Rows, ReadModelError> {
        self.must_be(Transaction::Open)?;
        let read = self.link.query(Whose::Rows, statement, parameters);
        self.noted(read)
    }
}

impl ReadModelWriter for Writer {
    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn begin(&mut self) -> Result<(), ReadModelError> {
        self.must_be(Transaction::None)?;
        let begun = self.open();
        begun.map_err(|error| {
            let _ = self.leave();
            self.named(error)
        })
    }

    fn commit(&mut self, progress: &Progress) -> Result<(), ReadModelError> {
        self.must_be(Transaction::Open)?;
        let done = self.save(progress).map_err(|error| self.named(error));
        let done = done.and_then(|()| self.close(progress));
        if done.is_err() {
            let _ = self.leave();
            return done;
        }
        self.transaction = Transaction::None;
        self.progress.clone_from(progress);
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), ReadModelError> {
        self.leave()
    }

    fn set_fault(&mut self, fault: Option<&Fault>) -> Result<(), ReadModelError> {
        let progress = Progress { fault: fault.cloned(), ..self.progress.clone() };
        self.alone(|_| Ok(progress))
    }

    fn skip(&mut self, skip: &Skip) -> Result<(), ReadModelError> {
        self.alone(|writer| {
            let text = "INSERT INTO factum.skips (name, version, index, position, actor, reason, at) \
                        VALUES (:name, :version, :index, :position, :actor, :reason, :at) \
                        ON CONFLICT (name, version, position) DO UPDATE \
                        SET actor = excluded.actor, reason = excluded.reason, at = excluded.at";
            let mut parameters = of_partition(&writer.partition).to_vec();
            parameters.extend([
                ("position", signed(skip.position.0).into()),
                ("actor", (&skip.actor).into()),
                ("reason", (&skip.reason).into()),
                ("at", skip.at.0.into()),
            ]);
            writer.link.execute(Whose::Ours, text, &parameters)?;
            Ok(writer.progress.clone())
        })
    }
}

fn is_deadlock(error: &ReadModelError) -> bool {
    matches!(error, ReadModelError::Unavailable { why, .. } if why.contains(DEADLOCK))
}

fn of_partition(partition: &Partition) -> [(&'static str, Value<'_>); 3] {
    let [name, version] = of_version(&partition.name, partition.version);
    [name, version, ("index", u32::from(partition.index).into())]
}

/// Ends the session of the owner before, if it is still there. Another user's cannot be ended; it is fenced all the same.
fn end_owner(link: &mut Link, partition: &Partition) -> Result<(), ReadModelError> {
    let text = "SELECT pg_terminate_backend(a.pid) FROM factum.partitions p \
                JOIN pg_stat_activity a ON a.pid = p.owner_pid AND a.backend_start = p.owner_since \
                WHERE p.name = :name AND p.version = :version AND p.index = :index \
                AND a.usename = current_user AND a.pid <> pg_backend_pid()";
    ours(link, text, &of_partition(partition)).map(drop)
}
