//! Where is the Transit key, and is that address safe to send secrets to?

use std::net::IpAddr;

use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, parse_pem};
use zeroize::Zeroizing;

/// Where the engine is mounted unless said otherwise.
const MOUNT: &str = "transit";
/// Longest mount path, key name and address, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// Longest token, in bytes.
const MAX_TOKEN_BYTES: usize = 8 << 10;

/// Address, key and token of a Transit engine.
pub struct TransitOptions {
    address: String,
    mount: String,
    key: String,
    token: Zeroizing<String>,
    certificates: Vec<u8>,
}

/// Options that were found to be in order.
pub(super) struct Parts {
    /// Without a slash at its end.
    pub(super) base: String,
    pub(super) mount: String,
    pub(super) key: String,
    pub(super) token: Zeroizing<String>,
    pub(super) trusted: Vec<Certificate<'static>>,
}

impl TransitOptions {
    /// The key `key` at `address`, such as `https://bao.example:8200`, used with `token`. White space around the token is left
    /// out, so that it may come from a file.
    ///
    /// `http://` is taken for this machine only: for an agent or proxy of OpenBao beside the program, or a test.
    pub fn new(address: impl Into<String>, key: impl Into<String>, token: &str) -> Self {
        Self {
            address: address.into(),
            mount: MOUNT.to_owned(),
            key: key.into(),
            token: Zeroizing::new(token.trim().to_owned()),
            certificates: Vec::new(),
        }
    }

    /// Another mount than `transit`; a namespace may stand before it.
    #[must_use]
    pub fn mount(mut self, path: impl Into<String>) -> Self {
        self.mount = path.into();
        self
    }

    /// The certificates of authorities that sign the server's own, in PEM. `https://` needs them: the system's are not used.
    #[must_use]
    pub fn trust(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates = pem.into();
        self
    }

    /// For people.
    pub(super) fn description(&self) -> String {
        // What was given in place of an address may be a secret.
        let address = if check_address(&self.address).is_ok() { &self.address } else { "a wrong address" };
        let name = |text: &str| if is_name(text) { text.to_owned() } else { "?".to_owned() };
        let mount: Vec<String> = self.mount.split('/').map(name).collect();
        format!("the Transit key '{}/{}' of OpenBao at {address}", mount.join("/"), name(&self.key))
    }

    /// # Errors
    /// What cannot work, and what would. Never the token.
    pub(super) fn check(self) -> Result<Parts, String> {
        let secure = check_address(&self.address)?;
        if !is_name(&self.key) {
            return Err("its name has other characters than letters, digits, '_', '-' and '.'".to_owned());
        }
        let mount = self.mount.trim_matches('/');
        if mount.len() > MAX_NAME_BYTES || !mount.split('/').all(is_name) {
            return Err(
                "its mount has other characters than letters, digits, '_', '-', '.' and '/'".to_owned()
            );
        }
        if self.token.is_empty() || self.token.len() > MAX_TOKEN_BYTES {
            return Err(format!("the token has {} bytes: is it the right file?", self.token.len()));
        }
        if !self.token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the token has characters that no token has: is it the right file?".to_owned());
        }
        let trusted = trusted(&self.certificates)?;
        if secure && trusted.is_empty() {
            return Err(
                "https needs certificates to trust: give the authority's certificate in PEM".to_owned()
            );
        }
        let base = self.address.trim_end_matches('/').to_owned();
        Ok(Parts { base, mount: mount.to_owned(), key: self.key, token: self.token, trusted })
    }
}

/// Whether the address is one with TLS.
fn check_address(address: &str) -> Result<bool, String> {
    let wrong =
        || "the address has to look like https://host:8200, without user, password, '?' and '#'".to_owned();
    if address.len() > MAX_NAME_BYTES || address.contains('#') {
        return Err(wrong());
    }
    let uri: Uri = address.parse().map_err(|_| wrong())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(wrong()) };
    if uri.query().is_some() || authority.as_str().contains('@') {
        return Err(wrong());
    }
    match scheme {
        "https" => Ok(true),
        "http" if is_this_machine(authority.host()) => Ok(false),
        "http" => {
            Err("http:// would send keys and token in clear over the network: give an https:// address, or \
                       that of an OpenBao agent or proxy on this machine"
                .to_owned())
        }
        _ => Err(wrong()),
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_name(text: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && text.chars().all(is_fine) && !text.starts_with('.')
}

fn trusted(pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(_) => return Err("the certificates to trust are not in PEM".to_owned()),
        }
    }
    if certificates.is_empty() && !pem.is_empty() {
        return Err("there is no certificate in the PEM to trust".to_owned());
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(options: TransitOptions) -> String {
        options.check().map(drop).unwrap_err()
    }

    #[test]
    fn addresses_that_would_carry_secrets_in_clear_are_refused() {
        for good in ["https://bao:8200", "http://127.0.0.1:8200/", "http://[::1]:8200", "http://localhost"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        for clear in
            ["http://bao:8200", "http://10.0.0.1", "http://localhost.example", "http://127.0.0.1.example"]
        {
            assert!(check_address(clear).unwrap_err().contains("in clear"), "{clear}");
        }
        for bad in
            ["", "bao:8200", "/x", "ftp://localhost", "https://a:b@bao", "https://bao/?x=1", "https://bao#x"]
        {
            assert!(check_address(bad).unwrap_err().contains("look like"), "{bad}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let options = |key: &str, mount: &str| TransitOptions::new("http://localhost", key, "t").mount(mount);
        for bad in ["", "a/b", "..", "a b", "a%2Fb", "a?b", &"x".repeat(MAX_NAME_BYTES + 1)] {
            assert!(wrong(options(bad, "transit")).contains("name"), "{bad}");
        }
        for bad in ["", "a//b", "a/../b", "a b"] {
            assert!(wrong(options("k", bad)).contains("mount"), "{bad}");
        }
        assert!(options("k.1_2-3", "/team-a/transit/").check().is_ok());
    }

    #[test]
    fn a_token_is_trimmed_and_never_told() {
        let options = |token: &str| TransitOptions::new("http://localhost", "k", token);
        assert_eq!(*options("s.secret\n").check().map(|parts| parts.token).unwrap(), "s.secret");
        for bad in ["", " \n", "s.sec ret", "s.sécret", &"s".repeat(MAX_TOKEN_BYTES + 1)] {
            let why = wrong(options(bad));
            assert!(why.contains("token") && !why.contains("s.s"), "{why}");
        }
        let lost = TransitOptions::new("s.secret", "k", "t").description();
        assert!(!lost.contains("s.secret"), "{lost}");
    }

    #[test]
    fn https_needs_certificates() {
        let options = || TransitOptions::new("https://bao:8200", "k", "t");
        assert!(wrong(options()).contains("certificates to trust"));
        assert!(wrong(options().trust("nonsense")).contains("no certificate"));
        assert!(wrong(options().trust("-----BEGIN CERTIFICATE-----\n???\n")).contains("PEM"));
    }
}
