//! What is somebody told whose request was not done? One document (RFC 9457), and one page for each kind of it.

use axum::extract::Path;
use axum::response::{Html, IntoResponse, Response};
use factum_core::{AppendError, ErrorKind, FailedCheck, ReadError, StreamState, with_causes};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use tonic::{Code, Status};

use crate::groups::GroupError;
use crate::users::UserError;

/// The media type of a problem.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Pages about problems run nothing and load nothing.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
/// When to come again, where nothing better is known, in seconds.
const RETRY_SECONDS: &str = "1";

/// The kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slug {
    BadRequest,
    BadJson,
    BadParameter,
    BadName,
    NotSignedIn,
    NotAllowed,
    CrossSite,
    NoSuchRoute,
    StreamNotFound,
    EventNotFound,
    NotFound,
    WrongMethod,
    NotAcceptable,
    TooSlow,
    Conflict,
    AppendConditionFailed,
    StreamDeleted,
    WrongExpectedRevision,
    TooLarge,
    UnsupportedMediaType,
    WrongHost,
    SchemaViolation,
    Refused,
    ReadOnly,
    Busy,
    Internal,
    Unsupported,
    NotReady,
    Unavailable,
    Stale,
}

/// What is always true of a kind.
struct About {
    name: &'static str,
    status: u16,
    title: &'static str,
    /// What it means, for the page.
    means: &'static str,
    /// What to do, where the problem itself does not say better.
    next: &'static str,
}

impl Slug {
    /// All of them, in the order of their statuses.
    pub(crate) const ALL: [Slug; 30] = [
        Slug::BadRequest,
        Slug::BadJson,
        Slug::BadParameter,
        Slug::BadName,
        Slug::NotSignedIn,
        Slug::NotAllowed,
        Slug::CrossSite,
        Slug::NoSuchRoute,
        Slug::StreamNotFound,
        Slug::EventNotFound,
        Slug::NotFound,
        Slug::WrongMethod,
        Slug::NotAcceptable,
        Slug::TooSlow,
        Slug::Conflict,
        Slug::AppendConditionFailed,
        Slug::StreamDeleted,
        Slug::WrongExpectedRevision,
        Slug::TooLarge,
        Slug::UnsupportedMediaType,
        Slug::WrongHost,
        Slug::SchemaViolation,
        Slug::Refused,
        Slug::ReadOnly,
        Slug::Busy,
        Slug::Internal,
        Slug::Unsupported,
        Slug::NotReady,
        Slug::Unavailable,
        Slug::Stale,
    ];

    fn about(self) -> About {
        let about = |name, status, title, means, next| About { name, status, title, means, next };
        match self {
            Slug::BadRequest => about(
                "bad-request",
                400,
                "The request does not make sense",
                "Parts of the request do not fit together, or one of them is not what it has to be.",
                "Read the detail, mend the request, and send it again.",
            ),
            Slug::BadJson => about(
                "bad-json",
                400,
                "The body is not the JSON that is wanted",
                "The body is not JSON, or a field is missing or of the wrong kind.",
                "Mend the body; the detail has the line and column of the first fault.",
            ),
            Slug::BadParameter => about(
                "bad-parameter",
                400,
                "A parameter has a value that it cannot have",
                "A parameter of the address, or a header, has a value that cannot be read. `parameter` names it.",
                "Give a value as the detail describes, or leave the parameter out.",
            ),
            Slug::BadName => about(
                "bad-name",
                400,
                "A name may not be used",
                "The name of a stream, of a type or of a tag is empty, too long, reserved or not UTF-8.",
                "Use a name of 1 to 1,024 bytes; in an address it is percent-encoded as a whole.",
            ),
            Slug::NotSignedIn => about(
                "not-signed-in",
                401,
                "You are not signed in",
                "The request has no credentials, or wrong ones, and what it asks for is not open to everybody.",
                "Send a name and a password (Basic) or a token (Bearer) in Authorization; in a browser, sign in again.",
            ),
            Slug::NotAllowed => about(
                "not-allowed",
                403,
                "You may not do that",
                "You are known, and access lists do not give you this right.",
                "Ask an administrator for the right, or sign in as somebody who has it.",
            ),
            Slug::CrossSite => about(
                "cross-site",
                403,
                "A page of another site may not write here",
                "A browser says that the request comes from a page of another origin, or a cookie signs it and the header X-Factum-Csrf is missing.",
                "Use the console of this server, or a program that is no browser.",
            ),
            Slug::NoSuchRoute => about(
                "no-such-route",
                404,
                "There is nothing at this address",
                "No route of the API has this path. Names in a path are percent-encoded as a whole, with their slashes.",
                "See /openapi.json or /docs/api for what there is.",
            ),
            Slug::StreamNotFound => about(
                "stream-not-found",
                404,
                "There is no such stream",
                "The stream never had an event, or it was deleted and may come back with the next append.",
                "Check the name: it counts upper and lower case, and every space.",
            ),
            Slug::EventNotFound => about(
                "event-not-found",
                404,
                "There is no such event",
                "No event has this id or number, or it is hidden by a delete or by $maxCount, $maxAge or $tb.",
                "Check the id or the number; a stream's own address says which numbers can be seen.",
            ),
            Slug::NotFound => about(
                "not-found",
                404,
                "There is no such thing",
                "What was asked for does not exist, or no longer.",
                "Look at the list that it would be in.",
            ),
            Slug::WrongMethod => about(
                "wrong-method",
                405,
                "This address has no such method",
                "The path is known, the method is not one of its own. `Allow` names those.",
                "Use one of the methods that `Allow` names.",
            ),
            Slug::NotAcceptable => about(
                "not-acceptable",
                406,
                "There is no such form of the answer",
                "None of the media types in `Accept` is one that this address answers with.",
                "Ask for application/json, or leave Accept out.",
            ),
            Slug::TooSlow => about(
                "too-slow",
                408,
                "The body did not come to its end in time",
                "The server waits for a body only so long. Nothing of it was kept.",
                "Send it again, or in smaller parts.",
            ),
            Slug::Conflict => about(
                "conflict",
                409,
                "That cannot be done in this state",
                "Something is there already, runs already, or was used for something else.",
                "Look at what is there, and decide again.",
            ),
            Slug::AppendConditionFailed => about(
                "append-condition-failed",
                409,
                "A condition of the append does not hold",
                "Events match a query that may match none. Nothing was appended.",
                "Read the events that match, decide again, and append after their position.",
            ),
            Slug::StreamDeleted => about(
                "stream-deleted",
                410,
                "The stream was deleted for ever",
                "A tombstone stands at its end: neither its events nor its name come back.",
                "Use another name.",
            ),
            Slug::WrongExpectedRevision => about(
                "wrong-expected-revision",
                412,
                "The stream is not as you expected",
                "Somebody else has appended in the meantime, or the stream does not exist. Nothing was appended.",
                "Read the stream from the revision that you knew, decide again, and append with the new one.",
            ),
            Slug::TooLarge => about(
                "too-large",
                413,
                "That is too large",
                "The body, an event or the append as a whole is over a limit. `limit` has it, in bytes.",
                "Split it, or keep large things elsewhere and their address in the event.",
            ),
            Slug::UnsupportedMediaType => about(
                "unsupported-media-type",
                415,
                "The body is of a kind that is not read here",
                "The Content-Type is not one that this address reads, or the body is compressed.",
                "Send application/json, uncompressed.",
            ),
            Slug::WrongHost => about(
                "wrong-host",
                421,
                "The server does not answer to this name",
                "It listens on this machine only, and the request names another host: a page elsewhere may have sent it.",
                "Use localhost or 127.0.0.1, or start the server with --advertise HOST:PORT.",
            ),
            Slug::SchemaViolation => about(
                "schema-violation",
                422,
                "An event does not fit its schema",
                "A JSON Schema is registered for the event's type and version, and its data breaks it.",
                "Mend the data where `errors` points, or give the event another version.",
            ),
            Slug::Refused => about(
                "refused",
                422,
                "The store refuses it",
                "It is well-formed, and a rule of the store forbids it.",
                "The detail names the rule.",
            ),
            Slug::ReadOnly => about(
                "read-only",
                423,
                "The server takes no writes",
                "It was started for reading only, or it stopped writing after a failure of its disk.",
                "Read the server's log; a store that stopped writing goes on when it is opened again.",
            ),
            Slug::Busy => about(
                "busy",
                429,
                "There is too much to do",
                "More requests wait than the server queues. Nothing of this one was done.",
                "Come again after the time in Retry-After.",
            ),
            Slug::Internal => about(
                "internal",
                500,
                "The server made a mistake",
                "Something failed that should not. The server's log has it under the request's id.",
                "Tell whoever runs the server, with the request's id.",
            ),
            Slug::Unsupported => about(
                "unsupported",
                501,
                "This store or this server has no such part",
                "The part was not given to the server, or the store cannot do it. The detail says which.",
                "Start the server with that part, or use another store.",
            ),
            Slug::NotReady => about(
                "not-ready",
                503,
                "The server is not ready yet",
                "It starts, or it is about to stop.",
                "Come again after the time in Retry-After.",
            ),
            Slug::Unavailable => about(
                "unavailable",
                503,
                "That cannot be done now",
                "The store cannot be reached, its disk is full, or the server stops.",
                "Come again after the time in Retry-After. An append may be sent again with the same ids.",
            ),
            Slug::Stale => about(
                "stale",
                504,
                "What is asked for has not come that far",
                "The answer was to be at or after a position, and did not come there in the time given.",
                "Ask again, or wait longer with `wait`.",
            ),
        }
    }

    /// The status that goes with it.
    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.about().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Why a request was not done.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    slug: Slug,
    detail: String,
    next: Option<String>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// Of this kind, and why.
    pub(crate) fn new(slug: Slug, detail: impl Into<String>) -> Self {
        let mut headers = Vec::new();
        if matches!(slug, Slug::Busy | Slug::NotReady | Slug::Unavailable) {
            headers.push((RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS)));
        }
        let detail = detail.into();
        Self(Box::new(Parts { slug, detail, next: None, members: Map::new(), headers }))
    }

    /// A parameter, a header or a field of a name has a value that it cannot have.
    pub(crate) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::new(Slug::BadParameter, detail).with("parameter", name)
    }

    /// With what to do about it.
    #[must_use]
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.0.next = Some(next.into());
        self
    }

    /// With one more member.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// With a header of the answer.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Its kind.
    pub(crate) fn slug(&self) -> Slug {
        self.0.slug
    }

    /// Why, in a sentence.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The document, of the request that it answers.
    pub(crate) fn document(&self, instance: &str, request: &str) -> Value {
        let about = self.0.slug.about();
        let mut document = Map::new();
        document.insert("type".to_owned(), format!("/problems/{}", about.name).into());
        document.insert("title".to_owned(), about.title.into());
        document.insert("status".to_owned(), about.status.into());
        document.insert("detail".to_owned(), self.0.detail.as_str().into());
        document.insert("next".to_owned(), self.0.next.as_deref().unwrap_or(about.next).into());
        if !instance.is_empty() {
            document.insert("instance".to_owned(), instance.into());
            document.insert("requestId".to_owned(), request.into());
        }
        for (name, value) in &self.0.members {
            document.insert(name.clone(), value.clone());
        }
        document.into()
    }
}

impl IntoResponse for Problem {
    /// The front puts the request's id and path into the document.
    fn into_response(self) -> Response {
        let body = self.document("", "").to_string();
        let mut response = (self.0.slug.status(), [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        for (name, value) in &self.0.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

fn of_kind(kind: ErrorKind) -> Slug {
    match kind {
        ErrorKind::Invalid => Slug::BadRequest,
        ErrorKind::SchemaViolation => Slug::SchemaViolation,
        ErrorKind::TooLarge => Slug::TooLarge,
        ErrorKind::NotFound => Slug::NotFound,
        ErrorKind::Deleted => Slug::StreamDeleted,
        ErrorKind::Conflict => Slug::Conflict,
        ErrorKind::Unsupported => Slug::Unsupported,
        ErrorKind::Unavailable => Slug::Unavailable,
        ErrorKind::Denied => Slug::NotAllowed,
        ErrorKind::Damaged => Slug::Internal,
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let detail = with_causes(&error);
        match error {
            ReadError::StreamNotFound { stream } => {
                Problem::new(Slug::StreamNotFound, detail).with("stream", stream.as_str())
            }
            ReadError::StreamDeleted { stream } => {
                Problem::new(Slug::StreamDeleted, detail).with("stream", stream.as_str())
            }
            ReadError::Closed => Problem::new(Slug::Unavailable, "the server stops"),
            other => Problem::new(of_kind(other.kind()), detail),
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        let detail = with_causes(&error);
        match error {
            AppendError::Conflict { failed } => conflict(&failed, detail),
            AppendError::StreamDeleted { stream } => {
                Problem::new(Slug::StreamDeleted, detail).with("stream", stream.as_str())
            }
            AppendError::TooLarge { unit: "bytes", limit, .. } => {
                Problem::new(Slug::TooLarge, detail).with("limit", limit)
            }
            AppendError::InvalidEvent { stream, index, source } => {
                let slug = match &source {
                    factum_core::InvalidEvent::TooLarge { .. } => Slug::TooLarge,
                    factum_core::InvalidEvent::Unsealed => Slug::Refused,
                    _ => Slug::BadRequest,
                };
                let problem = Problem::new(slug, detail).with("stream", stream.as_str()).with("index", index);
                match source {
                    factum_core::InvalidEvent::TooLarge { limit, .. } => problem.with("limit", limit),
                    _ => problem,
                }
            }
            AppendError::Schema(violation) => {
                let errors: Vec<Value> = violation.faults.iter().map(|fault| schema_fault(fault)).collect();
                Problem::new(Slug::SchemaViolation, detail)
                    .with("eventType", violation.event_type)
                    .with("schemaVersion", violation.version.0)
                    .with("errors", errors)
            }
            AppendError::AppendIdReused { .. } => Problem::new(Slug::Conflict, detail)
                .next("Use the key again only for the same events, and a new one for others."),
            AppendError::Stopped { .. } => Problem::new(Slug::ReadOnly, detail),
            AppendError::Busy { .. } => Problem::new(Slug::Busy, detail),
            AppendError::NotSealed { kind: ErrorKind::Deleted, .. } => Problem::new(Slug::Refused, detail),
            AppendError::Closed => Problem::new(Slug::Unavailable, "the server stops"),
            AppendError::Read(error) => error.into(),
            other => Problem::new(of_kind(other.kind()), detail),
        }
    }
}

/// A fault is a pointer in quotes, and what is wrong there.
fn schema_fault(fault: &str) -> Value {
    match fault.strip_prefix('\'').and_then(|rest| rest.split_once("' ")) {
        Some((pointer, message)) => json!({ "pointer": pointer, "message": message }),
        None => json!({ "pointer": "", "message": fault }),
    }
}

fn conflict(failed: &[FailedCheck], detail: String) -> Problem {
    let revision = failed.iter().find_map(|check| match check {
        FailedCheck::Revision { stream, expected, actual } => Some((stream, *expected, *actual)),
        FailedCheck::Condition { .. } | FailedCheck::Count { .. } => None,
    });
    if let Some((stream, expected, actual)) = revision {
        let current = actual.last_revision();
        let problem = Problem::new(Slug::WrongExpectedRevision, detail)
            .with("stream", stream.as_str())
            .with("expected", super::expected::expected_value(expected))
            .with("currentRevision", current.map(|revision| revision.0))
            .with("state", state_word(actual));
        let tag = current.and_then(|revision| HeaderValue::try_from(format!("\"{revision}\"")).ok());
        return match tag {
            Some(tag) => problem.header(ETAG, tag),
            None => problem,
        };
    }
    let failed: Vec<Value> = failed
        .iter()
        .map(|check| match check {
            FailedCheck::Condition { index, conflicting } => {
                json!({ "condition": index, "position": conflicting.to_string() })
            }
            FailedCheck::Count { index, below, found } => {
                json!({ "condition": index, "below": below, "found": found })
            }
            FailedCheck::Revision { stream, .. } => json!({ "stream": stream.as_str() }),
        })
        .collect();
    Problem::new(Slug::AppendConditionFailed, detail).with("failed", failed)
}

/// The state of a stream, in the API's words.
pub(crate) fn state_word(state: StreamState) -> &'static str {
    match state {
        StreamState::Missing => "missing",
        StreamState::MetadataOnly => "metadataOnly",
        StreamState::Live { .. } => "active",
        StreamState::SoftDeleted { .. } => "deleted",
        StreamState::Tombstoned => "tombstoned",
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let slug = match status.code() {
            Code::InvalidArgument | Code::OutOfRange => Slug::BadRequest,
            Code::NotFound => Slug::NotFound,
            Code::PermissionDenied => Slug::NotAllowed,
            Code::Unauthenticated => Slug::NotSignedIn,
            Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => Slug::Conflict,
            Code::ResourceExhausted => Slug::Busy,
            Code::Unimplemented => Slug::Unsupported,
            Code::Unavailable | Code::Cancelled => Slug::Unavailable,
            Code::DeadlineExceeded => Slug::Stale,
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Slug::Internal,
        };
        Problem::new(slug, status.message())
    }
}

impl From<GroupError> for Problem {
    fn from(error: GroupError) -> Self {
        let of =
            |key: &crate::groups::GroupKey| format!("the group '{}' on '{}'", key.group(), key.source_name());
        match error {
            GroupError::Missing(key) => Problem::new(Slug::NotFound, format!("{} does not exist", of(&key))),
            GroupError::Exists(key) => Problem::new(Slug::Conflict, format!("{} exists already", of(&key))),
            GroupError::Full(key) => {
                Problem::new(Slug::Conflict, format!("{} has as many consumers as it may have", of(&key)))
            }
            GroupError::Failed { key, why } => {
                Problem::new(Slug::Refused, format!("{} cannot do that: {why}", of(&key)))
            }
            GroupError::Stopping => Problem::new(Slug::Unavailable, "the server stops"),
        }
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        let detail = error.to_string();
        match error {
            UserError::NotFound { .. } => Problem::new(Slug::NotFound, detail),
            UserError::Exists { .. } | UserError::Changed { .. } => Problem::new(Slug::Conflict, detail),
            UserError::WrongPassword { .. } => Problem::new(Slug::NotAllowed, detail),
            UserError::Invalid { .. } => Problem::new(Slug::BadRequest, detail),
            UserError::Damaged { .. } => Problem::new(Slug::Internal, detail),
            UserError::Overloaded(_) => Problem::new(Slug::Busy, detail),
            UserError::Read(error) => error.into(),
            UserError::Append(error) => error.into(),
        }
    }
}

/// `/problems/{slug}`: what a kind of problem means.
pub(crate) async fn page(Path(name): Path<String>) -> Response {
    let Some(about) = Slug::ALL.iter().map(|slug| slug.about()).find(|about| about.name == name) else {
        return Problem::new(Slug::NotFound, "there is no such kind of problem")
            .next("/problems has them all.")
            .into_response();
    };
    let About { name, status, title, means, next } = about;
    show(
        title,
        &format!(
            "<p>{means}</p><p>{next}</p><p>Status {status}, type <code>/problems/{name}</code>. \
             <a href=\"/problems\">All problems</a></p>"
        ),
    )
}

/// `/problems`: all of them.
pub(crate) async fn pages() -> Response {
    let rows: String = Slug::ALL
        .iter()
        .map(|slug| slug.about())
        .map(|About { name, status, title, .. }| {
            format!(
                "<tr><td>{status}</td><td><a href=\"/problems/{name}\">{name}</a></td><td>{title}</td></tr>"
            )
        })
        .collect();
    show("Problems", &format!("<table>{rows}</table>"))
}

/// Every text in it is a constant of this file.
fn show(title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>body{{font:16px/1.5 system-ui;max-width:42rem;margin:3rem auto;padding:0 1rem}}\
         td{{padding:.2rem 1rem .2rem 0}}</style><main><h1>{title}</h1>{body}</main></html>"
    );
    ([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_a_status_that_says_no() {
        let mut names: Vec<_> = Slug::ALL.iter().map(|slug| slug.about().name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Slug::ALL.len());
        assert!(Slug::ALL.iter().all(|slug| slug.status().as_u16() >= 400));
    }

    #[test]
    fn a_fault_of_a_schema_has_its_pointer() {
        assert_eq!(
            schema_fault("'/total' breaks rule '/type'"),
            json!({"pointer": "/total", "message": "breaks rule '/type'"})
        );
        assert_eq!(schema_fault("odd"), json!({"pointer": "", "message": "odd"}));
    }
}
