//! Why the daemon does not do what a request asks: the same for the server, which says it, and the client, which shows it.

use std::borrow::Cow;

use axum::Json;
use axum::body::to_bytes;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// The most octets of a refusal in words that are told.
const MOST: usize = 4096;

/// Why the daemon does not do what it is asked; a 4xx is the fault of whoever asks. A problem of RFC 9457, and its hint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{title}{}", detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())]
pub struct Fault {
    /// Always `about:blank`: the code says what kind of fault it is.
    #[serde(rename = "type", default = "no_kind")]
    #[schema(value_type = String, required, example = "about:blank")]
    kind: Cow<'static, str>,
    /// The code of the response.
    #[serde(default, serialize_with = "to_code", deserialize_with = "from_code")]
    #[schema(value_type = u16, required, example = 422, minimum = 400, maximum = 599)]
    status: StatusCode,
    /// What is not done.
    #[schema(example = "the parameters cannot be read")]
    title: String,
    /// Where, what was found, and what was expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    hint: Option<String>,
}

const fn no_kind() -> Cow<'static, str> {
    Cow::Borrowed("about:blank")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn to_code<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

fn from_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StatusCode, D::Error> {
    StatusCode::from_u16(u16::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

impl Fault {
    /// A fault with nothing but its title.
    pub fn new(status: StatusCode, title: impl ToString) -> Self {
        Self { kind: no_kind(), status, title: title.to_string(), detail: None, hint: None }
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

/// A refusal that the router or an extractor says in words, or not at all, becomes a fault like all others; all else stays.
pub(super) async fn in_form(response: Response) -> Response {
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !is_refusal || !kind.is_none_or(|kind| kind.starts_with(b"text/plain")) {
        return response;
    }
    let (head, body) = response.into_parts();
    let words = to_bytes(body, MOST).await.unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let known = status.canonical_reason().unwrap_or_default();
    let detail = if words.trim().is_empty() { known } else { words.trim() };
    let fault = Fault::new(status, "the request cannot be answered").detail(detail);
    let mut told = fault.into_response();
    // Such as which methods are allowed.
    for (name, value) in &head.headers {
        if !matches!(*name, CONTENT_TYPE | CONTENT_LENGTH) {
            told.headers_mut().insert(name, value.clone());
        }
    }
    told
}
