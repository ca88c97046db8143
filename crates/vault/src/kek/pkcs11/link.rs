//! How is a session with a token opened, and again after it was lost?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;

use super::super::KekError;

/// The modules that this process has loaded. A module is one for the whole process and is never unloaded: ending it would end
/// the sessions of whoever else uses it.
static MODULES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

/// A token, and the session with it while there is one.
pub(super) struct Link {
    description: String,
    module: PathBuf,
    token: String,
    pin: AuthPin,
    session: Option<Session>,
    /// Why the PIN was refused. It is not tried again: after a few wrong ones, tokens lock themselves.
    refused: Option<String>,
}

/// Why something that was asked of the token was not done.
pub(super) enum Failure {
    /// The provider's answer.
    Answer(KekError),
    /// The token's.
    Token(Error),
    Misconfigured(String),
    Unreachable(String),
}

impl From<KekError> for Failure {
    fn from(error: KekError) -> Self {
        Failure::Answer(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Token(error)
    }
}

impl Failure {
    /// Whether the session is of no use any more.
    fn is_lost_session(&self) -> bool {
        matches!(
            self,
            Failure::Token(Error::Pkcs11(
                RvError::SessionHandleInvalid
                    | RvError::SessionClosed
                    | RvError::UserNotLoggedIn
                    | RvError::CryptokiNotInitialized
                    | RvError::OperationActive
                    | RvError::SlotIdInvalid
                    | RvError::DeviceRemoved
                    | RvError::DeviceError
                    | RvError::TokenNotPresent,
                _
            ))
        )
    }

    /// Whether the token has no such object any more.
    pub(super) fn is_no_object(&self) -> bool {
        matches!(
            self,
            Failure::Token(Error::Pkcs11(RvError::ObjectHandleInvalid | RvError::KeyHandleInvalid, _))
        )
    }
}

impl Link {
    pub(super) fn new(description: String, module: PathBuf, token: String, pin: AuthPin) -> Self {
        Self { description, module, token, pin, session: None, refused: None }
    }

    pub(super) fn description(&self) -> String {
        self.description.clone()
    }

    /// Does something in a session, once more in a new one where the session was lost.
    pub(super) fn with<R>(&mut self, act: impl Fn(&Session) -> Result<R, Failure>) -> Result<R, KekError> {
        if let Some(session) = self.session.take_if(|session| is_logged_in(session)) {
            match logged_in_throughout(&session, &act) {
                Err(failure) if failure.is_lost_session() => {}
                done => {
                    self.session = Some(session);
                    return done.map_err(|failure| self.error(failure));
                }
            }
        }
        // The lost session goes first: tokens have few.
        self.session = None;
        let session = self.connect()?;
        let done = logged_in_throughout(&session, &act);
        if !matches!(&done, Err(failure) if failure.is_lost_session()) {
            self.session = Some(session);
        }
        done.map_err(|failure| self.error(failure))
    }

    fn connect(&mut self) -> Result<Session, KekError> {
        if let Some(why) = &self.refused {
            return Err(KekError::Denied { provider: self.description(), why: why.clone() });
        }
        let opened = self.open_session();
        let session = opened.map_err(|failure| self.error(failure))?;
        match session.login(UserType::User, Some(&self.pin)) {
            // Another session of this process has logged in: a login is one for all of them.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => {
                if let Some(why) = refusal(&error) {
                    self.refused = Some(why.to_owned());
                    return Err(KekError::Denied { provider: self.description(), why: why.to_owned() });
                }
                Err(self.error(error.into()))
            }
        }
    }

    fn open_session(&self) -> Result<Session, Failure> {
        let module = module(&self.module)?;
        let slot = find(&module, &self.token)?;
        Ok(module.open_rw_session(slot)?)
    }

    fn error(&self, failure: Failure) -> KekError {
        let provider = self.description();
        let error = match failure {
            Failure::Answer(error) => return error,
            Failure::Misconfigured(why) => return KekError::Misconfigured { provider, why },
            Failure::Unreachable(why) => return KekError::Unreachable { provider, why },
            Failure::Token(error) => error,
        };
        let why = words(&error);
        match error {
            Error::LibraryLoading(_) | Error::MissingSymbol(_) | Error::NullFunctionPointer => {
                let why = format!(
                    "the module cannot be loaded ({why}): give the path of the vendor's PKCS#11 library"
                );
                KekError::Misconfigured { provider, why }
            }
            Error::Pkcs11(RvError::MechanismInvalid | RvError::FunctionNotSupported, _) => {
                KekError::Misconfigured {
                    provider,
                    why: format!(
                        "the token has no AES-256 keys with AES-GCM, or they are not allowed ({why})"
                    ),
                }
            }
            Error::Pkcs11(
                RvError::TokenWriteProtected
                | RvError::SessionReadOnly
                | RvError::ActionProhibited
                | RvError::FunctionRejected
                | RvError::KeyFunctionNotPermitted
                | RvError::UserNotLoggedIn
                | RvError::DeviceMemory,
                _,
            ) => KekError::Denied { provider, why },
            _ => KekError::Unreachable { provider, why },
        }
    }
}

/// What is not shown to who is not logged in looks as if it were destroyed. So a session counts only if it is logged in before
/// and after.
fn logged_in_throughout<R>(
    session: &Session,
    act: &impl Fn(&Session) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let done = act(session);
    if matches!(&done, Err(Failure::Token(_))) || is_logged_in(session) {
        return done;
    }
    Err(Error::Pkcs11(RvError::UserNotLoggedIn, cryptoki::context::Function::GetSessionInfo).into())
}

fn is_logged_in(session: &Session) -> bool {
    session.get_session_info().is_ok_and(|info| matches!(info.session_state(), SessionState::RwUser))
}

/// The module, loaded once in this process and ready for use.
fn module(path: &Path) -> Result<Pkcs11, Failure> {
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    let module = match modules.get(path) {
        Some(module) => module.clone(),
        None => Pkcs11::new(path)?,
    };
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(error.into()),
    }
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

fn find(module: &Pkcs11, token: &str) -> Result<Slot, Failure> {
    let mut found = Vec::new();
    for slot in module.get_slots_with_token()? {
        // A token that is pulled out meanwhile is not the one.
        let Ok(info) = module.get_token_info(slot) else { continue };
        if info.label() == token && info.token_initialized() {
            found.push(slot);
        }
    }
    match found[..] {
        [slot] => Ok(slot),
        [] => Err(Failure::Unreachable(
            "no token with that label is there: is it plugged in, and initialised?".to_owned(),
        )),
        _ => Err(Failure::Misconfigured(format!(
            "{} tokens have that label: give the vault's token one of its own",
            found.len()
        ))),
    }
}

/// Whether the token has refused the PIN, in words.
fn refusal(error: &Error) -> Option<&'static str> {
    let Error::Pkcs11(code, _) = error else { return None };
    match code {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => Some(
            "the PIN is wrong; it is not tried again before this is opened anew, lest the token lock itself",
        ),
        RvError::PinLocked => {
            Some("the PIN is locked after too many wrong ones: the security officer has to reset it")
        }
        RvError::PinExpired => Some("the PIN has expired: set a new one"),
        RvError::UserPinNotInitialized => {
            Some("the token has no user PIN yet: the security officer has to set one")
        }
        _ => None,
    }
}

/// The error by its names in PKCS#11: their explanations are long.
fn words(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("C_{function:?} says {code:?}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_the_token_is_told_by_its_name() {
        use cryptoki::context::Function;
        let said = words(&Error::Pkcs11(RvError::GeneralError, Function::Decrypt));
        assert_eq!(said, "C_Decrypt says GeneralError");
        assert_eq!(refusal(&Error::Pkcs11(RvError::GeneralError, Function::Login)), None);
        assert!(refusal(&Error::Pkcs11(RvError::PinLocked, Function::Login)).unwrap().contains("locked"));
    }
}
