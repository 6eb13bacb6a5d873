//! Why the daemon does not do what a request asks: the same for the server, which says it, and the client, which shows it.

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// Why the daemon does not do what it is asked; a 4xx is the fault of whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{title}{}", detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())]
pub struct Fault {
    /// The code of the response.
    #[serde(skip)]
    status: StatusCode,
    title: String,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    hint: Option<String>,
}

impl Fault {
    /// A fault with nothing but its title.
    pub fn new(status: StatusCode, title: impl ToString) -> Self {
        Self { status, title: title.to_string(), detail: None, hint: None }
    }

    /// The part of the daemon that changes things is there no more.
    pub(super) fn gone() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon changes nothing any more")
            .detail("the part of it that does has died or is stopping")
            .hint("restart the daemon; its log says why")
    }

    /// What was to answer has ended before it had.
    pub(super) fn died() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the daemon could not look")
            .detail("the part of it that was looking has died")
            .hint("its log says why")
    }

    /// The same with the value that is wrong, and what was expected.
    #[must_use]
    pub fn detail(self, detail: impl ToString) -> Self {
        Self { detail: Some(detail.to_string()), ..self }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl ToString) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }

    /// The same with what to do about it, where that is known.
    #[must_use]
    pub(super) fn hint_if(self, hint: Option<impl ToString>) -> Self {
        Self { hint: hint.map(|hint| hint.to_string()).or(self.hint), ..self }
    }

    /// The same with the code that it came with.
    #[must_use]
    pub(super) fn with(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The code of the response.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether whoever asked must ask otherwise.
    pub fn is_of_request(&self) -> bool {
        self.status.is_client_error()
    }

    /// What to do about it, where the daemon says so.
    pub fn what_to_do(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        // RFC 9457.
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, problem);
        response
    }
}
