//! Where is the cluster, and how is it talked to? One text says it: `kurrentdb://user:password@host:2113?tls=false`.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// The port that is meant where none is named.
const DEFAULT_PORT: u16 = 2113;
/// Longest text that an error repeats, in characters.
const SHOWN: usize = 64;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// How the node that answers is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The one node that is named is dialled.
    Direct,
    /// The nodes that are named are asked who is there.
    Gossip,
}

/// Which node of a cluster is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodePreference {
    /// The one that leads.
    #[default]
    Leader,
    /// One that follows.
    Follower,
    /// One that only reads along.
    ReadOnlyReplica,
    /// Any.
    Random,
}

/// Whether connections are encrypted, and whom they trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// They are not.
    Off,
    /// They are, and the other side's certificate is verified.
    Verify,
    /// They are, and any certificate will do: for tests.
    TrustAnybody,
}

/// Who signs in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

/// A connection string, understood. Its `Debug` and its errors tell no password.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    pub(super) nodes: Vec<Node>,
    pub(super) finding: Finding,
    pub(super) tls: Tls,
    pub(super) credentials: Option<Credentials>,
    pub(super) preference: NodePreference,
    /// `None`: no pings.
    pub(super) keep_alive_interval: Option<Duration>,
    pub(super) keep_alive_timeout: Duration,
    /// `None`: calls may take as long as they like.
    pub(super) deadline: Option<Duration>,
    pub(super) discover_attempts: u32,
    pub(super) discovery_interval: Duration,
    pub(super) gossip_timeout: Duration,
    pub(super) connection_name: Option<String>,
    ca_file: Option<String>,
    pub(super) ca: Option<Bytes>,
}

/// Text that is no connection string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// It begins with something else.
    #[error(
        "a connection string begins with kurrentdb://, kurrentdb+discover://, esdb:// or esdb+discover://"
    )]
    Scheme,
    /// It names nobody.
    #[error("the connection string names no host: kurrentdb://HOST:2113")]
    NoHost,
    /// A host or port cannot be.
    #[error("'{text}' in the connection string is no host with a port")]
    Host {
        /// The text, shortened.
        text: String,
    },
    /// A user or password is not written as a URL has it.
    #[error(
        "the user and the password of the connection string must be percent-encoded UTF-8, as in user:pass%40word@host"
    )]
    Credentials,
    /// There is no such option.
    #[error("'{option}' is no option of a connection string: there are {}", OPTIONS.join(", "))]
    UnknownOption {
        /// The option, shortened.
        option: String,
    },
    /// An option's value cannot be.
    #[error("the connection string's option '{option}' must be {wanted}")]
    Value {
        /// The option.
        option: &'static str,
        /// What it takes.
        wanted: &'static str,
    },
}

/// Every option, as it is written; case does not matter.
const OPTIONS: &[&str] = &[
    "tls",
    "tlsVerifyCert",
    "tlsCaFile",
    "nodePreference",
    "keepAliveInterval",
    "keepAliveTimeout",
    "defaultDeadline",
    "maxDiscoverAttempts",
    "discoveryInterval",
    "gossipTimeout",
    "connectionName",
];

impl ConnectionString {
    /// Reads a connection string.
    ///
    /// # Errors
    /// `ConnectionStringError` with the part that cannot be read, never with a password.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(ConnectionStringError::Scheme)?;
        let discover = match scheme.to_ascii_lowercase().as_str() {
            "kurrentdb" | "kurrent" | "kdb" | "esdb" => false,
            "kurrentdb+discover" | "kurrent+discover" | "kdb+discover" | "esdb+discover" => true,
            _ => return Err(ConnectionStringError::Scheme),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may hold what separates a path, if it is written carelessly; the last `@` ends it.
        let (credentials, hosts) = match place.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials_of(credentials)?), hosts),
            None => (None, place),
        };
        let nodes = hosts
            .trim_end_matches('/')
            .split(',')
            .filter(|host| !host.is_empty())
            .map(node)
            .collect::<Result<Vec<_>, _>>()?;
        if nodes.is_empty() {
            return Err(ConnectionStringError::NoHost);
        }
        let finding = if discover || nodes.len() > 1 { Finding::Gossip } else { Finding::Direct };
        let mut read = Self { nodes, finding, credentials, ..Self::defaults() };
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            read.set(name, &decoded(value).unwrap_or_default())?;
        }
        Ok(read)
    }

    fn defaults() -> Self {
        Self {
            nodes: Vec::new(),
            finding: Finding::Direct,
            tls: Tls::Verify,
            credentials: None,
            preference: NodePreference::Leader,
            keep_alive_interval: Some(Duration::from_secs(10)),
            keep_alive_timeout: Duration::from_secs(10),
            deadline: None,
            discover_attempts: 10,
            discovery_interval: Duration::from_millis(100),
            gossip_timeout: Duration::from_secs(5),
            connection_name: None,
            ca_file: None,
            ca: None,
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), ConnectionStringError> {
        let option =
            OPTIONS.iter().copied().find(|option| option.eq_ignore_ascii_case(name)).ok_or_else(|| {
                ConnectionStringError::UnknownOption { option: name.chars().take(SHOWN).collect() }
            })?;
        let wanted = |wanted| ConnectionStringError::Value { option, wanted };
        match option {
            "tls" => match (flag(value).ok_or_else(|| wanted("true or false"))?, self.tls) {
                (false, _) => self.tls = Tls::Off,
                (true, Tls::Off) => self.tls = Tls::Verify,
                (true, Tls::Verify | Tls::TrustAnybody) => {}
            },
            "tlsVerifyCert" => match (flag(value).ok_or_else(|| wanted("true or false"))?, self.tls) {
                (false, Tls::Verify) => self.tls = Tls::TrustAnybody,
                (true, Tls::TrustAnybody) => self.tls = Tls::Verify,
                _ => {}
            },
            "tlsCaFile" if value.is_empty() => return Err(wanted("a file")),
            "tlsCaFile" => self.ca_file = Some(value.to_owned()),
            "nodePreference" => {
                self.preference = match value.to_ascii_lowercase().as_str() {
                    "leader" => NodePreference::Leader,
                    "follower" => NodePreference::Follower,
                    "readonlyreplica" => NodePreference::ReadOnlyReplica,
                    "random" => NodePreference::Random,
                    _ => return Err(wanted("leader, follower, readOnlyReplica or random")),
                }
            }
            "keepAliveInterval" if value == "-1" => self.keep_alive_interval = None,
            "keepAliveInterval" => {
                self.keep_alive_interval = Some(positive(value).ok_or_else(|| wanted(MILLIS))?);
            }
            "keepAliveTimeout" => self.keep_alive_timeout = positive(value).ok_or_else(|| wanted(MILLIS))?,
            "defaultDeadline" => self.deadline = Some(positive(value).ok_or_else(|| wanted(MILLIS))?),
            "discoveryInterval" => self.discovery_interval = millis(value).ok_or_else(|| wanted(MILLIS))?,
            "gossipTimeout" => {
                // Some clients write seconds, some milliseconds; the documentation says seconds below a hundred.
                self.gossip_timeout = positive(value).ok_or_else(|| wanted("a number of seconds"))?;
                if self.gossip_timeout < Duration::from_millis(MOST_SECONDS) {
                    self.gossip_timeout *= 1_000;
                }
            }
            "maxDiscoverAttempts" => {
                let attempts: u32 = value.parse().map_err(|_| wanted("a number of attempts, from 1"))?;
                self.discover_attempts = attempts.max(1);
            }
            _ => self.connection_name = Some(value.chars().take(SHOWN).collect()),
        }
        Ok(())
    }

    /// The file of certificates that it names. Whoever connects reads it, and hands it over by [`with_ca`](Self::with_ca).
    pub fn ca_file(&self) -> Option<&str> {
        self.ca_file.as_deref()
    }

    /// With these certificates, in PEM, as the ones that are trusted.
    #[must_use]
    pub fn with_ca(mut self, pem: impl Into<Bytes>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// The nodes that it names.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

/// What a span of time takes.
const MILLIS: &str = "a number of milliseconds, from 1";
/// Below this, a gossip timeout is one in seconds.
const MOST_SECONDS: u64 = 100;

fn flag(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn millis(value: &str) -> Option<Duration> {
    value.parse().ok().map(Duration::from_millis)
}

fn positive(value: &str) -> Option<Duration> {
    millis(value).filter(|duration| !duration.is_zero())
}

fn node(text: &str) -> Result<Node, ConnectionStringError> {
    let bad = || ConnectionStringError::Host { text: text.chars().take(SHOWN).collect() };
    let (host, port) = match text.strip_prefix('[') {
        // An address of the sixth version has colons of its own.
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(bad)?;
            (host, after.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| bad()))?;
    let odd = |c: char| c.is_whitespace() || matches!(c, '/' | '#' | '@' | '[' | ']');
    if host.is_empty() || host.contains(odd) {
        return Err(bad());
    }
    Ok(Node { host: host.to_owned(), port })
}

fn credentials_of(text: &str) -> Result<Credentials, ConnectionStringError> {
    let (user, password) = text.split_once(':').ok_or(ConnectionStringError::Credentials)?;
    let part = |text| decoded(text).ok_or(ConnectionStringError::Credentials);
    Ok(Credentials { user: part(user)?, password: part(password)? })
}

/// Text with its percent-encoded bytes decoded; `None` where it is not UTF-8, or an escape is cut short.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after.get(2..)?;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionString")
            .field("nodes", &self.nodes)
            .field("finding", &self.finding)
            .field("tls", &self.tls)
            .field("credentials", &self.credentials.as_ref().map(|_| "..."))
            .field("preference", &self.preference)
            .finish_non_exhaustive()
    }
}

impl std::str::FromStr for ConnectionString {
    type Err = ConnectionStringError;
    fn from_str(text: &str) -> Result<Self, ConnectionStringError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ConnectionString {
        ConnectionString::parse(text).expect("a connection string")
    }

    #[test]
    fn hosts_ports_and_ways_of_finding() {
        let one = parse("kurrentdb://127.0.0.1:2113?tls=false");
        assert_eq!((one.finding, one.tls), (Finding::Direct, Tls::Off));
        assert_eq!(one.nodes, [Node { host: "127.0.0.1".to_owned(), port: 2113 }]);
        let several = parse("esdb://a,b:1,[::1]:7/");
        assert_eq!(several.finding, Finding::Gossip);
        let names: Vec<String> = several.nodes.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a:2113", "b:1", "[::1]:7"]);
        assert_eq!(parse("kurrentdb+discover://cluster.example").finding, Finding::Gossip);
        assert_eq!(parse("esdb+discover://cluster.example").tls, Tls::Verify);
    }

    #[test]
    fn options_are_read_whatever_their_case() {
        let read = parse(
            "kurrentdb://a?TLS=true&tlsverifycert=false&NodePreference=follower&keepAliveInterval=-1&keepAliveTimeout=7\
             &defaultDeadline=1500&maxDiscoverAttempts=3&discoveryInterval=50&gossipTimeout=2&tlsCaFile=%2Fca.pem",
        );
        assert_eq!((read.tls, read.preference), (Tls::TrustAnybody, NodePreference::Follower));
        assert_eq!((read.keep_alive_interval, read.keep_alive_timeout), (None, Duration::from_millis(7)));
        assert_eq!((read.deadline, read.discover_attempts), (Some(Duration::from_millis(1_500)), 3));
        assert_eq!(
            (read.discovery_interval, read.gossip_timeout),
            (Duration::from_millis(50), Duration::from_secs(2))
        );
        assert_eq!(read.ca_file(), Some("/ca.pem"));
    }

    #[test]
    fn a_password_is_decoded_and_never_told() {
        let read = parse("kurrentdb://ada:p%40ss%3Aword@a?tls=false");
        let credentials = read.credentials.clone().expect("credentials");
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("ada", "p@ss:word"));
        let told = format!("{read:?}");
        assert!(!told.contains("p@ss") && !told.contains("ada"), "{told}");
        for text in
            ["kurrentdb://ada:s3cret@a?colour=red", "kurrentdb://ada:s3cret@a:port", "http://ada:s3cret@a"]
        {
            let error = ConnectionString::parse(text).expect_err("an error");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let error = |text: &str| ConnectionString::parse(text).expect_err("an error");
        assert_eq!(error("http://a"), ConnectionStringError::Scheme);
        assert_eq!(error("a:2113"), ConnectionStringError::Scheme);
        assert_eq!(error("kurrentdb://"), ConnectionStringError::NoHost);
        assert_eq!(error("kurrentdb://a:70000"), ConnectionStringError::Host { text: "a:70000".to_owned() });
        assert_eq!(error("kurrentdb://u%zz:p@a"), ConnectionStringError::Credentials);
        let unknown = error("kurrentdb://a?throwOnAppendFailure=false").to_string();
        assert!(
            unknown.starts_with("'throwOnAppendFailure' is no option") && unknown.contains("tlsCaFile"),
            "{unknown}"
        );
        let value = error("kurrentdb://a?tls=maybe");
        assert_eq!(value, ConnectionStringError::Value { option: "tls", wanted: "true or false" });
        for bad in
            ["keepAliveInterval=x", "defaultDeadline=0", "nodePreference=best", "maxDiscoverAttempts=-1"]
        {
            assert!(
                matches!(error(&format!("kurrentdb://a?{bad}")), ConnectionStringError::Value { .. }),
                "{bad}"
            );
        }
    }
}
