//! Users: who there is, and what is kept of them.
//!
//! They are kept as KurrentDB keeps them: each in a stream of its own (`$user-<login>`, whose last event is the user), all
//! logins ever given in `$users`, and a word about each changed password in `$users-password-notifications`. A hash of a
//! password is a PHC string of argon2id; hashes of KurrentDB's own are not understood, and such a user needs a new password.

mod password;
mod record;
mod secret;

use std::collections::BTreeSet;
use std::sync::Arc;

use factum_core::{
    Append, AppendError, Capability, Delete, DeleteMode, EventStore, EventStoreExt, EventType,
    ExpectedRevision, NewEvent, Read, ReadError, RecordedEvent, Revision, StreamName, Timestamp,
};

pub(crate) use password::{Overloaded, Passwords};
pub(crate) use record::Known;
pub use secret::Secret;

use record::UserRecord;

/// Where the defaults of access lists stand.
pub(crate) const SETTINGS_STREAM: &str = "$settings";
/// What the name of a user's stream begins with.
pub(crate) const USER_STREAM_PREFIX: &str = "$user-";
/// The type of a user's first event.
pub(crate) const USER_CREATED: &str = "$UserCreated";
/// The type of a user's later events.
pub(crate) const USER_UPDATED: &str = "$UserUpdated";
const USERS_STREAM: &str = "$users";
const USER_LISTED: &str = "$User";
const PASSWORDS_STREAM: &str = "$users-password-notifications";
const PASSWORD_CHANGED: &str = "$PasswordChanged";

/// Longest login, in bytes.
const MAX_LOGIN_BYTES: usize = 256;
/// Longest password, in bytes.
pub(crate) const MAX_PASSWORD_BYTES: usize = 1024;
/// Longest full name or name of a group, in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// Most groups of a user.
const MAX_GROUPS: usize = 256;

/// What may be seen of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name that it signs in with.
    pub login: String,
    /// Its name among people.
    pub full_name: String,
    /// What it belongs to: `$admins` may do everything, `$ops` run the server, others are for access lists.
    pub groups: Vec<String>,
    /// Whether it may sign in.
    pub standing: Standing,
    /// When any of this was last changed.
    pub last_updated: Timestamp,
}

/// Whether a user may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Enabled,
    /// It may not, until it is enabled again.
    Disabled,
}

/// A user to be.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The name that it signs in with: no colon, and no `$` in front.
    pub login: String,
    /// Its name among people.
    pub full_name: String,
    /// What it belongs to.
    pub groups: Vec<String>,
    /// What it signs in with.
    pub password: Secret,
}

/// Why something was not done to a user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// There is no such user.
    #[error("there is no user '{login}'")]
    NotFound {
        /// The name.
        login: String,
    },
    /// There is one already.
    #[error("there is a user '{login}' already: choose another name, or change that one")]
    Exists {
        /// The name.
        login: String,
    },
    /// Somebody else changed it in the meantime.
    #[error("somebody else changed the user '{login}' in this moment: try again")]
    Changed {
        /// The name.
        login: String,
    },
    /// The present password is another one.
    #[error("the present password of '{login}' is another one")]
    WrongPassword {
        /// The name.
        login: String,
    },
    /// What was asked for cannot be.
    #[error("{what} {why}")]
    Invalid {
        /// Of what.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What is stored of the user cannot be read.
    #[error("what is stored of the user '{login}' cannot be read: delete it and create it again")]
    Damaged {
        /// The name.
        login: String,
    },
    /// Too many passwords are being checked.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The users cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The users cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// The users in a store.
#[derive(Clone)]
pub struct UserDirectory {
    store: Arc<dyn EventStore>,
    passwords: Arc<Passwords>,
}

/// A user as stored, and where.
struct Stored {
    record: UserRecord,
    revision: Revision,
    recorded_at: Timestamp,
}

impl UserDirectory {
    /// The users in `store`.
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self::with(store, Arc::new(Passwords::new()))
    }

    pub(crate) fn with(store: Arc<dyn EventStore>, passwords: Arc<Passwords>) -> Self {
        Self { store, passwords }
    }

    /// Creates a user.
    ///
    /// # Errors
    /// `Exists` where there is one of this name, `Invalid` where the name, a group or the password cannot be.
    pub async fn create(&self, user: NewUser) -> Result<(), UserError> {
        let NewUser { login, full_name, groups, password } = user;
        let stream = stream_of(&login)?;
        check(&full_name, &groups)?;
        match self.stored(&login).await {
            Err(UserError::NotFound { .. }) => {}
            Err(UserError::Damaged { .. }) | Ok(_) => return Err(UserError::Exists { login }),
            Err(error) => return Err(error),
        }
        let hash = self.hash(&password).await?;
        let record = UserRecord::new(login.clone(), full_name, groups, hash);
        let listed = NewEvent::binary(event_type(USER_LISTED)?, login.clone());
        let writes = vec![
            (stream, ExpectedRevision::NoStream, record.to_event(event_type(USER_CREATED)?)),
            (stream_name(USERS_STREAM)?, ExpectedRevision::Any, listed),
        ];
        self.write(writes).await.map_err(|error| match error {
            AppendError::Conflict { .. } => UserError::Exists { login },
            error => UserError::Append(error),
        })
    }

    /// Gives a user another full name and other groups.
    ///
    /// # Errors
    /// `NotFound` where there is none, `Invalid` where the name or a group cannot be.
    pub async fn update(&self, login: &str, full_name: String, groups: Vec<String>) -> Result<(), UserError> {
        check(&full_name, &groups)?;
        let mut stored = self.stored(login).await?;
        stored.record.rename(full_name, groups);
        self.put(stored, Vec::new()).await
    }

    /// Lets a user sign in, or not. Asked for what is so already, it does nothing.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub async fn set_standing(&self, login: &str, standing: Standing) -> Result<(), UserError> {
        let mut stored = self.stored(login).await?;
        if !stored.record.stand(standing) {
            return Ok(());
        }
        self.put(stored, Vec::new()).await
    }

    /// Deletes a user. The name may be given again.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub async fn delete(&self, login: &str) -> Result<(), UserError> {
        let expected = match self.stored(login).await {
            Ok(stored) => ExpectedRevision::Exact(stored.revision),
            Err(UserError::Damaged { .. }) => ExpectedRevision::Any,
            Err(error) => return Err(error),
        };
        let delete = Delete { stream: stream_of(login)?, expected, mode: DeleteMode::Soft };
        match self.store.delete(delete).await {
            Ok(_) => Ok(()),
            Err(AppendError::Conflict { .. }) => Err(UserError::Changed { login: login.to_owned() }),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a user another password, if `current` is the present one.
    ///
    /// # Errors
    /// `WrongPassword` where it is not, `NotFound` where there is no such user.
    pub async fn change_password(
        &self,
        login: &str,
        current: &Secret,
        new: &Secret,
    ) -> Result<(), UserError> {
        let stored = self.stored(login).await?;
        let known = Known::from(stored.record.clone());
        if !self.passwords.check(login, current, Some(&known), None).await? {
            return Err(UserError::WrongPassword { login: login.to_owned() });
        }
        self.put_password(stored, new).await
    }

    /// Gives a user another password.
    ///
    /// # Errors
    /// `NotFound` where there is no such user, `Invalid` where the password cannot be.
    pub async fn reset_password(&self, login: &str, new: &Secret) -> Result<(), UserError> {
        let stored = self.stored(login).await?;
        self.put_password(stored, new).await
    }

    /// What may be seen of a user.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub async fn details(&self, login: &str) -> Result<User, UserError> {
        self.stored(login).await.map(Stored::into_user)
    }

    /// Every user, by login.
    ///
    /// # Errors
    /// `UserError` where the store cannot be read.
    pub async fn list(&self) -> Result<Vec<User>, UserError> {
        let mut users = Vec::new();
        for login in self.logins().await? {
            match self.details(&login).await {
                Ok(user) => users.push(user),
                // Deleted, or what a stranger wrote: the others are there all the same.
                Err(UserError::NotFound { .. } | UserError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(users)
    }

    /// Creates these users if there was never any: nobody could sign in otherwise. Says whether it did.
    pub(crate) async fn create_first(&self, users: Vec<NewUser>) -> Result<FirstStart, UserError> {
        if !self.logins().await?.is_empty() {
            return Ok(FirstStart::UsersWereThere);
        }
        for user in users {
            match self.create(user).await {
                Ok(()) => {}
                // Another server over the same store was first.
                Err(UserError::Exists { .. }) => return Ok(FirstStart::UsersWereThere),
                Err(error) => return Err(error),
            }
        }
        Ok(FirstStart::UsersCreated)
    }

    /// Every login that was ever given.
    async fn logins(&self) -> Result<BTreeSet<String>, UserError> {
        match self.store.read_all(Read::stream(stream_name(USERS_STREAM)?)).await {
            Ok(events) => {
                let login = |event: &RecordedEvent| String::from_utf8(event.data_slice().to_vec()).ok();
                Ok(events.iter().filter_map(login).collect())
            }
            Err(ReadError::StreamNotFound { .. } | ReadError::StreamDeleted { .. }) => Ok(BTreeSet::new()),
            Err(error) => Err(error.into()),
        }
    }

    async fn stored(&self, login: &str) -> Result<Stored, UserError> {
        match read(self.store.as_ref(), login).await? {
            None => Err(UserError::NotFound { login: login.to_owned() }),
            Some(event) => match UserRecord::parse(login, event.data_slice()) {
                Some(record) => {
                    Ok(Stored { record, revision: event.revision(), recorded_at: event.recorded_at() })
                }
                None => Err(UserError::Damaged { login: login.to_owned() }),
            },
        }
    }

    async fn hash(&self, password: &Secret) -> Result<String, UserError> {
        let wrong = |why| Err(UserError::Invalid { what: "a password", why });
        match password.expose().len() {
            0 => wrong("may not be empty"),
            bytes if bytes > MAX_PASSWORD_BYTES => wrong("may have at most 1024 bytes"),
            _ => Ok(self.passwords.hash(password).await?),
        }
    }

    async fn put_password(&self, mut stored: Stored, password: &Secret) -> Result<(), UserError> {
        let hash = self.hash(password).await?;
        stored.record.set_hash(hash);
        let notice = serde_json::json!({ "LoginName": stored.record.login() }).to_string();
        let notice = NewEvent::json(event_type(PASSWORD_CHANGED)?, notice);
        self.put(stored, vec![(stream_name(PASSWORDS_STREAM)?, ExpectedRevision::Any, notice)]).await
    }

    async fn put(&self, stored: Stored, beside: Vec<Write>) -> Result<(), UserError> {
        let login = stored.record.login().to_owned();
        let event = stored.record.to_event(event_type(USER_UPDATED)?);
        let mut writes = vec![(stream_of(&login)?, ExpectedRevision::Exact(stored.revision), event)];
        writes.extend(beside);
        self.write(writes).await.map_err(|error| match error {
            AppendError::Conflict { .. } => UserError::Changed { login },
            error => UserError::Append(error),
        })
    }

    /// Writes into several streams: at once where the store can, else the user first.
    async fn write(&self, writes: Vec<Write>) -> Result<(), AppendError> {
        let at_once = self.store.capabilities().has(Capability::MultiStreamAppend);
        let mut append = Append::default();
        for (stream, expected, event) in writes {
            append = append.and(stream, expected, vec![event]);
            if !at_once {
                self.store.append(std::mem::take(&mut append)).await?;
            }
        }
        if at_once {
            self.store.append(append).await?;
        }
        Ok(())
    }
}

/// An event for a stream.
type Write = (StreamName, ExpectedRevision, NewEvent);

/// Whether a server that starts found users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstStart {
    /// There were some, or nobody is asked who they are: none were created.
    UsersWereThere,
    /// There were none, and the first ones were created.
    UsersCreated,
}

impl Stored {
    fn into_user(self) -> User {
        self.record.into_user(self.recorded_at)
    }
}

/// What is needed to let a user in; `None` where there is none, or what is stored of it cannot be read.
pub(crate) async fn known(store: &dyn EventStore, login: &str) -> Result<Option<Known>, ReadError> {
    let event = read(store, login).await?;
    Ok(event.and_then(|event| UserRecord::parse(login, event.data_slice())).map(Known::from))
}

async fn read(store: &dyn EventStore, login: &str) -> Result<Option<RecordedEvent>, ReadError> {
    let Ok(stream) = stream_of(login) else { return Ok(None) };
    match store.last_event(stream).await {
        Ok(event) => Ok(event),
        Err(ReadError::StreamNotFound { .. } | ReadError::StreamDeleted { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The stream of a user whose name may be.
fn stream_of(login: &str) -> Result<StreamName, UserError> {
    let wrong = |why| Err(UserError::Invalid { what: "a login", why });
    if login.is_empty() {
        return wrong("may not be empty");
    }
    if login.len() > MAX_LOGIN_BYTES {
        return wrong("may have at most 256 bytes");
    }
    if login.starts_with('$') {
        return wrong("may not begin with '$': such names are for groups");
    }
    if login.contains(|char: char| char == ':' || char.is_control()) {
        return wrong("may have neither a colon nor control characters: it could not sign in");
    }
    stream_name(&format!("{USER_STREAM_PREFIX}{login}"))
}

fn check(full_name: &str, groups: &[String]) -> Result<(), UserError> {
    if full_name.len() > MAX_NAME_BYTES {
        return Err(UserError::Invalid { what: "a full name", why: "may have at most 1024 bytes" });
    }
    if groups.len() > MAX_GROUPS {
        return Err(UserError::Invalid { what: "a user", why: "may be in at most 256 groups" });
    }
    if groups.iter().any(|group| group.is_empty() || group.len() > MAX_NAME_BYTES) {
        return Err(UserError::Invalid { what: "the name of a group", why: "has 1 to 1024 bytes" });
    }
    Ok(())
}

fn stream_name(name: &str) -> Result<StreamName, UserError> {
    StreamName::new(name.to_owned()).map_err(|_| UserError::Invalid {
        what: "a login",
        why: "must be short enough to be in the name of a stream",
    })
}

fn event_type(name: &str) -> Result<EventType, AppendError> {
    EventType::new(name).map_err(|error| AppendError::Invalid { why: error.to_string() })
}
