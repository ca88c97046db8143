//! Sessions of people with browsers: a cookie that stands for a password which was right once.
//!
//! They are in memory only, and of each only the hash of its id: neither the log nor a backup ever has one, and the end of the
//! server ends them all. `access/guard.rs` asks on each use whether the user is still there, enabled, and has the same password.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use factum_core::{Clock, Timestamp};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::users::{Known, Secret};

/// What the cookie's name begins with; the server's port follows. Cookies belong to a host and not to a port, so that two
/// servers on one machine would end each other's sessions.
const COOKIE_NAME: &str = "factum_session";
/// Bytes of randomness in a session's id.
const ID_BYTES: usize = 32;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;
/// Bytes of a hash by which a session is found; the others are compared in constant time.
const PLACE_BYTES: usize = 8;
/// Most sessions. One more ends the one that was used the longest ago.
const MAX_SESSIONS: usize = 4_096;
/// Most sessions of one user. One more ends the one of them that was used the longest ago.
const MAX_SESSIONS_OF_USER: usize = 32;
/// A session that was not used for so long is over.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// A session is over after so long, however much it is used.
const WHOLE: Duration = Duration::from_secs(12 * 60 * 60);

/// What a cookie shows: the hash of a session's id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionKey([u8; HASH_BYTES]);

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

impl SessionKey {
    fn of(id: &str) -> Self {
        Self(Sha256::digest(id).into())
    }

    fn place(self) -> [u8; PLACE_BYTES] {
        let mut place = [0; PLACE_BYTES];
        place.copy_from_slice(&self.0[..PLACE_BYTES]);
        place
    }
}

/// One session.
#[derive(Clone)]
pub(crate) struct Session {
    key: SessionKey,
    login: Arc<str>,
    /// What the stored hash of the password was: another one ends the session.
    password: [u8; HASH_BYTES],
    began: Timestamp,
    used: Timestamp,
}

impl Session {
    /// Whose it is.
    pub(crate) fn login(&self) -> &Arc<str> {
        &self.login
    }

    /// Whether `user` is still who began it, with the password of then.
    pub(crate) fn is_of(&self, user: &Known) -> bool {
        *user.login() == *self.login && bool::from(self.password.ct_eq(&fingerprint(user)))
    }

    /// When it ends, however much it is used.
    pub(crate) fn ends(&self) -> Timestamp {
        self.began.saturating_add(WHOLE)
    }

    /// When it ends unless it is used.
    pub(crate) fn ends_unused(&self) -> Timestamp {
        self.used.saturating_add(IDLE).min(self.ends())
    }

    /// A clock that was put back makes no session longer than it would have been.
    fn is_over(&self, now: Timestamp) -> bool {
        now < self.began || now >= self.ends_unused()
    }
}

fn fingerprint(user: &Known) -> [u8; HASH_BYTES] {
    Sha256::digest(user.hash()).into()
}

/// How a browser is to send a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Over TLS only.
    Encrypted,
    /// Also without: the connection has none.
    Anyhow,
}

/// Every session of a server.
pub(crate) struct Sessions {
    cookie: String,
    clock: Arc<dyn Clock>,
    /// By the beginning of the id's hash. A lock, since it is held for a look only.
    open: Mutex<HashMap<[u8; PLACE_BYTES], Session>>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("cookie", &self.cookie).finish_non_exhaustive()
    }
}

impl Sessions {
    /// None yet, of a server on this port.
    pub(crate) fn new(clock: Arc<dyn Clock>, port: u16) -> Self {
        Self { cookie: format!("{COOKIE_NAME}_{port}"), clock, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<[u8; PLACE_BYTES], Session>> {
        // A thread that panicked under the lock left a map that is whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one of a user whose password was right: its id, which is nowhere else, and what is known of it.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub(crate) fn begin(&self, user: &Known) -> Result<(Secret, Session), std::io::Error> {
        let mut bytes = [0; ID_BYTES];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        let id = Secret::new(URL_SAFE_NO_PAD.encode(bytes));
        bytes.zeroize();
        let now = self.clock.now();
        let (key, password) = (SessionKey::of(id.expose()), fingerprint(user));
        let session = Session { key, login: user.login().into(), password, began: now, used: now };
        let mut open = self.open();
        open.retain(|_, session| !session.is_over(now));
        let of_user = open.values().filter(|other| other.login == session.login).count();
        if of_user >= MAX_SESSIONS_OF_USER {
            end_oldest(&mut open, |other| other.login == session.login);
        }
        if open.len() >= MAX_SESSIONS {
            end_oldest(&mut open, |_| true);
        }
        open.insert(key.place(), session.clone());
        Ok((id, session))
    }

    /// The session that a request shows, if it shows one.
    pub(crate) fn shown(&self, headers: &HeaderMap) -> Option<SessionKey> {
        let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie).map(|(_, id)| SessionKey::of(id))
    }

    /// The session, which is used now; `None` where it is over, or never was.
    pub(crate) fn used(&self, key: SessionKey) -> Option<Session> {
        let now = self.clock.now();
        let mut open = self.open();
        let session = open.get_mut(&key.place()).filter(|known| bool::from(known.key.0.ct_eq(&key.0)))?;
        if session.is_over(now) {
            open.remove(&key.place());
            return None;
        }
        session.used = now;
        Some(session.clone())
    }

    /// Ends a session. Says whether it was one.
    pub(crate) fn end(&self, key: SessionKey) -> bool {
        let mut open = self.open();
        let is_known = open.get(&key.place()).is_some_and(|known| bool::from(known.key.0.ct_eq(&key.0)));
        is_known && open.remove(&key.place()).is_some()
    }

    /// The header that gives a browser its cookie.
    pub(crate) fn cookie(&self, id: &Secret, sent: Sent) -> Option<HeaderValue> {
        let mut text = self.line(id.expose(), WHOLE, sent);
        let value = HeaderValue::try_from(&text).ok();
        text.zeroize();
        let mut value = value?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The header that takes it away.
    pub(crate) fn no_cookie(&self, sent: Sent) -> Option<HeaderValue> {
        HeaderValue::try_from(self.line("", Duration::ZERO, sent)).ok()
    }

    fn line(&self, value: &str, lasts: Duration, sent: Sent) -> String {
        let secure = if sent == Sent::Encrypted { "; Secure" } else { "" };
        let (name, seconds) = (&self.cookie, lasts.as_secs());
        format!("{name}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}")
    }
}

/// Ends the one that was used the longest ago.
fn end_oldest(open: &mut HashMap<[u8; PLACE_BYTES], Session>, among: impl Fn(&Session) -> bool) {
    let oldest = open.iter().filter(|(_, session)| among(session)).min_by_key(|(_, session)| session.used);
    let oldest = oldest.map(|(place, _)| *place);
    if let Some(place) = oldest {
        open.remove(&place);
    }
}

#[cfg(test)]
mod tests {
    use factum_core::ManualClock;

    use super::*;

    fn user(login: &str, hash: &str) -> Known {
        let text = serde_json::json!({ "LoginName": login, "Hash": hash }).to_string();
        Known::of_text(login, text.as_bytes())
    }

    fn sessions() -> (Sessions, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        (Sessions::new(clock.clone(), 2113), clock)
    }

    fn later(clock: &ManualClock, by: Duration) {
        clock.set(clock.now().saturating_add(by));
    }

    #[test]
    fn it_is_found_by_its_id_and_by_no_other() {
        let (sessions, _) = sessions();
        let (id, session) = sessions.begin(&user("ada", "h")).expect("random");
        assert_eq!(id.expose().len(), 43);
        let key = SessionKey::of(id.expose());
        assert_eq!(&**sessions.used(key).expect("open").login(), "ada");
        let mut other = key;
        other.0[HASH_BYTES - 1] ^= 1;
        assert!(sessions.used(other).is_none() && !sessions.end(other));
        assert!(session.is_of(&user("ada", "h")));
        assert!(!session.is_of(&user("ada", "another")) && !session.is_of(&user("bob", "h")));
        assert!(sessions.end(key) && !sessions.end(key));
        assert!(sessions.used(key).is_none());
    }

    #[test]
    fn it_ends_when_it_is_not_used_and_when_it_is() {
        let (sessions, clock) = sessions();
        let (id, _) = sessions.begin(&user("ada", "h")).expect("random");
        let key = SessionKey::of(id.expose());
        let step = IDLE - Duration::from_secs(1);
        let mut whole = Duration::ZERO;
        while whole + step < WHOLE {
            later(&clock, step);
            whole += step;
            assert!(sessions.used(key).is_some(), "{whole:?}");
        }
        later(&clock, WHOLE - whole);
        assert!(sessions.used(key).is_none());
        let (id, session) = sessions.begin(&user("ada", "h")).expect("random");
        assert_eq!(session.ends_unused(), clock.now().saturating_add(IDLE));
        later(&clock, IDLE);
        assert!(sessions.used(SessionKey::of(id.expose())).is_none());
        assert!(sessions.open().is_empty());
    }

    #[test]
    fn there_are_only_so_many() {
        let (sessions, clock) = sessions();
        let begin = |login: &str| {
            later(&clock, Duration::from_millis(1));
            SessionKey::of(sessions.begin(&user(login, "h")).expect("random").0.expose())
        };
        let first = begin("ada");
        for _ in 0..MAX_SESSIONS_OF_USER {
            begin("ada");
        }
        assert!(sessions.used(first).is_none());
        assert_eq!(sessions.open().len(), MAX_SESSIONS_OF_USER);
        for n in 0..MAX_SESSIONS {
            begin(&n.to_string());
        }
        assert_eq!(sessions.open().len(), MAX_SESSIONS);
    }

    #[test]
    fn a_cookie_is_read_among_others_and_given_with_all_its_guards() {
        let (sessions, _) = sessions();
        let shown = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, text.parse().expect("a value"));
            sessions.shown(&headers)
        };
        assert_eq!(shown("a=b; factum_session_2113=x; c=d"), Some(SessionKey::of("x")));
        assert_eq!(shown("factum_session=x; factum_session_2114=x; xfactum_session_2113=x"), None);
        assert!(sessions.shown(&HeaderMap::new()).is_none());
        let cookie = sessions.cookie(&Secret::new("id"), Sent::Encrypted).expect("a value");
        let text = "factum_session_2113=id; HttpOnly; SameSite=Strict; Path=/; Max-Age=43200; Secure";
        assert_eq!(cookie.to_str().expect("text"), text);
        assert!(cookie.is_sensitive());
        let cookie = sessions.no_cookie(Sent::Anyhow).expect("a value");
        assert!(cookie.to_str().expect("text").ends_with("Max-Age=0"));
    }

    #[test]
    fn nothing_of_it_is_shown() {
        let (sessions, _) = sessions();
        let (id, session) = sessions.begin(&user("ada", "hush")).expect("random");
        let shown = format!("{sessions:?} {:?} {id:?}", session.key);
        assert!(!shown.contains("hush") && !shown.contains(id.expose()), "{shown}");
    }
}
