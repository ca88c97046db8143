//! Sends one message to the collector.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::uri::Authority;
use http::{Method, Request, StatusCode, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long a message may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The port of OTLP over HTTP.
const PORT: u16 = 4318;

/// A collector of OpenTelemetry: `http://host:4318`, with a path before `/v1/traces` where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    authority: Authority,
    path: String,
}

/// A collector that cannot be used, or does not take what it is sent.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// The address is none that telemetry can be sent to.
    #[error("'{given}' is no collector's address: {why}; give one such as http://127.0.0.1:4318")]
    Address {
        /// What was given.
        given: String,
        /// What is wrong.
        why: &'static str,
    },
    /// It cannot be reached.
    #[error("it cannot be reached: {0}")]
    Unreachable(#[from] std::io::Error),
    /// It broke off.
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    /// It does not answer.
    #[error("it did not answer within {} s", TIMEOUT.as_secs())]
    Silent,
    /// It does not want the message.
    #[error("it answered {0}")]
    Refused(StatusCode),
}

impl FromStr for Collector {
    type Err = CollectorError;

    fn from_str(given: &str) -> Result<Self, CollectorError> {
        let wrong = |why| CollectorError::Address { given: given.to_owned(), why };
        let uri: Uri = given.parse().map_err(|_| wrong("it is no URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong(
                "only http is spoken; put a collector on this machine before one that wants TLS",
            ));
        }
        let authority = uri.authority().cloned().ok_or_else(|| wrong("the host is missing"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a password cannot be given"));
        }
        Ok(Self { authority, path: uri.path().trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

impl Collector {
    /// Sends a message to one of its paths.
    pub(super) async fn send(&self, path: &str, message: serde_json::Value) -> Result<(), CollectorError> {
        let sent = self.post(format!("{}{path}", self.path), message.to_string());
        tokio::time::timeout(TIMEOUT, sent).await.map_err(|_| CollectorError::Silent)?
    }

    /// A connection per message: there is one in some seconds.
    async fn post(&self, path: String, message: String) -> Result<(), CollectorError> {
        let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        let socket = TcpStream::connect((host, self.authority.port_u16().unwrap_or(PORT))).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::new(Body::from(message));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_str(&path).unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, http::HeaderValue::from_static("factum"));
        if let Ok(host) = http::HeaderValue::from_str(self.authority.as_str()) {
            headers.insert(HOST, host);
        }
        let answered = sender.send_request(request).await;
        connection.abort();
        match answered?.status() {
            status if status.is_success() => Ok(()),
            status => Err(CollectorError::Refused(status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused_with_a_reason() {
        let read = |text: &str| text.parse::<Collector>().map(|collector| collector.to_string());
        assert_eq!(read("http://localhost:4318").ok().as_deref(), Some("http://localhost:4318"));
        assert_eq!(read("http://[::1]:1/a/").ok().as_deref(), Some("http://[::1]:1/a"));
        for bad in ["", "localhost:4318", "https://localhost", "http://u:p@localhost", "http://", "/a"] {
            assert!(matches!(read(bad), Err(CollectorError::Address { .. })), "{bad}");
        }
    }
}
