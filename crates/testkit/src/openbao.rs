//! How does a test get a Transit engine of OpenBao, or a server of its own, and what if there is none?

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use factum_testserver::{OpenBao, OpenBaoKind, OpenBaoProgram, ask};
use serde_json::{Value, json};

use crate::skip;

/// The environment variable with the address of the server that tests may use, as `http://token@host:port`. `cargo xtask test`
/// sets it; `off` says that there is none.
pub const OPENBAO_VARIABLE: &str = "FACTUM_TEST_OPENBAO";

/// A Transit engine of its own on the tests' OpenBao server. Dropping it takes it away, keys included.
#[derive(Debug)]
pub struct TransitMount {
    url: String,
    token: String,
    path: String,
}

impl TransitMount {
    /// An engine for the test `test`; `None`, and the test skipped by that name, where no server was given.
    ///
    /// # Panics
    /// Where a server was given and it does not make the engine: that is a failure, not a reason to skip.
    #[must_use]
    pub fn fresh(test: &str) -> Option<Self> {
        let server = std::env::var(OPENBAO_VARIABLE).unwrap_or_default();
        if server.is_empty() || server == "off" {
            skip(test, &format!("no {OPENBAO_VARIABLE}: `cargo xtask services` starts an OpenBao server"));
            return None;
        }
        let parts = server.strip_prefix("http://").and_then(|rest| rest.split_once('@'));
        let (token, host) =
            parts.unwrap_or_else(|| panic!("{OPENBAO_VARIABLE} is not http://token@host:port"));
        let mount = Self { url: format!("http://{host}"), token: token.to_owned(), path: unique("transit") };
        mount.post(&format!("sys/mounts/{}", mount.path), &json!({ "type": "transit" }));
        Some(mount)
    }

    /// The server's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A token that may do everything.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where the engine is mounted.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Reads past the code under test.
    ///
    /// # Panics
    /// Where the server refuses.
    #[must_use]
    pub fn get(&self, path: &str) -> Value {
        request(&self.url, &self.token, "GET", path, "")
    }

    /// Writes past the code under test.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        request(&self.url, &self.token, "POST", path, &body.to_string())
    }

    /// Deletes past the code under test.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn delete(&self, path: &str) {
        request(&self.url, &self.token, "DELETE", path, "");
    }

    /// A token that has these capabilities (`"create, read"`) on paths below the mount, and no others but on itself.
    ///
    /// # Panics
    /// Where the server refuses.
    #[must_use]
    pub fn token_with(&self, capabilities: &[(&str, &str)]) -> String {
        let name = unique("policy");
        let rule = |(path, capabilities): &(&str, &str)| {
            let capabilities: Vec<&str> = capabilities.split(", ").collect();
            format!("path \"{}/{path}\" {{ capabilities = {capabilities:?} }}\n", self.path)
        };
        let policy: String = capabilities.iter().map(rule).collect();
        self.post(&format!("sys/policies/acl/{name}"), &json!({ "policy": policy }));
        let made = self.post("auth/token/create", &json!({ "policies": [name], "no_parent": true }));
        made["auth"]["client_token"].as_str().unwrap_or_else(|| panic!("no token in {made}")).to_owned()
    }

    /// Makes a token worthless.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn revoke(&self, token: &str) {
        self.post("auth/token/revoke", &json!({ "token": token }));
    }
}

impl Drop for TransitMount {
    fn drop(&mut self) {
        // The server goes with the tests, so what a failed test leaves behind does not stay.
        let _ = ask(&self.url, &self.token, "DELETE", &format!("sys/mounts/{}", self.path), "");
    }
}

/// An OpenBao server for one test, which may seal and stop it. It ends with the test.
#[derive(Debug)]
pub struct PrivateOpenBao {
    server: OpenBao,
}

impl PrivateOpenBao {
    /// A server with a Transit engine at `transit`; `None`, and the test skipped by its name, where this machine has no OpenBao.
    ///
    /// # Panics
    /// Where OpenBao is there and does not start.
    #[must_use]
    pub fn start(test: &str, kind: OpenBaoKind) -> Option<Self> {
        let off = std::env::var(OPENBAO_VARIABLE).is_ok_and(|value| value == "off");
        let found = if off { Err(format!("{OPENBAO_VARIABLE}=off")) } else { OpenBaoProgram::find() };
        let program = found.inspect_err(|why| skip(test, why)).ok()?;
        let server = must(OpenBao::start(&program, kind));
        if kind == OpenBaoKind::Tls {
            must(program.run(&server, &["secrets", "enable", "transit"]));
        } else {
            request(
                &server.url(),
                server.root_token(),
                "POST",
                "sys/mounts/transit",
                r#"{"type":"transit"}"#,
            );
        }
        Some(Self { server })
    }

    /// The server's address, the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// A token that may do everything.
    #[must_use]
    pub fn token(&self) -> &str {
        self.server.root_token()
    }

    /// The certificates to trust, in PEM, of a server with TLS.
    ///
    /// # Panics
    /// Where it has none.
    #[must_use]
    pub fn certificates(&self) -> Vec<u8> {
        must(self.server.certificates())
    }

    /// Seals the server: it runs and refuses.
    ///
    /// # Panics
    /// Where that is not possible.
    pub fn seal(&self) {
        must(self.server.seal());
    }

    /// Unseals the server and waits until it serves.
    ///
    /// # Panics
    /// Where that is not possible.
    pub fn unseal(&mut self) {
        must(self.server.unseal());
    }

    /// Stops the server.
    ///
    /// # Panics
    /// Where that is not possible.
    pub fn stop(&mut self) {
        must(self.server.stop());
    }

    /// Starts the stopped server on the same port; one with a disk has its data, and is sealed.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_again(&mut self) {
        must(self.server.start_again());
    }
}

#[track_caller]
fn must<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|why| panic!("{why}"))
}

#[track_caller]
fn request(url: &str, token: &str, method: &str, path: &str, body: &str) -> Value {
    match must(ask(url, token, method, path, body)) {
        (200..300, text) if text.is_empty() => Value::Null,
        (200..300, text) => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}")),
        (status, text) => panic!("{method} {path}: {status} {text}"),
    }
}

/// A name that no other test has. The standard library seeds its hashes at random.
fn unique(start: &str) -> String {
    format!("{start}-{:x}", RandomState::new().build_hasher().finish())
}
