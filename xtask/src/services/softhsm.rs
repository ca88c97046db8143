//! How do tests get PKCS#11 tokens?

use factum_testserver::SoftHsm;

use super::{Service, install};
use crate::root;

/// The environment variable that tests read; `factum_testkit::SOFTHSM_VARIABLE` is the same. It names the PKCS#11 module.
pub(super) const VARIABLE: &str = "FACTUM_TEST_SOFTHSM";

/// Read by SoftHSM itself, once in a process: who runs the tests has to set it.
const SETTINGS_VARIABLE: &str = "SOFTHSM2_CONF";

pub(super) fn start() -> Result<Service, String> {
    let module = SoftHsm::find().or_else(|missing| {
        install::with_apt("SoftHSM", "softhsm2", &missing)?;
        SoftHsm::find()
    })?;
    let softhsm = SoftHsm::prepare(module, &root().join("target/services"))?;
    let variables = vec![
        (VARIABLE, softhsm.module().display().to_string()),
        (SETTINGS_VARIABLE, softhsm.settings().display().to_string()),
    ];
    Ok(Service { name: "SoftHSM", variables, _running: Some(Box::new(softhsm)) })
}
