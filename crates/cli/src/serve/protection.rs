//! What `factum serve` is told about who may talk to it: users, tokens, certificates.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use factum_server::{
    Anonymous, Exposure, FirstStart, FirstUsers, Notices, Pem, RunningServer, Secret, Security, ServeError,
    ServerOptions, SignIn, TlsOptions, Tokens,
};

use crate::failure::{Exit, Failure};

const HEADING: &str = "Options of security";

/// What a password of one of the first users is taken from.
const ADMIN_PASSWORD: &str = "FACTUM_ADMIN_PASSWORD";
const OPS_PASSWORD: &str = "FACTUM_OPS_PASSWORD";

#[derive(Args, Debug)]
pub(super) struct ProtectionArgs {
    /// Ask nobody who they are, and let everybody do everything: for development
    #[arg(long, help_heading = HEADING)]
    insecure: bool,
    /// Listen beyond this machine although everybody who reaches the port may do everything
    #[arg(long, requires = "insecure", help_heading = HEADING)]
    insecure_public: bool,
    /// Listen beyond this machine although passwords and events can be read on the way
    #[arg(long, conflicts_with = "insecure", help_heading = HEADING)]
    plaintext_public: bool,
    /// Speak TLS with this certificate and those that vouch for it, in PEM; a new one is used without a restart
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        env = "FACTUM_TLS_CERTIFICATE",
        hide_env_values = true,
        help_heading = HEADING
    )]
    tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_certificate",
        env = "FACTUM_TLS_KEY",
        hide_env_values = true,
        help_heading = HEADING
    )]
    tls_key: Option<PathBuf>,
    /// Tokens that stand for users, one line each: a login and the SHA-256 of the token (`factum users token`)
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = HEADING)]
    token_file: Option<PathBuf>,
    /// Let those who do not sign in do what access lists give to everybody ($all)
    #[arg(long, conflicts_with = "insecure", help_heading = HEADING)]
    allow_anonymous: bool,
}

/// The first users' passwords, and which of them nobody but us knows.
pub(super) struct Generated(Vec<(&'static str, Secret)>);

impl ProtectionArgs {
    /// Puts it into the server's options.
    pub(super) fn apply(self, options: &mut ServerOptions) -> Result<Generated, Failure> {
        options.exposure = if self.insecure_public {
            Exposure::Unprotected
        } else if self.plaintext_public {
            Exposure::Plaintext
        } else {
            Exposure::Protected
        };
        if let (Some(certificate), Some(key)) = (self.tls_certificate, self.tls_key) {
            options.tls =
                Some(TlsOptions::new(move || Ok(Pem { chain: file(&certificate)?, key: file(&key)? })));
            options.notices = Notices::to(|notice| drop(writeln!(io::stderr(), "{notice}")));
        }
        let mut generated = Generated(Vec::new());
        if !self.insecure {
            let tokens = self.token_file.as_deref().map(tokens).transpose()?.unwrap_or_default();
            let first_users = Some(FirstUsers {
                admin: generated.password("admin", std::env::var_os(ADMIN_PASSWORD))?,
                ops: generated.password("ops", std::env::var_os(OPS_PASSWORD))?,
            });
            let anonymous = if self.allow_anonymous { Anonymous::Admitted } else { Anonymous::Refused };
            options.security = Security::SignIn(SignIn { first_users, tokens, anonymous });
        }
        Ok(generated)
    }
}

impl Generated {
    fn password(&mut self, login: &'static str, given: Option<OsString>) -> Result<Secret, Failure> {
        if let Some(given) = given {
            let text = given.into_string().map_err(|_| {
                Failure::usage(
                    "the server did not start",
                    format!("the password of {login} in the environment is not UTF-8"),
                    "give another",
                )
            })?;
            return Ok(Secret::new(text));
        }
        let secret =
            Secret::generate().map_err(|error| Failure::io("the system has no randomness", &error))?;
        self.0.push((login, secret.clone()));
        Ok(secret)
    }

    /// Says the generated passwords, if they are in use now. There is no second time, so `--quiet` does not silence it.
    pub(super) fn announce(&self, server: &RunningServer) {
        if server.first_start() == FirstStart::UsersWereThere || self.0.is_empty() {
            return;
        }
        let mut text =
            String::from("first users; their passwords are shown this once, and kept only as hashes:\n");
        for (login, secret) in &self.0 {
            text.push_str(&format!("  {login}  {}\n", secret.expose()));
        }
        // Without a stderr nobody can be told; `factum users passwd` gives them others.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

fn file(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn tokens(path: &Path) -> Result<Tokens, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::io(format!("'{}' cannot be read", path.display()), &error))?;
    Tokens::parse(&text).map_err(|error| {
        Failure::usage(
            "the server did not start",
            format!("{}: {error}", path.display()),
            "write the lines with `factum users token LOGIN`",
        )
    })
}

/// What a server that does not start for the sake of security means for a person.
pub(super) fn failure(error: &ServeError) -> Failure {
    let next = match error {
        ServeError::ExposedInsecure { .. } => {
            "leave --insecure out and give --tls-certificate, or listen on 127.0.0.1; --insecure-public if the network \
             itself keeps everybody else out"
        }
        ServeError::ExposedPlaintext { .. } => {
            "give --tls-certificate and --tls-key, or listen on 127.0.0.1; --plaintext-public if something in front of the \
             server speaks TLS"
        }
        ServeError::Tls(_) => "check --tls-certificate and --tls-key",
        _ => "",
    };
    Failure::new((Exit::Usage, "security"), "the server did not start", error.to_string(), next)
}
