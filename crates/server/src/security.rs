//! Who may talk to the server, and from where?

use std::net::SocketAddr;
use std::sync::Arc;

use factum_core::EventStore;

use crate::access::{ADMIN, ADMINS, Access, AccessGuard, Anonymous, OPS, Watched, follow};
use crate::options::ServerOptions;
use crate::server::ServeError;
use crate::sessions::Sessions;
use crate::stopping::Stopping;
use crate::tokens::Tokens;
use crate::users::{FirstStart, NewUser, Passwords, Secret, UserDirectory};

/// Whether callers are asked who they are.
#[derive(Clone, Debug, Default)]
pub enum Security {
    /// They are not, and everybody may do everything: for development and tests.
    #[default]
    Insecure,
    /// They sign in as users, and may do what access lists give them.
    SignIn(SignIn),
}

/// How callers sign in.
#[derive(Clone, Debug, Default)]
pub struct SignIn {
    /// Whom to create where there is no user at all.
    pub first_users: Option<FirstUsers>,
    /// Tokens that stand for users.
    pub tokens: Tokens,
    /// What those may do who do not sign in.
    pub anonymous: Anonymous,
}

/// The passwords of the users that a server begins with: `admin`, who may do everything, and `ops`, who runs it.
#[derive(Clone, Debug)]
pub struct FirstUsers {
    /// Of `admin`.
    pub admin: Secret,
    /// Of `ops`.
    pub ops: Secret,
}

/// Whether a server may listen beyond this machine that does not ask who calls, or whose words can be read on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exposure {
    /// Only one that asks, and has certificates.
    #[default]
    Protected,
    /// One that asks; others on the way see passwords and events.
    Plaintext,
    /// Any: whoever reaches it may read, write and delete everything.
    Unprotected,
}

/// What security made of a store.
pub(crate) struct Secured {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) access: Access,
    pub(crate) users: UserDirectory,
    pub(crate) first_start: FirstStart,
}

/// Checks that a server with these options may listen at `address`.
pub(crate) fn check_exposure(options: &ServerOptions, address: SocketAddr) -> Result<(), ServeError> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let insecure = matches!(options.security, Security::Insecure);
    match options.exposure {
        Exposure::Unprotected => Ok(()),
        Exposure::Plaintext | Exposure::Protected if insecure => Err(ServeError::ExposedInsecure { address }),
        Exposure::Protected if options.tls.is_none() => Err(ServeError::ExposedPlaintext { address }),
        Exposure::Plaintext | Exposure::Protected => Ok(()),
    }
}

/// Puts the store under the rules, and creates the first users.
pub(crate) async fn secure(
    store: Arc<dyn EventStore>,
    security: &Security,
    sessions: Sessions,
    stopping: &Stopping,
) -> Result<Secured, ServeError> {
    let passwords = Arc::new(Passwords::new());
    let Security::SignIn(SignIn { first_users, tokens, anonymous }) = security else {
        let users = UserDirectory::with(store.clone(), passwords);
        return Ok(Secured {
            store,
            access: Access::default(),
            users,
            first_start: FirstStart::UsersWereThere,
        });
    };
    let guard = AccessGuard::new(store.clone(), passwords.clone(), tokens.clone(), *anonymous, sessions);
    let guard = Arc::new(guard);
    follow(store.clone(), &guard, stopping.clone()).await.map_err(ServeError::Rights)?;
    let watched: Arc<dyn EventStore> = Arc::new(Watched::new(store, guard.clone()));
    let users = UserDirectory::with(watched.clone(), passwords);
    let first_start = match first_users {
        None => FirstStart::UsersWereThere,
        Some(first) => users.create_first(first.to_users()).await.map_err(ServeError::Users)?,
    };
    Ok(Secured { store: watched, access: Access::from(guard), users, first_start })
}

impl FirstUsers {
    fn to_users(&self) -> Vec<NewUser> {
        let user = |login: &str, full_name: &str, group: &str, password: &Secret| NewUser {
            login: login.to_owned(),
            full_name: full_name.to_owned(),
            groups: vec![group.to_owned()],
            password: password.clone(),
        };
        vec![user(ADMIN, "Administrator", ADMINS, &self.admin), user("ops", "Operations", OPS, &self.ops)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{Pem, TlsOptions};

    #[test]
    fn beyond_this_machine_both_are_needed_or_a_word() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let (loopback, outside) =
            (["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"], ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"]);
        let tls = || Some(TlsOptions::new(|| Ok(Pem::default())));
        let sign_in = || Security::SignIn(SignIn::default());
        for (security, tls, exposure, may) in [
            (Security::Insecure, None, Exposure::Protected, false),
            (Security::Insecure, tls(), Exposure::Protected, false),
            (Security::Insecure, tls(), Exposure::Plaintext, false),
            (Security::Insecure, None, Exposure::Unprotected, true),
            (sign_in(), None, Exposure::Protected, false),
            (sign_in(), None, Exposure::Plaintext, true),
            (sign_in(), tls(), Exposure::Protected, true),
        ] {
            let options = ServerOptions { security, tls, exposure, ..ServerOptions::default() };
            for text in loopback {
                assert!(check_exposure(&options, address(text)).is_ok(), "{text}");
            }
            for text in outside {
                let checked = check_exposure(&options, address(text));
                assert_eq!(checked.is_ok(), may, "{text} {:?} {exposure:?}", options.security);
            }
        }
    }
}
