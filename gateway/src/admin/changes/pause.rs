//! `/api/v1/pause`: everything passes for a while.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Asked, ask};
use crate::admin::{Fault, Sources};
use crate::pause::{Pause, PauseReport};
use crate::refresh::Request;

/// The pause that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WantedPause)]
pub(super) struct Wanted {
    /// For how many seconds.
    #[schema(minimum = 1, maximum = 86400)]
    for_s: u64,
    /// Who asks.
    author: String,
    /// Why.
    #[serde(default)]
    reason: Option<String>,
}

/// What is so now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Paused)]
pub(super) struct Answer {
    /// `null` where nothing is paused.
    paused: Option<PauseReport>,
}

/// Says until when everything passes.
#[utoipa::path(
    get, path = "/api/v1/pause", tag = "pause", operation_id = "showPause",
    responses(
        (status = 200, body = Answer, description = "The pause, if there is one"),
    )
)]
pub(super) async fn show(State(sources): State<Arc<Sources>>) -> Json<Answer> {
    Json(Answer { paused: sources.paused() })
}

/// Lets everything pass from now on; a pause that lasts already is replaced.
#[utoipa::path(
    post, path = "/api/v1/pause", tag = "pause", operation_id = "beginPause",
    request_body = Wanted,
    responses(
        (status = 200, body = Answer, description = "The pause"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn begin(
    State(sources): State<Arc<Sources>>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Answer>, Fault> {
    let time = Duration::from_secs(wanted.for_s);
    let pause = Pause::lasting(time, &wanted.author, wanted.reason.as_deref());
    let pause = pause.map_err(|fault| {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "there is no such pause").detail(fault)
    })?;
    set(&sources, Some(pause)).await
}

/// Ends the pause, if there is one.
#[utoipa::path(
    delete, path = "/api/v1/pause", tag = "pause", operation_id = "endPause",
    responses(
        (status = 200, body = Answer, description = "There is no pause"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn end(State(sources): State<Arc<Sources>>) -> Result<Json<Answer>, Fault> {
    set(&sources, None).await
}

async fn set(sources: &Sources, pause: Option<Pause>) -> Result<Json<Answer>, Fault> {
    ask(sources, |done| Request::Pause(pause, done)).await?.map_err(|error| {
        let title = "it is so in the daemon, and not in the kernel filter yet";
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, title)
            .detail(error)
            .hint("it is tried again; `portcullis xdp detach` takes the filter off")
    })?;
    Ok(Json(Answer { paused: sources.paused() }))
}
