//! What a request asks for in its query: what cannot be read is a fault with words, as in a body.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::Fault;

/// The parameters of a query.
#[derive(Debug)]
pub(super) struct Queried<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Queried<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let read: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        read.map(|Query(asked)| Self(asked)).map_err(|fault| {
            Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "the query cannot be read")
                .detail(fault.body_text())
        })
    }
}
