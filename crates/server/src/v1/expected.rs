//! What does a writer believe about a stream? As headers (RFC 9110's preconditions), and as JSON.

use factum_core::{ExpectedRevision, Revision};
use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use serde_json::Value;

use super::problem::Problem;

/// What the headers expect: nothing, that there is no stream, that there is one, or its last revision.
///
/// # Errors
/// `bad-parameter` with the header that cannot be read.
pub(crate) fn expected_of(headers: &HeaderMap) -> Result<ExpectedRevision, Problem> {
    match (one(headers, &IF_MATCH)?, one(headers, &IF_NONE_MATCH)?) {
        (None, None) => Ok(ExpectedRevision::Any),
        (None, Some("*")) => Ok(ExpectedRevision::NoStream),
        (None, Some(_)) => Err(Problem::parameter(
            "If-None-Match",
            "If-None-Match of a write is '*': the stream must not exist; for a revision there is If-Match",
        )),
        (Some("*"), None) => Ok(ExpectedRevision::StreamExists),
        (Some(tag), None) => {
            let revision = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(number);
            revision.map(ExpectedRevision::Exact).ok_or_else(|| {
                Problem::parameter("If-Match", "If-Match is '*' or one revision in quotes: If-Match: \"17\"")
            })
        }
        (Some(_), Some(_)) => {
            Err(Problem::parameter("If-Match", "If-Match and If-None-Match exclude each other: give one"))
        }
    }
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let wrong = || Problem::parameter(name.as_str(), format!("{name} is given once, as text"));
    if values.next().is_some() {
        return Err(wrong());
    }
    value.to_str().map(|text| Some(text.trim())).map_err(|_| wrong())
}

fn number(text: &str) -> Option<Revision> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok().map(Revision)).flatten()
}

/// What `expected` in a body says.
pub(crate) fn expected_from(value: &Value) -> Option<ExpectedRevision> {
    match value {
        Value::Null => Some(ExpectedRevision::Any),
        Value::String(word) => match word.as_str() {
            "any" => Some(ExpectedRevision::Any),
            "noStream" => Some(ExpectedRevision::NoStream),
            "exists" => Some(ExpectedRevision::StreamExists),
            _ => None,
        },
        Value::Number(number) => number.as_u64().map(|number| ExpectedRevision::Exact(Revision(number))),
        _ => None,
    }
}

/// The same as JSON.
pub(crate) fn expected_value(expected: ExpectedRevision) -> Value {
    match expected {
        ExpectedRevision::Any => "any".into(),
        ExpectedRevision::NoStream => "noStream".into(),
        ExpectedRevision::StreamExists => "exists".into(),
        ExpectedRevision::Exact(revision) => revision.0.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> Option<ExpectedRevision> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a value"));
        }
        expected_of(&headers).ok()
    }

    #[test]
    fn preconditions_are_expectations() {
        assert_eq!(of(&[]), Some(ExpectedRevision::Any));
        assert_eq!(of(&[("if-none-match", "*")]), Some(ExpectedRevision::NoStream));
        assert_eq!(of(&[("if-match", "*")]), Some(ExpectedRevision::StreamExists));
        assert_eq!(of(&[("if-match", "\"17\"")]), Some(ExpectedRevision::Exact(Revision(17))));
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_not_taken_for_anything() {
        for bad in ["17", "\"\"", "\"-1\"", "\"+1\"", "W/\"17\"", "\"1\", \"2\"", "\"99999999999999999999\""]
        {
            assert_eq!(of(&[("if-match", bad)]), None, "{bad}");
        }
        assert_eq!(of(&[("if-none-match", "\"17\"")]), None);
        assert_eq!(of(&[("if-match", "*"), ("if-none-match", "*")]), None);
        assert_eq!(of(&[("if-match", "\"1\""), ("if-match", "\"2\"")]), None);
    }
}
