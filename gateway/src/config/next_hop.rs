//! The mail servers behind this one: the table `[next_hop]`.

use std::net::SocketAddr;
use std::path::Path;

use super::listeners::Places;
use super::reader::{At, Reader};
use super::values::{Wrong, boolean, choice, domain, integer, socket_address};
use crate::direction::{Acceptance, Direction};
use crate::front::{Listener, NextHop, NextHopTls, NextHopTlsMode, PassClient};

/// More than this many are no failover any more.
const MOST_ADDRESSES: usize = 16;

/// What decides for whom mail is taken.
#[derive(Debug)]
pub(super) struct Relaying<'a> {
    /// Whether there are `recipient_domains`.
    pub(super) has_domains: bool,
    /// The listeners.
    pub(super) listeners: &'a [Listener],
    /// Where listeners are fixed to outbound, and where passwords go through.
    pub(super) places: &'a Places,
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
    folder: &Path,
    relaying: &Relaying<'_>,
) -> Option<NextHop> {
    let addresses = addresses(&mut reader, relaying.listeners);
    let client = choice(&[
        ("xclient", PassClient::Xclient),
        ("proxy", PassClient::Proxy),
        ("proxy-v2", PassClient::ProxyV2),
        ("none", PassClient::None),
    ]);
    let client = reader.optional("client", client);
    if let Some(client) = client.as_ref().filter(|client| client.value == PassClient::None) {
        faults_of_none(&reader, client, relaying);
    }
    let tls = tls(&mut reader, folder, addresses.as_deref().unwrap_or_default(), relaying.places);
    let idle_connections =
        reader.or("idle_connections", NextHop::IDLE_CONNECTIONS, integer(0..=10_000));
    reader.finish();
    Some(NextHop {
        addresses: addresses?,
        idle_connections,
        client: client.map_or(PassClient::Xclient, |client| client.value),
        tls,
    })
}

fn addresses(reader: &mut Reader<'_>, listeners: &[Listener]) -> Option<Vec<SocketAddr>> {
    if !reader.has("address") {
        reader.missing("address", "the IP address and port of the mail server behind");
        return None;
    }
    let items = reader.one_or_each("address", socket_address)?;
    for address in &items {
        let found = format!("\"{}\"", address.value);
        if address.value.port() == 0 || address.value.ip().is_unspecified() {
            reader.wrong_at(address, Wrong::expected(&found, "the address and port of one host"));
        } else if listeners.iter().any(|listener| reaches(address.value, listener.address)) {
            let wrong = Wrong::expected(&found, "another address than those of the listeners");
            reader.wrong_at(address, wrong.hint("mail would go round in a loop"));
        }
    }
    if let Some(beyond) = items.get(MOST_ADDRESSES) {
        let found = format!("{} addresses", items.len());
        reader.wrong_at(beyond, Wrong::expected(&found, format!("1 to {MOST_ADDRESSES}")));
    }
    (!items.is_empty()).then(|| items.into_iter().map(|at| at.value).collect())
}

/// What a next hop that sees every client as this host must not do.
fn faults_of_none(reader: &Reader<'_>, client: &At<PassClient>, relaying: &Relaying<'_>) {
    if !relaying.has_domains {
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
    if let Some(place) = relaying.places.outbound.first()
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
}

/// Over a wire that others may share TLS is worth its price; on loopback nobody listens.
fn tls(
    reader: &mut Reader<'_>,
    folder: &Path,
    addresses: &[SocketAddr],
    places: &Places,
) -> NextHopTls {
    let is_local = addresses.iter().all(|address| address.ip().is_loopback());
    let default = if is_local { NextHopTlsMode::Off } else { NextHopTlsMode::Opportunistic };
    let mode = choice(&[
        ("off", NextHopTlsMode::Off),
        ("opportunistic", NextHopTlsMode::Opportunistic),
        ("required", NextHopTlsMode::Required),
    ]);
    let mode = reader.or("tls", default, mode);
    let verify = reader.optional("tls_verify", boolean);
    if let Some(verify) = &verify
        && verify.value
        && mode != NextHopTlsMode::Required
    {
        let wrong = Wrong::expected(&"true without tls = \"required\"", "both or neither");
        let hint = "a certificate that is looked at and then ignored proves nothing";
        reader.wrong_at(verify, wrong.hint(hint));
    }
    let default = mode == NextHopTlsMode::Required;
    let name = reader.optional("tls_name", domain).map(|at| at.value);
    let ca_file = reader.file("tls_ca_file", folder).map(|at| at.value);
    if let Some(place) = places.auth.first()
        && !is_local
        && mode != NextHopTlsMode::Required
    {
        let found = format!("passwords go through by the listener at {place}");
        let expected = "tls = \"required\", or a next hop on this host";
        reader.wrong("tls", reader.place().clone(), Wrong::expected(&found, expected));
    }
    NextHopTls { mode, verify: verify.map_or(default, |at| at.value), name, ca_file }
}

/// Whether a connection to `target` ends at `listener`.
fn reaches(target: SocketAddr, listener: SocketAddr) -> bool {
    let (to, at) = (target.ip().to_canonical(), listener.ip().to_canonical());
    // A socket on `::` takes IPv4, too.
    let is_everywhere = at.is_unspecified() && (at.is_ipv6() || to.is_ipv4());
    target.port() == listener.port() && (to == at || is_everywhere && to.is_loopback())
}
