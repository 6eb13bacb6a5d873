//! The maps in which the program counts, and the names of those that it counts for.

use std::sync::Arc;

use aya::maps::{Array, MapData, PerCpuArray, PerCpuValues};
use gateway_ebpf::abi::{
    Counter, Family, KernelAction, MAX_LISTS, MapShape, Outcome, list_index, map,
};
use gateway_ebpf::event::Tap;

use super::counters::{Count, Counters, Taps};
use super::pins::Pins;
use super::slots::{self, Slots};
use super::tables::{failed, open};
use super::{Config, XdpError};

/// The counters with the names of the lists. Who asks for nothing else need not wait until the tables are checked.
pub(super) struct Counting {
    outcomes: PerCpuArray<MapData, [u64; 2]>,
    lists: PerCpuArray<MapData, [u64; 2]>,
    taps: PerCpuArray<MapData, u64>,
    names: Array<MapData, slots::NameBytes>,
}

impl Counting {
    /// Opens the pinned maps.
    pub(super) fn open(pins: &Pins) -> Result<Self, XdpError> {
        Ok(Self {
            outcomes: open(pins, map::OUTCOMES)?,
            lists: open(pins, map::LISTS)?,
            taps: open(pins, map::TAPS)?,
            names: open(pins, map::NAMES)?,
        })
    }

    /// Opens those of the filter that `config` names.
    pub(super) fn of_pinned(config: &Config) -> Result<Self, XdpError> {
        let pins = Pins::new(config);
        if !pins.exist()? {
            return Err(XdpError::NothingPinned { path: config.pin_dir.clone() });
        }
        Self::open(&pins)
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

/// Each family with each action.
fn every_way() -> impl Iterator<Item = (Family, KernelAction)> {
    Family::ALL.into_iter().flat_map(|family| KernelAction::ALL.map(|action| (family, action)))
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
