//! The listening sockets of the daemon: handed to it, or bound by itself, before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use tracing::info;

use super::Failure;
use crate::config::Config;
use crate::front::{self, Endpoint, HandedOver, Listener, ServiceSocket, UnixSocket};

/// Connections that may wait to be accepted; the system caps it.
const BACKLOG: i32 = 1024;

/// The listening sockets of the daemon, each with what the configuration says of it.
#[derive(Debug)]
pub(super) struct Sockets {
    listeners: Vec<(TcpListener, Listener)>,
    services: [Option<Service>; 2],
    pages: Pages,
}

/// The sockets of the pages.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) web: Option<TcpListener>,
    pub(super) public_lookup: Option<TcpListener>,
}

impl Pages {
    fn all(&self) -> impl Iterator<Item = &TcpListener> {
        [&self.web, &self.public_lookup].into_iter().flatten()
    }
}

/// The socket of a service.
#[derive(Debug)]
enum Service {
    Tcp(TcpListener),
    /// One at a path is bound by whom the daemon has become, who can then take its name away.
    Unix {
        key: &'static str,
        path: PathBuf,
        mode: u32,
        handed: Option<UnixListener>,
    },
}

impl Sockets {
    /// A socket for each listener and service of `config`: the one of `handed` with its address, otherwise a new one. What is left
    /// over of `handed` is closed.
    pub(super) fn bind(config: &Config, mut handed: Vec<TcpListener>) -> Result<Self, Failure> {
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            let socket = match take(&mut handed, listener.address)? {
                Some(socket) => socket,
                None => listen_on(listener.address, &config.listeners, LISTENER)?,
            };
            listeners.push((socket, listener.clone()));
        }
        let services = [
            service(config.milter.as_ref(), MILTER, &mut handed)?,
            service(config.postfix_policy.as_ref(), POSTFIX_POLICY, &mut handed)?,
        ];
        let mut page = |address: Option<SocketAddr>, key| {
            let handed = address.map(|address| take(&mut handed, address)).transpose()?.flatten();
            match (handed, address) {
                (None, Some(address)) => listen_on(address, &[], key).map(Some),
                (handed, _) => Ok::<_, Failure>(handed),
            }
        };
        let pages = Pages {
            web: page(config.web.as_ref().map(|web| web.address), WEB)?,
            public_lookup: page(config.public_lookup.map(|public| public.address), PUBLIC_LOOKUP)?,
        };
        for left in handed {
            let address =
                left.local_addr().map_or_else(|error| error.to_string(), |it| it.to_string());
            info!(target: "start", "no longer listening address={address}");
        }
        Ok(Self { listeners, services, pages })
    }

    /// Binds those that are still to be bound. Must be called within a runtime.
    pub(super) fn open(self) -> Result<Open, Failure> {
        let [milter, postfix_policy] = self.services;
        let open = |service: Option<Service>| service.map(Service::open).transpose();
        Ok(Open {
            listeners: self.listeners,
            milter: open(milter)?,
            postfix_policy: open(postfix_policy)?,
            pages: self.pages,
        })
    }
}

impl Service {
    fn open(self) -> Result<ServiceSocket, Failure> {
        match self {
            Self::Tcp(socket) => Ok(ServiceSocket::tcp(socket)?),
            Self::Unix { key, path, mode, handed } => {
                let socket = match handed {
                    Some(handed) => UnixSocket::adopt(handed, &path),
                    None => UnixSocket::bind(&path, mode),
                };
                let socket = socket.map_err(|error| Failure::of_socket(&error, key))?;
                Ok(ServiceSocket::unix(socket)?)
            }
        }
    }
}

/// The sockets, all of them bound.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) listeners: Vec<(TcpListener, Listener)>,
    pub(super) milter: Option<ServiceSocket>,
    pub(super) postfix_policy: Option<ServiceSocket>,
    pub(super) pages: Pages,
}

impl Open {
    /// Where it is told that the names of sockets are handed over.
    pub(super) fn names(&self) -> Vec<HandedOver> {
        let services = [&self.milter, &self.postfix_policy].into_iter().flatten();
        services.filter_map(ServiceSocket::handed_over).collect()
    }

    /// The same sockets once more, for a daemon that takes over.
    pub(super) fn shared(&self) -> io::Result<Vec<OwnedFd>> {
        let of_listeners = self.listeners.iter().map(|(socket, _)| socket);
        let of_listeners =
            of_listeners.chain(self.pages.all()).map(|socket| Ok(socket.try_clone()?.into()));
        let services = [&self.milter, &self.postfix_policy].into_iter().flatten();
        of_listeners.chain(services.map(ServiceSocket::share)).collect()
    }
}

const LISTENER: &str = "[[listener]] address";
const MILTER: &str = "[milter] address";
const POSTFIX_POLICY: &str = "[postfix_policy] address";
const WEB: &str = "[web] address";
const PUBLIC_LOOKUP: &str = "[public_lookup] address";

/// The socket of a service, where the configuration has one at `key`.
fn service(
    service: Option<&front::Service>,
    key: &'static str,
    handed: &mut Vec<TcpListener>,
) -> Result<Option<Service>, Failure> {
    Ok(match service.map(|service| &service.endpoint) {
        None => None,
        Some(Endpoint::Tcp(address)) => Some(Service::Tcp(match take(handed, *address)? {
            Some(socket) => socket,
            None => listen_on(*address, &[], key)?,
        })),
        Some(Endpoint::Unix { path, mode }) => {
            let (path, mode, handed) = (path.clone(), *mode, take_unix(handed, path));
            Some(Service::Unix { key, path, mode, handed })
        }
    })
}

/// The addresses at which a socket may be handed over.
fn addresses(config: &Config) -> Vec<SocketAddr> {
    let services = config.services();
    let of_services = services.filter_map(|(_name, service)| match service.endpoint {
        Endpoint::Tcp(address) => Some(address),
        Endpoint::Unix { .. } => None,
    });
    let web = config.web.as_ref().map(|web| web.address);
    let pages = [web, config.public_lookup.map(|public| public.address)].into_iter().flatten();
    let listeners = config.listeners.iter().map(|listener| listener.address);
    listeners.chain(of_services).chain(pages).collect()
}

/// The sockets that a service manager hands over (`sd_listen_fds(3)`); one that is for no listener is a fault.
pub(super) fn from_service_manager(config: &Config) -> Result<Vec<TcpListener>, Failure> {
    let mut handed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..handed.len() {
        let socket = handed.take_tcp_listener(index).ok().flatten();
        let address = socket.as_ref().and_then(|socket| socket.local_addr().ok());
        if !address.is_some_and(|address| addresses(config).contains(&address)) {
            return Err(unmatched(address, config));
        }
        sockets.extend(socket);
    }
    Ok(sockets)
}

fn unmatched(address: Option<SocketAddr>, config: &Config) -> Failure {
    let expected: Vec<_> = addresses(config).iter().map(ToString::to_string).collect();
    let found = address.map_or_else(
        || "a socket that does not listen for TCP".to_owned(),
        |address| format!("a socket that listens on {address}"),
    );
    Failure::Setup {
        text: format!(
            "the service manager hands over {found}, expected the address of a listener: {}",
            expected.join(", ")
        ),
        hint: "let `ListenStream=` of the socket unit say the same as an `address` in `[[listener]]`, `[milter]`, `[postfix_policy]`, `[web]` or `[public_lookup]`; `ListenStream=25` is [::]:25".to_owned(),
    }
}

fn take(handed: &mut Vec<TcpListener>, address: SocketAddr) -> io::Result<Option<TcpListener>> {
    let is_it = |socket: &TcpListener| socket.local_addr().is_ok_and(|found| found == address);
    let taken = handed.iter().position(is_it).map(|index| handed.swap_remove(index));
    if let Some(socket) = &taken {
        // Whoever made it may want to wait in it; the runtime must not.
        socket.set_nonblocking(true)?;
    }
    Ok(taken)
}

/// The one that is bound to `path`, whatever it was taken for.
fn take_unix(handed: &mut Vec<TcpListener>, path: &Path) -> Option<UnixListener> {
    let as_unix =
        |socket: &TcpListener| Some(UnixListener::from(OwnedFd::from(socket.try_clone().ok()?)));
    let is_it = |socket: &TcpListener| {
        let address = as_unix(socket).and_then(|socket| socket.local_addr().ok());
        address.is_some_and(|address| address.as_pathname() == Some(path))
    };
    let index = handed.iter().position(is_it)?;
    Some(UnixListener::from(OwnedFd::from(handed.swap_remove(index))))
}

/// Listens on the address that the configuration has at `key`.
fn listen_on(address: SocketAddr, all: &[Listener], key: &str) -> Result<TcpListener, Failure> {
    try_listen(address, all).map_err(|error| Failure::Unavailable {
        text: format!("cannot listen on {address}: {error}"),
        hint: hint(&error, key),
    })
}

fn hint(error: &io::Error, key: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "see with `ss -ltnp` who has the port".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are root's, or need CAP_NET_BIND_SERVICE".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "give an address of this host, or 0.0.0.0 or [::] for all".to_owned()
        }
        _ => format!("correct `{key}`"),
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
