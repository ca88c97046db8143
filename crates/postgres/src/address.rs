//! Which server, database and user does a URL name, and how is that said without the password?

use std::fmt;
use std::time::Duration;

use factum_core::read_model::ReadModelError;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How long a connection may take, unless the URL says otherwise (`connect_timeout`, in seconds).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long sent bytes may stay unacknowledged before the server counts as gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

const PORT: u16 = 5_432;

/// Where a database is. Shows no password.
#[derive(Clone)]
pub(crate) struct Address {
    config: Config,
    described: String,
}

impl Address {
    /// Reads `postgres://user:password@host:port/database`, or PostgreSQL's `key=value` form.
    pub(crate) fn parse(url: &str) -> Result<Self, ReadModelError> {
        let refused = |why: String| ReadModelError::Missing { database: shown(url), why };
        let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            // Of text that is no URL, any part may be the password: nothing of it is repeated.
            let why =
                if is_url { factum_core::with_causes(&error) } else { "it is no PostgreSQL URL".to_owned() };
            refused(format!("{why}; write postgres://user:password@host:port/database"))
        })?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(refused(
                "it asks for TLS (sslmode=require), which this build does not speak; use a loopback address, a Unix \
                 socket, or a tunnel that encrypts"
                    .to_owned(),
            ));
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(refused("it names no host".to_owned()));
        }
        if config.get_application_name().is_none() {
            config.application_name("factum");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        let described = describe(&config);
        Ok(Self { config, described })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// For messages.
    pub(crate) fn described(&self) -> &str {
        &self.described
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.described).finish()
    }
}

fn describe(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config.get_hostaddrs().first().map_or_else(String::new, ToString::to_string),
    };
    let port = config.get_ports().first().copied().unwrap_or(PORT);
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
    format!("PostgreSQL database '{database}' at {host}:{port}")
}

/// The URL without user, password and options, for a URL that could not be read.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "the address given".to_owned() };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let rest = rest.split('?').next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "./:-_[]".contains(c);
    if rest.chars().all(plain) && scheme.chars().all(plain) && !rest.is_empty() {
        return format!("{scheme}://{rest}");
    }
    "the address given".to_owned()
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_is_described_without_user_and_password() {
        for (url, described) in [
            ("postgres://me:hush@db.example:6000/shop", "PostgreSQL database 'shop' at db.example:6000"),
            ("postgresql://me:hush@localhost/shop", "PostgreSQL database 'shop' at localhost:5432"),
            (
                "host=/run/postgresql user=me password=hush",
                "PostgreSQL database 'me' at /run/postgresql:5432",
            ),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.described(), described);
            assert!(!format!("{address:?}").contains("hush"));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_its_password() {
        for (url, said) in [
            ("mysql://me:hush@h/db", "no PostgreSQL URL"),
            ("hush", "no PostgreSQL URL"),
            ("postgres://me:hush@h:x/db", "port"),
            ("postgres://me:hush@h/db?sslmode=require", "TLS"),
            ("postgres://me:hush@h/db?color=hush", "color"),
            ("", "names no host"),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("hush"), "{url}: {error}");
        }
    }
}
