//! Asks the API within the process, as pages do: the same handlers, the same answers, no socket.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Author, Fault, Sources, api};

/// The most that an answer may hold, in octets.
const ANSWER_LIMIT: usize = 64 << 20;

/// The API within the process.
#[derive(Clone, Debug)]
pub struct Inside(Router);

impl Inside {
    /// The API over `sources`.
    pub fn new(sources: Arc<Sources>) -> Self {
        Self(api(sources))
    }

    /// The same, for requests of others.
    pub fn router(&self) -> Router {
        self.0.clone()
    }

    /// What a path answers.
    pub async fn get(&self, path: &str) -> Result<Value, Fault> {
        self.ask(Request::get(path).body(Body::empty())).await
    }

    /// What a path answers to `wanted`, which `author` asks for.
    pub async fn send(
        &self,
        author: &Author,
        method: Method,
        path: &str,
        wanted: &Value,
    ) -> Result<Value, Fault> {
        self.put(author, method, path, wanted.to_string().into()).await
    }

    /// The same for any octets.
    pub async fn put(
        &self,
        author: &Author,
        method: Method,
        path: &str,
        octets: Body,
    ) -> Result<Value, Fault> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .extension(author.clone());
        self.ask(request.body(octets)).await
    }

    async fn ask(&self, request: Result<Request<Body>, axum::http::Error>) -> Result<Value, Fault> {
        let fail = |error: &dyn ToString| {
            Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be made")
                .detail(error.to_string())
        };
        let request = request.map_err(|error| fail(&error))?;
        let response = match self.0.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status();
        let body = to_bytes(response.into_body(), ANSWER_LIMIT).await;
        let body = body.map_err(|error| fail(&error))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| fail(&error));
        }
        match serde_json::from_slice::<Fault>(&body) {
            Ok(fault) => Err(fault.with(status)),
            Err(_no_fault) => Err(Fault::new(status, "the request cannot be answered")
                .detail(String::from_utf8_lossy(&body))),
        }
    }
}
