//! `/api/v1/feeds`: how fetching goes, and fetching at once.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::{Fault, Sources};
use crate::feed::FeedStatus;

/// Tells how fetching each feed goes.
#[utoipa::path(
    get, path = "/api/v1/feeds", tag = "feeds", operation_id = "showFeeds",
    responses(
        (status = 200, body = Vec<FeedStatus>, description = "Each list that is fetched"),
    )
)]
pub(super) async fn show(State(sources): State<Arc<Sources>>) -> Json<Vec<FeedStatus>> {
    Json(sources.fetching.status())
}

/// A feed that is being fetched.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Fetching {
    /// The name of the list.
    list: String,
    /// What was done, in words.
    done: &'static str,
}

/// Fetches a feed at once; the answer does not wait for it.
#[utoipa::path(
    post, path = "/api/v1/feeds/{list}/fetch", tag = "feeds", operation_id = "fetchFeed",
    params(("list" = String, Path, description = "The name of the list")),
    responses(
        (status = 200, body = Fetching, description = "It is being fetched"),
        (status = 404, description = "No list of that name is fetched"),
    )
)]
pub(super) async fn fetch(
    State(sources): State<Arc<Sources>>,
    Path(list): Path<String>,
) -> Result<Json<Fetching>, Fault> {
    if sources.fetching.now(&list) {
        return Ok(Json(Fetching { list, done: "is being fetched" }));
    }
    Err(Fault::new(StatusCode::NOT_FOUND, "no list of that name is fetched")
        .hint("`portcullis feeds status` names those that are"))
}
