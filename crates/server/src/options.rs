//! What may be chosen about a server.

use std::sync::Arc;
use std::time::Duration;

use factum_core::limits::{MAX_APPEND_BYTES, MAX_EVENT_BYTES};
use factum_core::{Clock, SystemClock};
use serde_json::Value;

use crate::maintenance::ProcessFigures;
use crate::notice::Notices;
use crate::otlp::Telemetry;
use crate::security::{Exposure, Security};
use crate::tls::TlsOptions;

/// A host and port as clients dial them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What a server allows. Every limit holds before memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest append, in bytes of events; at most what a store takes.
    pub append_bytes: usize,
    /// Largest event, in bytes of data, metadata and twice its type.
    pub event_bytes: usize,
    /// Most connections at once; further ones are closed at once.
    pub connections: usize,
    /// Most calls at once on one connection.
    pub calls_per_connection: u32,
    /// Longest time from the first to the last chunk of one append of a batch.
    pub append_timeout: Duration,
    /// Longest time for a request over HTTP to send all of its body.
    pub body_timeout: Duration,
    /// Longest time for a connection to say its first words (TLS and the head of the request).
    pub handshake_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            append_bytes: MAX_APPEND_BYTES,
            event_bytes: MAX_EVENT_BYTES,
            connections: 10_000,
            calls_per_connection: 2_000,
            append_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// A limit that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// It is more than a store takes.
    #[error("{what} of {asked} bytes is more than a store takes: at most {most}")]
    TooLarge {
        /// Which limit.
        what: &'static str,
        /// What was asked for, in bytes.
        asked: usize,
        /// What is possible, in bytes.
        most: usize,
    },
}

impl Limits {
    /// Checks them against what a store takes.
    ///
    /// # Errors
    /// `LimitError` with the limit that is too large.
    pub fn check(&self) -> Result<(), LimitError> {
        let within = |what, asked, most| {
            if asked > most { Err(LimitError::TooLarge { what, asked, most }) } else { Ok(()) }
        };
        within("a largest append", self.append_bytes, MAX_APPEND_BYTES)?;
        within("a largest event", self.event_bytes, MAX_EVENT_BYTES)
    }
}

/// What may be chosen about a server.
#[derive(Clone)]
pub struct ServerOptions {
    /// What gossip tells clients to dial; `None`: what each of them dialled.
    pub advertise: Option<Endpoint>,
    /// What is allowed.
    pub limits: Limits,
    /// Whether callers are asked who they are.
    pub security: Security,
    /// Certificates; `None`: whatever is said can be read on the way.
    pub tls: Option<TlsOptions>,
    /// Whether a server may listen beyond this machine that lacks one of the two.
    pub exposure: Exposure,
    /// Who is told what the server notices about itself.
    pub notices: Notices,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Whether a log that was never served gets the server's own first events.
    pub first_events: FirstEvents,
    /// How the process is asked about itself; `None`: figures about it are left out.
    pub process: Option<fn() -> Option<ProcessFigures>>,
    /// How often figures are written into the log; `None`: never after the first start.
    pub stats_every: Option<Duration>,
    /// Where OpenTelemetry's data goes; `None`: nowhere.
    pub telemetry: Option<Telemetry>,
    /// What people may do in a browser.
    pub console: Console,
    /// What else was chosen, by whoever reads the configuration: shown to administrators by `/v1/system`. No secrets.
    pub config: Vec<Setting>,
}

/// What people may do in a browser, and programs with the HTTP API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Console {
    /// Whatever the caller may do.
    #[default]
    Full,
    /// Look: whatever would change something is refused.
    ReadOnly,
    /// There is no console. The HTTP API is there.
    Off,
}

/// One thing that was chosen, or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its name, as it is given: `--listen`.
    pub name: String,
    /// What holds.
    pub value: Value,
    /// What would hold if nothing was chosen.
    pub default: Value,
    /// Where it comes from: `default`, `flag`, `environment`, or `chosen` where only that is known.
    pub source: String,
}

impl ServerOptions {
    /// Everything that was chosen: what the configuration's reader says, and the limits.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let mut settings = self.config.clone();
        let (limits, usual) = (&self.limits, Limits::default());
        let mut limit = |name: &str, value: Value, default: Value| {
            let source = if value == default { "default" } else { "chosen" }.to_owned();
            settings.push(Setting { name: format!("limits.{name}"), value, default, source });
        };
        limit("appendBytes", limits.append_bytes.into(), usual.append_bytes.into());
        limit("eventBytes", limits.event_bytes.into(), usual.event_bytes.into());
        limit("connections", limits.connections.into(), usual.connections.into());
        limit("callsPerConnection", limits.calls_per_connection.into(), usual.calls_per_connection.into());
        let seconds = |time: Duration| Value::from(time.as_secs());
        limit("appendTimeoutSeconds", seconds(limits.append_timeout), seconds(usual.append_timeout));
        limit("bodyTimeoutSeconds", seconds(limits.body_timeout), seconds(usual.body_timeout));
        limit("handshakeTimeoutSeconds", seconds(limits.handshake_timeout), seconds(usual.handshake_timeout));
        settings
    }
}

/// Whether a log that was never served gets the server's own first events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstEvents {
    /// It does: KurrentDB's clients expect a log to begin with them.
    #[default]
    Write,
    /// It holds what its writers put there, and nothing else.
    None,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            advertise: None,
            limits: Limits::default(),
            security: Security::default(),
            tls: None,
            exposure: Exposure::default(),
            notices: Notices::default(),
            clock: Arc::new(SystemClock),
            first_events: FirstEvents::default(),
            process: None,
            stats_every: None,
            telemetry: None,
            console: Console::default(),
            config: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_beyond_the_stores_is_refused() {
        assert_eq!(Limits::default().check(), Ok(()));
        let limits = Limits { event_bytes: MAX_EVENT_BYTES + 1, ..Limits::default() };
        assert!(matches!(limits.check(), Err(LimitError::TooLarge { what: "a largest event", .. })));
    }
}
