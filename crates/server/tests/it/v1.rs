//! The HTTP API through its port, with a client that knows nothing but HTTP.

mod events;
mod folds;
mod following;
mod front;
mod jobs;
mod lists;
mod machine;
mod openapi;
mod operations;
mod parked;
mod problems;
mod rights;
mod session;
mod time_travel;
mod writing;

use axum::body::{Body, to_bytes};
use factum_server::RunningServer;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::house::House;

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The slug of the problem that it is.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{} {}", self.status, self.text);
        let document = self.json();
        assert_eq!(document["status"], self.status.as_u16());
        for field in ["title", "detail", "next", "instance", "requestId"] {
            assert!(document[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {}", self.text);
        }
        document["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned()
    }
}

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Web {
    address: String,
    headers: Vec<(String, String)>,
}

impl Web {
    pub(crate) fn of(server: &RunningServer) -> Self {
        Self { address: server.address().to_string(), headers: Vec::new() }
    }

    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    /// Sends one request on a connection of its own; its answer's body is not read yet.
    pub(crate) async fn open(&self, method: Method, path: &str, body: Body) -> http::Response<Body> {
        let socket = TcpStream::connect(&self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header("host", &self.address);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        sender.send_request(request.body(body).unwrap()).await.unwrap().map(Body::new)
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        let (parts, body) = self.open(method, path, body.into()).await.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Body::empty()).await
    }

    /// Sends JSON.
    pub(crate) async fn put_json(&self, method: Method, path: &str, body: &str) -> Answer {
        self.with("content-type", "application/json").send(method, path, body.to_owned()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.put_json(Method::POST, path, body).await
    }
}

/// A server over an empty log, and its client.
pub(crate) async fn house() -> (House, Web) {
    let house = House::new().await;
    let web = Web::of(&house.server);
    (house, web)
}

/// The revisions of a page's events.
pub(crate) fn revisions(page: &Value) -> Vec<u64> {
    page["items"].as_array().unwrap().iter().map(|event| event["revision"].as_u64().unwrap()).collect()
}
