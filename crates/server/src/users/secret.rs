//! Text that nobody may see: not in a log, an error or a debugger's output.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroize;

/// Bytes of randomness in a generated secret.
const GENERATED_BYTES: usize = 24;

/// A password or a token. Its `Debug` shows nothing of it, and its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// This text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A random one of 192 bits, in letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn generate() -> Result<Self, std::io::Error> {
        let mut bytes = [0; GENERATED_BYTES];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        let text = URL_SAFE_NO_PAD.encode(bytes);
        bytes.zeroize();
        Ok(Self(text))
    }

    /// The text, for those who must have it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_shown_and_never_the_same_twice() {
        let (one, other) = (Secret::generate().expect("random"), Secret::generate().expect("random"));
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), 32);
        assert_eq!(format!("{one:?} {:#?}", Some(Secret::new("hush"))).matches("hush").count(), 0);
        assert!(!format!("{one:?}").contains(one.expose()));
    }
}
