//! Whose personal data is it, and for what is it kept?

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Longest subject id, in bytes.
pub const MAX_SUBJECT_BYTES: usize = 256;
/// Longest purpose, in bytes.
pub const MAX_PURPOSE_BYTES: usize = 32;

/// A data subject by the id that the application knows: a customer number, a login.
///
/// It may be personal itself, so it never reaches the log, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Subject(String);

/// What a part of a subject's data is kept for, with a key of its own: `billing`, `marketing`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Purpose(String);

/// A subject as logs and receipts name it: a keyed hash of tenant and id, 128 bits. Without the vault it leads to nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectRef(pub [u8; 16]);

/// Who a data key belongs to: a subject, or what is kept of it for one purpose. Written `hash` or `hash#purpose`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyOwner {
    /// The subject.
    pub subject: SubjectRef,
    /// The purpose; `None` for what has none.
    pub purpose: Option<Purpose>,
}

/// The identity of one data key: random, so that it says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 16]);

/// The identity of one erasure, given by who asks for it: asked again, it is the same erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErasureId(pub Uuid);

/// Text that cannot name a subject, a purpose or a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// There is nothing.
    #[error("a {what} needs a name: this one is empty")]
    Empty {
        /// Of what.
        what: &'static str,
    },
    /// There is too much.
    #[error("a {what} has at most {limit} bytes, this one has {actual}")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
        /// What was given, in bytes.
        actual: usize,
    },
    /// It has a character that it may not have. The text is not repeated: it may be personal.
    #[error("a {what} {rule}: character {at} is something else")]
    Character {
        /// Of what.
        what: &'static str,
        /// What is allowed.
        rule: &'static str,
        /// The first wrong character, from 1.
        at: usize,
    },
    /// It is not what the vault writes.
    #[error("this is no {what} as Factum writes it")]
    Malformed {
        /// What was expected.
        what: &'static str,
    },
}

impl Subject {
    /// # Errors
    /// Where it is empty, over [`MAX_SUBJECT_BYTES`], or has a control character or a `#` (which starts a purpose).
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidName> {
        let id = id.into();
        let what = "subject";
        check_length(what, &id, MAX_SUBJECT_BYTES)?;
        let rule = "has no '#' and no control characters";
        check_characters(what, rule, &id, |c| c != '#' && !c.is_control())?;
        Ok(Self(id))
    }

    /// The id. It may be personal: show it to nobody who did not give it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(..)")
    }
}

impl Purpose {
    /// # Errors
    /// Where it is empty, over [`MAX_PURPOSE_BYTES`], or has other characters than `a-z`, `0-9`, `-` and `_`.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        let name = name.into();
        let what = "purpose";
        check_length(what, &name, MAX_PURPOSE_BYTES)?;
        let rule = "has a-z, 0-9, '-' and '_'";
        check_characters(what, rule, &name, |c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_'))?;
        Ok(Self(name))
    }

    /// The purpose as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl KeyOwner {
    /// A whole subject.
    pub fn of(subject: SubjectRef) -> Self {
        Self { subject, purpose: None }
    }

    /// What is kept of it for `purpose`.
    #[must_use]
    pub fn with_purpose(self, purpose: Purpose) -> Self {
        Self { purpose: Some(purpose), ..self }
    }
}

impl KeyOwner {
    /// Writes what `Display` shows: without its machinery, since each opened value has one.
    pub(crate) fn write_to(&self, into: &mut Vec<u8>) {
        for byte in self.subject.0 {
            into.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        if let Some(purpose) = &self.purpose {
            into.push(b'#');
            into.extend_from_slice(purpose.0.as_bytes());
        }
    }
}

impl fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.purpose {
            Some(purpose) => write!(f, "{}#{purpose}", self.subject),
            None => self.subject.fmt(f),
        }
    }
}

impl FromStr for KeyOwner {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        // Where the purpose begins is known: each opened value has an owner.
        match text.as_bytes().get(SIXTEEN_BYTES_TEXT) {
            Some(b'#') => {
                let (subject, purpose) = text.split_at(SIXTEEN_BYTES_TEXT);
                Ok(Self { subject: subject.parse()?, purpose: Some(Purpose::new(&purpose[1..])?) })
            }
            _ => Ok(Self::of(text.parse()?)),
        }
    }
}

/// Characters of 16 bytes in hexadecimal.
const SIXTEEN_BYTES_TEXT: usize = 32;
/// Stands for a character that is no digit: it has bits that no digit has.
const NO_DIGIT: u8 = 0xf0;
/// What each byte is as a hexadecimal digit in lower case.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        digits[HEX[digit as usize] as usize] = digit;
        digit += 1;
    }
    digits
};
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Looks at all digits before it says whether they are some.
fn sixteen_bytes(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; SIXTEEN_BYTES_TEXT] = text.as_bytes().try_into().ok()?;
    let (mut bytes, mut seen) = ([0; 16], 0);
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low & 0x0f;
    }
    (seen & NO_DIGIT == 0).then_some(bytes)
}

/// 16 bytes as 32 hexadecimal digits.
macro_rules! sixteen_bytes {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                sixteen_bytes(text).map(Self).ok_or(InvalidName::Malformed { what: $what })
            }
        }
    };
}
sixteen_bytes!(SubjectRef, "subject reference");
sixteen_bytes!(KeyId, "key id");

impl ErasureId {
    /// A fresh, time-ordered identity.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for ErasureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ErasureId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Uuid::parse_str(text).map(Self).map_err(|_| InvalidName::Malformed { what: "erasure id" })
    }
}

pub(crate) fn check_length(what: &'static str, text: &str, limit: usize) -> Result<(), InvalidName> {
    match text.len() {
        0 => Err(InvalidName::Empty { what }),
        actual if actual > limit => Err(InvalidName::TooLong { what, limit, actual }),
        _ => Ok(()),
    }
}

pub(crate) fn check_characters(
    what: &'static str,
    rule: &'static str,
    text: &str,
    allowed: impl Fn(char) -> bool,
) -> Result<(), InvalidName> {
    match text.chars().position(|c| !allowed(c)) {
        Some(at) => Err(InvalidName::Character { what, rule, at: at + 1 }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_reads_back_as_it_is_written() {
        let subject = SubjectRef([0xab; 16]);
        for owner in
            [KeyOwner::of(subject), KeyOwner::of(subject).with_purpose(Purpose::new("tax-10y").unwrap())]
        {
            let mut written = Vec::new();
            owner.write_to(&mut written);
            assert_eq!(String::from_utf8(written).unwrap(), owner.to_string());
            assert_eq!(owner.to_string().parse(), Ok(owner));
        }
        assert!("abab".parse::<KeyOwner>().is_err());
        assert!(format!("{subject}#").parse::<KeyOwner>().is_err());
        assert!("é".repeat(16).parse::<KeyId>().is_err());
        assert!(format!("{subject}é").parse::<KeyOwner>().is_err());
        assert!("é#".repeat(16).parse::<KeyOwner>().is_err());
        for at in 0..32 {
            for wrong in ['g', 'A', '/', ':', '`', '\u{7f}', '\0'] {
                let mut text = subject.to_string();
                text.replace_range(at..=at, &wrong.to_string());
                assert!(text.parse::<SubjectRef>().is_err(), "{wrong:?} at {at}");
            }
        }
        let digits = "0123456789abcdef".repeat(2);
        assert_eq!(digits.parse::<KeyId>().map(|id| id.to_string()), Ok(digits));
    }

    #[test]
    fn names_have_rules_and_errors_do_not_repeat_them() {
        assert_eq!(Subject::new(""), Err(InvalidName::Empty { what: "subject" }));
        assert!(Subject::new("x".repeat(MAX_SUBJECT_BYTES)).is_ok());
        assert!(Subject::new("x".repeat(MAX_SUBJECT_BYTES + 1)).is_err());
        let error = Subject::new("ada@example.org#1").unwrap_err().to_string();
        assert!(error.contains("character 16") && !error.contains("ada"), "{error}");
        assert!(Purpose::new("Billing").is_err());
        assert!(Purpose::new("x".repeat(MAX_PURPOSE_BYTES + 1)).is_err());
        assert_eq!(format!("{:?}", Subject::new("ada").unwrap()), "Subject(..)");
    }
}
