//! What a browser gets from the console's routes.
#![allow(clippy::unwrap_used)]

use axum::body::{Body, to_bytes};
use factum_console::{Environment, Look, Mode, Options, Routes, manual, routes};
use http::{HeaderMap, Request, StatusCode};
use tower_service::Service;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

async fn ask_with(options: Options, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask_of(routes(options).merge(manual::routes()), path, headers).await
}

async fn ask_of(mut routes: Routes, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = routes.call(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, 10_000_000).await.unwrap().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

async fn ask(path: &str) -> Answer {
    ask_with(Options::default(), path, &[]).await
}

/// The address of a file, as the page names it.
async fn address(file: &str) -> String {
    let page = ask("/ui/").await.text();
    let end = page.find(&format!("/{file}\"")).unwrap();
    let start = page[..end].rfind('"').unwrap() + 1;
    format!("{}/{file}", &page[start..end])
}

#[tokio::test]
async fn every_address_is_the_page_under_a_strict_policy() {
    for path in ["/ui/", "/ui/streams/a%2Fb%20c", "/ui/streams/x/state?at=3", "/ui/no/such/screen"] {
        let answer = ask(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-cache");
        let text = answer.text();
        assert!(!text.contains("<style") && !text.contains("style=") && !text.contains("http://"), "{text}");
        for script in text.split("<script").skip(1) {
            assert!(script.contains("src=") && script.contains("></script>"), "an inline script: {script}");
        }
    }
}

#[tokio::test]
async fn a_visitor_is_led_to_the_console() {
    for path in ["/", "/ui"] {
        let answer = ask(path).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::TEMPORARY_REDIRECT, "/ui/"));
    }
}

#[tokio::test]
async fn files_are_kept_for_a_year_and_packed() {
    let path = address("app.js").await;
    let plain = ask(&path).await;
    assert_eq!(plain.status, StatusCode::OK);
    assert_eq!(plain.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(plain.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(plain.header("content-encoding"), "");
    let packed = ask_with(Options::default(), &path, &[("accept-encoding", "br, gzip")]).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() < plain.body.len());
    let refused = ask_with(Options::default(), &path, &[("accept-encoding", "gzip;q=0")]).await;
    assert_eq!(refused.body, plain.body);
}

#[tokio::test]
async fn files_of_another_version_are_absent() {
    let path = address("app.js").await;
    let (before, name) = path.rsplit_once('/').unwrap();
    let other = format!("{}/0000/{name}", before.rsplit_once('/').unwrap().0);
    assert_eq!(ask(&other).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask(&format!("{before}/nothing.js")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_page_is_not_sent_twice() {
    let first = ask("/ui/").await;
    let again = ask_with(Options::default(), "/ui/", &[("if-none-match", first.header("etag"))]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert!(again.body.is_empty());
    let other = Options { mode: Mode::ReadOnly, ..Options::default() };
    assert_eq!(
        ask_with(other, "/ui/", &[("if-none-match", first.header("etag"))]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn the_environment_is_text() {
    let environment = Some(Environment { name: "<b>prod</b>".to_owned(), look: Look::Production });
    let page = ask_with(Options { environment, ..Options::default() }, "/ui/", &[]).await.text();
    assert!(page.contains("&#60;b&#62;prod") && !page.contains("<b>"), "{page}");
}

#[tokio::test]
async fn the_manual_is_served_under_the_same_policy_and_leads_to_itself() {
    assert_eq!(ask("/docs").await.header("location"), "/docs/");
    for path in [
        "/docs/",
        "/docs/guides/aggregate",
        "/docs/reference/cli",
        "/docs/reference/http",
        "/docs/reference/format",
    ] {
        let answer = ask(path).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::OK, "text/html; charset=utf-8"),
            "{path}"
        );
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        let text = answer.text();
        for refused in ["style=", "<script", "<style", "{{#"] {
            assert!(!text.contains(refused), "{path} has {refused}");
        }
        assert!(text.contains("<h1") && text.contains("aria-current=\"page\"") || path == "/docs/", "{path}");
    }
    assert!(ask("/docs/guides/aggregate").await.text().contains("impl Decider for Orders"));
    assert_eq!(ask("/docs/pictures/time-travel.png").await.header("content-type"), "image/png");
    assert_eq!(ask("/docs/manual.css").await.header("content-type"), "text/css; charset=utf-8");
    assert!(ask("/docs/manual.md").await.text().contains("# Replay a bug"));
    for path in ["/docs/no/such/page", "/docs/pictures/../../Cargo.toml", "/docs/README.md"] {
        let answer = ask(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text().contains("No such page"), "{path}");
    }
}
