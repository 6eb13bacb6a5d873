//! A Unix socket to be connected to: takes the name of a stale one, never that of a live one or of a file.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// Why a Unix socket is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum UnixSocketError {
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

/// The bound socket, with its name.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    name: SocketName,
}

/// The name of a socket; dropping it takes the name away, if it is still its own and was not handed over.
#[derive(Debug)]
pub struct SocketName {
    path: PathBuf,
    inode: u64,
    is_handed_over: HandedOver,
}

/// Whether a name is somebody else's from now on.
#[derive(Clone, Debug, Default)]
pub struct HandedOver(Arc<AtomicBool>);

impl HandedOver {
    /// Says whether another daemon serves the very same socket, and has use for its name.
    pub fn set(&self, is_handed_over: bool) {
        self.0.store(is_handed_over, Ordering::Relaxed);
    }
}

impl UnixSocket {
    /// Makes the socket at `path`, with the permission bits `mode`; a stale one of an earlier daemon is replaced.
    pub fn bind(path: &Path, mode: u32) -> Result<Self, UnixSocketError> {
        let fail = |error| UnixSocketError::Io { path: path.to_owned(), error };
        if let Ok(metadata) = fs::symlink_metadata(path) {
            if !metadata.file_type().is_socket() {
                return Err(UnixSocketError::NotASocket { path: path.to_owned() });
            }
            if is_served(path) {
                return Err(UnixSocketError::Taken { path: path.to_owned() });
            }
            fs::remove_file(path).map_err(fail)?;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(fail)?;
        }
        let listener = UnixListener::bind(path).map_err(fail)?;
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(fail)?;
        Self::adopt(listener, path)
    }

    /// Takes up the socket at `path` that somebody else has bound.
    pub fn adopt(listener: UnixListener, path: &Path) -> Result<Self, UnixSocketError> {
        let fail = |error| UnixSocketError::Io { path: path.to_owned(), error };
        listener.set_nonblocking(true).map_err(fail)?;
        let inode = fs::symlink_metadata(path).map_err(fail)?.ino();
        let (path, is_handed_over) = (path.to_owned(), HandedOver::default());
        Ok(Self { listener, name: SocketName { path, inode, is_handed_over } })
    }

    /// The socket for the runtime within which this is called, and its name.
    pub fn into_parts(self) -> io::Result<(tokio::net::UnixListener, SocketName)> {
        Ok((tokio::net::UnixListener::from_std(self.listener)?, self.name))
    }
}

impl SocketName {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is told that the name is handed over.
    pub fn handed_over(&self) -> HandedOver {
        self.is_handed_over.clone()
    }
}

impl Drop for SocketName {
    fn drop(&mut self) {
        let named = fs::symlink_metadata(&self.path);
        let is_own =
            named.is_ok_and(|named| named.file_type().is_socket() && named.ino() == self.inode);
        if is_own && !self.is_handed_over.0.load(Ordering::Relaxed) {
            // A name that is gone in the meantime is what is wanted.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Whether somebody takes connections at `path`; never waits for that.
fn is_served(path: &Path) -> bool {
    let connected = || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)
    };
    // Only these two say that nobody does: too many may wait there, or it may be a socket of another kind.
    !matches!(connected(), Err(Errno::CONNREFUSED | Errno::NOENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_name_is_taken_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/a.sock");
        let first = UnixSocket::bind(&path, 0o660).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        let taken = UnixSocket::bind(&path, 0o660).unwrap_err();
        assert!(matches!(taken, UnixSocketError::Taken { .. }), "{taken}");
        drop(first);
        assert!(!path.exists());
        // Killed, a daemon leaves the name behind.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let third = UnixSocket::bind(&path, 0o600).unwrap();
        // A name that somebody else has taken since is not ours to remove.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        drop(third);
        let file = UnixSocket::bind(&path, 0o600).unwrap_err();
        assert!(matches!(file, UnixSocketError::NotASocket { .. }), "{file}");
        assert!(path.exists());
    }

    #[test]
    fn a_socket_that_was_handed_over_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let first = UnixSocket::bind(&path, 0o660).unwrap();
        let shared = first.listener.try_clone().unwrap();
        let second = UnixSocket::adopt(shared, &path).unwrap();
        first.name.handed_over().set(true);
        drop(first);
        assert!(is_served(&path));
        second.name.handed_over().set(true);
        second.name.handed_over().set(false);
        drop(second);
        assert!(!path.exists());
    }
}
