//! The two sides of mail: the tables `[[listener]]`, the table `[next_hop]`.

use std::net::SocketAddr;

use super::reader::Reader;
use super::values::{Wrong, choice, socket_address};
use crate::direction::Direction;
use crate::front::{BareNewline, Listener, NextHop, PassClient};

/// Reads the tables `[[listener]]`.
pub(super) fn listeners(readers: Vec<Reader<'_>>) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for mut reader in readers {
        let expected = "an IP address with a port, like \"0.0.0.0:25\"";
        let address = reader.required("address", expected, socket_address);
        let direction = choice(&[
            ("auto", None),
            ("inbound", Some(Direction::Inbound)),
            ("outbound", Some(Direction::Outbound)),
        ]);
        let direction = reader.or("direction", None, direction);
        let bare_newline =
            choice(&[("reject", BareNewline::Reject), ("normalise", BareNewline::Normalise)]);
        let bare_newline = reader.or("bare_newline", BareNewline::Reject, bare_newline);
        if let Some(address) = address {
            let is_known = listeners.iter().any(|listener| listener.address == address.value);
            // Port 0 is a free one, another each time.
            if is_known && address.value.port() != 0 {
                let found = format!("\"{}\" again", address.value);
                reader.wrong_at(
                    &address,
                    Wrong::expected(&found, "an address of its own for each listener"),
                );
            }
            listeners.push(Listener { address: address.value, direction, bare_newline });
        }
        reader.finish();
    }
    listeners
}

/// Reads `[next_hop]`. No open relay: a next hop that cannot see the client must not get mail for any domain (B0).
pub(super) fn next_hop(
    mut reader: Reader<'_>,
    has_domains: bool,
    listeners: &[Listener],
) -> Option<NextHop> {
    let expected = "the IP address and port of the mail server behind";
    let address = reader.required("address", expected, socket_address);
    if let Some(address) = &address {
        let found = format!("\"{}\"", address.value);
        if address.value.port() == 0 || address.value.ip().is_unspecified() {
            reader.wrong_at(address, Wrong::expected(&found, "the address and port of one host"));
        } else if listeners.iter().any(|listener| reaches(address.value, listener.address)) {
            let wrong = Wrong::expected(&found, "another address than those of the listeners");
            reader.wrong_at(address, wrong.hint("mail would go round in a loop"));
        }
    }
    let client = choice(&[
        ("xclient", PassClient::Xclient),
        ("proxy", PassClient::Proxy),
        ("none", PassClient::None),
    ]);
    let client = reader.optional("client", client);
    if let Some(client) = &client
        && client.value == PassClient::None
        && !has_domains
    {
        let expected = "\"xclient\", \"proxy\" or recipient_domains";
        let wrong = Wrong::expected(&"\"none\" without recipient_domains", expected);
        reader.wrong_at(
            client,
            wrong.hint(
                "the next hop would see every client as this host and relay for the whole world; \
                 set recipient_domains = [\"example.org\"] at the top of the file, or let it see the client",
            ),
        );
    }
    reader.finish();
    Some(NextHop {
        address: address?.value,
        client: client.map_or(PassClient::Xclient, |client| client.value),
    })
}

/// Whether a connection to `target` ends at `listener`.
fn reaches(target: SocketAddr, listener: SocketAddr) -> bool {
    let (to, at) = (target.ip().to_canonical(), listener.ip().to_canonical());
    // A socket on `::` takes IPv4, too.
    let is_everywhere = at.is_unspecified() && (at.is_ipv6() || to.is_ipv4());
    target.port() == listener.port() && (to == at || is_everywhere && to.is_loopback())
}
