//! `/api/v1/feeds`: how fetching goes, and fetching at once.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::admin::{Fault, Sources};
use crate::feed::FeedStatus;

/// How fetching each feed goes.
pub(super) async fn show(State(sources): State<Arc<Sources>>) -> Json<Vec<FeedStatus>> {
    Json(sources.fetching.status())
}

/// Fetches a feed at once; the answer does not wait for it.
pub(super) async fn fetch(
    State(sources): State<Arc<Sources>>,
    Path(list): Path<String>,
) -> Result<Json<Value>, Fault> {
    if sources.fetching.now(&list) {
        return Ok(Json(json!({"list": list, "done": "is being fetched"})));
    }
    Err(Fault::new(StatusCode::NOT_FOUND, "no list of that name is fetched")
        .hint("`portcullis feeds status` names those that are"))
}
