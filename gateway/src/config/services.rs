//! The services that mail servers ask: the tables `[milter]`, `[postfix_policy]`.

use std::net::SocketAddr;
use std::path::Path;

use super::reader::{At, Reader};
use super::resolve::LONGEST_SOCKET;
use super::tree::Value;
use super::values::{Parsed, Wrong, choice, integer, socket_address, text};
use crate::direction::Direction;
use crate::front::{Endpoint, Listener, Service};

/// Who may connect to a Unix socket, where nothing else is said: its owner and its group.
const MODE: u32 = 0o660;

/// Reads one of the tables; relative paths begin in `folder`. `taken` are the addresses that others listen on.
pub(super) fn service(
    mut reader: Reader<'_>,
    folder: &Path,
    taken: &[SocketAddr],
) -> Option<Service> {
    let expected =
        "an IP address with a port, or a Unix socket like \"unix:/run/portcullis/milter.sock\"";
    let address = reader.required("address", expected, endpoint(folder));
    let mode = reader.optional("socket_mode", mode);
    let direction = reader.or(
        "direction",
        None,
        choice(&[
            ("auto", None),
            ("inbound", Some(Direction::Inbound)),
            ("outbound", Some(Direction::Outbound)),
        ]),
    );
    let connections = reader.or("connections", 1000, integer(1..=1_000_000));
    let endpoint = address.map(|at| checked(&reader, at, mode.as_ref(), taken));
    reader.finish();
    Some(Service { endpoint: endpoint?, direction, connections })
}

/// The addresses that listeners and another service have.
pub(super) fn taken(listeners: &[Listener], other: Option<&Service>) -> Vec<SocketAddr> {
    let other = other.and_then(|service| match service.endpoint {
        Endpoint::Tcp(address) => Some(address),
        Endpoint::Unix { .. } => None,
    });
    listeners.iter().map(|listener| listener.address).chain(other).collect()
}

/// The endpoint with its permissions; says what is wrong with it, or what an operator should know.
fn checked(
    reader: &Reader<'_>,
    address: At<Endpoint>,
    mode: Option<&At<u32>>,
    taken: &[SocketAddr],
) -> Endpoint {
    match &address.value {
        Endpoint::Tcp(tcp) => {
            if taken.contains(tcp) && tcp.port() != 0 {
                let expected = "an address of its own for each front";
                reader.wrong_at(&address, Wrong::expected(&format!("\"{tcp}\" again"), expected));
            }
            if !tcp.ip().to_canonical().is_loopback() {
                let text = format!(
                    "{tcp} can be reached from other hosts: let a firewall keep all but your mail servers away, since what is said here is believed"
                );
                reader.notice(address.key, address.place.clone(), text);
            }
            address.value
        }
        Endpoint::Unix { path, .. } => {
            Endpoint::Unix { path: path.clone(), mode: mode.map_or(MODE, |mode| mode.value) }
        }
    }
}

fn endpoint(folder: &Path) -> impl Fn(&Value) -> Parsed<Endpoint> {
    move |value| {
        let written = text(value)?;
        let Some(path) = written.strip_prefix("unix:") else {
            return socket_address(value).map(Endpoint::Tcp).map_err(|wrong| {
                if written.contains('/') {
                    Wrong::expected(value, "an IP address with a port, or a Unix socket")
                        .hint(format!("write \"unix:{written}\""))
                } else {
                    wrong
                }
            });
        };
        let (is_empty, path) = (path.is_empty() || path.ends_with('/'), folder.join(path));
        let length = path.as_os_str().len();
        if is_empty || length > LONGEST_SOCKET {
            let expected = format!("a path of at most {LONGEST_SOCKET} octets, for a Unix socket");
            return Err(Wrong::expected(value, expected));
        }
        Ok(Endpoint::Unix { path, mode: MODE })
    }
}

fn mode(value: &Value) -> Parsed<u32> {
    let written = text(value)?;
    let is_octal =
        (3..=4).contains(&written.len()) && written.bytes().all(|it| it.is_ascii_digit());
    let mode = u32::from_str_radix(&written, 8).ok();
    mode.filter(|mode| is_octal && *mode <= 0o777 && mode & 0o600 == 0o600).ok_or_else(|| {
        Wrong::expected(value, "the permissions of a file like \"0660\", with 6 for its owner")
    })
}
