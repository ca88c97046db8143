//! What does a failed call mean?

use factum_core::{AppendError, Capability, ReadError, StreamName};
use tonic::{Code, Status};

use super::connection_string::Node;
use super::dial::with_causes;
use crate::exception;

/// Longest text of an error that is kept, in characters.
const SHOWN: usize = 512;

/// Why a call did not succeed, as far as it matters for what is done next.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// There was no connection: nothing was sent.
    NotConnected { why: String },
    /// The connection or the server failed while it was asked.
    Broken { why: String },
    /// The server is not ready, and has done nothing.
    NotReady { why: String },
    /// Another node leads; this one has done nothing.
    NotLeader { leader: Option<Node> },
    /// The time that was given is up.
    TimeUp { why: String },
    /// The stream was deleted for ever.
    StreamDeleted { stream: Option<StreamName> },
    /// The stream is not as expected; the last revision as the protocol's number.
    WrongVersion { actual: i64 },
    /// There is nothing at that place of the log.
    InvalidPosition,
    /// Who asks is not known, or may not.
    Denied { why: String },
    /// The server does not know the call.
    Unknown,
    /// The request is wrong.
    Invalid { why: String },
    /// More bytes than the server takes.
    TooLarge { limit: usize, actual: usize },
    /// Anything else.
    Refused { why: String },
    /// Faults came, and one of the tries before may have been carried out.
    PerhapsDone { why: String },
}

/// Reads the status of a call.
pub(super) fn fault_of(status: &Status) -> Fault {
    let why: String = with_message(status);
    let trailer = |key: &str| status.metadata().get(key).and_then(|value| value.to_str().ok());
    let stream = || trailer(exception::STREAM_NAME).and_then(|name| StreamName::new(name.to_owned()).ok());
    match trailer(exception::EXCEPTION) {
        Some(exception::NOT_LEADER) => {
            let host = trailer(exception::LEADER_HOST);
            let port = trailer(exception::LEADER_PORT).and_then(|port| port.parse().ok());
            let leader = host.zip(port).map(|(host, port)| Node { host: host.to_owned(), port });
            return Fault::NotLeader { leader };
        }
        Some(exception::STREAM_DELETED) => return Fault::StreamDeleted { stream: stream() },
        Some(exception::ACCESS_DENIED) => return Fault::Denied { why },
        Some(exception::WRONG_EXPECTED_VERSION) => {
            let actual = trailer(exception::ACTUAL_VERSION).and_then(|text| text.parse().ok()).unwrap_or(-1);
            return Fault::WrongVersion { actual };
        }
        Some(exception::MAXIMUM_APPEND_SIZE_EXCEEDED) => {
            let limit =
                trailer(exception::MAXIMUM_APPEND_SIZE).and_then(|text| text.parse().ok()).unwrap_or(0);
            return Fault::TooLarge { limit, actual: 0 };
        }
        Some(exception::MAXIMUM_APPEND_EVENT_SIZE_EXCEEDED) => {
            let number = |key| trailer(key).and_then(|text| text.parse().ok()).unwrap_or(0);
            let limit = number(exception::MAXIMUM_APPEND_EVENT_SIZE);
            return Fault::TooLarge { limit, actual: number(exception::PROPOSED_APPEND_EVENT_SIZE) };
        }
        _ => {}
    }
    let broken = std::error::Error::source(status).is_some();
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => Fault::Denied { why },
        Code::DeadlineExceeded => Fault::TimeUp { why },
        Code::Unimplemented => Fault::Unknown,
        Code::Unavailable if !broken && status.message().starts_with("Server Is ") => Fault::NotReady { why },
        Code::Unavailable => Fault::Broken { why },
        Code::Unknown | Code::Internal | Code::Cancelled if broken => Fault::Broken { why },
        // The library's word for a time limit of its own.
        Code::Cancelled if status.message() == "Timeout expired" => Fault::TimeUp { why },
        Code::InvalidArgument if status.message().contains("invalid position") => Fault::InvalidPosition,
        Code::InvalidArgument => Fault::Invalid { why },
        _ => Fault::Refused { why },
    }
}

fn with_message(status: &Status) -> String {
    let cause = std::error::Error::source(status).map(with_causes).unwrap_or_default();
    let text = match (status.message(), cause.as_str()) {
        ("", "") => status.code().description().to_owned(),
        ("", cause) => cause.to_owned(),
        (message, "") => message.to_owned(),
        (message, cause) if message.contains(cause) => message.to_owned(),
        (message, cause) => format!("{message}: {cause}"),
    };
    text.chars().take(SHOWN).collect()
}

impl Fault {
    pub(super) fn broken(why: impl Into<String>) -> Self {
        Fault::NotConnected { why: why.into() }
    }

    /// Whether another try may succeed.
    pub(super) fn is_passing(&self) -> bool {
        matches!(
            self,
            Fault::NotConnected { .. }
                | Fault::Broken { .. }
                | Fault::NotReady { .. }
                | Fault::NotLeader { .. }
        )
    }

    /// Whether the server may have done what it was asked for.
    pub(super) fn may_have_been_done(&self) -> bool {
        matches!(self, Fault::Broken { .. } | Fault::TimeUp { .. } | Fault::PerhapsDone { .. })
    }

    /// The same after tries of which one may have been carried out; a clear refusal stays what it is.
    pub(super) fn perhaps_done(self) -> Self {
        if self.is_passing() || self.may_have_been_done() {
            Fault::PerhapsDone { why: self.text() }
        } else {
            self
        }
    }

    fn text(&self) -> String {
        match self {
            Fault::NotConnected { why }
            | Fault::Broken { why }
            | Fault::NotReady { why }
            | Fault::TimeUp { why }
            | Fault::Denied { why }
            | Fault::Invalid { why }
            | Fault::Refused { why }
            | Fault::PerhapsDone { why } => why.clone(),
            Fault::NotLeader { .. } => "no node of the cluster leads".to_owned(),
            Fault::StreamDeleted { .. } => "the stream is deleted".to_owned(),
            Fault::WrongVersion { .. } => "the stream is not as expected".to_owned(),
            Fault::InvalidPosition => "there is nothing at that position of the log".to_owned(),
            Fault::Unknown => "the server does not know this call".to_owned(),
            Fault::TooLarge { limit, .. } => format!("it is larger than the server takes: {limit} bytes"),
        }
    }

    /// As a read tells it. `stream` is the one that was read, if it was one.
    pub(super) fn into_read(self, stream: Option<&StreamName>) -> ReadError {
        match self {
            Fault::StreamDeleted { stream: told } => match stream.cloned().or(told) {
                Some(stream) => ReadError::StreamDeleted { stream },
                None => ReadError::Invalid { why: "the stream is deleted".to_owned() },
            },
            Fault::Denied { why } => ReadError::Denied { why },
            Fault::Unknown => ReadError::Unsupported { capability: Capability::ServerSideFilter },
            Fault::Invalid { why } | Fault::Refused { why } => ReadError::Invalid { why },
            Fault::InvalidPosition | Fault::WrongVersion { .. } | Fault::TooLarge { .. } => {
                ReadError::Invalid { why: self.text() }
            }
            other => ReadError::Unreachable { why: other.text() },
        }
    }

    /// As a change tells it, of `stream` where one was changed.
    pub(super) fn into_append(self, stream: Option<&StreamName>) -> AppendError {
        match self {
            Fault::StreamDeleted { stream: told } => match stream.cloned().or(told) {
                Some(stream) => AppendError::StreamDeleted { stream },
                None => AppendError::Invalid { why: "the stream is deleted".to_owned() },
            },
            Fault::Broken { why } | Fault::TimeUp { why } | Fault::PerhapsDone { why } => {
                AppendError::OutcomeUnknown { why }
            }
            Fault::Unknown => AppendError::Unsupported { capability: Capability::MultiStreamAppend },
            Fault::Invalid { why } | Fault::Refused { why } => AppendError::Invalid { why },
            Fault::TooLarge { limit, actual } => AppendError::TooLarge { unit: "bytes", limit, actual },
            Fault::InvalidPosition | Fault::WrongVersion { .. } => AppendError::Invalid { why: self.text() },
            other => AppendError::Read(other.into_read(stream)),
        }
    }
}
