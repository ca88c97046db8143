//! What does a request ask for? Its caller, the names in its path, its parameters and its body, read with one set of rules.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use factum_core::{AppendError, StreamName, Timestamp};
use futures_util::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Uri};
use hyper::body::Bytes;
use serde::de::DeserializeOwned;

use super::answer::of_segment;
use super::front::RequestId;
use super::problem::{Problem, Slug};
use crate::access::{Action, Caller};
use crate::call::Call;
use crate::moment;
use crate::operations::{self, By, Ending, MAX_REASON_BYTES, Operation, What};
use crate::shared::Shared;

/// Largest body that is no append, in bytes.
const DOCUMENT_BYTES: usize = 1024 * 1024;
/// Largest body of somebody who is not known, in bytes.
const OPEN_DOCUMENT_BYTES: usize = 16 * 1024;
/// Bytes of an append's body beyond its events: names, brackets, commas.
const BODY_OVERHEAD_BYTES: usize = 1024 * 1024;
/// Entries of a list, unless a request says how many.
pub(crate) const DEFAULT_LIMIT: usize = 50;
/// Most entries of a list.
pub(crate) const MAX_LIMIT: usize = 1_000;
/// Longest wait for a position.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Most parameters of an address.
const MAX_PARAMETERS: usize = 1_024;

/// One request, without its body.
#[derive(Clone)]
pub(crate) struct Ask {
    /// What all requests share.
    pub(crate) shared: Arc<Shared>,
    /// Who asks.
    pub(crate) call: Call,
    /// The address.
    pub(crate) uri: Uri,
    /// The headers.
    pub(crate) headers: HeaderMap,
    request: Option<Arc<str>>,
    path: Vec<(String, String)>,
    parameters: Vec<(String, String)>,
}

impl FromRequestParts<Arc<Shared>> for Ask {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let path = RawPathParams::from_request_parts(parts, shared)
            .await
            .map_err(|_| Problem::new(Slug::BadName, "a name in the path is not UTF-8"))?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), of_segment(value).to_owned())).collect();
        let parameters = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Problem::new(Slug::BadRequest, error.body_text()))?
            .0;
        if parameters.len() > MAX_PARAMETERS {
            let detail =
                format!("{} parameters are too many, the limit is {MAX_PARAMETERS}", parameters.len());
            return Err(Problem::new(Slug::BadRequest, detail));
        }
        let ask = Self {
            shared: shared.clone(),
            call: parts.extensions.get::<Call>().cloned().unwrap_or_default(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            request: parts.extensions.get::<RequestId>().map(|id| id.0.clone()),
            path,
            parameters,
        };
        if parts.method == http::Method::GET {
            super::fresh::wait(&ask).await?;
        }
        Ok(ask)
    }
}

#[cfg(test)]
impl Ask {
    /// One that asks for nothing in particular, for tests of single parts.
    pub(super) fn of_test(shared: &Arc<Shared>) -> Self {
        Self {
            shared: shared.clone(),
            call: Call::default(),
            uri: Uri::default(),
            headers: HeaderMap::new(),
            request: None,
            path: Vec::new(),
            parameters: Vec::new(),
        }
    }
}

impl Ask {
    /// Whether the caller may do it.
    ///
    /// # Errors
    /// `not-signed-in` for somebody who did not say who they are, `not-allowed` for anybody else.
    pub(crate) async fn may(&self, action: Action<'_>) -> Result<(), Problem> {
        may(&self.shared, &self.call, action).await
    }

    /// Who asks, as an event tells it.
    pub(crate) fn by(&self) -> By {
        By { request: self.request.clone(), ..By::caller(&self.call.caller) }
    }

    /// Does what an operator asks for, once the log has that, with who and why.
    ///
    /// # Errors
    /// `bad-json` for a reason that is too long, that it cannot be recorded, or what it came to itself.
    pub(crate) async fn carry_out<T>(
        &self,
        (what, target): (What, &str),
        reason: &str,
        details: serde_json::Value,
        effect: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let operation = Operation { what, target: target.to_owned(), reason: reason.to_owned(), details };
        let recorded = operations::record(&self.shared, self.by(), operation).await.map_err(unrecorded)?;
        let outcome = effect.await;
        if let Err(problem) = &outcome {
            let why = operations::failure(problem.detail());
            operations::ended(&self.shared, &recorded, Ending::Failed, why).await;
        }
        outcome
    }

    /// A name in the path, decoded. The route has it, so it is there.
    pub(crate) fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// The stream that the path names.
    ///
    /// # Errors
    /// `bad-name`.
    pub(crate) fn stream(&self) -> Result<StreamName, Problem> {
        stream_name(self.path("stream"))
    }

    /// A parameter; the first one where it is repeated. An empty one counts as not given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Every value of a parameter that may be repeated.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that `read` understands.
    ///
    /// # Errors
    /// `bad-parameter`, with what `wanted` says.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(Problem::parameter(name, format!("'{name}' is {wanted}, and not '{}'", shown(text)))),
        }
    }

    /// A parameter that is one of some words; the first of them where it is not given.
    ///
    /// # Errors
    /// `bad-parameter`.
    pub(crate) fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<T, Problem> {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let known = |text: &str| words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let found = self.read(name, &format!("one of {}", names.join(", ")), known)?;
        found
            .or_else(|| words.first().map(|(_, value)| *value))
            .ok_or_else(|| Problem::parameter(name, "nothing can be chosen here"))
    }

    /// A parameter that is true or false.
    ///
    /// # Errors
    /// `bad-parameter`.
    pub(crate) fn flag(&self, name: &str, otherwise: bool) -> Result<bool, Problem> {
        let read = |text: &str| match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        };
        Ok(self.read(name, "true or false", read)?.unwrap_or(otherwise))
    }

    /// A whole number.
    ///
    /// # Errors
    /// `bad-parameter`.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.read(name, "a whole number", digits)
    }

    /// How many entries are wanted; more than there may be in one answer are as many as there may be.
    ///
    /// # Errors
    /// `bad-parameter`.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        // A number that has no place is as large as any.
        let any = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then_some(u64::MAX);
        let read = |text: &str| digits::<u64>(text).or_else(|| any(text)).filter(|number| *number > 0);
        let limit = self.read("limit", "a whole number from 1", read)?;
        Ok(limit.map_or(DEFAULT_LIMIT, |limit| usize::try_from(limit).unwrap_or(MAX_LIMIT)).min(MAX_LIMIT))
    }

    /// How long to wait.
    ///
    /// # Errors
    /// `bad-parameter`.
    pub(crate) fn wait(&self) -> Result<Option<Duration>, Problem> {
        let wait = self.read("wait", "a time such as 2s or 500ms, at most 30s", duration)?;
        Ok(wait.map(|wait| wait.min(MAX_WAIT)))
    }
}

/// Whether the caller may do it.
///
/// # Errors
/// `not-signed-in` for somebody who did not say who they are, `not-allowed` for anybody else.
pub(crate) async fn may(shared: &Shared, call: &Call, action: Action<'_>) -> Result<(), Problem> {
    shared.access.check(&call.caller, action).await.map_err(|status| refused(call, status))
}

/// A status that says no, to this caller.
pub(crate) fn refused(call: &Call, status: tonic::Status) -> Problem {
    match (status.code(), &call.caller) {
        (tonic::Code::PermissionDenied, Caller::Anonymous) => stranger(),
        (tonic::Code::PermissionDenied, caller) => {
            Problem::new(Slug::NotAllowed, format!("'{caller}' has no right to this"))
        }
        _ => status.into(),
    }
}

/// What the log does not take is not done.
pub(crate) fn unrecorded(error: AppendError) -> Problem {
    Problem::from(error)
        .next("Nothing was done: what the log cannot tell of is not done. Ask again once it can be written.")
}

/// Checks that a reason in a body can be one.
///
/// # Errors
/// `bad-json`.
pub(crate) fn check_reason(reason: &str) -> Result<(), Problem> {
    if reason.len() <= MAX_REASON_BYTES {
        return Ok(());
    }
    let detail = format!("a reason has at most {MAX_REASON_BYTES} bytes");
    Err(Problem::new(Slug::BadJson, detail).with("field", "reason"))
}

/// The name of a stream.
///
/// # Errors
/// `bad-name`.
pub(crate) fn stream_name(text: &str) -> Result<StreamName, Problem> {
    StreamName::new(text).map_err(|error| Problem::new(Slug::BadName, error.to_string()))
}

/// Digits as a number; `+1` and ` 1` are none.
pub(crate) fn digits<T: FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A time as RFC 3339; a `+` that an address has turned into a space is one again.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    moment::time(&text.replace(' ', "+"))
}

fn duration(text: &str) -> Option<Duration> {
    if let Some(millis) = text.strip_suffix("ms") {
        return digits(millis).map(Duration::from_millis);
    }
    digits(text.strip_suffix('s').unwrap_or(text)).map(Duration::from_secs)
}

/// A value of the caller's as a message shows it: short, and without what is no text.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_CHARS: usize = 80;
    text.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Nobody listens to a stranger who may do nothing: not one byte of a body is read.
fn heard(request: &Request, shared: &Shared) -> Result<(), Problem> {
    let call = request.extensions().get::<Call>().cloned().unwrap_or_default();
    if shared.access.listens_to(&call.caller) { Ok(()) } else { Err(stranger()) }
}

fn stranger() -> Problem {
    Problem::new(Slug::NotSignedIn, "this is not open to somebody who is not signed in")
}

/// A body within the limit for appends, whatever it is.
///
/// # Errors
/// `not-signed-in` where strangers may do nothing, `too-large`, `too-slow`.
pub(crate) async fn payload(request: Request, shared: &Shared) -> Result<Bytes, Problem> {
    heard(&request, shared)?;
    // In base64 four characters stand for three bytes.
    let limit = shared.options.limits.append_bytes / 3 * 4 + BODY_OVERHEAD_BYTES;
    body(request, limit, shared.options.limits.body_timeout).await
}

/// A body that is a JSON document; none at all counts as `{}`.
pub(crate) struct Document<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Document<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        heard(&request, shared)?;
        document(request, DOCUMENT_BYTES, shared).await.map(Self)
    }
}

/// A small document of whoever sends it, also of a stranger: what is needed to sign in.
pub(crate) struct OpenDocument<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for OpenDocument<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        document(request, OPEN_DOCUMENT_BYTES, shared).await.map(Self)
    }
}

async fn document<T: DeserializeOwned>(
    request: Request,
    limit: usize,
    shared: &Shared,
) -> Result<T, Problem> {
    let media = media_type(request.headers());
    let bytes = body(request, limit, shared.options.limits.body_timeout).await?;
    if bytes.is_empty() {
        return json(b"{}");
    }
    match media.as_deref() {
        Some("application/json") => json(&bytes),
        Some(media) if media.starts_with("application/") && media.ends_with("+json") => json(&bytes),
        other => Err(unsupported_media(other)),
    }
}

/// Reads a JSON object. A list of a struct's fields would be read as one too, and is none.
///
/// # Errors
/// `bad-json` with the place of the first fault.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    object(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| bad_json(&error))
}

/// Checks that a body begins like an object.
///
/// # Errors
/// `bad-json`.
pub(crate) fn object(bytes: &[u8]) -> Result<(), Problem> {
    match bytes.trim_ascii_start().first() {
        Some(b'{') => Ok(()),
        _ => Err(Problem::new(Slug::BadJson, "the body is not the JSON that is wanted: it is no object")),
    }
}

/// Text that is not the JSON that is wanted.
pub(crate) fn bad_json(error: &serde_json::Error) -> Problem {
    Problem::new(Slug::BadJson, format!("the body is not the JSON that is wanted: {error}"))
        .with("line", error.line())
        .with("column", error.column())
}

/// A body of a kind that is not read.
pub(crate) fn unsupported_media(media: Option<&str>) -> Problem {
    let detail = match media {
        Some(media) => format!("'{}' is not read here", shown(media)),
        None => "the body has no Content-Type".to_owned(),
    };
    Problem::new(Slug::UnsupportedMediaType, detail)
}

/// The kind of the body, in lower case and without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Reads a body to its end, within a limit of bytes and of time.
async fn body(request: Request, limit: usize, within: Duration) -> Result<Bytes, Problem> {
    let headers = request.headers();
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Problem::new(Slug::UnsupportedMediaType, "compressed bodies are not read"));
    }
    let too_large = || {
        Problem::new(Slug::TooLarge, format!("the body is larger than {limit} bytes")).with("limit", limit)
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(digits::<u64>);
    if announced.is_some_and(|length| usize::try_from(length).unwrap_or(usize::MAX) > limit) {
        return Err(too_large());
    }
    let whole = async {
        let mut chunks = request.into_body().into_data_stream();
        let mut first = Bytes::new();
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk
                .map_err(|error| Problem::new(Slug::BadRequest, format!("the body was cut off: {error}")))?;
            if first.len() + all.len() + chunk.len() > limit {
                return Err(too_large());
            }
            // A body of one chunk is not copied.
            match (first.is_empty(), all.is_empty()) {
                (true, true) => first = chunk,
                _ => {
                    all.extend_from_slice(&std::mem::take(&mut first));
                    all.extend_from_slice(&chunk);
                }
            }
        }
        Ok(if all.is_empty() { first } else { Bytes::from(all) })
    };
    tokio::time::timeout(within, whole).await.unwrap_or_else(|_| {
        let detail = format!("the body did not end within {} ms", within.as_millis());
        Err(Problem::new(Slug::TooSlow, detail))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_durations_are_read_strictly() {
        assert_eq!(digits::<u64>("17"), Some(17));
        for bad in ["", "+1", "-1", " 1", "1.0", "99999999999999999999"] {
            assert_eq!(digits::<u64>(bad), None, "{bad}");
        }
        assert_eq!(time("2026-11-17"), time("2026-11-17T01:00:00 01:00"));
        assert!(time("noon").is_none() && time("17 ticks").is_none());
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("2s"), duration("2"));
        assert_eq!(duration("2h"), None);
    }

    #[test]
    fn a_value_in_a_message_is_short_and_text() {
        assert_eq!(shown("a\nb\u{1b}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(shown(&"x".repeat(500)).len(), 80);
    }
}
