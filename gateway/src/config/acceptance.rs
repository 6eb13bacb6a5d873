//! The tables `[[acceptance]]`: which clients send which way.

use std::sync::Arc;

use super::fault::Place;
use super::reader::{At, Reader};
use super::resolve::values;
use super::values::{choice, domain, list_name, own_prefix, recipient_domain};
use crate::direction::{Acceptance, Direction};

/// The most lists, each of which every client is compared with.
const MOST: usize = 100;

/// A prefix that is too wide makes senders of strangers.
const OURS: &str = "an outbound list says who may send to anybody; name your own hosts only";

/// A key that needs reverse names, with the place where it is written.
pub(super) type NeedsPtr = Option<(&'static str, Place)>;

/// Reads all lists; one with a fault is left out. With them, where the first one needs reverse names.
pub(super) fn acceptance(readers: Vec<Reader<'_>>) -> (Vec<Acceptance>, NeedsPtr) {
    let mut lists = Vec::new();
    let mut names: Vec<At<String>> = Vec::new();
    let mut needs_ptr = None;
    for mut reader in readers {
        let name = reader.required("name", "the name of the list", list_name);
        if let Some(name) = &name {
            reader.only_one(name, &mut names, "acceptance list", MOST);
        }
        let directions = [Direction::Inbound, Direction::Outbound];
        let directions = directions.map(|direction| (direction.name(), direction));
        let direction = reader.required("direction", "inbound or outbound", choice(&directions));
        let is_empty = reader.are_empty(&["addresses", "hosts", "domains"]);
        if is_empty {
            reader.missing("addresses", "an entry of addresses, hosts or domains");
        }
        let addresses = reader.each("addresses", own_prefix(OURS));
        let hosts = reader.each("hosts", domain);
        let domains = reader.each("domains", recipient_domain);
        if let Some(first) = domains.iter().flatten().next() {
            needs_ptr.get_or_insert_with(|| ("`domains` of [[acceptance]]", first.place.clone()));
        }
        let shared = |names: Option<Vec<At<String>>>| {
            values(names).into_iter().map(Arc::from).collect::<Vec<Arc<str>>>()
        };
        if let (Some(name), Some(direction)) = (name, direction) {
            lists.push(Acceptance {
                name: name.value.into(),
                direction: direction.value,
                addresses: values(addresses),
                hosts: shared(hosts),
                domains: shared(domains),
            });
        }
        reader.finish();
    }
    (lists, needs_ptr)
}
