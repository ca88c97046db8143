//! How does a test ask OpenBao something past the code under test?

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A server that says nothing for so long has failed the test.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request to `{url}/v1/{path}`, without TLS. Gives status and body. HTTP/1.0, so that the body ends with the connection.
///
/// # Errors
/// Where there is no answer.
pub fn ask(url: &str, token: &str, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
    let host = url.strip_prefix("http://").ok_or_else(|| format!("'{url}' does not begin with http://"))?;
    let lost = |error: std::io::Error| format!("{method} {path}: {error}");
    let mut stream = TcpStream::connect(host).map_err(lost)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(lost)?;
    let length = body.len();
    let request = format!(
        "{method} /v1/{path} HTTP/1.0\r\nHost: {host}\r\nX-Vault-Token: {token}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).map_err(lost)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(lost)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| format!("{method} {path}: no whole answer"))?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| format!("{method} {path}: an answer without a status"))?;
    Ok((status, body.to_owned()))
}
