//! The lists: random hosts, and a second list that differs from the first by some, but by no source of the flood.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, Result};
use gateway_ebpf::bench_keys::entry_v4;

/// One entry in so many is another one in the second list.
const CHANGED: usize = 10;

/// A list and the one that replaces it.
pub(crate) struct Lists {
    /// The list in force first.
    pub(crate) first: Vec<Ipv4Addr>,
    /// The list that replaces it.
    pub(crate) second: Vec<Ipv4Addr>,
}

impl Lists {
    /// Lists with `entries` entries, in no order.
    pub(crate) fn new(entries: usize) -> Self {
        let changed = entries / CHANGED;
        let hosts = (0..).map(entry_v4).map(Ipv4Addr::from_bits);
        let mut hosts: Vec<_> =
            hosts.filter(|host| is_public(*host)).take(entries + changed).collect();
        let mut second = hosts.clone();
        second.drain(..changed);
        hosts.truncate(entries);
        Self { first: hosts, second }
    }

    /// The sources of the flood, random hosts that both lists have.
    pub(crate) fn sources(&self) -> &[Ipv4Addr] {
        self.first.get(self.first.len() / CHANGED..).unwrap_or_default()
    }
}

/// Writes a file with `head`, a line for each address, and `tail`.
pub(crate) fn write(
    file: &Path,
    head: &str,
    addresses: &[Ipv4Addr],
    line: impl Fn(&mut String, Ipv4Addr) -> std::fmt::Result,
    tail: &str,
) -> Result<()> {
    let mut text = head.to_owned();
    for address in addresses {
        line(&mut text, *address)?;
    }
    text.write_str(tail)?;
    fs::write(file, text).with_context(|| file.display().to_string())
}

/// Whether the kernel would take a packet from this address to be real; the cable's own network is left out, too.
fn is_public(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    (1..224).contains(&first) && first != 127 && [first, second, third] != [192, 0, 2]
}
