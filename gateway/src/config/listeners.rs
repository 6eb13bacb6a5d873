//! The two sides of mail: the tables `[[listener]]`, the table `[next_hop]`.

use std::net::{IpAddr, SocketAddr};

use super::fault::Place;
use super::reader::{At, Reader};
use super::values::{Wrong, choice, socket_address};
use crate::direction::{Acceptance, Direction};
use crate::front::{BareNewline, Listener, NextHop, PassClient};
use crate::net::reserved;

/// Reads the tables `[[listener]]`, with the places where one is fixed to outbound.
pub(super) fn listeners(readers: Vec<Reader<'_>>) -> (Vec<Listener>, Vec<Place>) {
    let mut listeners: Vec<Listener> = Vec::new();
    let mut outbound = Vec::new();
    for mut reader in readers {
        let expected = "an IP address with a port, like \"0.0.0.0:25\"";
        let address = reader.required("address", expected, socket_address);
        let direction = choice(&[
            ("auto", None),
            ("inbound", Some(Direction::Inbound)),
            ("outbound", Some(Direction::Outbound)),
        ]);
        let direction = reader.optional("direction", direction);
        if let Some(at) = direction.as_ref().filter(|at| at.value == Some(Direction::Outbound)) {
            let address = address.as_ref().map(|address| address.value);
            notice_strangers(&reader, at, address);
            outbound.push(at.place.clone());
        }
        let direction = direction.and_then(|at| at.value);
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
    (listeners, outbound)
}

/// Says so where strangers can reach a listener that is there for our own senders.
fn notice_strangers(reader: &Reader<'_>, at: &At<Option<Direction>>, address: Option<SocketAddr>) {
    let is_open = |ip: IpAddr| ip.is_unspecified() || reserved(ip).is_none();
    if let Some(address) = address
        && is_open(address.ip().to_canonical())
    {
        let text = format!(
            "\"outbound\" on {address}, which strangers may reach: let a firewall, or an address inside, keep them away"
        );
        reader.notice(at.key, at.place.clone(), text);
    }
}

/// What decides for whom mail is taken.
#[derive(Debug)]
pub(super) struct Relaying<'a> {
    /// Whether there are `recipient_domains`.
    pub(super) has_domains: bool,
    /// Where listeners are fixed to outbound.
    pub(super) outbound: &'a [Place],
    /// The acceptance lists.
    pub(super) acceptance: &'a [Acceptance],
}

impl Relaying<'_> {
    /// Whether a list tells our own senders from others without reverse names.
    fn knows_senders(&self) -> bool {
        self.acceptance.iter().any(|list| {
            list.direction == Direction::Outbound
                && !(list.addresses.is_empty() && list.hosts.is_empty())
        })
    }
}

/// Reads `[next_hop]`. No open relay: a next hop that cannot see the client must not get mail for any domain (B0).
pub(super) fn next_hop(
    mut reader: Reader<'_>,
    relaying: &Relaying<'_>,
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
        && !relaying.has_domains
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
    if let Some(client) = &client
        && client.value == PassClient::None
        && let Some(place) = relaying.outbound.first()
        && !relaying.knows_senders()
    {
        let found = format!("\"none\" with the outbound listener at {place}");
        let expected = "an outbound [[acceptance]] list with addresses or hosts";
        reader.wrong_at(
            client,
            Wrong::expected(&found, expected).hint(
                "it would be an open relay for all who reach that listener, since the next hop sees every client as this host; \
                 say who may send, or let the next hop see the client",
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
