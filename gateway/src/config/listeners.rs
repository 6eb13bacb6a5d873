//! The tables `[[listener]]`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::fault::Place;
use super::reader::{At, Reader};
use super::resolve::values;
use super::values::{self, Wrong, choice, own_prefix, socket_address, time_in};
use crate::direction::Direction;
use crate::front::{BareNewline, Listener, ListenerTls};
use crate::net::reserved;

/// Whoever names clients can pretend to be any of them.
const NAMES_CLIENTS: &str =
    "whoever is in here can pretend to be any client; name your own hosts only";

/// Where listeners are what others of the configuration have to know of.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Fixed to outbound.
    pub(super) outbound: Vec<Place>,
    /// In need of a certificate.
    pub(super) tls: Vec<Place>,
    /// With passwords going through.
    pub(super) auth: Vec<Place>,
    /// Behind a load balancer, with their ports.
    pub(super) proxied: Vec<(Place, u16)>,
}

/// Reads the tables `[[listener]]`.
pub(super) fn listeners(readers: Vec<Reader<'_>>) -> (Vec<Listener>, Places) {
    let mut listeners: Vec<Listener> = Vec::new();
    let mut places = Places::default();
    for mut reader in readers {
        let expected = "an IP address with a port, like \"0.0.0.0:25\"";
        let address = reader.required("address", expected, socket_address);
        let direction = direction(&mut reader, address.as_ref(), &mut places);
        let bare_newline =
            choice(&[("reject", BareNewline::Reject), ("normalise", BareNewline::Normalise)]);
        let bare_newline = reader.or("bare_newline", BareNewline::Reject, bare_newline);
        let (tls, auth) = tls(&mut reader, &mut places);
        let proxy_from = reader.each("proxy_from", own_prefix(NAMES_CLIENTS));
        if let (Some(first), Some(address)) = (proxy_from.iter().flatten().next(), &address) {
            places.proxied.push((first.place.clone(), address.value.port()));
        }
        let proxy_from = values(proxy_from);
        let xclient_from = values(reader.each("xclient_from", own_prefix(NAMES_CLIENTS)));
        let wait = time_in(
            Duration::from_secs(1)..=Duration::from_secs(30),
            "like \"6s\", from 1s to 30s: senders give up, and others wait for the place",
        );
        let greet_wait = reader.optional("greet_wait", wait).map(|at| at.value);
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
            listeners.push(Listener {
                address: address.value,
                direction,
                bare_newline,
                tls,
                auth,
                proxy_from,
                xclient_from,
                greet_wait,
            });
        }
        reader.finish();
    }
    (listeners, places)
}

fn direction(
    reader: &mut Reader<'_>,
    address: Option<&At<SocketAddr>>,
    places: &mut Places,
) -> Option<Direction> {
    let direction = reader.optional("direction", values::direction);
    if let Some(at) = direction.as_ref().filter(|at| at.value == Some(Direction::Outbound)) {
        notice_strangers(reader, at, address.map(|address| address.value));
        places.outbound.push(at.place.clone());
    }
    direction.and_then(|at| at.value)
}

fn tls(reader: &mut Reader<'_>, places: &mut Places) -> (ListenerTls, bool) {
    let tls = choice(&[
        ("off", ListenerTls::Off),
        ("starttls", ListenerTls::Starttls),
        ("implicit", ListenerTls::Implicit),
    ]);
    let tls = reader.optional("tls", tls).filter(|at| at.value != ListenerTls::Off);
    places.tls.extend(tls.as_ref().map(|at| at.place.clone()));
    let auth = reader.optional("auth", choice(&[("off", false), ("pass", true)]));
    if let Some(auth) = auth.as_ref().filter(|auth| auth.value) {
        if tls.is_none() {
            let wrong =
                Wrong::expected(&"\"pass\" without TLS", "tls = \"starttls\" or \"implicit\"");
            reader.wrong_at(auth, wrong.hint("passwords must not cross the world in the clear"));
        }
        places.auth.push(auth.place.clone());
    }
    (tls.map_or(ListenerTls::Off, |at| at.value), auth.is_some_and(|auth| auth.value))
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
