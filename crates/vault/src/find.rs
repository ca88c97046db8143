//! Where in an event's JSON are the objects that stand for personal values?

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use crate::envelope::{SEALED_MEMBER, Written};

/// Most levels of objects and arrays that are looked into.
pub const MAX_DEPTH: usize = 128;
/// Most sealed values in one event.
pub const MAX_ENVELOPES: usize = 1_000;

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
    if memmem::find(json, member.as_bytes()).is_none() {
        return Ok(Vec::new());
    }
    let mut spots = Spots::default();
    spots.search(json, member.as_bytes())?;
    let Spots { list, pointers } = spots;
    let found =
        |Spot { object, value, pointer, .. }| Found { object, value, pointer: pointers[pointer].to_owned() };
    Ok(list.into_iter().map(found).collect())
}

/// Whether the name of a sealed value's member is in it at all.
pub(crate) fn has_sealed_name(json: &[u8]) -> bool {
    // It is made once: each event of a log is looked through.
    static SEALED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(SEALED_MEMBER));
    SEALED.find(json).is_some()
}

/// One object that was found.
pub(crate) struct Spot<'a> {
    /// The whole object.
    pub(crate) object: Range<usize>,
    /// The value of the member.
    pub(crate) value: Range<usize>,
    /// Where its JSON pointer is in [`Spots::pointers`].
    pub(crate) pointer: Range<usize>,
    /// The envelope, where it was read on the way.
    pub(crate) written: Option<Written<'a>>,
}

/// The objects of many events, one after the other.
#[derive(Default)]
pub(crate) struct Spots<'a> {
    pub(crate) list: Vec<Spot<'a>>,
    pub(crate) pointers: String,
}

impl<'a> Spots<'a> {
    /// Adds the sealed values of one event's data, as [`find`] gives them. Adds none where that is an error.
    pub(crate) fn add_sealed(&mut self, json: &'a [u8]) -> Result<(), NotSearched> {
        if has_sealed_name(json) { self.search(json, SEALED_MEMBER.as_bytes()) } else { Ok(()) }
    }

    fn search(&mut self, json: &'a [u8], member: &[u8]) -> Result<(), NotSearched> {
        let before = (self.list.len(), self.pointers.len());
        let walk = Walk { json, at: 0, member, path: Vec::new(), first: before.0, spots: self };
        walk.run().inspect_err(|_| self.truncate(before))
    }

    fn len(&self) -> (usize, usize) {
        (self.list.len(), self.pointers.len())
    }

    fn truncate(&mut self, (list, pointers): (usize, usize)) {
        self.list.truncate(list);
        self.pointers.truncate(pointers);
    }
}

/// A step into a value.
enum Step<'a> {
    Key(&'a [u8]),
    Index(usize),
}

struct Walk<'a, 'w> {
    json: &'a [u8],
    at: usize,
    member: &'w [u8],
    path: Vec<Step<'a>>,
    /// The first spot of this text.
    first: usize,
    spots: &'w mut Spots<'a>,
}

impl<'a> Walk<'a, '_> {
    fn run(mut self) -> Result<(), NotSearched> {
        self.value()?;
        self.space();
        if self.at == self.json.len() { Ok(()) } else { Err(NotSearched::NotJson) }
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
            self.path.push(Step::Key(key));
            if key == self.member {
                let before = self.spots.len();
                let written = self.written();
                if written.is_none() {
                    self.value()?;
                }
                // What is inside belongs to it.
                self.spots.truncate(before);
                value = Some((from..self.at, written));
            } else {
                self.value()?;
            }
            self.path.pop();
            members += 1;
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => break,
            }
        }
        self.take(b'}')?;
        match value {
            None => Ok(()),
            Some(_) if members > 1 => Err(NotSearched::Beside { at: start }),
            Some(_) if self.spots.list.len() - self.first >= MAX_ENVELOPES => Err(NotSearched::TooMany),
            Some((value, written)) => {
                let pointer = self.pointer()?;
                self.spots.list.push(Spot { object: start..self.at, value, pointer, written });
                Ok(())
            }
        }
    }

    /// Goes past an envelope that is exactly as Factum writes it. There is nothing in one to look into.
    fn written(&mut self) -> Option<Written<'a>> {
        if self.member != SEALED_MEMBER.as_bytes() || self.path.len() >= MAX_DEPTH {
            return None;
        }
        let (written, length) = Written::as_written(&self.json[self.at..])?;
        self.at += length;
        Some(written)
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

    /// Where the pointer to what the path leads to was put.
    fn pointer(&mut self) -> Result<Range<usize>, NotSearched> {
        let pointers = &mut self.spots.pointers;
        let start = pointers.len();
        for step in &self.path {
            pointers.push('/');
            match step {
                // A text takes whatever is written to it.
                Step::Index(index) => drop(write!(pointers, "{index}")),
                Step::Key(raw) => {
                    let key = unescaped(raw).ok_or(NotSearched::NotJson)?;
                    if key.contains(['~', '/']) {
                        pointers.push_str(&key.replace('~', "~0").replace('/', "~1"));
                    } else {
                        pointers.push_str(&key);
                    }
                }
            }
        }
        Ok(start..pointers.len())
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

    /// A text like one of `good` with some changes.
    fn changed(random: &mut impl FnMut(usize) -> usize, good: &[u8]) -> Vec<u8> {
        let mut text = good.to_vec();
        for _ in 0..random(4) {
            let at = random(text.len() + 1);
            let words: [&[u8]; 10] =
                [b"\"", b"\\", b"{", b"}", b",\"p\":1", b" ", b":", b"\xff", b"A", b"$pii"];
            match random(4) {
                0 if at < text.len() => text[at] = u8::try_from(random(256)).unwrap(),
                1 => text.truncate(at),
                2 => drop(text.drain(at..at + random((text.len() - at).min(9) + 1))),
                _ => drop(text.splice(at..at, words[random(words.len())].iter().copied())),
            }
        }
        text
    }

    #[test]
    fn the_short_way_past_an_envelope_leads_where_the_long_one_does() {
        use crate::envelope::{Body, Envelope};
        use crate::seal::{SALT_BYTES, Sealed};
        use crate::subject::KeyId;

        let mut good = Vec::new();
        let body = Body::Here(Sealed { salt: [5; SALT_BYTES], bytes: vec![7; 49] });
        good.extend_from_slice(b"{\"a\":[");
        Envelope { key: KeyId([3; 16]), body: body.clone(), partial: None }.write(&mut good);
        good.extend_from_slice(b",{\"b~\":");
        Envelope { key: KeyId([4; 16]), body, partial: None }.write(&mut good);
        good.extend_from_slice(b"}]}");
        let mut state = 7_u64;
        let mut random = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((state >> 33) % limit as u64).unwrap()
        };
        let (mut short, mut long, mut refused) = (0, 0, 0);
        for _ in 0..100_000 {
            let text = changed(&mut random, &good);
            // The other name, by chance.
            if memmem::find(&text, b"$pij").is_some() {
                continue;
            }
            let mut spots = Spots::default();
            let searched = spots.search(&text, SEALED_MEMBER.as_bytes());
            // Under another name of the same length there is only the long way.
            let mut renamed = text.clone();
            for at in memmem::find_iter(&text, SEALED_MEMBER) {
                renamed[at..at + 4].copy_from_slice(b"$pij");
            }
            let mut same = Spots::default();
            assert_eq!(searched, same.search(&renamed, b"$pij"), "{}", String::from_utf8_lossy(&text));
            assert_eq!(spots.list.len(), same.list.len());
            refused += usize::from(searched.is_err());
            for (spot, found) in spots.list.iter().zip(&same.list) {
                assert_eq!((&spot.object, &spot.value), (&found.object, &found.value));
                let pointer = same.pointers[found.pointer.clone()].replace("$pij", SEALED_MEMBER);
                assert_eq!(spots.pointers[spot.pointer.clone()], pointer);
                let parsed = Written::parse(&text[spot.value.clone()]);
                match &spot.written {
                    // What is in the place of the sealed bytes may be no text: then it is no base64 either.
                    Some(written) if parsed.is_err() => {
                        let crate::envelope::WrittenBody::Here { sealed, .. } = written.body else {
                            panic!("the short way is for values that are here")
                        };
                        assert!(Written::decode(sealed, &mut Vec::new()).is_err());
                    }
                    Some(written) => {
                        short += 1;
                        assert_eq!(parsed.as_ref(), Ok(written));
                    }
                    None => long += usize::from(parsed.is_ok()),
                }
            }
        }
        assert!(short > 10_000 && long > 100 && refused > 1_000, "{short} {long} {refused}");
    }
}
