//! `/metrics`, `/healthz`, `/readyz`: for programs that watch many hosts and know no more of this one than what they are told.

mod accept;
mod collector;
#[cfg(test)]
mod page;
mod process;
mod readiness;
mod seen;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use prometheus_client::registry::Registry;
use tokio::task::spawn_blocking;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::accept::Format;
use self::readiness::Readiness;
use self::seen::Seen;
use super::{Fault, Sources};

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(metrics)).routes(routes!(alive)).routes(routes!(ready))
}

/// Says that the process serves.
#[utoipa::path(
    get, path = "/healthz", tag = "monitoring", operation_id = "isAlive",
    responses((status = 200, body = String, content_type = "text/plain", description = "`ok` and the end of the line"))
)]
async fn alive() -> &'static str {
    "ok\n"
}

/// Gives all metrics as they are now.
///
/// `Accept` decides between OpenMetrics 1.0.0 and the older text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "monitoring", operation_id = "readMetrics",
    responses(
        (status = 200, description = "The metrics", content(
            (String = "application/openmetrics-text"),
            (String = "text/plain"),
        )),
    )
)]
async fn metrics(
    State(sources): State<Arc<Sources>>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let format = Format::wanted(&headers);
    // As for `status`: the kernel is asked a few thousand times.
    let text = spawn_blocking(move || text(Seen::now(&sources), format)).await;
    let failed = || Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written");
    let text = text.map_err(|_panicked| failed())?.map_err(|_fault| failed())?;
    Ok(([(CONTENT_TYPE, format.content_type())], text).into_response())
}

/// What was seen, as text.
fn text(seen: Seen, format: Format) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(seen));
    let mut text = String::new();
    format.encode(&mut text, &registry)?;
    Ok(text)
}

/// Says whether this host should be sent mail.
#[utoipa::path(
    get, path = "/readyz", tag = "monitoring", operation_id = "isReady",
    responses(
        (status = 200, body = Readiness, description = "It should"),
        (status = 503, body = Readiness, description = "It should not, for these reasons"),
    )
)]
async fn ready(State(sources): State<Arc<Sources>>) -> (StatusCode, Json<Readiness>) {
    let readiness = sources.readiness();
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness))
}
