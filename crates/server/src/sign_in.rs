//! Who sends a request? Asked once, in front of gRPC and HTTP alike.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use zeroize::Zeroize;

use crate::access::{AccessGuard, Caller, SignInError};
use crate::call::{Call, Wire};
use crate::sessions::{Sent, SessionKey};
use crate::status;
use crate::users::Secret;
use crate::v1::problem::{Problem, Slug};

/// Clients pad or do not pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// How a client is asked to sign in over HTTP.
pub(crate) const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"factum\", charset=\"UTF-8\"");

/// Where sessions are begun and ended.
pub(crate) const SESSION_PATH: &str = "/v1/session";
/// What a page of another origin cannot send along.
pub(crate) const GUARD_HEADER: HeaderName = HeaderName::from_static("x-factum-csrf");

/// What somebody shows to be let in.
#[derive(Debug)]
pub(crate) enum Credentials {
    Password { login: String, password: Secret },
    Token(Secret),
}

/// An authorization header that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What the headers show; `None` where they show nothing.
pub(crate) fn credentials(headers: &HeaderMap) -> Result<Option<Credentials>, Malformed> {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    let Some(header) = shown.next() else { return Ok(None) };
    if shown.next().is_some() {
        return Err(Malformed);
    }
    let (scheme, rest) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Malformed)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
        return Ok(Some(Credentials::Token(Secret::new(rest))));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Malformed);
    }
    let bytes = BASE64.decode(rest).map_err(|_| Malformed)?;
    let mut text = String::from_utf8(bytes).map_err(|_| Malformed)?;
    let credentials = text.split_once(':').map(|(login, password)| Credentials::Password {
        login: login.to_owned(),
        password: Secret::new(password),
    });
    text.zeroize();
    credentials.map(Some).ok_or(Malformed)
}

/// Says in the request's [`Call`] who sends it, or answers that it is not so. What an `Authorization` says comes before what a
/// cookie shows.
pub(crate) async fn sign_in(
    State(guard): State<Arc<AccessGuard>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(key) = session_of(&guard, &request) {
        if let Some(problem) = unguarded(&request) {
            return problem.into_response();
        }
        return match guard.session(key).await {
            Ok(Some(session)) => {
                known(&mut request, Caller::User(session.login().clone()), Some(key));
                next.run(request).await
            }
            // Whoever begins, ends or looks for one need not have one.
            Ok(None) if request.uri().path() == SESSION_PATH => next.run(request).await,
            Ok(None) => ended(&guard, &request).into_response(),
            Err(error) => refusal(&error.into(), request.headers()),
        };
    }
    let from = request.extensions().get::<Call>().and_then(|call| call.peer).map(|peer| peer.ip());
    match guard.sign_in(request.headers(), from).await {
        Ok(caller) => {
            known(&mut request, caller, None);
            next.run(request).await
        }
        Err(error) => refusal(&error, request.headers()),
    }
}

fn known(request: &mut Request, caller: Caller, session: Option<SessionKey>) {
    if let Some(call) = request.extensions_mut().get_mut::<Call>() {
        call.caller = caller;
        call.session = session;
    }
}

/// The session that counts for a request: one of the HTTP API that says in no other way who sends it.
fn session_of(guard: &AccessGuard, request: &Request) -> Option<SessionKey> {
    let counts = request.uri().path().starts_with("/v1/") && !request.headers().contains_key(AUTHORIZATION);
    counts.then(|| guard.sessions().shown(request.headers())).flatten()
}

/// A browser sends its cookie whichever page asks for it, but only a page of ours can send this header along.
fn unguarded(request: &Request) -> Option<Problem> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    (!reads && !request.headers().contains_key(&GUARD_HEADER)).then(|| {
        Problem::new(Slug::CrossSite, "the request is signed in by a cookie, and has no X-Factum-Csrf header")
            .next("Send the header 'X-Factum-Csrf: 1' along, or credentials in the Authorization header.")
    })
}

fn ended(guard: &AccessGuard, request: &Request) -> Problem {
    let problem =
        Problem::new(Slug::NotSignedIn, "the session has ended").next("Sign in again: POST /v1/session.");
    let call = request.extensions().get::<Call>().cloned().unwrap_or_default();
    match guard.sessions().no_cookie(sent(&call, request.headers())) {
        Some(value) => problem.header(SET_COOKIE, value),
        None => problem,
    }
}

/// How a browser is to send its cookie: only over TLS, where it came that way, here or to what stands before the server.
pub(crate) fn sent(call: &Call, headers: &HeaderMap) -> Sent {
    let encrypted = headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    if call.wire == Wire::Tls || encrypted { Sent::Encrypted } else { Sent::Anyhow }
}

fn refusal(error: &SignInError, headers: &HeaderMap) -> Response {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.starts_with("application/grpc") {
        return status::of_sign_in(error).into_http();
    }
    match error {
        SignInError::Wrong => (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, CHALLENGE)]).into_response(),
        SignInError::Overloaded(_) | SignInError::Read(_) | SignInError::Randomness(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<Option<Credentials>, Malformed> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().expect("a value"));
        }
        credentials(&headers)
    }

    #[test]
    fn passwords_and_tokens_are_read_from_the_header() {
        assert!(matches!(of(&[]), Ok(None)));
        for value in ["Basic YWRhOmE6Yg==", "basic YWRhOmE6Yg", "BASIC  YWRhOmE6Yg== "] {
            let Ok(Some(Credentials::Password { login, password })) = of(&[value]) else { panic!("{value}") };
            assert_eq!((login.as_str(), password.expose()), ("ada", "a:b"));
        }
        let Ok(Some(Credentials::Token(token))) = of(&["Bearer abc.def"]) else { panic!("a token") };
        assert_eq!(token.expose(), "abc.def");
    }

    #[test]
    fn anything_else_is_malformed() {
        let digest = "Digest username=\"ada\"";
        for value in
            ["", "Basic", "Bearer ", "Basic !!!", "Basic YWRh", "Basic /////w==", digest, "YWRhOmE6Yg=="]
        {
            assert_eq!(of(&[value]).map(drop), Err(Malformed), "{value}");
        }
        assert_eq!(of(&["Bearer a", "Bearer b"]).map(drop), Err(Malformed));
    }

    #[test]
    fn what_is_shown_is_not_shown_on() {
        let Ok(Some(shown)) = of(&["Basic YWRhOmh1c2g="]) else { panic!("a password") };
        assert!(!format!("{shown:?}").contains("hush"), "{shown:?}");
    }
}
