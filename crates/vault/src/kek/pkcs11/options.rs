//! Which module, which token, which keys, and are they named as they can be?

use std::path::PathBuf;

use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

/// What the keys' labels begin with unless said otherwise.
const KEYS: &str = "factum-kek";
/// Longest label of a token, in bytes: PKCS#11's own limit.
const MAX_TOKEN_BYTES: usize = 32;
/// Longest beginning of the keys' labels, in bytes.
const MAX_KEYS_BYTES: usize = 64;
/// Longest PIN, in bytes.
const MAX_PIN_BYTES: usize = 255;

/// Module, token and PIN of a PKCS#11 token.
pub struct Pkcs11Options {
    module: PathBuf,
    token: String,
    keys: String,
    pin: Zeroizing<String>,
}

/// Options that were found to be in order.
pub(super) struct Parts {
    pub(super) module: PathBuf,
    pub(super) token: String,
    pub(super) keys: String,
    pub(super) pin: AuthPin,
}

impl Pkcs11Options {
    /// The token labelled `token`, through the vendor's module at an absolute path, used as the normal user with `pin`. A line
    /// end after the PIN is left out, so that it may come from a file.
    ///
    /// The module is the vendor's code and runs within this process: take the path from the operator only.
    pub fn new(module: impl Into<PathBuf>, token: impl Into<String>, pin: &str) -> Self {
        let pin = Zeroizing::new(pin.trim_end_matches(['\r', '\n']).to_owned());
        Self { module: module.into(), token: token.into(), keys: KEYS.to_owned(), pin }
    }

    /// Another beginning of the keys' labels than `factum-kek`, where several vaults share a token.
    #[must_use]
    pub fn keys(mut self, label: impl Into<String>) -> Self {
        self.keys = label.into();
        self
    }

    /// For people.
    pub(super) fn description(&self) -> String {
        // What was given in place of a label may be a PIN that is no label.
        let label = |text: &str, most| if is_label(text, most) { text.to_owned() } else { "?".to_owned() };
        let (keys, token) = (label(&self.keys, MAX_KEYS_BYTES), label(&self.token, MAX_TOKEN_BYTES));
        format!("the keys '{keys}' in the PKCS#11 token '{token}' of {}", self.module.display())
    }

    /// # Errors
    /// What cannot work. Never the PIN.
    pub(super) fn check(self) -> Result<Parts, String> {
        if !self.module.is_absolute() {
            return Err(
                "the module's path has to be absolute, such as /usr/lib/softhsm/libsofthsm2.so".to_owned()
            );
        }
        if !is_label(&self.token, MAX_TOKEN_BYTES) {
            return Err(format!(
                "the token's label has to have 1 to {MAX_TOKEN_BYTES} bytes and no control characters"
            ));
        }
        if !is_label(&self.keys, MAX_KEYS_BYTES) {
            return Err(format!(
                "the keys' label has to have 1 to {MAX_KEYS_BYTES} bytes and no control characters"
            ));
        }
        if self.pin.is_empty() || self.pin.len() > MAX_PIN_BYTES {
            return Err(format!("the PIN has {} bytes: is it the right file?", self.pin.len()));
        }
        let pin = AuthPin::new(self.pin.as_str().into());
        Ok(Parts { module: self.module, token: self.token, keys: self.keys, pin })
    }
}

fn is_label(text: &str, most: usize) -> bool {
    !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_cannot_work_say_why_and_never_the_pin() {
        let wrong = |options: Pkcs11Options| {
            let said = format!("{} {}", options.description(), options.check().map(drop).unwrap_err());
            assert!(!said.contains("1234"), "{said}");
            said
        };
        let options = |token: &str| Pkcs11Options::new("/module.so", token, "1234\n");
        assert!(wrong(Pkcs11Options::new("module.so", "t", "1234")).contains("absolute"));
        assert!(wrong(options("")).contains("token's label"));
        assert!(wrong(options(&"x".repeat(MAX_TOKEN_BYTES + 1))).contains("token's label"));
        assert!(wrong(options("t").keys("a\nb")).contains("keys' label"));
        assert!(wrong(options("t").keys("x".repeat(MAX_KEYS_BYTES + 1))).contains("keys' label"));
        assert!(wrong(Pkcs11Options::new("/module.so", "t", "\n")).contains("PIN"));
        assert!(wrong(Pkcs11Options::new("/module.so", "t", &"9".repeat(MAX_PIN_BYTES + 1))).contains("PIN"));
        assert!(options("t").check().is_ok());
    }
}
