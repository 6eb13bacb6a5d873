//! The sockets of the daemon, all bound before anything is served.

use std::io;
use std::net::SocketAddr;

use rustix::net::sockopt::set_ipv6_v6only;
use tokio::net::{TcpListener, TcpSocket};

use super::Failure;
use crate::admin::AdminSocket;
use crate::config::Config;
use crate::front::Listener;

/// Connections that may wait to be accepted; the system caps it.
const BACKLOG: u32 = 1024;

/// The sockets of the daemon.
pub(super) struct Sockets {
    pub(super) listeners: Vec<(TcpListener, Listener)>,
    pub(super) admin: AdminSocket,
}

impl Sockets {
    pub(super) async fn bind(config: &Config) -> Result<Self, Failure> {
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            let address = listener.address;
            let socket =
                listen(address, &config.listeners).map_err(|error| Failure::Unavailable {
                    text: format!("cannot listen on {address}: {error}"),
                    hint: hint(&error).to_owned(),
                })?;
            listeners.push((socket, listener.clone()));
        }
        Ok(Self { listeners, admin: AdminSocket::bind(&config.admin_socket).await? })
    }
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
fn listen(address: SocketAddr, all: &[Listener]) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of an earlier daemon may linger on the port.
    socket.set_reuseaddr(true)?;
    let has_v4 =
        all.iter().any(|other| other.address.is_ipv4() && other.address.port() == address.port());
    if address.is_ipv6() && has_v4 {
        set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
