//! The `factum` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    factum_cli::run(std::env::args_os())
}
