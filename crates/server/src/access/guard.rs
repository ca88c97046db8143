//! What is remembered of users, access lists and defaults, so that a check reads nothing in the usual case.
//!
//! Everything is under one generation number. What was read while something was forgotten is used once and not kept: it
//! may be what was there before.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use factum_core::{EventStore, EventStoreExt, ReadError, StreamName};
use http::HeaderMap;
use tokio::sync::watch;

use super::acl::{Acl, Bearer, Settings, Wanted, allows};
use super::{Action, Caller, OPS};
use crate::sessions::{Session, SessionKey, Sessions};
use crate::sign_in::{Credentials, credentials};
use crate::tokens::Tokens;
use crate::users::{Known, Overloaded, Passwords, SETTINGS_STREAM, Secret, known};

/// Streams whose access list is remembered.
const MAX_LISTS: usize = 16_384;
/// Users that are remembered.
const MAX_USERS: usize = 16_384;

/// Whether those who do not sign in may do what everybody may who does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// They may not read or write any stream.
    #[default]
    Refused,
    /// They may do what an access list gives to `$all`.
    Admitted,
}

/// Why somebody is not who they say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// No such user, another password, a disabled user, or no way of signing in that is known.
    #[error("the credentials are wrong")]
    Wrong,
    /// Too many passwords are being checked.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The users cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A session has no id.
    #[error("the system gives no randomness: {0}")]
    Randomness(#[source] std::io::Error),
}

#[derive(Default)]
struct Remembered {
    generation: u64,
    lists: HashMap<Box<str>, Arc<Acl>>,
    settings: Option<Arc<Settings>>,
    users: HashMap<Box<str>, Arc<Known>>,
}

/// Knows who may do what.
pub(crate) struct Guard {
    store: Arc<dyn EventStore>,
    passwords: Arc<Passwords>,
    tokens: Tokens,
    anonymous: Anonymous,
    sessions: Sessions,
    /// Behind a lock that is held for a look-up, never for a read of the store.
    remembered: RwLock<Remembered>,
    changes: watch::Sender<u64>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("anonymous", &self.anonymous).finish_non_exhaustive()
    }
}

/// What a decision rests on, with what is not remembered left out.
struct Facts<'a> {
    user: Option<&'a Known>,
    list: Option<&'a Acl>,
    settings: Option<&'a Settings>,
}

impl Guard {
    pub(crate) fn new(
        store: Arc<dyn EventStore>,
        passwords: Arc<Passwords>,
        tokens: Tokens,
        anonymous: Anonymous,
        sessions: Sessions,
    ) -> Self {
        let remembered = RwLock::default();
        Self { store, passwords, tokens, anonymous, sessions, remembered, changes: watch::Sender::new(0) }
    }

    // A thread that panicked under the lock left a map that is whole: each change of it is one call.
    fn look(&self) -> RwLockReadGuard<'_, Remembered> {
        self.remembered.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Remembered> {
        self.remembered.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of each change of rights.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn forgotten(&self, forget: impl FnOnce(&mut Remembered)) {
        let generation = {
            let mut remembered = self.change();
            remembered.generation += 1;
            forget(&mut remembered);
            remembered.generation
        };
        self.changes.send_replace(generation);
    }

    /// Forgets the access list of a stream.
    pub(super) fn forget_list(&self, stream: &str) {
        self.forgotten(|remembered| drop(remembered.lists.remove(stream)));
    }

    /// Forgets the defaults.
    pub(super) fn forget_settings(&self) {
        self.forgotten(|remembered| remembered.settings = None);
    }

    /// Forgets a user.
    pub(super) fn forget_user(&self, login: &str) {
        self.forgotten(|remembered| drop(remembered.users.remove(login)));
    }

    /// Forgets everything.
    pub(super) fn forget(&self) {
        self.forgotten(|remembered| {
            *remembered = Remembered { generation: remembered.generation, ..Remembered::default() };
        });
    }

    /// Whether `caller` may do it.
    pub(super) async fn may(&self, caller: &Caller, action: Action<'_>) -> Result<bool, ReadError> {
        let wanted = Wanted::by(action);
        {
            let remembered = self.look();
            let facts = Facts {
                user: match caller {
                    Caller::User(login) => remembered.users.get(login.as_ref()).map(AsRef::as_ref),
                    Caller::System | Caller::Anonymous => None,
                },
                list: wanted.and_then(|wanted| remembered.lists.get(wanted.stream)).map(AsRef::as_ref),
                settings: remembered.settings.as_deref(),
            };
            if let Some(decision) = self.decide(caller, action, &facts) {
                return Ok(decision);
            }
        }
        let user = match caller {
            Caller::User(login) => self.user(login).await?,
            Caller::System | Caller::Anonymous => None,
        };
        let Some(wanted) = wanted else {
            let facts = Facts { user: user.as_deref(), list: None, settings: None };
            return Ok(self.decide(caller, action, &facts).unwrap_or(false));
        };
        let list = self.list(wanted.stream).await?;
        let settings = self.settings().await?;
        let facts = Facts { user: user.as_deref(), list: Some(&list), settings: Some(&settings) };
        Ok(self.decide(caller, action, &facts).unwrap_or(false))
    }

    /// The decision; `None` where it needs a fact that is missing.
    fn decide(&self, caller: &Caller, action: Action<'_>, facts: &Facts<'_>) -> Option<bool> {
        let bearer = match caller {
            Caller::System => return Some(true),
            Caller::Anonymous => None,
            Caller::User(_) => {
                let user = facts.user?;
                if user.is_disabled() {
                    return Some(false);
                }
                Some(Bearer { login: user.login(), groups: user.groups() })
            }
        };
        let of_self = |login: &str| bearer.is_some_and(|bearer| bearer.login == login);
        let is_admin = bearer.is_some_and(Bearer::is_admin);
        let Some(wanted) = Wanted::by(action) else {
            return Some(match action {
                Action::ManageGroups | Action::Operate => {
                    is_admin || bearer.is_some_and(|bearer| bearer.login == "ops" || bearer.is_in(OPS))
                }
                Action::ManageUsers | Action::Privacy => is_admin,
                Action::SeeUser(login) => is_admin || of_self(login),
                Action::ChangePassword(login) => of_self(login),
                Action::Statistics
                | Action::SeeGroups
                | Action::Read(_)
                | Action::Write(_)
                | Action::Delete(_) => bearer.is_some(),
            });
        };
        if wanted.is_impossible() {
            return Some(false);
        }
        if is_admin {
            return Some(true);
        }
        let bearer = match (bearer, self.anonymous) {
            (Some(bearer), _) => bearer,
            (None, Anonymous::Admitted) => Bearer::STRANGER,
            (None, Anonymous::Refused) => return Some(false),
        };
        if wanted.is_reserved() {
            return Some(false);
        }
        Some(allows(bearer, wanted, facts.list?, facts.settings?))
    }

    async fn list(&self, stream: &str) -> Result<Arc<Acl>, ReadError> {
        let generation = {
            let remembered = self.look();
            if let Some(list) = remembered.lists.get(stream) {
                return Ok(list.clone());
            }
            remembered.generation
        };
        let list = Arc::new(self.read_list(stream).await?);
        let mut remembered = self.change();
        if remembered.generation == generation {
            if remembered.lists.len() >= MAX_LISTS {
                remembered.lists.clear();
            }
            remembered.lists.insert(stream.into(), list.clone());
        }
        Ok(list)
    }

    async fn read_list(&self, stream: &str) -> Result<Acl, ReadError> {
        // The log itself has a metadata stream too, and is no stream.
        let Ok(metastream) = StreamName::new(format!("$${stream}")) else { return Ok(Acl::default()) };
        match self.store.last_event(metastream).await {
            Ok(event) => {
                let metadata = event.map(|event| factum_core::StreamMetadata::parse(event.data_slice()));
                Ok(Acl::parse(metadata.as_ref().and_then(|metadata| metadata.acl.as_ref())))
            }
            // Whatever is done next is told that the stream is gone.
            Err(ReadError::StreamNotFound { .. } | ReadError::StreamDeleted { .. }) => Ok(Acl::default()),
            Err(error) => Err(error),
        }
    }

    async fn settings(&self) -> Result<Arc<Settings>, ReadError> {
        let generation = {
            let remembered = self.look();
            if let Some(settings) = &remembered.settings {
                return Ok(settings.clone());
            }
            remembered.generation
        };
        let last = match StreamName::new(SETTINGS_STREAM) {
            Ok(stream) => self.store.last_event(stream).await,
            Err(_) => Ok(None),
        };
        let settings = match last {
            Ok(event) => event.map_or_else(Settings::default, |event| Settings::parse(event.data_slice())),
            Err(ReadError::StreamNotFound { .. } | ReadError::StreamDeleted { .. }) => Settings::default(),
            Err(error) => return Err(error),
        };
        let settings = Arc::new(settings);
        let mut remembered = self.change();
        if remembered.generation == generation {
            remembered.settings = Some(settings.clone());
        }
        Ok(settings)
    }

    /// A user; `None` where there is none. Users that are not are not remembered: their number is in nobody's hands.
    async fn user(&self, login: &str) -> Result<Option<Arc<Known>>, ReadError> {
        let generation = {
            let remembered = self.look();
            if let Some(user) = remembered.users.get(login) {
                return Ok(Some(user.clone()));
            }
            remembered.generation
        };
        let Some(user) = known(self.store.as_ref(), login).await?.map(Arc::new) else { return Ok(None) };
        let mut remembered = self.change();
        if remembered.generation == generation {
            if remembered.users.len() >= MAX_USERS {
                remembered.users.clear();
            }
            remembered.users.insert(login.into(), user.clone());
        }
        Ok(Some(user))
    }

    /// Who sends a request with these headers from this address.
    ///
    /// # Errors
    /// `SignInError` where the credentials are wrong or cannot be checked now.
    pub(crate) async fn sign_in(
        &self,
        headers: &HeaderMap,
        from: Option<IpAddr>,
    ) -> Result<Caller, SignInError> {
        let (login, user) = match credentials(headers).map_err(|_| SignInError::Wrong)? {
            None => return Ok(Caller::Anonymous),
            Some(Credentials::Token(token)) => {
                let login = self.tokens.login(&token).ok_or(SignInError::Wrong)?.to_owned();
                let user = self.user(&login).await?;
                (login, user)
            }
            Some(Credentials::Password { login, password }) => {
                self.with_password(&login, &password, from).await?;
                return Ok(Caller::User(login.into()));
            }
        };
        match user {
            Some(user) if !user.is_disabled() => Ok(Caller::User(login.into())),
            _ => Err(SignInError::Wrong),
        }
    }

    /// The user of this name, if the password is theirs and they may sign in.
    async fn with_password(
        &self,
        login: &str,
        password: &Secret,
        from: Option<IpAddr>,
    ) -> Result<Arc<Known>, SignInError> {
        let user = self.user(login).await?;
        // A user who is not there takes as long as one who is.
        if !self.passwords.check(login, password, user.as_deref(), from).await? {
            return Err(SignInError::Wrong);
        }
        user.filter(|user| !user.is_disabled()).ok_or(SignInError::Wrong)
    }

    /// Begins a session of a user whose password, which comes from an address, is right. The id is told here only.
    pub(crate) async fn begin_session(
        &self,
        login: &str,
        password: &Secret,
        from: Option<IpAddr>,
    ) -> Result<(Secret, Session), SignInError> {
        let user = self.with_password(login, password, from).await?;
        self.sessions.begin(&user).map_err(SignInError::Randomness)
    }

    /// The session that a request shows, which is used now; `None` where it has ended. It ends with its user, and with the
    /// password that it began with.
    pub(crate) async fn session(&self, key: SessionKey) -> Result<Option<Session>, ReadError> {
        let Some(session) = self.sessions.used(key) else { return Ok(None) };
        match self.user(session.login()).await? {
            Some(user) if !user.is_disabled() && session.is_of(&user) => Ok(Some(session)),
            _ => {
                self.end_session(key);
                Ok(None)
            }
        }
    }

    /// Ends a session, and what goes on in its name.
    pub(crate) fn end_session(&self, key: SessionKey) {
        if self.sessions.end(key) {
            self.forgotten(|_| {});
        }
    }

    /// Whether those who do not sign in may do what everybody may who does.
    pub(super) fn admits_strangers(&self) -> bool {
        self.anonymous == Anonymous::Admitted
    }

    /// Every session.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }
}

#[cfg(test)]
mod tests {
    use factum_core::{
        Append, AppendError, Appended, BoxFuture, Delete, Deleted, EventReader, EventType, ExpectedRevision,
        MemoryStore, NewEvent, Read, Subscribe, Subscription,
    };

    use super::*;

    fn sessions() -> Sessions {
        Sessions::new(Arc::new(factum_core::SystemClock), 0)
    }

    async fn guard(users: &[&str]) -> Guard {
        let store = Arc::new(MemoryStore::new());
        for user in users {
            let record: serde_json::Value = serde_json::from_str(user).expect("JSON");
            let stream = StreamName::new(format!("$user-{}", record["LoginName"].as_str().expect("a login")));
            let event = NewEvent::json(EventType::new("$UserCreated").expect("a type"), (*user).to_owned());
            let append = store.append_to(stream.expect("a name"), ExpectedRevision::Any, vec![event]);
            append.await.expect("appended");
        }
        Guard::new(store, Arc::new(Passwords::new()), Tokens::default(), Anonymous::Refused, sessions())
    }

    #[tokio::test]
    async fn what_is_not_about_a_stream_is_decided_by_groups() {
        let guard = guard(&[
            r#"{"LoginName":"admin"}"#,
            r#"{"LoginName":"root","Groups":["$admins"]}"#,
            r#"{"LoginName":"ops"}"#,
            r#"{"LoginName":"night","Groups":["$ops"]}"#,
            r#"{"LoginName":"ada","Groups":["ops","admins"]}"#,
            r#"{"LoginName":"gone","Groups":["$admins"],"Disabled":true}"#,
        ])
        .await;
        let actions = [
            Action::Operate,
            Action::ManageGroups,
            Action::Statistics,
            Action::ManageUsers,
            Action::SeeUser("ada"),
            Action::ChangePassword("ada"),
            Action::Write("$all"),
            Action::Delete("$all"),
        ];
        for (login, expected) in [
            ("admin", "yes yes yes yes yes no no no"),
            ("root", "yes yes yes yes yes no no no"),
            ("ops", "yes yes yes no no no no no"),
            ("night", "yes yes yes no no no no no"),
            ("ada", "no no yes no yes yes no no"),
            ("gone", "no no no no no no no no"),
            ("nobody", "no no no no no no no no"),
            ("", "no no no no no no no no"),
        ] {
            let caller = if login.is_empty() { Caller::Anonymous } else { Caller::User(login.into()) };
            // From the store, and then from memory.
            for _ in 0..2 {
                let mut found = Vec::new();
                for action in actions {
                    found.push(if guard.may(&caller, action).await.expect("readable") {
                        "yes"
                    } else {
                        "no"
                    });
                }
                assert_eq!(found.join(" "), expected, "{caller}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let guard = guard(&[r#"{"LoginName":"ada"}"#]).await;
        let ada = Caller::User("ada".into());
        for n in 0..MAX_LISTS + 10 {
            assert!(guard.may(&ada, Action::Read(&format!("s-{n}"))).await.expect("readable"));
        }
        assert_eq!(guard.look().lists.len(), 10);
        for n in 0..100 {
            let nobody = Caller::User(format!("nobody {n}").into());
            assert!(!guard.may(&nobody, Action::Statistics).await.expect("readable"));
        }
        assert_eq!(guard.look().users.len(), 1);
    }

    /// A store that keeps each read for itself until it is told to give it.
    struct Withholding {
        store: MemoryStore,
        has_read: tokio::sync::Semaphore,
        may_give: tokio::sync::Semaphore,
    }

    impl EventStore for Withholding {
        fn capabilities(&self) -> factum_core::Capabilities {
            self.store.capabilities()
        }

        fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
            self.store.append(append)
        }

        fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
            Box::pin(async move {
                let reader = self.store.read(read).await;
                self.has_read.add_permits(1);
                self.may_give.acquire().await.expect("open").forget();
                reader
            })
        }

        fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
            self.store.subscribe(subscribe)
        }

        fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
            self.store.delete(delete)
        }
    }

    #[tokio::test]
    async fn what_was_read_while_something_was_forgotten_is_not_kept() {
        let closed = || tokio::sync::Semaphore::new(0);
        let store = Withholding { store: MemoryStore::new(), has_read: closed(), may_give: closed() };
        let store = Arc::new(store);
        let passwords = Arc::new(Passwords::new());
        let guard = Guard::new(store.clone(), passwords, Tokens::default(), Anonymous::Refused, sessions());
        let change = async {
            store.has_read.acquire().await.expect("open").forget();
            let event = NewEvent::json(EventType::new("$metadata").expect("a type"), r#"{"$acl":{"$r":[]}}"#);
            let stream = StreamName::new("$$s").expect("a name");
            store.append_to(stream, ExpectedRevision::Any, vec![event]).await.expect("appended");
            guard.forget_list("s");
            store.may_give.add_permits(1);
        };
        let (before, ()) = tokio::join!(guard.list("s"), change);
        assert_eq!(*before.expect("readable"), Acl::default());
        assert!(guard.look().lists.is_empty(), "what was there before the change is remembered");
        store.may_give.add_permits(1);
        assert_ne!(*guard.list("s").await.expect("readable"), Acl::default());
        assert_eq!(guard.look().lists.len(), 1);
    }
}
