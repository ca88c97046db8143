//! Which port does a test server listen on?

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports are taken from here: below the range from which the kernel gives ports to clients, so that a client that
/// connects while a server is stopped is never given the server's own port.
const PORTS: std::ops::Range<u32> = 20_000..32_000;

/// A port of [`PORTS`] that nobody listens on now. The start is by process, so that test processes seldom meet.
pub(crate) fn free_port() -> Result<u16, String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let span = PORTS.end - PORTS.start;
    for _ in 0..span {
        let step = std::process::id().wrapping_mul(37).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(PORTS.start + step % span).map_err(|error| error.to_string())?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("no port between {} and {} is free", PORTS.start, PORTS.end))
}
