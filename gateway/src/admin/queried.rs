//! What a request asks for behind its question mark; a parameter that is unknown, or has a bad value, is told.

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::Fault;

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Queried<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Queried<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        let read = Query::try_from_uri(&parts.uri);
        read.map(|Query(wanted)| Self(wanted)).map_err(|fault| {
            Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "the parameters cannot be read")
                .detail(fault.body_text())
                .hint("the documentation of the API names those of each path")
        })
    }
}

/// How much of an answer is asked for: `usual` where nothing is said, at most `most`.
pub(super) fn limit(wanted: Option<usize>, usual: usize, most: usize) -> Result<usize, Fault> {
    let wanted = wanted.unwrap_or(usual);
    if (1..=most).contains(&wanted) {
        return Ok(wanted);
    }
    let fault =
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "the `limit` is too small or too large");
    Err(fault
        .detail(format!("{wanted}, expected 1 to {most}"))
        .hint("what does not fit into one answer comes with `after`, which is its `next`"))
}
