//! The documents about the API: for programs and for people.

use std::path::Path;

use super::house;

/// Set to write the document anew.
const WRITE: &str = "FACTUM_WRITE_OPENAPI";

#[tokio::test]
async fn the_committed_document_is_the_one_that_is_served() {
    let (_house, web) = house().await;
    let served = web.get("/openapi.json").await;
    assert_eq!(served.json()["openapi"], "3.1.0");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &served.text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == served.text, "docs/openapi.json is not current: run this test once with {WRITE}=1");
}

#[tokio::test]
async fn every_route_that_is_described_is_answered() {
    let (_house, web) = house().await;
    let document = web.get("/openapi.json").await.json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{stream}", "s").replace(['{', '}'], "");
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase().parse().unwrap();
            if path == "/v1/live" {
                continue;
            }
            let answer = web.send(method, &path, "").await;
            assert_ne!(answer.status.as_u16(), 405, "{path}");
            if answer.status.as_u16() == 404 {
                assert_ne!(answer.problem(), "no-such-route", "{path}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_for_people_needs_nothing_from_elsewhere() {
    let (_house, web) = house().await;
    let page = web.get("/docs/api").await;
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
    let address = page.text.split('"').filter(|text| text.starts_with("/docs/api/"));
    for path in address {
        let part = web.open(http::Method::GET, path, axum::body::Body::empty()).await;
        assert_eq!(part.status().as_u16(), 200, "{path}");
    }
    assert_eq!(web.get("/docs/api/other.js").await.problem(), "not-found");
}
