//! Who is calling, and what may they do?
//!
//! Without security the answer is always yes, and costs nothing. With it, a check looks at what the server remembers of
//! users, of the access lists of streams, and of the defaults in `$settings`; what it does not remember it reads once.
//! [`watched`] makes it forget what a write has changed before the writer is answered.

mod acl;
mod guard;
mod hold;
mod watched;

use std::fmt;
use std::sync::Arc;

use tonic::Status;

use self::guard::Guard;
use crate::call::Call;
use crate::status;

pub use guard::Anonymous;
pub(crate) use guard::{Guard as AccessGuard, SignInError};
pub(crate) use hold::Hold;
pub(crate) use watched::{Watched, follow};

/// The group whose members may do everything.
pub(crate) const ADMINS: &str = "$admins";
/// The group whose members run the server.
pub(crate) const OPS: &str = "$ops";
/// The user who is an administrator whatever its groups are.
pub(crate) const ADMIN: &str = "admin";
/// In an access list: everybody who has signed in.
const EVERYBODY: &str = "$all";

/// Who is calling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The server itself, and everybody where it runs without security.
    System,
    /// Somebody who did not sign in.
    #[default]
    Anonymous,
    /// A user who signed in. Its groups are looked up at each check, so that a change of them counts at once.
    User(Arc<str>),
}

impl Caller {
    /// The name that others see: a caller who was not asked is nobody in particular.
    pub(crate) fn name(&self) -> &str {
        match self {
            Caller::System | Caller::Anonymous => "anonymous",
            Caller::User(login) => login,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Caller::System => "system",
            Caller::Anonymous => "anonymous",
            Caller::User(login) => login,
        })
    }
}

/// What somebody wants to do. A metadata stream (`$$s`) is read and written by the rights to the metadata of `s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action<'a> {
    /// Read the events of a stream; `$all` for the log.
    Read(&'a str),
    /// Append to a stream.
    Write(&'a str),
    /// Delete a stream.
    Delete(&'a str),
    /// Run the server: scavenges, restarts, its end.
    Operate,
    /// See what is kept of a person, see personal values in clear, erase.
    Privacy,
    /// See figures about the server.
    Statistics,
    /// Make, change and delete groups of consumers, and replay what they put aside.
    ManageGroups,
    /// See which groups there are, and how they are.
    SeeGroups,
    /// Create, change or delete users.
    ManageUsers,
    /// See what is known of one user.
    SeeUser(&'a str),
    /// Give a user another password, with the present one.
    ChangePassword(&'a str),
}

/// The rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// `None`: the server runs without security.
    guard: Option<Arc<Guard>>,
}

impl Access {
    /// What `/info` calls the way of signing in.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.guard.is_some() { "basic" } else { "insecure" }
    }

    /// Who calls where nobody has signed in.
    pub(crate) fn stranger(&self) -> Caller {
        if self.guard.is_some() { Caller::Anonymous } else { Caller::System }
    }

    /// What asks callers who they are; `None` where nobody is asked.
    pub(crate) fn guard(&self) -> Option<&Arc<Guard>> {
        self.guard.as_ref()
    }

    /// Whether `caller` may do it.
    ///
    /// # Errors
    /// The status that says no, or that says why it cannot be told.
    pub(crate) async fn check(&self, caller: &Caller, action: Action<'_>) -> Result<(), Status> {
        match &self.guard {
            None => Ok(()),
            Some(_) if *caller == Caller::System => Ok(()),
            Some(guard) => match guard.may(caller, action).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(status::access_denied()),
                Err(error) => Err(status::of_read(&error)),
            },
        }
    }

    /// Whether somebody may do anything at all that has a body: a stranger only where strangers are admitted.
    pub(crate) fn listens_to(&self, caller: &Caller) -> bool {
        match &self.guard {
            Some(guard) => *caller != Caller::Anonymous || guard.admits_strangers(),
            None => true,
        }
    }

    /// A right that is used for longer than a moment. Taken before the first [`check`](Access::check), it misses nothing.
    pub(crate) fn hold(&self, call: &Call) -> Hold {
        Hold::new(self.clone(), call)
    }
}

impl From<Arc<Guard>> for Access {
    fn from(guard: Arc<Guard>) -> Self {
        Self { guard: Some(guard) }
    }
}
