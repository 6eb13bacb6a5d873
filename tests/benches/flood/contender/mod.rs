//! Whatever can keep listed senders away, each behind the same few calls.

mod ipset;
mod nftables;
mod plain;
mod portcullis;
mod xdp_filter;

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use gateway_ebpf::abi::KernelAction;

use crate::field::Field;

use ipset::Ipset;
use nftables::{Hook, Nftables};
use plain::Plain;
use portcullis::Portcullis;
use xdp_filter::XdpFilter;

/// A filter on the edge host.
pub(crate) trait Contender {
    /// The name of its row.
    fn name(&self) -> &'static str;

    /// What it does with packets from listed sources.
    fn action(&self) -> &'static str {
        "drop"
    }

    /// The program that it needs and the Debian package that has it.
    fn needs(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    /// How many entries it can hold; `None` for as many as there is memory for, 0 for one that knows no list.
    fn most(&self) -> Option<usize> {
        None
    }

    /// Whether the others go through: whether it is a filter at all.
    fn lets_clean_clients_in(&self) -> bool {
        true
    }

    /// Writes the lists down in its own language. Not measured.
    fn write(&mut self, _first: &[Ipv4Addr], _second: &[Ipv4Addr]) -> Result<()> {
        Ok(())
    }

    /// Puts the first list in force.
    fn load(&mut self, field: &Field) -> Result<()>;

    /// How much of the time for the first list went into the kernel, where that is known.
    fn in_kernel(&self) -> Option<Duration> {
        None
    }

    /// Puts the second list in force instead of the first.
    fn replace(&mut self, field: &Field) -> Result<()>;

    /// Removes all that [`Self::load`] made, even where it failed half-way.
    fn unload(&mut self, field: &Field) -> Result<()>;
}

/// All of them, the cheapest first.
pub(crate) fn all() -> Result<Vec<Box<dyn Contender>>> {
    Ok(vec![
        Box::new(Plain::program("drop-all", "drop_all")),
        Box::new(Plain::program("drop-reading", "drop_read")),
        Box::new(Plain::program("drop-one-line", "drop_line")),
        Box::new(Plain::program("drop-two-lines", "drop_lines")),
        Box::new(Portcullis::new(KernelAction::Drop)?),
        Box::new(Portcullis::new(KernelAction::Reset)?),
        Box::new(Portcullis::new(KernelAction::Refuse)?),
        Box::new(XdpFilter::new()?),
        Box::new(Ipset::new()?),
        Box::new(Nftables::new(Hook::Ingress)?),
        Box::new(Nftables::new(Hook::Prerouting)?),
        Box::new(Plain::nothing()),
    ])
}
