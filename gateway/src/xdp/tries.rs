//! A pair of tries in the kernel, one per family, with dated rules.

use std::net::IpAddr;

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{MapData, MapError};
use gateway_ebpf::abi::MapShape;
use gateway_ebpf::dated::{self, DATED_BYTES, DatedRule};

use super::XdpError;
use super::pins::Pins;
use super::plan::{Entries, Plan};
use super::tables::{failed, open};
use crate::clock::uptime;
use crate::net::Prefix;

/// The tries of both families.
#[derive(Debug)]
pub(super) struct Tries {
    v4: LpmTrie<MapData, [u8; 4], [u8; DATED_BYTES]>,
    v6: LpmTrie<MapData, [u8; 16], [u8; DATED_BYTES]>,
    shapes: (MapShape, MapShape),
}

impl Tries {
    /// Opens the pinned tries.
    pub(super) fn open(pins: &Pins, v4: MapShape, v6: MapShape) -> Result<Self, XdpError> {
        Ok(Self { v4: open(pins, v4)?, v6: open(pins, v6)?, shapes: (v4, v6) })
    }

    /// What they hold, sorted.
    pub(super) fn entries(&self) -> Result<Entries<DatedRule>, XdpError> {
        let mut entries = Entries::new();
        for entry in &self.v4 {
            let (key, value) = entry.map_err(failed(self.shapes.0))?;
            entries.extend(entry_of(key.data().into(), key.prefix_len(), value));
        }
        for entry in &self.v6 {
            let (key, value) = entry.map_err(failed(self.shapes.1))?;
            entries.extend(entry_of(key.data().into(), key.prefix_len(), value));
        }
        entries.sort_by_key(|(prefix, _)| *prefix);
        Ok(entries)
    }

    /// Carries out the first half of a plan.
    pub(super) fn write(&mut self, plan: &Plan<DatedRule>) -> Result<(), XdpError> {
        for (prefix, value) in &plan.write {
            let (length, value) = (prefix.length().into(), value.to_bytes());
            let (written, shape) = match prefix.address() {
                IpAddr::V4(v4) => {
                    (self.v4.insert(&Key::new(length, v4.octets()), value, 0), self.shapes.0)
                }
                IpAddr::V6(v6) => {
                    (self.v6.insert(&Key::new(length, v6.octets()), value, 0), self.shapes.1)
                }
            };
            written.map_err(failed(shape))?;
        }
        Ok(())
    }

    /// Carries out the second half of a plan.
    pub(super) fn remove(&mut self, plan: &Plan<DatedRule>) -> Result<(), XdpError> {
        for prefix in &plan.remove {
            let length = prefix.length().into();
            let (removed, shape) = match prefix.address() {
                IpAddr::V4(v4) => (self.v4.remove(&Key::new(length, v4.octets())), self.shapes.0),
                IpAddr::V6(v6) => (self.v6.remove(&Key::new(length, v6.octets())), self.shapes.1),
            };
            removed.map_err(failed(shape))?;
        }
        Ok(())
    }

    /// What they say about `address`, as [`dated::find`] gives it to the program.
    pub(super) fn covering(&self, address: IpAddr) -> Result<u32, XdpError> {
        let mut fault = None;
        let (found, shape) = match address {
            IpAddr::V4(v4) => {
                let longest =
                    |bits| heard(self.v4.get(&Key::new(bits, v4.octets()), 0), &mut fault);
                (dated::find(32, longest, uptime), self.shapes.0)
            }
            IpAddr::V6(v6) => {
                let longest =
                    |bits| heard(self.v6.get(&Key::new(bits, v6.octets()), 0), &mut fault);
                (dated::find(128, longest, uptime), self.shapes.1)
            }
        };
        fault.map_or(Ok(found), |error| Err(failed(shape)(error)))
    }
}

/// What a trie has for a prefix; that it cannot be read is noted.
fn heard(
    value: Result<[u8; DATED_BYTES], MapError>,
    fault: &mut Option<MapError>,
) -> Option<DatedRule> {
    match value {
        Ok(value) => return Some(DatedRule::from_bytes(value)),
        Err(MapError::KeyNotFound) => {}
        Err(error) => *fault = Some(error),
    }
    None
}

/// An IPv4-mapped IPv6 prefix is written nowhere; if one is there all the same, `None` leaves it alone.
fn entry_of(address: IpAddr, length: u32, value: [u8; DATED_BYTES]) -> Option<(Prefix, DatedRule)> {
    let prefix = Prefix::new(address, u8::try_from(length).ok()?).ok()?;
    (prefix.address().is_ipv4() == address.is_ipv4())
        .then_some((prefix, DatedRule::from_bytes(value)))
}
