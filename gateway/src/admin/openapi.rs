//! `/api/v1/openapi.json`: what the API is, for programs, as its routes say it themselves.

use std::sync::{Arc, LazyLock};

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::response::Response as Said;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, Content, InfoBuilder, License, OpenApi, Ref, RefOr, Required, Server,
};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Fault, Sources, server};

/// The cookie of somebody who is logged in.
pub const SESSION_COOKIE: &str = "portcullis";
/// What a change of a page's script brings along instead of a field of a form.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// What comes before all paths.
const DESCRIPTION: &str = "What the daemon knows and does: the same for commands, pages and programs.

On the unix socket of `[admin]` whoever may open it may do everything, and names the author of a change in the request. Over TCP, \
where `[web]` says, a program sends `Authorization: Bearer TOKEN` with the token that `portcullis web token` shows; a page has a \
session. The author is then whoever is logged in, whom the request need not name.

What is not done is a problem of RFC 9457 with a `hint`. Where an answer has a `limit`, it has a maximum, too. Lengths are octets, \
and what ends in `_s` is seconds.";

/// What the paths are about, in the order in which a person would ask.
const TAGS: [(&str, &str); 16] = [
    ("status", "What the daemon is doing"),
    ("decisions", "Why mail was refused, put off or let in, and what would be decided now"),
    ("records", "The audit trail, searched and counted"),
    ("lists", "Lists and their entries"),
    ("feeds", "Lists that are fetched"),
    ("zones", "DNS zones that are asked"),
    ("slider", "The thresholds of the score"),
    ("senders", "The greylist"),
    ("quarantine", "Messages that are held back"),
    ("reviews", "Requests to look at an address again"),
    ("pause", "Everything passes for a while"),
    ("tap", "What happens to one address, live"),
    ("live", "Numbers for graphs"),
    ("log", "What the log says"),
    ("configuration", "What is configured, and this document"),
    ("monitoring", "For programs that watch many hosts"),
];

/// Faults that are the same for many paths: the code, the name in the document, and what it means.
const FAULTS: [(&str, &str, &str); 7] = [
    ("400", NO_JSON, "The body is no JSON"),
    ("401", STRANGER, "Over TCP: nobody is logged in, or the token is a wrong one"),
    ("403", FORBIDDEN, "Over TCP: a viewer changes nothing, or the request is of no page of ours"),
    ("413", TOO_LONG, "The body is longer than 2 MiB"),
    ("415", NO_TYPE, "The body is not said to be JSON"),
    ("422", UNREAD, "The body says something unknown, or too little"),
    ("default", OTHER, "Any other fault; where it is the daemon's own, its log says more"),
];
const NO_JSON: &str = "NoJson";
const STRANGER: &str = "Stranger";
const FORBIDDEN: &str = "Forbidden";
const TOO_LONG: &str = "TooLong";
const NO_TYPE: &str = "NoType";
const UNREAD: &str = "Unread";
const OTHER: &str = "Other";

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
/// What is said of every author that a request names.
const AUTHOR: &str = "Who asks. Needed on the unix socket; over TCP it is whoever is logged in, and what is said here does not count.";

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(show))
}

/// Gives this document.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "configuration", operation_id = "readDocument",
    responses((status = 200, body = Object, description = "The API, as OpenAPI 3.1"))
)]
async fn show() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(text);
    ([(header::CONTENT_TYPE, JSON)], TEXT.as_str()).into_response()
}

/// The document as it is served. Its order is that of its names, as long as no example has more than one field: what `serde_json`
/// does with those depends on what else is built.
fn text() -> String {
    document().to_pretty_json().unwrap_or_default() + "\n"
}

/// What all routes say, and what is so for all of them.
fn document() -> OpenApi {
    let mut document = server::routes().into_openapi();
    document.info = InfoBuilder::new()
        .title("Portcullis")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(License::new(env!("CARGO_PKG_LICENSE"))))
        .build();
    document.servers = Some(vec![Server::new("/")]);
    let tag = |(name, about)| TagBuilder::new().name(name).description(Some(about)).build();
    document.tags = Some(TAGS.map(tag).into());
    for (path, item) in &mut document.paths.paths {
        let (reads, changes) = (&mut item.get, [&mut item.put, &mut item.post, &mut item.delete]);
        if let Some(operation) = reads {
            complete(operation, path, false);
        }
        for operation in changes.into_iter().flatten() {
            complete(operation, path, true);
        }
    }
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.values_mut().for_each(exact);
    components.schemas.insert(Fault::name().into_owned(), Fault::schema());
    for (name, about) in FAULTS.map(|(_code, name, about)| (name, about)) {
        let mut fault = Said::new(about);
        as_problem(&mut fault);
        components.responses.insert(name.to_owned(), RefOr::T(fault));
    }
    let schemes = [("token", token()), ("session", session()), ("csrf", csrf())];
    for (name, scheme) in schemes {
        components.security_schemes.insert(name.to_owned(), RefOr::T(scheme));
    }
    document
}

fn token() -> SecurityScheme {
    let about = "The token in `web.token` of `state_dir`, which `portcullis web token` shows; it may do everything.";
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about));
    SecurityScheme::Http(scheme.build())
}

fn session() -> SecurityScheme {
    let about = "Somebody who has logged in with a browser.";
    SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(SESSION_COOKIE, about)))
}

fn csrf() -> SecurityScheme {
    let about =
        "What each change by a session brings along: it is in the pages of that session alone.";
    SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(CSRF_HEADER, about)))
}

/// Says what is so for all paths alike: who may ask, and how a fault looks.
fn complete(operation: &mut Operation, path: &str, is_change: bool) {
    let none: [&str; 0] = [];
    let by = |name: &str| SecurityRequirement::new(name, none);
    let Operation { responses, security, .. } = operation;
    let mut add = |wanted: &[&str]| {
        for (code, name, _about) in FAULTS.iter().filter(|(_, name, _)| wanted.contains(name)) {
            let fault = RefOr::Ref(Ref::from_response_name(*name));
            responses.responses.entry((*code).to_owned()).or_insert(fault);
        }
    };
    *security = Some(match path {
        "/healthz" | "/readyz" => Vec::new(),
        // Some networks may read it without a login.
        "/metrics" => vec![SecurityRequirement::default(), by("token"), by("session")],
        _ if is_change => vec![by("token"), by("session").add("csrf", none)],
        _ => vec![by("token"), by("session")],
    });
    if !matches!(path, "/healthz" | "/readyz") {
        add(&[STRANGER]);
    }
    if is_change {
        add(&[FORBIDDEN]);
    }
    if let Some(RefOr::T(body)) = &operation.request_body
        && body.content.contains_key(JSON)
    {
        add(&[NO_JSON, TOO_LONG, NO_TYPE, UNREAD]);
    }
    add(&[OTHER]);
    for (code, response) in &mut responses.responses {
        if let RefOr::T(response) = response
            && !code.starts_with('2')
        {
            as_problem(response);
        }
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(Parameter { name, required, description, .. }) = parameter
            && name == "author"
        {
            (*required, *description) = (Required::False, Some(AUTHOR.to_owned()));
        }
    }
}

/// A fault of which nothing else is said is a problem.
fn as_problem(response: &mut Said) {
    if response.content.is_empty() {
        let fault = Content::new(Some(Ref::from_schema_name(Fault::name())));
        response.content.insert(PROBLEM.to_owned(), RefOr::T(fault));
    }
}

/// Of an answer, each field is always there, if with `null`; a request need not say who asks.
fn exact(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().for_each(exact),
        // It knows all of its fields: a request.
        RefOr::T(Schema::Object(object)) if object.additional_properties.is_some() => {
            if let Some(RefOr::T(Schema::Object(author))) = object.properties.get_mut("author") {
                author.description = Some(AUTHOR.to_owned());
                object.required.retain(|name| name != "author");
            }
        }
        RefOr::T(Schema::Object(object)) => {
            object.required = object.properties.keys().cloned().collect();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::http::Method;
    use serde_json::Value;

    use super::*;
    use crate::admin::testing::Site;

    /// The document as programs read it.
    fn read() -> Value {
        serde_json::from_str(&text()).unwrap()
    }

    /// Each operation with its path and method.
    fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
        let paths = document["paths"].as_object().unwrap().iter();
        paths
            .flat_map(|(path, item)| {
                let operations = item.as_object().unwrap().iter();
                operations.map(move |(method, it)| (path.as_str(), method.as_str(), it))
            })
            .collect()
    }

    /// The name of a component.
    fn named(reference: &str) -> &str {
        reference.rsplit('/').next().unwrap()
    }

    /// Gives each object in `value` to `look`.
    fn walk<'a>(value: &'a Value, look: &mut impl FnMut(&'a serde_json::Map<String, Value>)) {
        match value {
            Value::Object(fields) => {
                look(fields);
                fields.values().for_each(|value| walk(value, look));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, look)),
            _ => {}
        }
    }

    #[test]
    fn the_page_is_up_to_date() {
        crate::assert_page("openapi.json", &text());
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_component_is_used() {
        let document = read();
        assert_eq!(document["openapi"], "3.1.0");
        let mut used = BTreeSet::new();
        walk(&document, &mut |fields| {
            if let Some(Value::String(to)) = fields.get("$ref") {
                let found = to.strip_prefix('#').and_then(|to| document.pointer(to));
                assert!(found.is_some(), "{to} leads nowhere");
                used.insert(to.as_str());
            }
        });
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            let path = format!("#/components/schemas/{name}");
            assert!(used.contains(path.as_str()), "nothing uses {name}");
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_a_tag_and_one_sentence() {
        let document = read();
        let tags: Vec<_> = TAGS.iter().map(|(name, _about)| *name).collect();
        let (mut names, mut tagged) = (BTreeSet::new(), BTreeSet::new());
        for (path, method, operation) in operations(&document) {
            let name = operation["operationId"].as_str().unwrap_or_default();
            assert!(!name.is_empty() && names.insert(name), "{method} {path}: {name:?}");
            let [tag] = operation["tags"].as_array().unwrap().as_slice() else {
                panic!("{method} {path}: {operation:#}");
            };
            assert!(tags.contains(&tag.as_str().unwrap()), "{method} {path}: {tag}");
            tagged.insert(tag.as_str().unwrap());
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!(
                summary.ends_with('.') && !summary.contains(". "),
                "{method} {path}: {summary:?}"
            );
        }
        assert_eq!(tagged, tags.into_iter().collect(), "a tag without an operation");
    }

    #[test]
    fn every_parameter_of_a_path_is_declared_and_every_parameter_has_a_meaning() {
        let document = read();
        for (path, method, operation) in operations(&document) {
            let wanted: BTreeSet<_> =
                path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}')).collect();
            let (mut declared, mut all) = (BTreeSet::new(), BTreeSet::new());
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let (name, place) = (parameter["name"].as_str().unwrap(), &parameter["in"]);
                assert!(all.insert((name, place.as_str())), "{method} {path}: {name} twice");
                assert!(parameter["schema"].is_object(), "{method} {path}: {name}");
                let about = parameter["description"].as_str().unwrap_or_default();
                assert!(!about.is_empty(), "{method} {path}: {name} means nothing");
                if place == "path" {
                    assert_eq!(parameter["required"], true, "{method} {path}: {name}");
                    declared.insert(name);
                }
            }
            assert_eq!(declared, wanted, "{method} {path}");
        }
    }

    #[test]
    fn every_answer_is_described_and_every_fault_is_a_problem() {
        let document = read();
        let is_checked = |path: &str, code: &str| (path, code) != ("/readyz", "503");
        for (path, method, operation) in operations(&document) {
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("200"), "{method} {path}");
            for (code, response) in responses {
                let to = response["$ref"].as_str();
                let shared = to.map(|to| &document["components"]["responses"][named(to)]);
                let response = shared.unwrap_or(response);
                let (about, content) = (&response["description"], &response["content"]);
                assert!(about.as_str().is_some_and(|about| !about.is_empty()), "{path} {code}");
                let kinds: Vec<_> = content.as_object().unwrap().keys().collect();
                if code != "200" && is_checked(path, code) {
                    assert_eq!(kinds, [PROBLEM], "{method} {path} {code}");
                    let fault = &content[PROBLEM]["schema"]["$ref"];
                    assert_eq!(fault, "#/components/schemas/Fault", "{method} {path} {code}");
                }
            }
        }
    }

    #[test]
    fn every_field_has_a_meaning() {
        let document = read();
        let schemas = &document["components"]["schemas"];
        for (name, schema) in schemas.as_object().unwrap() {
            walk(schema, &mut |fields| {
                let Some(Value::Object(properties)) = fields.get("properties") else { return };
                for (property, schema) in properties {
                    // What has a name of its own may say it there.
                    let there = schema["$ref"].as_str().map(|to| &schemas[named(to)]);
                    let ways = schema["oneOf"].as_array().into_iter().flatten();
                    let is_told =
                        ways.chain(there).chain([schema]).any(|it| it["description"].is_string());
                    assert!(is_told, "{name}: {property} means nothing: {schema:#}");
                }
            });
        }
    }

    #[test]
    fn whoever_asks_must_be_known_but_where_the_health_of_the_process_is_asked() {
        let document = read();
        let schemes = document["components"]["securitySchemes"].as_object().unwrap();
        for (path, method, operation) in operations(&document) {
            let ways = operation["security"].as_array().unwrap();
            assert_eq!(ways.is_empty(), matches!(path, "/healthz" | "/readyz"), "{path}");
            for way in ways {
                let names: Vec<_> = way.as_object().unwrap().keys().collect();
                assert!(names.iter().all(|name| schemes.contains_key(*name)), "{path}: {way}");
                let by_cookie = way.get("session").is_some();
                assert_eq!(way.get("csrf").is_some(), by_cookie && method != "get", "{path}");
                assert!(!names.is_empty() || path == "/metrics", "{path}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_refusal_is_a_problem_whoever_refuses() {
        let site = Site::new("");
        for (method, path, body, status) in [
            (Method::GET, "/api/v1/nowhere", "", 404),
            (Method::PATCH, "/api/v1/pause", "", 405),
            (Method::GET, "/api/v1/lookup/%FF", "", 400),
            (Method::GET, "/api/v1/lookup/mars", "", 422),
            (Method::GET, "/api/v1/reviews?colour=red", "", 422),
            (Method::GET, "/api/v1/senders?limit=many", "", 422),
            (Method::GET, "/api/v1/quarantine?client=mars", "", 422),
            (Method::PUT, "/api/v1/lists/bad/entries", "", 422),
            (Method::POST, "/api/v1/pause", "{}", 415),
        ] {
            let (found, fault) = site.refused_by_api(method.clone(), path, body).await;
            assert_eq!(found, status, "{method} {path}: {fault:#}");
            assert_eq!((&fault["status"], &fault["type"]), (&status.into(), &"about:blank".into()));
            assert_eq!(fault["detail"].is_string(), status != 404, "{method} {path}: {fault:#}");
        }
    }
}
