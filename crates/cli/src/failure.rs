//! What a command that did not succeed says, and with which exit code it ends.

use std::fmt;
use std::io;

use factum_core::{
    AppendError, ErrorKind, InvalidEvent, NameError, ParseTimestampError, ReadError, RedactError,
};
use factum_server::{DeskError, ReadSideError};

/// Every exit code there is. The numbers are documented in `--help` and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// It failed.
    Error = 1,
    /// The request itself is wrong.
    Usage = 2,
    /// It was not confirmed.
    Refused = 3,
    /// Who asks may not: a wrong PIN or password, a token that was revoked, a right that is not theirs.
    Denied = 4,
    /// What was asked for is not there.
    NotFound = 5,
    /// A stream is not as expected.
    Precondition = 6,
    /// The store cannot do it now.
    Unavailable = 7,
    /// A check failed, or a dry run found something to do.
    Check = 8,
    /// Ctrl-C.
    Interrupted = 130,
}

/// The exit codes as `--help` shows them.
pub(crate) const EXIT_CODES: &str = "\
EXIT CODES:
  0    done
  1    error
  2    usage: the request itself is wrong
  3    refused: a confirmation is needed
  4    authentication or permission
  5    not found
  6    precondition failed, such as a wrong expected revision
  7    unavailable or timed out, such as a store that another process has open
  8    a check failed, or differences were found (also by --dry-run)
  130  interrupted";

/// Why a command did not succeed: what, why, and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// The stable name of this kind of failure, as in the HTTP API's problem types.
    pub(crate) slug: &'static str,
    what: String,
    why: String,
    next: String,
}

impl Failure {
    /// A failure with its three lines; an empty line is not shown.
    pub(crate) fn new(
        (exit, slug): (Exit, &'static str),
        what: impl Into<String>,
        why: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { exit, slug, what: what.into(), why: why.into(), next: next.into() }
    }

    /// The request itself is wrong.
    pub(crate) fn usage(what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(of_kind(ErrorKind::Invalid), what, why, next)
    }

    /// What was asked for is not there.
    pub(crate) fn not_found(
        what: impl Into<String>,
        why: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::new(of_kind(ErrorKind::NotFound), what, why, next)
    }

    /// An end that has been explained already, or needs no words.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self::new((exit, "silent"), "", "", "")
    }

    /// A file or stream of the system failed. A reader of our output that went away is no failure.
    pub(crate) fn io(what: impl Into<String>, error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::BrokenPipe => return Self::silent(Exit::Ok),
            io::ErrorKind::NotFound => (Exit::NotFound, "not-found"),
            _ => (Exit::Error, "io"),
        };
        Self::new(code, what, error.to_string(), "")
    }

    /// The error of a store, said of `what`.
    pub(crate) fn of_store(kind: ErrorKind, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(of_kind(kind), what, why, advice(kind))
    }

    /// With another first line.
    #[must_use]
    pub(crate) fn about(mut self, what: impl Into<String>) -> Self {
        if !self.what.is_empty() {
            self.what = what.into();
        }
        self
    }

    /// With another second line.
    #[must_use]
    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// With another last line.
    #[must_use]
    pub(crate) fn advise(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    /// The second line.
    pub(crate) fn why(&self) -> &str {
        &self.why
    }

    /// Whether there is something to say.
    pub(crate) fn speaks(&self) -> bool {
        !self.what.is_empty()
    }

    /// The failure as one line of JSON.
    pub(crate) fn to_json(&self) -> String {
        serde_json::json!({
            "type": format!("/problems/{}", self.slug),
            "slug": self.slug,
            "title": self.what,
            "detail": self.why,
            "help": self.next,
            "exitCode": self.exit as u8,
        })
        .to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        if !self.why.is_empty() {
            write!(f, "\n  why: {}", self.why)?;
        }
        if !self.next.is_empty() {
            write!(f, "\n  do:  {}", self.next)?;
        }
        Ok(())
    }
}

/// Why what a program asked of this crate was not done, as `factum` would say it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct NotDone {
    text: String,
    exit: Exit,
}

impl NotDone {
    /// How `factum` ends where this happens.
    pub fn exit_code(&self) -> u8 {
        self.exit as u8
    }
}

impl From<Failure> for NotDone {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        Self { text: text.trim_end().to_owned(), exit: failure.exit }
    }
}

/// The one place where kinds of errors become exit codes and slugs.
pub(crate) fn of_kind(kind: ErrorKind) -> (Exit, &'static str) {
    match kind {
        ErrorKind::Invalid => (Exit::Usage, "invalid-request"),
        ErrorKind::NotFound => (Exit::NotFound, "not-found"),
        ErrorKind::Deleted => (Exit::NotFound, "stream-deleted"),
        ErrorKind::Conflict => (Exit::Precondition, "wrong-expected-revision"),
        ErrorKind::SchemaViolation => (Exit::Error, "schema-violation"),
        ErrorKind::TooLarge => (Exit::Error, "too-large"),
        ErrorKind::Unsupported => (Exit::Error, "unsupported"),
        ErrorKind::Unavailable => (Exit::Unavailable, "unavailable"),
        ErrorKind::Denied => (Exit::Denied, "access-denied"),
        ErrorKind::Damaged => (Exit::Error, "damaged"),
    }
}

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "`factum streams ls` lists the streams",
        ErrorKind::Deleted => "`factum read STREAM --recorded` shows what the log still holds",
        ErrorKind::Conflict => {
            "`factum streams info STREAM` shows where it is: read it, decide again, append"
        }
        ErrorKind::SchemaViolation => "`factum schema ls` lists the registered schemas",
        ErrorKind::TooLarge => "split it, or store the bytes elsewhere and append a reference",
        ErrorKind::Damaged => {
            "`factum storage verify` names every damaged place; `factum backup restore` goes back"
        }
        ErrorKind::Invalid | ErrorKind::Unsupported | ErrorKind::Unavailable | ErrorKind::Denied => "",
    }
}

/// What a server tells a caller of it.
impl From<Failure> for DeskError {
    fn from(failure: Failure) -> Self {
        let kind = match failure.exit {
            Exit::Usage => ErrorKind::Invalid,
            Exit::Refused | Exit::Precondition => ErrorKind::Conflict,
            Exit::NotFound => ErrorKind::NotFound,
            Exit::Denied | Exit::Unavailable => ErrorKind::Unavailable,
            Exit::Ok | Exit::Error | Exit::Check | Exit::Interrupted => ErrorKind::Damaged,
        };
        Self { kind, what: failure.what, why: failure.why, next: failure.next }
    }
}

impl From<ReadSideError> for Failure {
    fn from(error: ReadSideError) -> Self {
        let why = error.to_string();
        match error {
            ReadSideError::Projection(error) => error.into(),
            error => Self::new(of_kind(error.kind()), "the projections do not run", why, ""),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let what = match &error {
            ReadError::StreamNotFound { stream } | ReadError::StreamDeleted { stream } => {
                return Self::of_store(
                    error.kind(),
                    error.to_string(),
                    match &error {
                        ReadError::StreamDeleted { .. } => "it was deleted for ever".to_owned(),
                        _ => format!("no event was ever appended to '{stream}', or it was deleted"),
                    },
                );
            }
            _ => "the read failed",
        };
        Self::of_store(error.kind(), what, error.to_string())
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        let failure = Self::of_store(error.kind(), "nothing was appended", error.to_string());
        match &error {
            AppendError::NotSealed { kind: ErrorKind::Deleted, .. } => {
                Self { slug: "subject-erased", ..failure }
                    .advise("`factum privacy allow ERASURE --reason TEXT` allows new keys for the subject")
            }
            AppendError::NotSealed { kind: ErrorKind::Invalid, .. } => {
                failure.advise("see docs/personal-data.md for how personal data is marked")
            }
            AppendError::InvalidEvent { source: InvalidEvent::Unsealed, .. } => {
                failure.advise("`factum privacy init` makes the vault of a store that has none")
            }
            _ => failure,
        }
    }
}

impl From<RedactError> for Failure {
    fn from(error: RedactError) -> Self {
        let (what, next) = match &error {
            RedactError::Unfinished { .. } => (
                "the redaction is not finished",
                "make room or mend the disk, then give the same command again: `factum storage info` tells when it is done",
            ),
            RedactError::BeyondEnd { .. } => {
                ("there is no such event", "`factum read --all` shows what there is")
            }
            RedactError::Removed { .. } => ("there is nothing to redact", ""),
            _ => ("nothing was redacted", ""),
        };
        let failure = Self::of_store(error.kind(), what, error.to_string());
        if next.is_empty() && !matches!(error, RedactError::Removed { .. }) {
            failure
        } else {
            failure.advise(next)
        }
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::usage("that name cannot be used", error.to_string(), "")
    }
}

impl From<ParseTimestampError> for Failure {
    fn from(error: ParseTimestampError) -> Self {
        Self::usage("that is not a time", error.to_string(), "")
    }
}

/// Writing to stdout failed.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::io("writing the output failed", &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_three_lines_and_a_json_form() {
        let failure = Failure::usage("no", "because", "do this");
        assert_eq!(failure.to_string(), "error: no\n  why: because\n  do:  do this");
        let json: serde_json::Value = serde_json::from_str(&failure.to_json()).unwrap();
        assert_eq!(json["slug"], "invalid-request");
        assert_eq!(json["exitCode"], 2);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.exit, Exit::Ok);
        assert!(!failure.speaks());
    }
}
