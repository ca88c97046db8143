//! `factum version`: which build this is.

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Format, record};

const EXAMPLES: &str = "EXAMPLES:
  factum version
  factum version --format '{version}'";

/// Show which build this is
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VersionArgs {}

/// Runs the command.
pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match context.out.format() {
        Format::Raw => context.out.line(version)?,
        Format::Table | Format::Json | Format::Ndjson => context.out.one(&record([
            ("version", version.into()),
            ("os", std::env::consts::OS.into()),
            ("arch", std::env::consts::ARCH.into()),
        ]))?,
    }
    context.out.flush()
}
