//! `/api/v1/config`: what the configuration says, key by key, and what commands set in its place.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tokio::task::spawn_blocking;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Fault, Sources, shapes};
use crate::config::InForce;

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(show))
}

/// Tells what the configuration says, key by key, and what commands set in its place.
///
/// Secrets are left out.
#[utoipa::path(
    get, path = "/api/v1/config", tag = "configuration", operation_id = "showConfiguration",
    responses(
        (status = 200, body = shapes::Configuration, description = "The configuration in force"),
    )
)]
async fn show(State(sources): State<Arc<Sources>>) -> Result<Json<InForce>, Fault> {
    // Reads the store, so it stays off the threads that carry mail.
    let in_force = spawn_blocking(move || sources.config.load().in_force()).await;
    in_force.map(Json).map_err(|_panicked| Fault::gone())
}
