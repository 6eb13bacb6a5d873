//! The delta in the kernel: prefixes that differ from the tables, or expire, behind a gate that spares all others the look.

use std::net::IpAddr;

use aya::maps::{Array, MapData};
use gateway_ebpf::abi::{MAX_DELTA, map};
use gateway_ebpf::dated::{DatedRule, NOTHING};
use gateway_ebpf::gate::{Gate, Place};
use gateway_ebpf::table::Line;

use super::XdpError;
use super::pins::Pins;
use super::plan::{Entries, Plan};
use super::tables::{failed, open};
use super::tries::Tries;

/// The delta of both families.
pub(super) struct Delta {
    tries: Tries,
    gate: Array<MapData, Line>,
}

impl Delta {
    /// Opens the pinned delta.
    pub(super) fn open(pins: &Pins) -> Result<Self, XdpError> {
        let tries = Tries::open(pins, map::DELTA_V4, map::DELTA_V6)?;
        Ok(Self { tries, gate: open(pins, map::GATE)? })
    }

    /// What it holds, sorted.
    pub(super) fn entries(&self) -> Result<Entries<DatedRule>, XdpError> {
        self.tries.entries()
    }

    /// The first half of a change to `wanted`: what is new. The gate is opened last, so that each entry is seen with those
    /// inside it, or not at all.
    pub(super) fn write(
        &mut self,
        plan: &Plan<DatedRule>,
        wanted: &Entries<DatedRule>,
    ) -> Result<(), XdpError> {
        let v4 = wanted.partition_point(|(prefix, _)| prefix.address().is_ipv4());
        for found in [v4, wanted.len() - v4] {
            if found > MAX_DELTA {
                let what = "rules that expire";
                return Err(XdpError::DoesNotFit { what, found, most: MAX_DELTA });
            }
        }
        self.tries.write(plan)?;
        let open = gate(wanted);
        self.set_gate(|place, line| {
            let mut both = line;
            for (word, wanted) in both.iter_mut().zip(open.lines().get(place).into_iter().flatten())
            {
                *word |= wanted;
            }
            both
        })
    }

    /// The second half: what is gone.
    pub(super) fn remove(
        &mut self,
        plan: &Plan<DatedRule>,
        wanted: &Entries<DatedRule>,
    ) -> Result<(), XdpError> {
        self.tries.remove(plan)?;
        let open = gate(wanted);
        self.set_gate(|place, line| open.lines().get(place).copied().unwrap_or(line))
    }

    /// What it says about `address`, found as the program finds it.
    pub(super) fn covering(&self, address: IpAddr) -> Result<u32, XdpError> {
        if self.is_gated(address)? { self.tries.covering(address) } else { Ok(NOTHING) }
    }

    /// Whether it is asked about `address` at all.
    pub(super) fn is_gated(&self, address: IpAddr) -> Result<bool, XdpError> {
        let place = place(address);
        let line = self.gate.get(&place.line, 0).map_err(failed(map::GATE))?;
        Ok(place.is_set(&line))
    }

    /// Makes each line of the gate what `wanted` makes of it.
    fn set_gate(&mut self, wanted: impl Fn(usize, Line) -> Line) -> Result<(), XdpError> {
        for place in 0..map::GATE.entries {
            let line = self.gate.get(&place, 0).map_err(failed(map::GATE))?;
            let wanted = wanted(usize::try_from(place).unwrap_or(0), line);
            if line != wanted {
                self.gate.set(place, wanted, 0).map_err(failed(map::GATE))?;
            }
        }
        Ok(())
    }
}

/// Where the gate has the bit for an address.
pub(super) fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(v4) => Place::v4(v4.to_bits()),
        IpAddr::V6(v6) => Place::v6(u32::try_from(v6.to_bits() >> 96).unwrap_or(0)),
    }
}

/// The gate that lets exactly these through.
fn gate(entries: &Entries<DatedRule>) -> Gate {
    let mut gate = Gate::default();
    for (prefix, _) in entries {
        match prefix.address() {
            IpAddr::V4(v4) => gate.open_v4(v4.to_bits(), prefix.length()),
            IpAddr::V6(v6) => gate.open_v6(v6.to_bits(), prefix.length()),
        }
    }
    gate
}
