//! Signing in from a browser: who is it, until when, and no longer.

use axum::response::{IntoResponse, Response};
use factum_core::Timestamp;
use http::StatusCode;
use http::header::{CACHE_CONTROL, SET_COOKIE};
use serde::{Deserialize, Serialize};

use super::answer::json;
use super::ask::{Ask, OpenDocument};
use super::problem::{Problem, Slug};
use super::route::{Api, Operation};
use crate::access::{AccessGuard, Caller, SignInError};
use crate::sessions::Session;
use crate::sign_in::sent;
use crate::users::Secret;

const PART: &str = "Session";

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/session",
        look,
        Operation::new("getSession", PART, "Who is signed in, how, and until when")
            .answer(&[("application/json", "Session")]),
    )
    .post(
        "/v1/session",
        begin,
        Operation::new("signIn", PART, "Begins a session, which a cookie stands for from then on")
            .body(&[("application/json", "SignIn")])
            .answer(&[("application/json", "Session")]),
    )
    .delete(
        "/v1/session",
        end,
        Operation::new("signOut", PART, "Ends the session of the cookie").status(204),
    )
}

/// How the caller is known.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
enum Means {
    Session,
    Authorization,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionAnswer {
    security: &'static str,
    login: Option<String>,
    means: Option<Means>,
    expires: Option<String>,
    expires_unused: Option<String>,
}

impl SessionAnswer {
    fn of(session: &Session) -> Self {
        let shown = |time: Timestamp| Some(time.to_string());
        Self {
            security: "signIn",
            login: Some(session.login().to_string()),
            means: Some(Means::Session),
            expires: shown(session.ends()),
            expires_unused: shown(session.ends_unused()),
        }
    }

    fn into_response(self) -> Response {
        ([(CACHE_CONTROL, "no-store")], json(&self)).into_response()
    }
}

async fn look(ask: Ask) -> Result<Response, Problem> {
    let Some(guard) = ask.shared.access.guard() else {
        let (login, means) = (None, None);
        let none = SessionAnswer { security: "insecure", login, means, expires: None, expires_unused: None };
        return Ok(none.into_response());
    };
    if let Some(key) = ask.call.session
        && let Some(session) = guard.session(key).await?
    {
        return Ok(SessionAnswer::of(&session).into_response());
    }
    let login = match &ask.call.caller {
        Caller::User(login) => Some(login.to_string()),
        Caller::System | Caller::Anonymous => None,
    };
    let means = login.is_some().then_some(Means::Authorization);
    let answer = SessionAnswer { security: "signIn", login, means, expires: None, expires_unused: None };
    let mut response = answer.into_response();
    // A cookie of a session that has ended goes with it.
    if guard.sessions().shown(&ask.headers).is_some() && ask.call.session.is_none() {
        take_away(guard, &ask, &mut response);
    }
    Ok(response)
}

fn take_away(guard: &AccessGuard, ask: &Ask, response: &mut Response) {
    if let Some(value) = guard.sessions().no_cookie(sent(&ask.call, &ask.headers)) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
}

#[derive(Deserialize)]
struct SignInBody {
    login: String,
    password: String,
}

async fn begin(ask: Ask, OpenDocument(body): OpenDocument<SignInBody>) -> Result<Response, Problem> {
    let guard = ask.shared.access.guard().ok_or_else(|| {
        Problem::new(Slug::Unsupported, "this server asks nobody who they are")
            .next("Go on without signing in.")
    })?;
    let from = ask.call.peer.map(|peer| peer.ip());
    let password = Secret::new(body.password);
    let (id, session) =
        guard.begin_session(&body.login, &password, from).await.map_err(|error| match error {
            SignInError::Wrong => {
                Problem::new(Slug::NotSignedIn, "the name or the password is wrong, or the user is disabled")
                    .next("Check both; an administrator can give a user another password.")
            }
            SignInError::Overloaded(overloaded) => Problem::new(Slug::Unavailable, overloaded.to_string()),
            SignInError::Read(error) => error.into(),
            error @ SignInError::Randomness(_) => Problem::new(Slug::Internal, error.to_string()),
        })?;
    // Whoever signs in anew is not two.
    if let Some(key) = guard.sessions().shown(&ask.headers) {
        guard.end_session(key);
    }
    let cookie = guard.sessions().cookie(&id, sent(&ask.call, &ask.headers));
    let cookie = cookie.ok_or_else(|| Problem::new(Slug::Internal, "the session's id is no header"))?;
    let mut response = SessionAnswer::of(&session).into_response();
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

async fn end(ask: Ask) -> Response {
    let mut response = (StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response();
    if let Some(guard) = ask.shared.access.guard() {
        if let Some(key) = ask.call.session {
            guard.end_session(key);
        }
        take_away(guard, &ask, &mut response);
    }
    response
}
