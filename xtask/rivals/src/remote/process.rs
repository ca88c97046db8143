//! How is a server started as a process of its own, and ended?

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it can be connected to.
const START: Duration = Duration::from_secs(30);
/// How often it is tried.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// A server that is killed with this value.
pub(super) struct Process {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Process {
    /// Starts `command`, which is to listen on `address`, and waits until it does.
    pub(super) fn start(mut command: Command, address: SocketAddr) -> Result<Self, String> {
        let shown = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{shown} does not start: {error}"))?;
        let mut process = Self { child, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = process.child.try_wait() {
                return Err(format!("{shown} ended at once: {status}"));
            }
            if started.elapsed() > START {
                return Err(format!("{shown} does not listen on {address}"));
            }
            std::thread::sleep(TRY_EVERY);
        }
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A server that is gone already has nothing to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that was free a moment ago.
pub(super) fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map_err(|error| format!("no free port: {error}"))
}
