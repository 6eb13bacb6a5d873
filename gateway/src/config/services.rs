//! The services that mail servers ask: the tables `[milter]`, `[postfix_policy]`.

use std::path::Path;

use super::reader::{At, Reader};
use super::resolve::LONGEST_SOCKET;
use super::tree::Value;
use super::values::{Parsed, Wrong, direction, integer, socket_address, text};
use crate::front::{Endpoint, Listener, Service};

/// Who may connect to a Unix socket, where nothing else is said: its owner and its group.
const MODE: u32 = 0o660;

/// Reads one of the tables; relative paths begin in `folder`. `taken` is where others listen.
pub(super) fn service(
    mut reader: Reader<'_>,
    folder: &Path,
    taken: &[Endpoint],
) -> Option<Service> {
    let expected =
        "an IP address with a port, or a Unix socket like \"unix:/run/portcullis/milter.sock\"";
    let address = reader.required("address", expected, endpoint(folder));
    let mode = reader.optional("socket_mode", mode);
    let direction = reader.or("direction", None, direction);
    let connections = reader.or("connections", 1000, integer(1..=1_000_000));
    let endpoint = address.map(|at| checked(&reader, at, mode.as_ref(), taken));
    reader.finish();
    Some(Service { endpoint: endpoint?, direction, connections })
}

/// Where the listeners and the admin socket are.
pub(super) fn taken(listeners: &[Listener], admin_socket: &Path) -> Vec<Endpoint> {
    let listeners = listeners.iter().map(|listener| Endpoint::Tcp(listener.address));
    let admin = Endpoint::Unix { path: admin_socket.to_owned(), mode: MODE };
    listeners.chain([admin]).collect()
}

/// The endpoint with its permissions; says what is wrong with it, or what an operator should know.
fn checked(
    reader: &Reader<'_>,
    address: At<Endpoint>,
    mode: Option<&At<u32>>,
    taken: &[Endpoint],
) -> Endpoint {
    if taken.iter().any(|other| other.is_at(&address.value)) {
        let expected = "an address of its own for each front";
        let found = format!("\"{}\" again", address.value);
        reader.wrong_at(&address, Wrong::expected(&found, expected));
    }
    match &address.value {
        Endpoint::Tcp(tcp) => {
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
