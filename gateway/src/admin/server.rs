//! Serves the HTTP API on a unix socket.

use std::fs::{self, Permissions};
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::UnixListener;

use super::{Sources, Status};

/// Why the admin socket is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Another daemon answers there.
    #[error("another daemon answers at {}", path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket has the name.
    #[error("{} is no socket, expected none or a stale one", path.display())]
    NotASocket {
        /// What has the name.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot listen at {}: {error}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Makes the socket, for the owner and the group alone; a stale one of an earlier daemon is replaced.
pub async fn bind(path: &Path) -> Result<UnixListener, AdminError> {
    let fail = |error| AdminError::Io { path: path.to_owned(), error };
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(AdminError::NotASocket { path: path.to_owned() });
        }
        if tokio::net::UnixStream::connect(path).await.is_ok() {
            return Err(AdminError::Taken { path: path.to_owned() });
        }
        fs::remove_file(path).map_err(fail)?;
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    let listener = UnixListener::bind(path).map_err(fail)?;
    fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(fail)?;
    Ok(listener)
}

/// Serves until `stop` is done.
pub async fn serve(
    listener: UnixListener,
    sources: Arc<Sources>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/api/v1/status", get(status))
        .fallback(async || {
            (StatusCode::NOT_FOUND, Json(json!({"title": "there is nothing at this path"})))
        })
        .with_state(sources);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn status(State(sources): State<Arc<Sources>>) -> Result<Json<Status>, StatusCode> {
    // Reading the kernel's counters asks the kernel a few hundred times, so it stays off the threads that carry mail.
    let status = tokio::task::spawn_blocking(move || sources.status()).await;
    status.map(Json).map_err(|_panicked| StatusCode::INTERNAL_SERVER_ERROR)
}
