//! How is OpenBao asked over HTTP, and what does a refusal mean?

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use zeroize::Zeroizing;

use super::super::KekError;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a whole request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes: above a full batch of data keys by far.
const MAX_RESPONSE_BYTES: usize = 1 << 20;
/// Most characters of a reason that is passed on.
const MAX_REASON_CHARS: usize = 200;

/// How long is waited for an answer.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    connect: Duration,
    request: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: CONNECT_TIMEOUT, request: REQUEST_TIMEOUT }
    }
}

/// An address, and the token to use there.
pub(super) struct Api {
    agent: Agent,
    patience: Patience,
    description: String,
    base: String,
    token: Zeroizing<String>,
}

/// An answer that is the caller's to judge.
pub(super) struct Answer {
    pub(super) status: u16,
    body: Zeroizing<Vec<u8>>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

impl Answer {
    pub(super) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, String> {
        // An error of the parser may quote what it parsed.
        serde_json::from_slice(&self.body).map_err(|error| {
            format!("an answer that is not as expected at line {}, column {}", error.line(), error.column())
        })
    }

    /// What OpenBao says is wrong.
    pub(super) fn reason(&self) -> String {
        let said = self.parse::<Errors>().map(|said| said.errors.join("; ")).unwrap_or_default();
        if said.is_empty() { format!("HTTP status {}", self.status) } else { plain(&said) }
    }
}

/// A foreign text on one line and not long.
pub(super) fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(MAX_REASON_CHARS).collect()
}

impl Api {
    pub(super) fn new(
        description: String,
        base: String,
        token: Zeroizing<String>,
        trusted: Vec<Certificate<'static>>,
        patience: Patience,
    ) -> Self {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(trusted)))
            .build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(patience.connect))
            .timeout_global(Some(patience.request))
            .user_agent("factum")
            .tls_config(tls)
            .build()
            .new_agent();
        Self { agent, patience, description, base, token }
    }

    pub(super) fn description(&self) -> String {
        self.description.clone()
    }

    /// Reads a path. `capability` is what the token needs for it.
    pub(super) fn get(&self, path: &str, capability: &str) -> Result<Answer, KekError> {
        let answer = self.send(path, None)?;
        self.judge(path, capability, answer)
    }

    /// Writes JSON to a path. `capability` is what the token needs for it.
    pub(super) fn post(&self, path: &str, capability: &str, body: &[u8]) -> Result<Answer, KekError> {
        let answer = self.send(path, Some(body))?;
        self.judge(path, capability, answer)
    }

    /// What is not an answer of OpenBao at all.
    pub(super) fn not_understood(&self, why: &str) -> KekError {
        self.unreachable(format!("its answer is not understood: {why}; is it OpenBao's address?"))
    }

    fn unreachable(&self, why: String) -> KekError {
        KekError::Unreachable { provider: self.description(), why }
    }

    fn send(&self, path: &str, body: Option<&[u8]>) -> Result<Answer, KekError> {
        let url = format!("{}/v1/{path}", self.base);
        let failed = |error: &ureq::Error| self.unreachable(why(error, self.patience));
        let sent = match body {
            None => self.agent.get(&url).header("X-Vault-Token", &*self.token).call(),
            Some(body) => {
                let request = self.agent.post(&url).header("X-Vault-Token", &*self.token);
                request.header("Content-Type", "application/json").send(body)
            }
        };
        let mut response = sent.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let announced = response.body().content_length().unwrap_or(0);
        let capacity = usize::try_from(announced).unwrap_or(0).clamp(4 << 10, MAX_RESPONSE_BYTES);
        // As long as it will be: a buffer that grew would leave copies of what it held.
        let mut body = Zeroizing::new(Vec::with_capacity(capacity + 1));
        let mut reader = response.body_mut().as_reader().take(MAX_RESPONSE_BYTES as u64 + 1);
        reader.read_to_end(&mut body).map_err(|error| failed(&error.into()))?;
        if body.len() > MAX_RESPONSE_BYTES {
            return Err(self.not_understood(&format!("it is longer than {MAX_RESPONSE_BYTES} bytes")));
        }
        Ok(Answer { status, body })
    }

    /// Passes on what is the caller's to judge: success, a wrong request, what is not there.
    fn judge(&self, path: &str, capability: &str, answer: Answer) -> Result<Answer, KekError> {
        let denied = |why: String| Err(KekError::Denied { provider: self.description(), why });
        match answer.status {
            200..300 | 400 | 404 => Ok(answer),
            403 => denied(self.why_forbidden(path, capability)),
            503 if answer.reason().contains("sealed") => {
                denied("it is sealed: unseal it (bao operator unseal)".to_owned())
            }
            300..400 => Err(self.unreachable(
                "it sends on to another address, which is not followed: give the address of the active node"
                    .to_owned(),
            )),
            status => Err(self.unreachable(format!("HTTP status {status}: {}", answer.reason()))),
        }
    }

    /// A token that is known to OpenBao lacks a right; another one is worth nothing.
    fn why_forbidden(&self, path: &str, capability: &str) -> String {
        match self.send("auth/token/lookup-self", None) {
            Ok(answer) if answer.status == 200 => format!(
                "the token's policies do not give the capability '{capability}' on the path '{path}': add it, or give \
                 another token"
            ),
            _ => format!(
                "the token was revoked, has expired or is not known (asked for '{capability}' on the path '{path}'): \
                 give a new one"
            ),
        }
    }
}

/// The error in words. No header and no body is in it.
fn why(error: &ureq::Error, patience: Patience) -> String {
    match error {
        ureq::Error::Timeout(_) => {
            format!(
                "no answer in time (at most {:?} to connect, {:?} in all)",
                patience.connect, patience.request
            )
        }
        ureq::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>())
        {
            Some(inner) => why(inner, patience),
            None => plain(&error.to_string()),
        },
        other => plain(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// An API whose server gives this answer to each request.
    fn answering(answer: &'static [u8]) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut stream = stream;
                let mut start = [0; 1];
                let _ = stream.read(&mut start);
                let _ = stream.write_all(answer);
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            }
        });
        api(base, Duration::from_secs(60))
    }

    fn api(base: String, request: Duration) -> Api {
        let patience = Patience { connect: request, request };
        Api::new("the key".to_owned(), base, Zeroizing::new("s.token".to_owned()), Vec::new(), patience)
    }

    fn refusal(answer: &'static [u8]) -> KekError {
        answering(answer).get("transit/keys/k", "read").map(drop).unwrap_err()
    }

    #[test]
    fn a_redirect_is_not_followed() {
        let api = answering(b"HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
        for answer in [api.get("transit/keys/k", "read"), api.post("transit/keys/k", "update", b"{}")] {
            let error = answer.map(drop).unwrap_err();
            assert!(
                matches!(&error, KekError::Unreachable { why, .. } if why.contains("not followed")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_server_that_says_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = api(format!("http://{}", listener.local_addr().unwrap()), Duration::from_millis(50));
        let error = api.get("transit/keys/k", "read").map(drop).unwrap_err();
        assert!(matches!(&error, KekError::Unreachable { why, .. } if why.contains("in time")), "{error}");
    }

    #[test]
    fn an_answer_that_does_not_end_is_an_error() {
        let error = refusal(b"HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\n{");
        assert!(matches!(error, KekError::Unreachable { .. }), "{error}");
    }

    #[test]
    fn other_failures_of_the_server_are_not_refusals() {
        for answer in [
            &b"HTTP/1.1 500 x\r\nContent-Length: 21\r\n\r\n{\"errors\":[\"no\\nluck\"]}"[..],
            b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 429 x\r\nContent-Length: 0\r\n\r\n",
            b"not HTTP at all\r\n\r\n",
            b"",
        ] {
            let error = refusal(answer);
            assert!(matches!(error, KekError::Unreachable { .. }), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_sealed_server_refuses() {
        let error =
            refusal(b"HTTP/1.1 503 x\r\nContent-Length: 30\r\n\r\n{\"errors\":[\"Vault is sealed\"]}\n");
        assert!(matches!(&error, KekError::Denied { why, .. } if why.contains("sealed")), "{error}");
    }

    #[test]
    fn a_long_answer_is_cut_off() {
        let head = format!("HTTP/1.1 200 x\r\nContent-Length: {}\r\n\r\n", MAX_RESPONSE_BYTES + 1);
        let answer = [head.into_bytes(), vec![b' '; MAX_RESPONSE_BYTES + 1]].concat();
        let error = refusal(answer.leak());
        assert!(error.to_string().contains("longer than"), "{error}");
    }

    #[test]
    fn a_foreign_text_is_one_line_and_short() {
        assert_eq!(
            plain("1 error occurred:\n\t* permission denied\n\n"),
            "1 error occurred: * permission denied"
        );
        assert_eq!(plain(&"x".repeat(1_000)).len(), MAX_REASON_CHARS);
    }
}
