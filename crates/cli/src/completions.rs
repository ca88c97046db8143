//! `factum completions`: a script that teaches a shell the commands.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::command_line::CommandLine;
use crate::context::Context;
use crate::failure::Failure;

const EXAMPLES: &str = "EXAMPLES:
  factum completions bash > ~/.local/share/bash-completion/completions/factum
  factum completions zsh > ~/.zfunc/_factum
  factum completions fish > ~/.config/fish/completions/factum.fish";

/// Write a completion script for a shell
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Runs the command.
pub(crate) fn run(args: &CompletionsArgs, context: &Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "factum", &mut script);
    context.out.write(&script)?;
    context.out.flush()
}
