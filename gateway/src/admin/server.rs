//! Serves the HTTP API on a unix socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::Listener;
use axum::{Json, Router};
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};

use super::{Fault, Sources, Status, changes, lookup, quarantine};
use crate::sight::TopReport;

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

/// The bound socket; dropping it takes its name away, if the name is still its own.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl AdminSocket {
    /// Makes the socket, for the owner and the group alone; a stale one of an earlier daemon is replaced.
    pub async fn bind(path: &Path) -> Result<Self, AdminError> {
        let fail = |error| AdminError::Io { path: path.to_owned(), error };
        if let Ok(metadata) = fs::symlink_metadata(path) {
            if !metadata.file_type().is_socket() {
                return Err(AdminError::NotASocket { path: path.to_owned() });
            }
            if UnixStream::connect(path).await.is_ok() {
                return Err(AdminError::Taken { path: path.to_owned() });
            }
            fs::remove_file(path).map_err(fail)?;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(fail)?;
        }
        let listener = UnixListener::bind(path).map_err(fail)?;
        fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(fail)?;
        let inode = fs::symlink_metadata(path).map_err(fail)?.ino();
        Ok(Self { listener, path: path.to_owned(), inode })
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let named = fs::symlink_metadata(&self.path);
        if named.is_ok_and(|named| named.file_type().is_socket() && named.ino() == self.inode) {
            // A name that is gone in the meantime is what is wanted.
            drop(fs::remove_file(&self.path));
        }
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
    let router = Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/xdp/top", get(top))
        .route("/api/v1/lookup/{ip}", get(lookup::show))
        .merge(changes::routes())
        .merge(quarantine::routes())
        .fallback(async || Fault::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .with_state(sources);
    axum::serve(socket, router).await
}

async fn status(State(sources): State<Arc<Sources>>) -> Result<Json<Status>, StatusCode> {
    // Reading the kernel's counters asks the kernel a few hundred times, so it stays off the threads that carry mail.
    let status = tokio::task::spawn_blocking(move || sources.status()).await;
    status.map(Json).map_err(|_panicked| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn top(State(sources): State<Arc<Sources>>) -> Json<TopReport> {
    Json(sources.top.report())
}
