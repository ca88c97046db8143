//! How does a sealed value look in an event's JSON, and where in the JSON is one?

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::seal::{SALT_BYTES, Sealed};
use crate::subject::KeyId;

/// The member that makes an object a sealed value.
pub const SEALED_MEMBER: &str = "$pii";
/// Most levels of objects and arrays that are looked into.
pub const MAX_DEPTH: usize = 128;
/// Most sealed values in one event.
pub const MAX_ENVELOPES: usize = 1_000;

/// A sealed value as it is stored in the place of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The key that opens it.
    pub key: KeyId,
    /// Where its bytes are.
    pub body: Body,
    /// What is stored in clear beside it, as JSON text.
    pub partial: Option<&'a str>,
}

/// Where a sealed value's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Here.
    Here(Sealed),
    /// In the key store, under this id: `external`. They can be deleted there.
    Outside {
        /// What the value's key is derived with.
        salt: [u8; SALT_BYTES],
        /// The id.
        value: Uuid,
    },
    /// Nowhere: it was erased before it was written here.
    Erased,
}

/// Why an object with `$pii` is no sealed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedEnvelope {
    /// It is not of the shape that Factum writes.
    #[error("it is not of the shape of a sealed value")]
    Shape,
    /// It was written by a later version.
    #[error("it is of format {format}, this version of Factum knows 1")]
    Format {
        /// Its format.
        format: u64,
    },
    /// Key, salt or bytes are not base64, or not of their length.
    #[error("its {member} is not base64 of the right length")]
    Base64 {
        /// Which.
        member: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    v: u64,
    k: &'a str,
    s: Option<&'a str>,
    c: Option<&'a str>,
    x: Option<Uuid>,
    #[serde(borrow)]
    p: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Reads what is under `$pii`.
    ///
    /// # Errors
    /// Why it is no sealed value.
    pub fn parse(text: &'a [u8]) -> Result<Self, MalformedEnvelope> {
        let stored: Stored<'a> = serde_json::from_slice(text).map_err(|_| MalformedEnvelope::Shape)?;
        if stored.v != 1 {
            return Err(MalformedEnvelope::Format { format: stored.v });
        }
        let key = KeyId(bytes("k", stored.k)?);
        let body = match (stored.s, stored.c, stored.x) {
            (Some(salt), Some(sealed), None) => {
                let bytes_of =
                    BASE64.decode(sealed).map_err(|_| MalformedEnvelope::Base64 { member: "c" })?;
                Body::Here(Sealed { salt: bytes("s", salt)?, bytes: bytes_of })
            }
            (Some(salt), None, Some(value)) => Body::Outside { salt: bytes("s", salt)?, value },
            (None, None, None) => Body::Erased,
            _ => return Err(MalformedEnvelope::Shape),
        };
        Ok(Self { key, body, partial: stored.p.map(RawValue::get) })
    }

    /// Writes the whole object, `$pii` and all.
    pub fn write(&self, into: &mut Vec<u8>) {
        let mut member = |text: &str, value: &[u8]| {
            into.extend_from_slice(text.as_bytes());
            let at = into.len();
            into.resize(at + base64::encoded_len(value.len(), false).unwrap_or_default(), 0);
            // There is exactly room for it.
            let _ = BASE64.encode_slice(value, &mut into[at..]);
        };
        member("{\"$pii\":{\"v\":1,\"k\":\"", &self.key.0);
        match &self.body {
            Body::Here(sealed) => {
                member("\",\"s\":\"", &sealed.salt);
                member("\",\"c\":\"", &sealed.bytes);
            }
            Body::Outside { salt, value } => {
                member("\",\"s\":\"", salt);
                into.extend_from_slice(format!("\",\"x\":\"{value}").as_bytes());
            }
            Body::Erased => {}
        }
        into.push(b'"');
        if let Some(partial) = self.partial {
            into.extend_from_slice(b",\"p\":");
            into.extend_from_slice(partial.as_bytes());
        }
        into.extend_from_slice(b"}}");
    }
}

fn bytes<const N: usize>(member: &'static str, text: &str) -> Result<[u8; N], MalformedEnvelope> {
    let wrong = MalformedEnvelope::Base64 { member };
    // Some room above, since the decoder rounds up.
    let mut room = [0; 32];
    match BASE64.decode_slice(text, &mut room) {
        Ok(length) if length == N => room[..N].try_into().map_err(|_| wrong),
        _ => Err(wrong),
    }
}

/// An object with one certain member, found in JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The whole object.
    pub object: Range<usize>,
    /// The value of the member.
    pub value: Range<usize>,
    /// Where the object is, as a JSON pointer.
    pub pointer: String,
}

/// Why JSON text was not looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSearched {
    /// It is not JSON.
    #[error("it is not JSON")]
    NotJson,
    /// It goes too deep.
    #[error("it has more than {MAX_DEPTH} levels")]
    TooDeep,
    /// It has too many.
    #[error("it has more than {MAX_ENVELOPES} personal values")]
    TooMany,
    /// The object has other members too.
    #[error("the object at '{0}' has other members beside it", self.place())]
    Beside {
        /// Where the object begins, in bytes.
        at: usize,
    },
}

impl NotSearched {
    fn place(self) -> usize {
        match self {
            NotSearched::Beside { at } => at,
            _ => 0,
        }
    }
}

/// The objects in `json` whose only member is `member`, in order, not looking inside them. Text without the member's name is
/// not parsed at all.
///
/// # Errors
/// Where the text is not JSON around them, or beyond a limit.
pub fn find(json: &[u8], member: &str) -> Result<Vec<Found>, NotSearched> {
    match memmem::find(json, member.as_bytes()) {
        Some(_) => Walk { json, at: 0, member: member.as_bytes(), path: Vec::new(), found: Vec::new() }.run(),
        None => Ok(Vec::new()),
    }
}

/// A step into a value.
enum Step<'a> {
    Key(&'a [u8]),
    Index(usize),
}

struct Walk<'a> {
    json: &'a [u8],
    at: usize,
    member: &'a [u8],
    path: Vec<Step<'a>>,
    found: Vec<Found>,
}

impl<'a> Walk<'a> {
    fn run(mut self) -> Result<Vec<Found>, NotSearched> {
        self.value()?;
        self.space();
        if self.at == self.json.len() { Ok(self.found) } else { Err(NotSearched::NotJson) }
    }

    fn space(&mut self) {
        while self.json.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    /// The next byte that is no white space, not taken.
    fn peek(&mut self) -> Option<u8> {
        self.space();
        self.json.get(self.at).copied()
    }

    fn take(&mut self, expected: u8) -> Result<(), NotSearched> {
        if self.peek() != Some(expected) {
            return Err(NotSearched::NotJson);
        }
        self.at += 1;
        Ok(())
    }

    /// Deep text is refused by a limit, so the recursion has one too.
    fn value(&mut self) -> Result<(), NotSearched> {
        match self.peek().ok_or(NotSearched::NotJson)? {
            b'{' | b'[' if self.path.len() >= MAX_DEPTH => Err(NotSearched::TooDeep),
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => self.string().map(drop),
            _ => self.scalar(),
        }
    }

    fn object(&mut self) -> Result<(), NotSearched> {
        let start = self.at;
        self.take(b'{')?;
        if self.peek() == Some(b'}') {
            return self.take(b'}');
        }
        let (mut members, mut value) = (0, None);
        loop {
            self.space();
            let key = self.string()?;
            self.take(b':')?;
            self.space();
            let from = self.at;
            let wanted = key == self.member;
            let found = self.found.len();
            self.path.push(Step::Key(key));
            self.value()?;
            self.path.pop();
            members += 1;
            if wanted {
                // What is inside belongs to it.
                self.found.truncate(found);
                value = Some(from..self.at);
            }
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => break,
            }
        }
        self.take(b'}')?;
        match value {
            None => Ok(()),
            Some(_) if members > 1 => Err(NotSearched::Beside { at: start }),
            Some(_) if self.found.len() >= MAX_ENVELOPES => Err(NotSearched::TooMany),
            Some(value) => {
                let pointer = self.pointer()?;
                self.found.push(Found { object: start..self.at, value, pointer });
                Ok(())
            }
        }
    }

    fn array(&mut self) -> Result<(), NotSearched> {
        self.take(b'[')?;
        if self.peek() == Some(b']') {
            return self.take(b']');
        }
        for index in 0.. {
            self.path.push(Step::Index(index));
            self.value()?;
            self.path.pop();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => break,
            }
        }
        self.take(b']')
    }

    /// What is between the quotes, as written.
    fn string(&mut self) -> Result<&'a [u8], NotSearched> {
        if self.json.get(self.at) != Some(&b'"') {
            return Err(NotSearched::NotJson);
        }
        let start = self.at + 1;
        let mut at = start;
        loop {
            let rest = self.json.get(at..).ok_or(NotSearched::NotJson)?;
            at += memchr::memchr2(b'"', b'\\', rest).ok_or(NotSearched::NotJson)?;
            if self.json[at] == b'"' {
                self.at = at + 1;
                return Ok(&self.json[start..at]);
            }
            at += 2;
        }
    }

    fn scalar(&mut self) -> Result<(), NotSearched> {
        let start = self.at;
        while self.json.get(self.at).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
        {
            self.at += 1;
        }
        if self.at == start { Err(NotSearched::NotJson) } else { Ok(()) }
    }

    fn pointer(&self) -> Result<String, NotSearched> {
        let mut pointer = String::new();
        for step in &self.path {
            pointer.push('/');
            match step {
                Step::Index(index) => pointer.push_str(&index.to_string()),
                Step::Key(raw) => {
                    let key = unescaped(raw).ok_or(NotSearched::NotJson)?;
                    if key.contains(['~', '/']) {
                        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                    } else {
                        pointer.push_str(&key);
                    }
                }
            }
        }
        Ok(pointer)
    }
}

/// A key as it is meant: another store may write the same key with other escapes.
fn unescaped(raw: &[u8]) -> Option<Cow<'_, str>> {
    if raw.contains(&b'\\') {
        let quoted = [b"\"", raw, b"\""].concat();
        return serde_json::from_slice::<String>(&quoted).ok().map(Cow::Owned);
    }
    std::str::from_utf8(raw).ok().map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(json: &str) -> Result<Vec<String>, NotSearched> {
        Ok(find(json.as_bytes(), SEALED_MEMBER)?.into_iter().map(|found| found.pointer).collect())
    }

    #[test]
    fn sealed_values_are_found_wherever_they_are() {
        let json = r#" {"a": {"$pii":1}, "b":[0, {"$pii":{"$pii":2}}, {"c":{"$pii":3}}], "d/e~f\u0067":{"$pii":4}} "#;
        assert_eq!(pointers(json).unwrap(), ["/a", "/b/1", "/b/2/c", "/d~1e~0fg"]);
        let found = find(json.as_bytes(), SEALED_MEMBER).unwrap();
        assert_eq!(&json[found[1].object.clone()], r#"{"$pii":{"$pii":2}}"#);
        assert_eq!(&json[found[1].value.clone()], r#"{"$pii":2}"#);
        assert_eq!(pointers(r#"{"$pii":5}"#).unwrap(), [""]);
        assert_eq!(pointers(r#"{"a":"$pii","b":"\"$pii\":{"}"#).unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_no_json_is_refused_and_never_a_panic() {
        let json = r#"{"a":[{"$pii":{"k":"é\"\\"}},-1.5e3,true,null]}"#;
        assert_eq!(pointers(json).unwrap(), ["/a/0"]);
        for end in 0..json.len() {
            let cut = find(&json.as_bytes()[..end], SEALED_MEMBER);
            let named = json.as_bytes()[..end].windows(4).any(|four| four == b"$pii");
            assert_eq!(cut.is_err(), named, "{end}");
        }
        assert_eq!(pointers(r#"{"$pii":1,"b":2}"#), Err(NotSearched::Beside { at: 0 }));
        assert_eq!(pointers(r#"{"$pii":1,"$pii":2}"#), Err(NotSearched::Beside { at: 0 }));
        let deep = format!("{}{{\"$pii\":1}}{}", "[".repeat(200), "]".repeat(200));
        assert_eq!(pointers(&deep), Err(NotSearched::TooDeep));
        let many = format!("[{}1]", r#"{"$pii":1},"#.repeat(MAX_ENVELOPES + 1));
        assert_eq!(pointers(&many), Err(NotSearched::TooMany));
    }

    #[test]
    fn an_envelope_reads_back_as_it_is_written() {
        let key = KeyId([3; 16]);
        let salt = [5; SALT_BYTES];
        for (body, partial) in [
            (Body::Here(Sealed { salt, bytes: vec![1, 2, 3] }), None),
            (Body::Here(Sealed { salt, bytes: Vec::new() }), Some("\"1990\"")),
            (Body::Outside { salt, value: Uuid::from_u128(9) }, None),
            (Body::Erased, Some("7")),
        ] {
            let envelope = Envelope { key, body, partial };
            let mut text = Vec::new();
            envelope.write(&mut text);
            let found = find(&text, SEALED_MEMBER).unwrap();
            assert_eq!(Envelope::parse(&text[found[0].value.clone()]), Ok(envelope));
        }
    }

    #[test]
    fn what_is_no_envelope_says_why() {
        let parse = |text: &str| Envelope::parse(text.as_bytes()).map(|_| ());
        let key = "AwMDAwMDAwMDAwMDAwMDAw";
        assert_eq!(parse(&format!(r#"{{"v":1,"k":"{key}"}}"#)), Ok(()));
        assert_eq!(parse(&format!(r#"{{"v":2,"k":"{key}"}}"#)), Err(MalformedEnvelope::Format { format: 2 }));
        assert_eq!(parse(r#"{"v":1,"k":"AwMD"}"#), Err(MalformedEnvelope::Base64 { member: "k" }));
        assert_eq!(parse(&format!(r#"{{"v":1,"k":"{key}","s":"A"}}"#)), Err(MalformedEnvelope::Shape));
        assert_eq!(parse(&format!(r#"{{"v":1,"k":"{key}","q":"A"}}"#)), Err(MalformedEnvelope::Shape));
        let long = "A".repeat(1_000);
        assert_eq!(
            parse(&format!(r#"{{"v":1,"k":"{long}"}}"#)),
            Err(MalformedEnvelope::Base64 { member: "k" })
        );
        assert_eq!(parse("7"), Err(MalformedEnvelope::Shape));
    }
}
