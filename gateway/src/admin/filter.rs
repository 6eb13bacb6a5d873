//! `/api/v1/xdp`: what the kernel filter holds and what it costs, and how it finds its answer for an address.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use tokio::task::spawn_blocking;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::lookup::address;
use super::{Fault, Sources};
use crate::xdp::{self, Explanation, Inspection, XdpError};

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(show)).routes(routes!(explain))
}

/// Tells where the kernel filter runs, what it holds and what it costs, from its pins.
#[utoipa::path(
    get, path = "/api/v1/xdp", tag = "status", operation_id = "showFilter",
    responses(
        (status = 200, body = Object, description = "As `portcullis xdp status --json` has it"),
        (status = 503, description = "There is no filter, or the daemon may not look at it"),
    )
)]
async fn show(State(sources): State<Arc<Sources>>) -> Result<Json<Inspection>, Fault> {
    // Asks the kernel, so it stays off the threads that carry mail.
    read(move || xdp::inspect(&sources.xdp)).await
}

/// Tells step by step how the kernel filter finds its answer for an address.
#[utoipa::path(
    get, path = "/api/v1/xdp/why/{ip}", tag = "decisions", operation_id = "explainFilter",
    params(("ip" = String, Path, description = "An address", example = "192.0.2.1")),
    responses(
        (status = 200, body = Object, description = "As `portcullis xdp why --json` has it"),
        (status = 422, description = "That is no address"),
        (status = 503, description = "There is no filter, or the daemon may not look at it"),
    )
)]
async fn explain(
    State(sources): State<Arc<Sources>>,
    Path(ip): Path<String>,
) -> Result<Json<Explanation>, Fault> {
    let address = address(&ip)?;
    read(move || xdp::explain(&sources.xdp, address)).await
}

async fn read<T: Send + 'static>(
    look: impl FnOnce() -> Result<T, XdpError> + Send + 'static,
) -> Result<Json<T>, Fault> {
    let found = spawn_blocking(look).await.map_err(|_panicked| Fault::died())?;
    found.map(Json).map_err(|error| {
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, "the kernel filter cannot be looked at")
            .detail(error)
            .hint("`portcullis doctor` says whether there is one; `portcullis xdp status`, as root, sees more")
    })
}
