//! In which form does a caller want the answer?

use http::HeaderMap;
use http::header::ACCEPT;

use super::problem::{Problem, Slug};

/// The forms that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `application/json`.
    Json,
    /// `text/event-stream`.
    EventStream,
    /// `application/x-ndjson`.
    Ndjson,
    /// `application/cloudevents+json`.
    CloudEvent,
    /// `application/cloudevents-batch+json`.
    CloudEvents,
}

impl Form {
    /// Whether it has no end of its own.
    pub(crate) fn follows(self) -> bool {
        matches!(self, Form::EventStream | Form::Ndjson)
    }

    /// Its media type.
    pub(crate) fn media(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::EventStream => "text/event-stream",
            Form::Ndjson => "application/x-ndjson",
            Form::CloudEvent => "application/cloudevents+json",
            Form::CloudEvents => "application/cloudevents-batch+json",
        }
    }
}

/// The best of `offered` for this caller; the first of them where it does not say, or takes anything.
///
/// # Errors
/// `not-acceptable` where it takes none of them.
pub(crate) fn form(headers: &HeaderMap, offered: &[Form]) -> Result<Form, Problem> {
    let asked: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut best: Option<(u16, Form)> = None;
    let mut said_anything = false;
    for range in
        asked.iter().flat_map(|value| value.split(',')).map(str::trim).filter(|range| !range.is_empty())
    {
        said_anything = true;
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1_000, thousandths);
        let Some(found) = offered.iter().copied().find(|form| covers(media, form.media())) else { continue };
        if weight > 0 && best.is_none_or(|(other, _)| weight > other) {
            best = Some((weight, found));
        }
    }
    match (best, offered.first()) {
        (Some((_, form)), _) => Ok(form),
        (None, Some(form)) if !said_anything => Ok(*form),
        _ => {
            let media: Vec<_> = offered.iter().map(|form| form.media()).collect();
            Err(Problem::new(Slug::NotAcceptable, format!("this address answers with {}", media.join(", "))))
        }
    }
}

fn covers(range: &str, media: &str) -> bool {
    let kind = range.strip_suffix("/*");
    range == "*/*"
        || range.eq_ignore_ascii_case(media)
        || kind.is_some_and(|kind| media.split('/').next().is_some_and(|of| of.eq_ignore_ascii_case(kind)))
}

/// A weight such as `0.8`; one that cannot be read is as good as none.
fn thousandths(text: &str) -> u16 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let fraction = rest.bytes().chain(std::iter::repeat(b'0')).take(3);
    let fraction = fraction.fold(0_u16, |sum, digit| sum * 10 + u16::from(digit.wrapping_sub(b'0').min(9)));
    if whole == "0" { fraction } else { 1_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: [Form; 3] = [Form::Json, Form::EventStream, Form::Ndjson];

    fn of(accept: &str) -> Option<Form> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().expect("a value"));
        form(&headers, &OFFERED).ok()
    }

    #[test]
    fn the_heaviest_range_wins_and_anything_is_the_first() {
        assert_eq!(form(&HeaderMap::new(), &OFFERED).ok(), Some(Form::Json));
        assert_eq!(of("*/*"), Some(Form::Json));
        assert_eq!(of("text/event-stream"), Some(Form::EventStream));
        assert_eq!(of("application/json;q=0.5, application/x-ndjson"), Some(Form::Ndjson));
        assert_eq!(of("text/html, */*;q=0.1"), Some(Form::Json));
        assert_eq!(of("text/*"), Some(Form::EventStream));
        for none in ["text/html", "application/json;q=0", "application/json;q=0.000"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
