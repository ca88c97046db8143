//! Tokens: credentials of programs, each in the place of a user's password.
//!
//! Only their hashes are known here. A token is random, so a plain hash of it cannot be guessed back.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::users::Secret;

/// Most tokens.
const MAX_TOKENS: usize = 1_024;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// A list of tokens that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokensError {
    /// A line is not a user and a hash.
    #[error("line {line} of the tokens is not `<login> <SHA-256 of the token, 64 hexadecimal digits>`")]
    Line {
        /// Which, from 1.
        line: usize,
    },
    /// There are too many.
    #[error("there are more than {MAX_TOKENS} tokens")]
    TooMany,
}

/// Who signs in with which token.
#[derive(Clone, Default)]
pub struct Tokens(Vec<(String, [u8; HASH_BYTES])>);

impl Tokens {
    /// Reads a list: on each line a login and the SHA-256 of a token in hexadecimal digits. Empty lines and lines that
    /// begin with `#` say nothing.
    ///
    /// # Errors
    /// `TokensError` with the line that is something else.
    pub fn parse(text: &str) -> Result<Self, TokensError> {
        let mut tokens = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || TokensError::Line { line: index + 1 };
            let (login, digits) = line.rsplit_once(char::is_whitespace).ok_or_else(wrong)?;
            tokens.push((login.trim().to_owned(), hash_of(digits).ok_or_else(wrong)?));
            if tokens.len() > MAX_TOKENS {
                return Err(TokensError::TooMany);
            }
        }
        Ok(Self(tokens))
    }

    /// The line of a list that lets `login` sign in with `token`.
    pub fn line(login: &str, token: &Secret) -> String {
        let hash: String = Sha256::digest(token.expose()).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{login} {hash}")
    }

    /// Whose token it is. Every one is looked at, whichever is found.
    pub(crate) fn login(&self, token: &Secret) -> Option<&str> {
        let hash: [u8; HASH_BYTES] = Sha256::digest(token.expose()).into();
        let mut found = None;
        for (login, known) in &self.0 {
            if bool::from(known.ct_eq(&hash)) {
                found = Some(login.as_str());
            }
        }
        found
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(login, _)| login)).finish()
    }
}

fn hash_of(digits: &str) -> Option<[u8; HASH_BYTES]> {
    if digits.len() != 2 * HASH_BYTES || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; HASH_BYTES];
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_users() {
        let (one, other) = (Secret::new("one"), Secret::new("other"));
        let text =
            format!("# programs\n\n{}\n  {}  \n", Tokens::line("ada", &one), Tokens::line("bob", &other));
        let tokens = Tokens::parse(&text).expect("a list");
        assert_eq!(tokens.login(&one), Some("ada"));
        assert_eq!(tokens.login(&other), Some("bob"));
        assert_eq!(tokens.login(&Secret::new("third")), None);
        assert_eq!(Tokens::default().login(&one), None);
        assert_eq!(format!("{tokens:?}"), r#"["ada", "bob"]"#);
    }

    #[test]
    fn a_list_that_is_none_names_the_line() {
        let digits = "0".repeat(63);
        for text in [
            "\nada".to_owned(),
            format!("# x\nada {digits}"),
            format!("\nada {digits}é"),
            format!("\nada {digits}+"),
        ] {
            assert_eq!(Tokens::parse(&text).unwrap_err(), TokensError::Line { line: 2 }, "{text}");
        }
        let many = format!("ada {digits}0\n").repeat(MAX_TOKENS + 1);
        assert_eq!(Tokens::parse(&many).unwrap_err(), TokensError::TooMany);
    }
}
