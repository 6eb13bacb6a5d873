//! The pages: the tables `[web]`, `[[web_user]]` and `[public_lookup]`.

use std::net::SocketAddr;
use std::time::Duration;

use super::fault::Place;
use super::reader::{At, Reader};
use super::resolve::values;
use super::tree::Value;
use super::values::{
    Parsed, Wrong, boolean, choice, list_name, own_prefix, socket_address, text, time_in,
};
use super::{PublicLookup, Role, WebConfig, WebUser};
use crate::front::Endpoint;
use crate::net::Prefix;
use crate::password::PasswordHash;

/// Whoever has the token, and whoever asks on the public page.
const RESERVED: [&str; 2] = ["token", "public"];
/// The most users.
const MOST: usize = 1000;

/// Reads `[web]` and `[[web_user]]`; `needs_tls` takes the places that need a certificate.
pub(super) fn web(
    mut reader: Reader<'_>,
    users: Vec<Reader<'_>>,
    taken: &mut Vec<Endpoint>,
    needs_tls: &mut Vec<Place>,
) -> WebConfig {
    let default = SocketAddr::from(([127, 0, 0, 1], 8025));
    let address = address(&mut reader, taken);
    let tls = tls(&mut reader, needs_tls);
    if let Some(at) = address.as_ref().filter(|at| !at.value.ip().to_canonical().is_loopback())
        && !tls
    {
        let found = format!("\"{}\" without TLS", at.value);
        let wrong = Wrong::expected(&found, "an address of loopback, or tls = true");
        reader.wrong_at(at, wrong.hint("passwords must not cross a network in the clear"));
    }
    let session = time_in(
        Duration::from_mins(1)..=Duration::from_hours(30 * 24),
        "like \"12h\", from 1m to 30d",
    );
    let session = reader.or("session", Duration::from_hours(12), session);
    let everybody = "whoever is in here reads all counters without a password";
    let metrics_from = reader.each("metrics_from", own_prefix(everybody));
    let metrics_from = metrics_from.map_or_else(loopback, |each| values(Some(each)));
    reader.finish();
    let address = address.map_or(default, |at| at.value);
    WebConfig { address, tls, session, metrics_from, users: web_users(users) }
}

/// Reads `[public_lookup]`.
pub(super) fn public_lookup(
    mut reader: Reader<'_>,
    taken: &mut Vec<Endpoint>,
    needs_tls: &mut Vec<Place>,
) -> Option<PublicLookup> {
    if !reader.has("address") {
        reader.missing("address", "an IP address with a port, like \"0.0.0.0:443\"");
    }
    let address = address(&mut reader, taken);
    let tls = tls(&mut reader, needs_tls);
    reader.finish();
    Some(PublicLookup { address: address?.value, tls })
}

fn loopback() -> Vec<Prefix> {
    [[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()].map(Prefix::host).into()
}

fn address(reader: &mut Reader<'_>, taken: &mut Vec<Endpoint>) -> Option<At<SocketAddr>> {
    let at = reader.optional("address", socket_address)?;
    let endpoint = Endpoint::Tcp(at.value);
    if taken.iter().any(|other| other.is_at(&endpoint)) {
        let found = format!("\"{}\" again", at.value);
        reader.wrong_at(&at, Wrong::expected(&found, "an address of its own"));
    }
    taken.push(endpoint);
    Some(at)
}

fn tls(reader: &mut Reader<'_>, needed: &mut Vec<Place>) -> bool {
    let tls = reader.optional("tls", boolean).filter(|at| at.value);
    needed.extend(tls.as_ref().map(|at| at.place.clone()));
    tls.is_some()
}

fn web_users(readers: Vec<Reader<'_>>) -> Vec<WebUser> {
    let mut users = Vec::new();
    let mut names: Vec<At<String>> = Vec::new();
    for mut reader in readers {
        let name = reader.required("name", "the name of the user", list_name);
        if let Some(name) = &name {
            reader.only_one(name, &mut names, "user", MOST);
        }
        if let Some(taken) = name.as_ref().filter(|name| RESERVED.contains(&name.value.as_str())) {
            let found = format!("\"{}\"", taken.value);
            reader.wrong_at(
                taken,
                Wrong::expected(&found, "another name: records have this one for others"),
            );
        }
        let roles = Role::ALL.map(|role| (role.name(), role));
        let role = reader.required("role", "viewer or operator", choice(&roles));
        let expected = "what `portcullis web password` prints";
        let password = reader.required("password", expected, password);
        if let (Some(name), Some(role), Some(password)) = (name, role, password) {
            let password = password.value;
            users.push(WebUser { name: name.value, role: role.value, password });
        }
        reader.finish();
    }
    users
}

fn password(value: &Value) -> Parsed<PasswordHash> {
    // A password in the clear is not shown.
    text(value)?.parse().map_err(|error| {
        Wrong::new(format_args!("{error}, expected what `portcullis web password` prints"))
    })
}
