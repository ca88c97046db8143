//! How an answer is put together: JSON that splices stored text as it is, tags for caches, links to other pages.

use axum::response::{IntoResponse, Response};
use factum_protocol::{Breaks, Payload, write_event_with};
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::problem::{Problem, Slug};
use crate::source::Resolved;

/// Bytes of a digest that make a tag.
const TAG_BYTES: usize = 12;

/// An answer as JSON.
pub(crate) fn json(value: &impl Serialize) -> Response {
    with_status(StatusCode::OK, value)
}

/// An answer as JSON, with another status.
pub(crate) fn with_status(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => Problem::new(Slug::Internal, error.to_string()).into_response(),
    }
}

/// A body, with a tag that is its own; a caller who has it already gets 304.
pub(crate) fn tagged(headers: &HeaderMap, media: &'static str, body: String) -> Response {
    use std::fmt::Write;
    let digest = Sha256::digest(body.as_bytes());
    let mut tag = String::from("\"");
    for byte in &digest[..TAG_BYTES] {
        // Writing into a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    let has_it = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    });
    if has_it {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    ([(CONTENT_TYPE, media.to_owned()), (ETAG, tag)], body).into_response()
}

/// Says where the pages before and after are.
pub(crate) fn linked(mut response: Response, next: Option<&str>, prev: Option<&str>) -> Response {
    for (url, rel) in [(next, "next"), (prev, "prev")] {
        let link = url.and_then(|url| HeaderValue::try_from(format!("<{url}>; rel=\"{rel}\"")).ok());
        if let Some(link) = link {
            response.headers_mut().append(LINK, link);
        }
    }
    response
}

/// An event as JSON, with the link that led to it. A link that leads nowhere stands for itself.
pub(crate) fn event_json(resolved: &Resolved, payload: Payload, breaks: Breaks) -> String {
    let mut out = Vec::new();
    match resolved {
        Resolved { event: Some(event), link } => {
            write_event_with(event, link.as_ref(), payload, breaks, &mut out);
        }
        Resolved { event: None, link: Some(link) } => write_event_with(link, None, payload, breaks, &mut out),
        Resolved { event: None, link: None } => out.extend_from_slice(b"null"),
    }
    // Names are UTF-8, and payloads are spliced in only where they are JSON.
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Text as it stands in an address: everything but letters, digits and `-._~` is escaped.
pub(crate) fn escaped(name: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A name as it stands in a path. `.` and `..` are a way up there, also escaped: browsers and proxies take them out. So they get
/// a `~` in front, and so does a name that looks like that: `.` is `~.`, and `~.` is `~~.`.
pub(crate) fn segment(name: &str) -> String {
    let mark = if is_dots(name) { "~" } else { "" };
    format!("{mark}{}", escaped(name))
}

/// The name that a decoded segment of a path stands for.
pub(crate) fn of_segment(text: &str) -> &str {
    text.strip_prefix('~').filter(|rest| is_dots(rest)).unwrap_or(text)
}

/// Whether it is `.` or `..`, after any number of `~`.
fn is_dots(text: &str) -> bool {
    matches!(text.trim_start_matches('~'), "." | "..")
}

/// An address with parameters; those without a value are left out.
pub(crate) fn url(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut url = path.to_owned();
    let given = parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    for (number, (name, value)) in given.enumerate() {
        url.push(if number == 0 { '?' } else { '&' });
        url.push_str(name);
        url.push('=');
        url.push_str(&escaped(value));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_any_name() {
        assert_eq!(escaped("a/b $é"), "a%2Fb%20%24%C3%A9");
        let parameters = [("a", Some("1&2".to_owned())), ("b", None), ("c", Some("x".to_owned()))];
        assert_eq!(url("/p", &parameters), "/p?a=1%262&c=x");
    }

    #[test]
    fn names_that_are_a_way_up_have_an_address_of_their_own() {
        for (name, address) in [
            (".", "~."),
            ("..", "~.."),
            ("~.", "~~."),
            ("~~..", "~~~.."),
            ("...", "..."),
            ("~", "~"),
            (".a", ".a"),
            ("~.a", "~.a"),
            ("a/b", "a%2Fb"),
        ] {
            assert_eq!(segment(name), address);
            assert_eq!(of_segment(&address.replace("%2F", "/")), name);
        }
        // Who can send a dot as it is may.
        assert_eq!(of_segment(".."), "..");
    }

    #[test]
    fn a_tag_is_of_the_body() {
        let of = |body: &str, headers: &HeaderMap| tagged(headers, "application/json", body.to_owned());
        let first = of("a", &HeaderMap::new());
        let tag = first.headers()[ETAG].clone();
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, tag);
        assert_eq!(of("a", &headers).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(of("b", &headers).status(), StatusCode::OK);
    }
}
