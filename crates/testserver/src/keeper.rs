//! Who stops the server when its owner is gone?
//!
//! A small shell process beside the server. It reads commands from a pipe whose other end only the owner holds. Once the
//! owner has ended, in whichever way (`kill -9` included), the pipe closes; the keeper then stops the server and removes
//! its files. The keeper has a process group of its own, so that Ctrl-C in a terminal does not end it early.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// `$1` is the directory that is the server's own and gets its `log`; the rest is the server's command.
const SCRIPT: &str = r#"
directory=$1
shift
run() { "$@" >>"$directory/log" 2>&1 </dev/null & pid=$!; }
run "$@"
while read -r word; do
  case $word in
    start) run "$@" ;;
    stop) kill -INT "$pid"; wait "$pid" ;;
    crash) kill -QUIT "$pid"; wait "$pid" ;;
    alive) kill -0 "$pid" 2>/dev/null || { echo no; continue; } ;;
  esac
  echo yes
done
kill -INT "$pid" 2>/dev/null
wait "$pid"
rm -rf "$directory"
"#;

/// The user that the server runs as.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RunAs {
    /// Whoever runs the tests.
    Myself,
    /// PostgreSQL refuses to run as root: the ids of another user.
    Other { user: u32, group: u32 },
}

impl RunAs {
    /// `postgres`, else `nobody`, where the tests run as root.
    pub(crate) fn find() -> Result<Self, String> {
        if id(&["-u"])? != 0 {
            return Ok(Self::Myself);
        }
        for name in ["postgres", "nobody"] {
            if let (Ok(user), Ok(group)) = (id(&["-u", name]), id(&["-g", name])) {
                return Ok(Self::Other { user, group });
            }
        }
        Err("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody".to_owned())
    }

    /// `program` as that user.
    pub(crate) fn command(self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Self::Other { user, group } = self {
            command.uid(user).gid(group);
        }
        command
    }
}

fn id(arguments: &[&str]) -> Result<u32, String> {
    let output = Command::new("id").args(arguments).output().map_err(|error| format!("id: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| format!("id {} says '{}'", arguments.join(" "), text.trim()))
}

/// The running keeper.
#[derive(Debug)]
pub(crate) struct Keeper {
    process: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Keeper {
    /// Starts a server, given as program and arguments, and the keeper beside it. The keeper removes `directory` in the end.
    pub(crate) fn start(run_as: RunAs, server: &[OsString], directory: &Path) -> Result<Self, String> {
        let mut command = run_as.command("/bin/sh");
        command.args(["-c", SCRIPT, "keeper"]).arg(directory).args(server);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command
            .current_dir("/")
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start /bin/sh: {error}"))?;
        let commands = process.stdin.take();
        let answers = process.stdout.take().ok_or("the keeper has no output")?;
        Ok(Self { process, commands, answers: BufReader::new(answers) })
    }

    /// Gives the keeper a command and waits until it is done. Says what the keeper answered.
    pub(crate) fn tell(&mut self, word: &str) -> Result<bool, String> {
        let lost = |error: std::io::Error| format!("the keeper of a test server is gone: {error}");
        let commands = self.commands.as_mut().ok_or("the keeper was dismissed")?;
        writeln!(commands, "{word}").map_err(lost)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(lost)?;
        Ok(answer.trim() == "yes")
    }
}

/// The last lines that a server wrote to its `log`.
pub(crate) fn end_of_log(directory: &Path) -> String {
    let text = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.commands.take());
        // It ends by itself now that the pipe is closed. Nothing can be done about one that does not.
        let _ = self.process.wait();
    }
}
