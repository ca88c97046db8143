//! How does a test get a PKCS#11 token, and what if there is none?

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;

use crate::skip;

/// The environment variable with the path of SoftHSM's PKCS#11 module. `cargo xtask test` sets it, and `SOFTHSM2_CONF`, which
/// SoftHSM reads itself; `off` says that there is none.
pub const SOFTHSM_VARIABLE: &str = "FACTUM_TEST_SOFTHSM";

/// The security officer's PIN of every test token.
const OFFICER_PIN: &str = "officer-for-tests-only";

/// One module for the process. It is never unloaded, since the code under test uses the same one. Held while a token is made:
/// the module offers one free slot at a time.
static MODULE: Mutex<Option<Pkcs11>> = Mutex::new(None);

/// A PKCS#11 token of SoftHSM that only this test uses. It goes with the directory of tokens, when the tests have ended.
#[derive(Debug)]
pub struct SoftHsmToken {
    module: PathBuf,
    label: String,
    pkcs11: Pkcs11,
    slot: Slot,
}

impl SoftHsmToken {
    /// The user's PIN of every test token. It is no secret.
    pub const PIN: &str = "for-tests-only";

    /// A token for the test `test`; `None`, and the test skipped by that name, where there is no SoftHSM.
    ///
    /// # Panics
    /// Where SoftHSM is there and does not make the token.
    #[must_use]
    pub fn fresh(test: &str) -> Option<Self> {
        let module = std::env::var(SOFTHSM_VARIABLE).unwrap_or_default();
        let has_settings = std::env::var_os("SOFTHSM2_CONF").is_some();
        if module.is_empty() || module == "off" || !has_settings {
            skip(
                test,
                &format!("no {SOFTHSM_VARIABLE} with SOFTHSM2_CONF: `cargo xtask services` prepares SoftHSM"),
            );
            return None;
        }
        // The standard library seeds its hashes at random: no other token has the same label.
        let label = format!("test-{:x}", RandomState::new().build_hasher().finish());
        let (pkcs11, slot) =
            make(Path::new(&module), &label).unwrap_or_else(|error| panic!("{module}: {error}"));
        Some(Self { module: module.into(), label, pkcs11, slot })
    }

    /// The PKCS#11 module.
    #[must_use]
    pub fn module(&self) -> &Path {
        &self.module
    }

    /// The token's label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// A session past the code under test, with the user logged in.
    ///
    /// # Panics
    /// Where the token does not open one.
    #[must_use]
    pub fn session(&self) -> Session {
        let session = self.pkcs11.open_rw_session(self.slot).unwrap_or_else(|error| panic!("{error}"));
        match session.login(UserType::User, Some(&AuthPin::new(Self::PIN.into()))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => session,
            Err(error) => panic!("{error}"),
        }
    }

    /// Logs the user out of every session that this process has with the token.
    ///
    /// # Panics
    /// Where the token refuses.
    pub fn log_out(&self) {
        self.session().logout().unwrap_or_else(|error| panic!("{error}"));
    }
}

fn make(path: &Path, label: &str) -> Result<(Pkcs11, Slot), Error> {
    let mut module = MODULE.lock().unwrap_or_else(PoisonError::into_inner);
    let pkcs11 = match &*module {
        Some(pkcs11) => pkcs11.clone(),
        None => module.insert(Pkcs11::new(path)?).clone(),
    };
    match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(error),
    }
    let mut free = None;
    for slot in pkcs11.get_slots_with_token()? {
        if !pkcs11.get_token_info(slot)?.token_initialized() {
            free = Some(slot);
        }
    }
    let slot = free.unwrap_or_else(|| panic!("SoftHSM offers no free slot"));
    let officer = AuthPin::new(OFFICER_PIN.into());
    pkcs11.init_token(slot, &officer, label)?;
    let session = pkcs11.open_rw_session(slot)?;
    session.login(UserType::So, Some(&officer))?;
    session.init_pin(&AuthPin::new(SoftHsmToken::PIN.into()))?;
    session.logout()?;
    Ok((pkcs11, slot))
}
