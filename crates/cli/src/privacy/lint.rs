//! What looks like personal data where none may be: in names, tags and metadata, which no vault seals?

use factum_core::RecordedEvent;
use serde_json::Value;

/// Fewest and most digits of a telephone number with its country.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// Something that looks like personal data, by its place: the text itself is not repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    /// Where in the event.
    pub(super) place: String,
    /// What it looks like.
    pub(super) looks_like: &'static str,
}

/// What is suspect in an event beside its data.
pub(super) fn suspects(event: &RecordedEvent) -> Vec<Suspect> {
    let mut found = Vec::new();
    let mut look = |place: String, text: &str| {
        if let Some(looks_like) = looks_like(text) {
            found.push(Suspect { place, looks_like });
        }
    };
    look("stream name".to_owned(), event.stream());
    look("event type".to_owned(), event.event_type());
    for (index, tag) in event.tags().enumerate() {
        look(format!("tag {}", index + 1), tag);
    }
    if let Ok(metadata) = serde_json::from_slice::<Value>(event.metadata_slice()) {
        walk("metadata", &metadata, &mut look);
    }
    found
}

fn walk(place: &str, value: &Value, look: &mut impl FnMut(String, &str)) {
    match value {
        Value::String(text) => look(place.to_owned(), text),
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                walk(&format!("{place}/{index}"), value, look);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                walk(&format!("{place}/{name}"), value, look);
            }
        }
        _ => {}
    }
}

/// What a text looks like, if it looks like anything personal.
fn looks_like(text: &str) -> Option<&'static str> {
    let word = |c: char| c.is_alphanumeric() || "._%+-@".contains(c);
    if text.split(|c| !word(c)).any(is_mail) {
        return Some("an e-mail address");
    }
    text.match_indices('+').any(|(at, _)| is_phone(&text[at + 1..])).then_some("a telephone number")
}

fn is_mail(word: &str) -> bool {
    let Some((user, host)) = word.split_once('@') else { return false };
    let Some((name, top)) = host.rsplit_once('.') else { return false };
    !user.is_empty()
        && !name.is_empty()
        && !host.contains('@')
        && top.len() >= 2
        && top.chars().all(char::is_alphabetic)
}

/// Digits with what people write between them, up to something else.
fn is_phone(rest: &str) -> bool {
    let number: Vec<char> = rest.chars().take_while(|c| c.is_ascii_digit() || " ()-/".contains(*c)).collect();
    number.first().is_some_and(char::is_ascii_digit)
        && PHONE_DIGITS.contains(&number.iter().filter(|c| c.is_ascii_digit()).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_numbers_are_seen_and_other_texts_are_not() {
        for mail in [
            "ada@example.org",
            "customer-ada.l@mail.example.co",
            "mailto:ada@example.org?x",
            "user:Ü@exämple.de",
        ] {
            assert_eq!(looks_like(mail), Some("an e-mail address"), "{mail}");
        }
        for phone in ["+43 664 1234567", "tel:+1-202-555-0143", "+431234567"] {
            assert_eq!(looks_like(phone), Some("a telephone number"), "{phone}");
        }
        for other in [
            "order-17",
            "customer:8f31",
            "a@b",
            "order@3",
            "1+1",
            "2026-11-27T10:00:00+01:00",
            "@",
            "a@.b",
            "+12 34",
        ] {
            assert_eq!(looks_like(other), None, "{other}");
        }
    }
}
