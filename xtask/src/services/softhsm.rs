//! How do tests get PKCS#11 tokens? They make their own, once SoftHSM is there.

use factum_testserver::find_softhsm;

use super::{Service, install};

/// The environment variable that tests read; `factum_testkit::SOFTHSM_VARIABLE` is the same. It names the PKCS#11 module.
pub(super) const VARIABLE: &str = "FACTUM_TEST_SOFTHSM";

pub(super) fn start() -> Result<Service, String> {
    let module = find_softhsm().or_else(|missing| {
        install::with_apt("SoftHSM", "softhsm2", &missing)?;
        find_softhsm()
    })?;
    Ok(Service { name: "SoftHSM", variables: vec![(VARIABLE, module.display().to_string())], _running: None })
}
