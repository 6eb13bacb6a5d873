//! `/api/v1/config`: what the configuration says, key by key, and what commands set in its place.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use tokio::task::spawn_blocking;

use super::{Fault, Sources};
use crate::config::InForce;

/// All paths.
pub(super) fn routes() -> Router<Arc<Sources>> {
    Router::new().route("/api/v1/config", get(show))
}

async fn show(State(sources): State<Arc<Sources>>) -> Result<Json<InForce>, Fault> {
    // Reads the store, so it stays off the threads that carry mail.
    let in_force = spawn_blocking(move || sources.config.load().in_force()).await;
    in_force.map(Json).map_err(|_panicked| Fault::gone())
}
