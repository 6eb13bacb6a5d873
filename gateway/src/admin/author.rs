//! Who asks: whom a listener knows by a login, or whom a request names, where its socket is for root alone.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{self, FromRequest, FromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::{Json, RequestExt as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Fault;
use super::queried::Queried;

/// Whom a listener knows by a login; he takes the place of whoever the request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author(pub Arc<str>);

/// What a request asks for, from its JSON, with its author.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<S, T> FromRequest<S> for Asked<T>
where
    T: DeserializeOwned + 'static,
    S: Send + Sync,
{
    type Rejection = Fault;

    async fn from_request(request: extract::Request, _state: &S) -> Result<Self, Fault> {
        let unread = |fault: JsonRejection| {
            Fault::new(fault.status(), "the request cannot be read").detail(fault.body_text())
        };
        let Some(Author(author)) = request.extensions().get().cloned() else {
            let Json(asked) = request.extract().await.map_err(unread)?;
            return Ok(Self(asked));
        };
        let Json(mut asked) = request.extract::<Json<Value>, _>().await.map_err(unread)?;
        let wrong = |detail: &dyn std::fmt::Display| {
            Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "the request cannot be read")
                .detail(detail)
        };
        // Fields can be said as an array as well, in which whoever asks would have a name of his choice.
        let Value::Object(fields) = &mut asked else {
            return Err(wrong(&"no object, expected one with named fields"));
        };
        fields.insert("author".to_owned(), Value::String(author.as_ref().to_owned()));
        serde_json::from_value(asked).map(Self).map_err(|error| wrong(&error))
    }
}

/// Who asks, where nothing else has to be said, or where the body is something else.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Said {
    /// Who asks.
    pub(super) author: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Said {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        if let Some(Author(author)) = parts.extensions.get() {
            return Ok(Self { author: author.as_ref().to_owned() });
        }
        Queried::from_request_parts(parts, state).await.map(|Queried(said)| said)
    }
}
