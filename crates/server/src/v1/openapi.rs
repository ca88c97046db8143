//! The API for programs: an OpenAPI 3.1 document, made of the same table that the routes are made of.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::{Map, Value, json};

use super::answer::tagged;
use super::ask::Ask;
use super::problem::{Problem, Slug};
use super::route::{Described, Kind, Operation, Param};

/// What answers and bodies look like, by name.
const SCHEMAS: &str = include_str!("openapi/schemas.json");
/// Swagger UI, compressed; `openapi/VENDOR.md` says where it comes from.
const SWAGGER_JS: &[u8] = include_bytes!("openapi/swagger-ui-bundle.js.gz");
const SWAGGER_CSS: &[u8] = include_bytes!("openapi/swagger-ui.css.gz");
/// Swagger UI styles what it draws by itself, and its icons are in its style sheet.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Factum: the HTTP API</title>\
                    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
                    <link rel=\"stylesheet\" href=\"/docs/api/swagger-ui.css\"><div id=\"api\"></div>\
                    <script src=\"/docs/api/swagger-ui-bundle.js\"></script><script src=\"/docs/api/start.js\"></script></html>";
const START: &str = "SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', deepLinking: true, validatorUrl: null, \
     requestInterceptor: request => { request.headers['X-Factum-Csrf'] = '1'; return request; } });\n";

/// Bodies that must be there.
const NEEDED: [&str; 4] = ["NewEvents", "Append", "StreamMetadata", "SignIn"];

/// The document, as it is served and as `docs/openapi.json` has it.
pub(super) static TEXT: LazyLock<String> = LazyLock::new(|| {
    let document = document(&super::api().into_parts().1);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
});

/// `/openapi.json`.
pub(super) async fn json_document(ask: Ask) -> Response {
    tagged(&ask.headers, "application/json", TEXT.clone())
}

/// `/docs/api`.
pub(super) async fn page() -> Response {
    ([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(PAGE)).into_response()
}

/// What the page loads.
pub(super) async fn part(ask: Ask) -> Response {
    let compressed = |media: &'static str, bytes: &'static [u8]| {
        ([(CONTENT_TYPE, media), (CONTENT_ENCODING, "gzip")], bytes).into_response()
    };
    match ask.path("part") {
        "swagger-ui-bundle.js" => compressed("text/javascript", SWAGGER_JS),
        "swagger-ui.css" => compressed("text/css", SWAGGER_CSS),
        "start.js" => ([(CONTENT_TYPE, "text/javascript")], START).into_response(),
        _ => Problem::new(Slug::NotFound, "the documentation has no such part").into_response(),
    }
}

fn document(operations: &[Described]) -> Value {
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    let mut paths: Map<String, Value> = Map::new();
    let mut parts: Vec<&str> = Vec::new();
    for (method, path, operation) in operations {
        let entry = paths.entry((*path).to_owned()).or_insert_with(|| json!({}));
        entry[method] = described(path, operation);
        if !parts.contains(&operation.part) {
            parts.push(operation.part);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Factum",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Everything that a store knows, as JSON over HTTP. Problems are application/problem+json (RFC 9457).",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "basic": [] }, { "bearer": [] }, { "session": [] }],
        "tags": parts.iter().map(|part| json!({ "name": part })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "basic": { "type": "http", "scheme": "basic" },
                "bearer": { "type": "http", "scheme": "bearer" },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "factum_session_2113",
                    "description": "From POST /v1/session; the name ends with the server's port. Writes need the header X-Factum-Csrf: 1.",
                },
            },
        },
    })
}

fn described(path: &str, operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        parameters.push(json!({
            "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 },
        }));
    }
    parameters.extend(operation.query.iter().map(|param| parameter("query", param)));
    parameters.extend(operation.headers.iter().map(|param| parameter("header", param)));
    let answer = |description: &str| {
        let mut answer = json!({ "description": description });
        if !operation.answer.is_empty() {
            answer["content"] = content(operation.answer);
        }
        answer
    };
    let mut responses = json!({
        "default": {
            "description": "A problem",
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        },
    });
    responses[operation.status.to_string()] = answer("Done");
    if operation.status != 200 {
        responses["200"] = answer("Done already, or only asked about");
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.part],
        "parameters": parameters,
        "responses": responses,
    });
    if !operation.body.is_empty() {
        // Where every field has its default, no body at all is one.
        let required = operation.body.iter().any(|(_, schema)| NEEDED.contains(schema));
        described["requestBody"] = json!({ "required": required, "content": content(operation.body) });
    }
    described
}

fn content(of: &[(&str, &str)]) -> Value {
    let mut content = Map::new();
    for (media, schema) in of {
        let schema = json!({ "schema": { "$ref": format!("#/components/schemas/{schema}") } });
        content.insert((*media).to_owned(), schema);
    }
    content.into()
}

fn parameter(place: &str, param: &Param) -> Value {
    let schema = match param.kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string", "minLength": 1 } }),
        Kind::Number => json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX }),
        Kind::Numbers => {
            json!({ "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": u64::MAX } })
        }
        Kind::Limit => json!({ "type": "integer", "minimum": 1 }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::Like(pattern) => json!({ "type": "string", "pattern": pattern }),
    };
    json!({ "name": param.name, "in": place, "description": param.what, "schema": schema })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_schema_that_is_named_is_there_and_every_operation_has_its_own_name() {
        let (_, operations) = super::super::api().into_parts();
        let document = document(&operations);
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        let text = document.to_string();
        for named in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(schemas.contains_key(named), "{named}");
        }
        let ids: HashSet<&str> = operations.iter().map(|(_, _, operation)| operation.id).collect();
        assert_eq!(ids.len(), operations.len());
    }
}
