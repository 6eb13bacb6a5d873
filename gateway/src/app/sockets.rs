//! The listening sockets of the daemon: handed to it, or bound by itself, before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use tracing::info;

use super::Failure;
use crate::config::Config;
use crate::front::Listener;

/// Connections that may wait to be accepted; the system caps it.
const BACKLOG: i32 = 1024;

/// The listening sockets of the daemon, each with what the configuration says of it.
#[derive(Debug)]
pub(super) struct Sockets(pub(super) Vec<(TcpListener, Listener)>);

impl Sockets {
    /// A socket for each listener of `config`: the one of `handed` with its address, otherwise a new one. What is left over of
    /// `handed` is closed.
    pub(super) fn bind(config: &Config, mut handed: Vec<TcpListener>) -> Result<Self, Failure> {
        let mut sockets = Vec::new();
        for listener in &config.listeners {
            let socket = match take(&mut handed, listener.address) {
                Some(socket) => {
                    // Whoever made it may want to wait in it; the runtime must not.
                    socket.set_nonblocking(true)?;
                    socket
                }
                None => listen_on(listener.address, &config.listeners)?,
            };
            sockets.push((socket, listener.clone()));
        }
        for left in handed {
            let address =
                left.local_addr().map_or_else(|error| error.to_string(), |it| it.to_string());
            info!(target: "start", "no longer listening address={address}");
        }
        Ok(Self(sockets))
    }
}

/// The sockets that a service manager hands over (`sd_listen_fds(3)`); one that is for no listener is a fault.
pub(super) fn from_service_manager(config: &Config) -> Result<Vec<TcpListener>, Failure> {
    let mut handed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..handed.len() {
        let socket = handed.take_tcp_listener(index).ok().flatten();
        let address = socket.as_ref().and_then(|socket| socket.local_addr().ok());
        let is_ours = |address: SocketAddr| config.listeners.iter().any(|it| it.address == address);
        if !address.is_some_and(is_ours) {
            return Err(unmatched(address, config));
        }
        sockets.extend(socket);
    }
    Ok(sockets)
}

fn unmatched(address: Option<SocketAddr>, config: &Config) -> Failure {
    let expected: Vec<_> = config.listeners.iter().map(|it| it.address.to_string()).collect();
    let found = address.map_or_else(
        || "a socket that does not listen for TCP".to_owned(),
        |address| format!("a socket that listens on {address}"),
    );
    Failure::Setup {
        text: format!(
            "the service manager hands over {found}, expected the address of a listener: {}",
            expected.join(", ")
        ),
        hint: "let `ListenStream=` of the socket unit and `[[listener]] address` say the same; `ListenStream=25` is [::]:25".to_owned(),
    }
}

fn take(handed: &mut Vec<TcpListener>, address: SocketAddr) -> Option<TcpListener> {
    let is_it = |socket: &TcpListener| socket.local_addr().is_ok_and(|found| found == address);
    handed.iter().position(is_it).map(|index| handed.swap_remove(index))
}

fn listen_on(address: SocketAddr, all: &[Listener]) -> Result<TcpListener, Failure> {
    try_listen(address, all).map_err(|error| Failure::Unavailable {
        text: format!("cannot listen on {address}: {error}"),
        hint: hint(&error).to_owned(),
    })
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "see with `ss -ltnp` who has the port",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are root's, or need CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrNotAvailable => {
            "give an address of this host, or 0.0.0.0 or [::] for all"
        }
        _ => "correct `[[listener]] address`",
    }
}

/// `[::]` takes IPv4 clients, too, unless another listener is there for them, which it would exclude.
fn try_listen(address: SocketAddr, all: &[Listener]) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(family, SocketType::STREAM, flags, None)?;
    // Connections of an earlier daemon may linger on the port.
    set_socket_reuseaddr(&socket, true)?;
    let has_v4 =
        all.iter().any(|other| other.address.is_ipv4() && other.address.port() == address.port());
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, has_v4)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}
