//! The kernel's maps, opened by their pins and spoken to in the daemon's types.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuValues};
use gateway_ebpf::abi::{
    Counter, Family, KernelAction, MAX_LISTS, MapShape, Outcome, RuleValue, list_index, map,
};
use gateway_ebpf::dated::{self, NOTHING};
use gateway_ebpf::event::Tap;

use super::XdpError;
use super::base::Base;
use super::counters::{Count, Counters, Taps};
use super::delta::Delta;
use super::pins::Pins;
use super::slots::{self, Slots};
use super::tries::Tries;
use crate::net::fold;

/// All maps.
pub(super) struct Tables {
    pub(super) bad: Base,
    pub(super) delta: Delta,
    pub(super) good: Tries,
    pub(super) all_good: Tries,
    own: OwnTable,
    mute: HashMap<MapData, [u8; 4], u8>,
    outcomes: PerCpuArray<MapData, [u64; 2]>,
    lists: PerCpuArray<MapData, [u64; 2]>,
    taps: PerCpuArray<MapData, u64>,
    names: Array<MapData, slots::NameBytes>,
}

impl Tables {
    /// Opens the pinned maps.
    pub(super) fn open(pins: &Pins) -> Result<Self, XdpError> {
        Ok(Self {
            bad: Base::open(pins)?,
            delta: Delta::open(pins)?,
            good: Tries::open(pins, map::GOOD_V4, map::GOOD_V6)?,
            all_good: Tries::open(pins, map::ALL_GOOD_V4, map::ALL_GOOD_V6)?,
            own: OwnTable { v4: open(pins, map::OWN_V4)?, v6: open(pins, map::OWN_V6)? },
            mute: open(pins, map::MUTE)?,
            outcomes: open(pins, map::OUTCOMES)?,
            lists: open(pins, map::LISTS)?,
            taps: open(pins, map::TAPS)?,
            names: open(pins, map::NAMES)?,
        })
    }

    /// The rule for `address`, found the way the program finds it: good beats bad, and without a bad one there is none.
    pub(super) fn decide(&self, address: IpAddr) -> Result<Option<RuleValue>, XdpError> {
        let address = fold(address);
        let bad = match self.delta.covering(address)? {
            NOTHING => self.bad.covering(address)?,
            number => dated::rule(number),
        };
        let Some(bad) = bad else { return Ok(None) };
        Ok(Some(dated::rule(self.good.covering(address)?).unwrap_or(bad)))
    }

    /// Makes `addresses` the own ones.
    pub(super) fn set_own(&mut self, addresses: &[IpAddr]) -> Result<(), XdpError> {
        let folded = || addresses.iter().copied().map(fold);
        let v4 = folded().filter_map(|address| match address {
            IpAddr::V4(v4) => Some(v4.octets()),
            IpAddr::V6(_) => None,
        });
        let v6 = folded().filter_map(|address| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => Some(v6.octets()),
        });
        replace_keys(&mut self.own.v4, map::OWN_V4, "own addresses", v4.collect())?;
        replace_keys(&mut self.own.v6, map::OWN_V6, "own addresses", v6.collect())
    }

    /// Makes `interfaces`, by number, those on which nothing is answered.
    pub(super) fn set_mute(&mut self, interfaces: &[u32]) -> Result<(), XdpError> {
        let interfaces = interfaces.iter().map(|index| index.to_ne_bytes()).collect();
        replace_keys(&mut self.mute, map::MUTE, "interfaces with hidden VLANs", interfaces)
    }

    /// The names of the lists in their slots.
    pub(super) fn slots(&self) -> Result<Slots, XdpError> {
        let names: Result<Vec<_>, _> = self.names.iter().collect();
        Ok(Slots::from_kernel(names.map_err(failed(map::NAMES))?))
    }

    /// Writes the name of the list in `slot`.
    pub(super) fn name_slot(&mut self, slot: u16, name: &str) -> Result<(), XdpError> {
        self.names.set(slot.into(), slots::encode(name)?, 0).map_err(failed(map::NAMES))
    }

    /// Sets all counters of a slot to zero.
    pub(super) fn zero_slot(&mut self, slot: u16) -> Result<(), XdpError> {
        for (family, action) in every_way() {
            let index = list_index(slot, action, family);
            let processors = self.lists.get(&index, 0).map_err(failed(map::LISTS))?.len();
            let zeros = PerCpuValues::try_from(vec![[0; 2]; processors])
                .map_err(|error| failed(map::LISTS)(error.into()))?;
            self.lists.set(index, zeros, 0).map_err(failed(map::LISTS))?;
        }
        Ok(())
    }

    /// Everything that was counted.
    pub(super) fn counters(&self, slots: &Slots) -> Result<Counters, XdpError> {
        let mut counters = Counters::default();
        for outcome in Outcome::ALL {
            let count = total(&self.outcomes, map::OUTCOMES, outcome.index())?;
            counters.outcomes.insert(outcome.name(), count);
            match outcome {
                Outcome::RefusedSyn => counters.refused += count,
                Outcome::Refused554
                | Outcome::Refused503
                | Outcome::Refused221
                | Outcome::RefusedClose
                | Outcome::RefusedAck => counters.refused_dialogue += count,
                Outcome::Dropped
                | Outcome::OverCap
                | Outcome::OverNetworkCap
                | Outcome::Mute
                | Outcome::FloodDropped => counters.dropped += count,
                Outcome::Reset => counters.reset += count,
                _ => counters.passed += count,
            }
        }
        for (slot, name) in slots.named().take(MAX_LISTS) {
            let list = counters.lists.entry(Arc::clone(name)).or_default();
            let families = counters.families.entry(Arc::clone(name)).or_default();
            for (family, action) in every_way() {
                let count = total(&self.lists, map::LISTS, list_index(slot, action, family))?;
                *list.entry(action.name()).or_default() += count;
                families.entry(family.name()).or_default().insert(action.name(), count);
            }
        }
        counters.taps = self.taps()?;
        Ok(counters)
    }

    /// How the telling of single packets went.
    pub(super) fn taps(&self) -> Result<Taps, XdpError> {
        let total = |tap: Tap| -> Result<u64, XdpError> {
            let values = self.taps.get(&(tap as u32), 0).map_err(failed(map::TAPS))?;
            Ok(values.iter().sum())
        };
        Ok(Taps {
            events: total(Tap::Events)?,
            events_lost: total(Tap::EventsLost)?,
            copies: total(Tap::Copies)?,
            copies_lost: total(Tap::CopiesLost)?,
        })
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct OwnTable {
    v4: HashMap<MapData, [u8; 4], u8>,
    v6: HashMap<MapData, [u8; 16], u8>,
}

/// Each family with each action.
fn every_way() -> impl Iterator<Item = (Family, KernelAction)> {
    Family::ALL.into_iter().flat_map(|family| KernelAction::ALL.map(|action| (family, action)))
}

/// Opens a pinned map.
pub(super) fn open<M: TryFrom<Map, Error = MapError>>(
    pins: &Pins,
    shape: MapShape,
) -> Result<M, XdpError> {
    MapData::from_pin(pins.map(shape))
        .and_then(Map::from_map_data)
        .and_then(M::try_from)
        .map_err(failed(shape))
}

/// What could not be done with a map.
pub(super) fn failed(shape: MapShape) -> impl Fn(MapError) -> XdpError {
    move |source| XdpError::Map { map: shape.name, source }
}

fn replace_keys<const N: usize>(
    table: &mut HashMap<MapData, [u8; N], u8>,
    shape: MapShape,
    what: &'static str,
    wanted: BTreeSet<[u8; N]>,
) -> Result<(), XdpError>
where
    [u8; N]: aya::Pod,
{
    let most = usize::try_from(shape.entries).unwrap_or(usize::MAX);
    if wanted.len() > most {
        return Err(XdpError::DoesNotFit { what, found: wanted.len(), most });
    }
    let present: Result<BTreeSet<[u8; N]>, _> = table.keys().collect();
    let present = present.map_err(failed(shape))?;
    for key in present.difference(&wanted) {
        table.remove(key).map_err(failed(shape))?;
    }
    for key in wanted.difference(&present) {
        table.insert(key, 1, 0).map_err(failed(shape))?;
    }
    Ok(())
}

fn total(
    table: &PerCpuArray<MapData, [u64; 2]>,
    shape: MapShape,
    index: u32,
) -> Result<Count, XdpError> {
    let values = table.get(&index, 0).map_err(failed(shape))?;
    let mut total = Count::default();
    for [packets, bytes] in values.iter().copied() {
        total += Count { packets, bytes };
    }
    Ok(total)
}

const _: () = assert!(size_of::<Counter>() == size_of::<[u64; 2]>());
