//! How does a test get a PKCS#11 token, and what if there is none?
//!
//! SoftHSM reads where its tokens are from the environment, once in a process, and processes that share a directory of tokens
//! see each other's half-made ones. So each test runs in a process of its own, with a directory of its own: the test starts
//! itself once more, with that environment.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use factum_testserver::find_softhsm;

use crate::skip;

/// The environment variable with the path of SoftHSM's PKCS#11 module; where it is not set, the module is looked for. `off`
/// says that there is none. `cargo xtask test` sets it.
pub const SOFTHSM_VARIABLE: &str = "FACTUM_TEST_SOFTHSM";

/// Set in the process that a test starts for itself.
const CHILD_VARIABLE: &str = "FACTUM_TEST_SOFTHSM_CHILD";

/// The security officer's PIN of every test token.
const OFFICER_PIN: &str = "officer-for-tests-only";

/// The label of every test token: there is one in a process.
const LABEL: &str = "factum test";

/// A PKCS#11 token of SoftHSM that only this test uses. It goes with the test.
#[derive(Debug)]
pub struct SoftHsmToken {
    module: PathBuf,
    pkcs11: Pkcs11,
    slot: Slot,
}

impl SoftHsmToken {
    /// The user's PIN of every test token. It is no secret.
    pub const PIN: &str = "for-tests-only";

    /// A token for the test `test`, named as the runner names it. `None`, and the test is to return, where there is no SoftHSM
    /// and the test was skipped by that name; and also where the whole test has passed in a process of its own.
    ///
    /// # Panics
    /// Where SoftHSM is there and does not make the token, and where the test has failed in its own process.
    #[must_use]
    pub fn fresh(test: &str) -> Option<Self> {
        if let Some(module) = std::env::var_os(CHILD_VARIABLE) {
            let module = PathBuf::from(module);
            let (pkcs11, slot) = make(&module).unwrap_or_else(|error| panic!("SoftHSM: {error}"));
            return Some(Self { module, pkcs11, slot });
        }
        let module = match std::env::var(SOFTHSM_VARIABLE).unwrap_or_default().as_str() {
            "off" => Err(format!("{SOFTHSM_VARIABLE}=off")),
            "" => find_softhsm(),
            path => Ok(path.into()),
        };
        match module {
            Ok(module) => run_again(test, &module).unwrap_or_else(|why| panic!("{why}")),
            Err(why) => skip(test, &why),
        }
        None
    }

    /// The PKCS#11 module.
    #[must_use]
    pub fn module(&self) -> &Path {
        &self.module
    }

    /// The token's label.
    #[must_use]
    pub fn label(&self) -> &str {
        LABEL
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

    /// Ends the module in this process, and with it every session.
    ///
    /// # Panics
    /// Where it refuses.
    pub fn end_module(self) {
        self.pkcs11.finalize().unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A directory that goes with this value.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        // What stays in the temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs one test of this binary in a process with a directory of tokens of its own.
fn run_again(test: &str, module: &Path) -> Result<(), String> {
    // The standard library seeds its hashes at random: no other test has the same directory.
    let name = format!("factum-softhsm-{:x}", RandomState::new().build_hasher().finish());
    let directory = Directory(std::env::temp_dir().join(name));
    let tokens = directory.0.join("tokens");
    let settings = directory.0.join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    let made = std::fs::create_dir_all(&tokens).and_then(|()| std::fs::write(&settings, text));
    made.map_err(|error| format!("cannot make {}: {error}", directory.0.display()))?;
    let program = std::env::current_exe().map_err(|error| format!("this test's program: {error}"))?;
    let output = Command::new(program)
        .args([test, "--exact", "--nocapture"])
        .env("SOFTHSM2_CONF", settings)
        .env(CHILD_VARIABLE, module)
        .output()
        .map_err(|error| format!("cannot start this test once more: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    // A name that no test has would run nothing, and pass.
    if output.status.success() && said.contains("1 passed") {
        return Ok(());
    }
    Err(format!("{test} in a process of its own: {said}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn make(module: &Path) -> Result<(Pkcs11, Slot), Error> {
    let pkcs11 = Pkcs11::new(module)?;
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    // Without a token there is one slot, for a new one.
    let slots = pkcs11.get_slots_with_token()?;
    let slot = slots.first().copied().unwrap_or_else(|| panic!("SoftHSM offers no free slot"));
    let officer = AuthPin::new(OFFICER_PIN.into());
    pkcs11.init_token(slot, &officer, LABEL)?;
    let session = pkcs11.open_rw_session(slot)?;
    session.login(UserType::So, Some(&officer))?;
    session.init_pin(&AuthPin::new(SoftHsmToken::PIN.into()))?;
    session.logout()?;
    Ok((pkcs11, slot))
}
