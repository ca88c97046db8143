//! One table of routes: what is answered, and what is told of it, cannot differ.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};

use crate::shared::Shared;

/// One operation, as the OpenAPI document describes it.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// Its name in clients that are generated: `listStreams`.
    pub(crate) id: &'static str,
    /// The part of the API that it belongs to.
    pub(crate) part: &'static str,
    /// What it does, in a sentence.
    pub(crate) summary: &'static str,
    /// Its parameters in the address's query.
    pub(crate) query: Vec<Param>,
    /// The headers that it looks at.
    pub(crate) headers: Vec<Param>,
    /// Media types of its body, each with the name of its schema; empty: it has none.
    pub(crate) body: &'static [(&'static str, &'static str)],
    /// Status of the usual answer.
    pub(crate) status: u16,
    /// Media types of the usual answer, each with the name of its schema.
    pub(crate) answer: &'static [(&'static str, &'static str)],
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: &'static str,
    /// What values it takes.
    pub(crate) kind: Kind,
    /// What it is for.
    pub(crate) what: &'static str,
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// Any text, several times.
    Texts,
    /// A whole number from 0.
    Number,
    /// A whole number from 0, several times.
    Numbers,
    /// How many entries, from 1; more than 1,000 are 1,000.
    Limit,
    /// True or false.
    Flag,
    /// One of these; the first is meant where it is left out.
    OneOf(&'static [&'static str]),
    /// Text that matches a regular expression.
    Like(&'static str),
}

impl Param {
    /// A parameter.
    pub(crate) const fn new(name: &'static str, kind: Kind, what: &'static str) -> Self {
        Self { name, kind, what }
    }
}

/// How many entries an answer has.
pub(crate) const LIMIT: Param = Param::new("limit", Kind::Limit, "Most entries of the answer");
/// Where a list goes on.
pub(crate) const CURSOR: Param = Param::new("cursor", Kind::Text, "Where the list goes on: from `page.next`");
/// The position that the answer is to have seen.
pub(crate) const AFTER: Param =
    Param::new("after", Kind::Like("^[0-9]{0,19}$"), "Answer once the log has come to this position");
/// How long to wait for that.
pub(crate) const WAIT: Param = Param::new(
    "wait",
    Kind::Like("^([0-9]{1,5}(ms|s)?)?$"),
    "How long to wait for `after`: 2s, 500ms, at most 30s",
);

impl Operation {
    /// An operation that answers 200, and whose answer has no schema yet.
    pub(crate) fn new(id: &'static str, part: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            part,
            summary,
            query: Vec::new(),
            headers: Vec::new(),
            body: &[],
            status: 200,
            answer: &[],
        }
    }

    /// With these parameters.
    #[must_use]
    pub(crate) fn query(mut self, query: &[Param]) -> Self {
        self.query = query.to_vec();
        self
    }

    /// With these headers.
    #[must_use]
    pub(crate) fn headers(mut self, headers: &[Param]) -> Self {
        self.headers = headers.to_vec();
        self
    }

    /// With a body of one of these media types.
    #[must_use]
    pub(crate) fn body(mut self, body: &'static [(&'static str, &'static str)]) -> Self {
        self.body = body;
        self
    }

    /// With an answer of one of these media types.
    #[must_use]
    pub(crate) fn answer(mut self, answer: &'static [(&'static str, &'static str)]) -> Self {
        self.answer = answer;
        self
    }

    /// With another status than 200.
    #[must_use]
    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// Method, path and operation of a route.
pub(crate) type Described = (&'static str, &'static str, Operation);

/// The routes, and what is told of them.
pub(crate) struct Api {
    router: Router<Arc<Shared>>,
    operations: Vec<Described>,
}

impl Api {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), operations: Vec::new() }
    }

    fn route<H, T>(
        mut self,
        (filter, method): (MethodFilter, &'static str),
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self
    where
        H: Handler<T, Arc<Shared>>,
        T: 'static,
    {
        self.router = self.router.route(path, on(filter, handler));
        self.operations.push((method, path, operation));
        self
    }

    /// Answers `GET`, and `HEAD` with it.
    pub(crate) fn get<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, Arc<Shared>>,
        T: 'static,
    {
        self.route((MethodFilter::GET, "get"), path, handler, operation)
    }

    /// Answers `POST`.
    pub(crate) fn post<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, Arc<Shared>>,
        T: 'static,
    {
        self.route((MethodFilter::POST, "post"), path, handler, operation)
    }

    /// Answers `PUT`.
    pub(crate) fn put<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, Arc<Shared>>,
        T: 'static,
    {
        self.route((MethodFilter::PUT, "put"), path, handler, operation)
    }

    /// Answers `DELETE`.
    pub(crate) fn delete<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, Arc<Shared>>,
        T: 'static,
    {
        self.route((MethodFilter::DELETE, "delete"), path, handler, operation)
    }

    /// The two halves.
    pub(crate) fn into_parts(self) -> (Router<Arc<Shared>>, Vec<Described>) {
        (self.router, self.operations)
    }
}
