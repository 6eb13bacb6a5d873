//! Serves the HTTP API on a unix socket.

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::serve::Listener;
use axum::{Json, Router};
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{
    Fault, Sources, Status, audit, changes, config, copies, doctor, explain, export, fault, filter,
    letter, levels, lists, live, lookup, metrics, openapi, quarantine, scan, slider, tap, why,
};
use crate::front::{SocketName, UnixSocket, UnixSocketError};
use crate::sight::TopReport;

/// The bound socket of the API; dropping it takes its name away, if the name is still its own.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    _name: SocketName,
}

impl AdminSocket {
    /// Makes the socket, for the owner and the group alone; a stale one of an earlier daemon is replaced. Must be called within a
    /// runtime.
    pub fn bind(path: &Path) -> Result<Self, UnixSocketError> {
        let fail = |error| UnixSocketError::Io { path: path.to_owned(), error };
        let (listener, name) = UnixSocket::bind(path, 0o660)?.into_parts().map_err(fail)?;
        Ok(Self { listener, _name: name })
    }
}

impl Listener for AdminSocket {
    type Addr = SocketAddr;
    type Io = UnixStream;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        Listener::accept(&mut self.listener).await
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Listener::local_addr(&self.listener)
    }
}

/// Serves until the task is aborted.
pub async fn serve(socket: AdminSocket, sources: Arc<Sources>) -> io::Result<()> {
    axum::serve(socket, api(sources)).await
}

/// The API, for whoever serves it and knows who asks.
pub fn api(sources: Arc<Sources>) -> Router {
    Router::from(routes())
        .fallback(async || Fault::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .layer(map_response(fault::in_form))
        .with_state(sources)
}

/// All paths, with what the document says of them.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default()
        .routes(routes!(status))
        .routes(routes!(top))
        .routes(routes!(lookup::show))
        .routes(routes!(letter::show))
        .merge(changes::routes())
        .merge(config::routes())
        .merge(doctor::routes())
        .merge(quarantine::routes())
        .merge(levels::routes())
        .merge(slider::routes())
        .merge(tap::routes())
        .merge(live::routes())
        .merge(why::routes())
        .merge(audit::routes())
        .merge(lists::routes())
        .merge(copies::routes())
        .merge(filter::routes())
        .merge(export::routes())
        .merge(explain::routes())
        .merge(scan::routes())
        .merge(metrics::routes())
        .merge(openapi::routes())
}

/// Tells what the daemon is doing, as `portcullis status` shows it.
#[utoipa::path(
    get, path = "/api/v1/status", tag = "status", operation_id = "showStatus",
    responses(
        (status = 200, body = Status, description = "What the daemon is doing"),
    )
)]
async fn status(State(sources): State<Arc<Sources>>) -> Result<Json<Status>, Fault> {
    // Reading the kernel's counters asks the kernel a few hundred times, so it stays off the threads that carry mail.
    let status = tokio::task::spawn_blocking(move || sources.status()).await;
    status.map(Json).map_err(|_panicked| Fault::died())
}

/// Tells whom the kernel filter has most to do with.
#[utoipa::path(
    get, path = "/api/v1/xdp/top", tag = "status", operation_id = "showTop",
    responses(
        (status = 200, body = TopReport, description = "The sources and networks with the most packets"),
    )
)]
async fn top(State(sources): State<Arc<Sources>>) -> Json<TopReport> {
    Json(sources.top.report())
}
