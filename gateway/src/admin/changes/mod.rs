//! The paths of the HTTP API that change something; each is asked for by JSON and answers with what is so now.

mod pause;

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::routing::get;
use axum::{Json, Router};

use super::{Fault, Sources};

/// All of them.
pub(super) fn routes() -> Router<Arc<Sources>> {
    Router::new().route("/api/v1/pause", get(pause::show).post(pause::begin).delete(pause::end))
}

/// What a request asks for, from its JSON.
#[derive(Debug)]
struct Asked<T>(T);

impl<S, T> FromRequest<S> for Asked<T>
where
    Json<T>: FromRequest<S, Rejection = JsonRejection>,
    S: Send + Sync,
{
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        match Json::from_request(request, state).await {
            Ok(Json(asked)) => Ok(Self(asked)),
            Err(fault) => {
                Err(Fault::new(fault.status(), "the request cannot be read")
                    .detail(fault.body_text()))
            }
        }
    }
}
