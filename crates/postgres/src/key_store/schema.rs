//! What lies in the key store's schema, and how does a session with it begin?

use std::time::Duration;

use factum_core::read_model::Value;

use super::fault::Fault;
use crate::error::Whose;
use crate::link::Link;

/// The layout of the tables below. A later build that changes them gives another number.
const LAYOUT: u32 = 1;

/// Longest name of a schema, in bytes: what the server keeps of a name.
pub(super) const MAX_SCHEMA_BYTES: usize = 63;

/// How long a statement waits for another session's lock.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// How long a session may stand still within a transaction before the server ends it: a process that was halted there must not
/// keep an erasure from being carried out.
const STANDSTILL: Duration = Duration::from_secs(60);

/// Held while the tables are made: two processes that start at once do not make them twice.
const MAKING: i64 = 0x0066_6163_7475_6d02;

/// Times are in ticks of 100 ns since 1970, as in the log. A purpose that is empty is none: of a key, that of the subject as a
/// whole; of a fence, every one. The only row of `key_store` is also what those who write to the ledger wait for in turn.
const TABLES: &str = "
    CREATE TABLE key_store (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        layout bigint NOT NULL,
        vault bytea,
        log bytea,
        tenant text,
        roots bytea,
        epoch bigint
    );
    CREATE TABLE ledger (
        number bigint PRIMARY KEY,
        erasure bytea NOT NULL UNIQUE,
        subject bytea NOT NULL,
        purpose text COLLATE \"C\" NOT NULL,
        up_to bigint,
        at bigint NOT NULL,
        lifted boolean NOT NULL DEFAULT false
    );
    CREATE INDEX fences_of_subject ON ledger (subject);
    CREATE TABLE keys (
        id bytea PRIMARY KEY,
        subject bytea NOT NULL,
        purpose text COLLATE \"C\" NOT NULL,
        generation bigint NOT NULL,
        created bigint NOT NULL,
        epoch bigint NOT NULL,
        wrapped bytea,
        erasure bigint REFERENCES ledger,
        CONSTRAINT keys_of_owner UNIQUE (subject, purpose, generation),
        CHECK (wrapped IS NOT NULL OR erasure IS NOT NULL)
    );
    CREATE INDEX keys_of_purpose ON keys (purpose, id) WHERE erasure IS NULL;
    CREATE INDEX keys_of_erasure ON keys (erasure) WHERE erasure IS NOT NULL;
    CREATE TABLE outside_values (
        id bytea PRIMARY KEY,
        key bytea NOT NULL,
        sealed bytea NOT NULL
    );
    CREATE INDEX values_of_key ON outside_values (key);
    CREATE TABLE leases (
        node bytea PRIMARY KEY,
        seen bigint NOT NULL,
        until bigint NOT NULL
    );
";

/// Whether a schema may have this name: then it needs no quotes either.
pub(super) fn is_a_name(schema: &str) -> bool {
    let mut characters = schema.chars();
    let begins = characters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_taken = schema == crate::catalog::SCHEMA || schema.starts_with("pg_");
    begins && characters.all(plain) && schema.len() <= MAX_SCHEMA_BYTES && !is_taken
}

/// What each session begins with. Where the user or the server is set to commits that are not yet on the disk, they are put
/// there; anything stricter stays.
pub(super) fn begin_session(link: &mut Link, schema: &str) -> Result<(), Fault> {
    let (lock_wait, standstill) = (LOCK_WAIT.as_millis(), STANDSTILL.as_millis());
    let settings = format!(
        "SET search_path = \"{schema}\"; SET lock_timeout = {lock_wait}; \
         SET idle_in_transaction_session_timeout = {standstill}; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    );
    Ok(link.batch(Whose::Ours, &settings)?)
}

/// Makes schema and tables. A schema that is there already may hold other things, and no key store.
pub(super) fn create(link: &mut Link, schema: &str) -> Result<(), Fault> {
    link.batch(Whose::Ours, "BEGIN")?;
    let made = make(link, schema).and_then(|()| Ok(link.batch(Whose::Ours, "COMMIT")?));
    if made.is_err() {
        // The error of interest is the first.
        let _ = link.rollback();
    }
    made
}

fn make(link: &mut Link, schema: &str) -> Result<(), Fault> {
    link.query(Whose::Ours, "SELECT pg_advisory_xact_lock(:lock)", &[("lock", MAKING.into())])?;
    if is_there(link, schema)? {
        return Err(Fault::Failed("there is one already: open it; to begin anew, name another schema"));
    }
    let text = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = :schema)";
    let known = link.query(Whose::Ours, text, &[("schema", schema.into())])?;
    if known.first_value() != Some(&Value::Bool(true)) {
        link.batch(Whose::Ours, &format!("CREATE SCHEMA \"{schema}\""))?;
    }
    link.batch(Whose::Ours, TABLES)?;
    link.execute(
        Whose::Ours,
        "INSERT INTO key_store (layout) VALUES (:layout)",
        &[("layout", LAYOUT.into())],
    )?;
    Ok(link.flush()?)
}

/// Checks that there is a key store, and one that this build knows.
pub(super) fn check(link: &mut Link, schema: &str) -> Result<(), Fault> {
    if !is_there(link, schema)? {
        return Err(Fault::Missing("restore it, or create a new one"));
    }
    let found = link.query(Whose::Ours, "SELECT layout FROM key_store", &[])?;
    match found.first_value().and_then(Value::as_integer).map(u32::try_from) {
        Some(Ok(LAYOUT)) => Ok(()),
        Some(Ok(found)) if found > LAYOUT => Err(Fault::NewerLayout { found, known: LAYOUT }),
        _ => Err(Fault::Damaged("it does not say which layout it has")),
    }
}

fn is_there(link: &mut Link, schema: &str) -> Result<bool, Fault> {
    let text = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c \
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                WHERE n.nspname = :schema AND c.relname = 'key_store')";
    let found = link.query(Whose::Ours, text, &[("schema", schema.into())])?;
    Ok(found.first_value() == Some(&Value::Bool(true)))
}

#[cfg(test)]
mod tests {
    use super::{MAX_SCHEMA_BYTES, is_a_name};

    #[test]
    fn a_schema_has_a_plain_name() {
        for good in ["keys", "factum_keys", "_k9", &"k".repeat(MAX_SCHEMA_BYTES)] {
            assert!(is_a_name(good), "{good}");
        }
        let long = "k".repeat(MAX_SCHEMA_BYTES + 1);
        for bad in ["", "9k", "Keys", "a b", "a\"; DROP TABLE keys; --", "é", "factum", "pg_keys", &long] {
            assert!(!is_a_name(bad), "{bad}");
        }
    }
}
