//! The refusals in the kernel: each new one is written beside the one in force, then switched on.
#![expect(unsafe_code, reason = "aya takes values that are marked as plain data only")]

use std::fmt;

use aya::maps::{Array, MapData};
use gateway_ebpf::abi::{Refusal, map};
use gateway_ebpf::line::{Head, MOST_TEXT};
use gateway_ebpf::reference::FIRST_SECOND;

use super::control::ControlMap;
use super::moment;
use super::pins::Pins;
use super::references::References;
use super::tables::{failed, open};
use super::{Config, XdpError};
use crate::clock::{Clock, Timestamp};

/// The refusal in force and the one before.
pub(super) struct Refusals {
    control: ControlMap,
    values: Array<MapData, RefusalValue>,
    head: Head,
    answers_per_second: u32,
    references: References,
}

impl Refusals {
    /// Opens the pinned maps and puts in force what `config` says, unless that is so already.
    pub(super) fn open(pins: &Pins, config: &Config) -> Result<Self, XdpError> {
        let head = Head::new(&config.refuse_text)
            .ok_or_else(|| XdpError::Text { text: config.refuse_text.clone(), most: MOST_TEXT })?;
        let mut refusals = Self {
            control: ControlMap::open(pins)?,
            values: open(pins, map::REFUSALS)?,
            head,
            answers_per_second: config.answers_per_second,
            references: References::load(config.references.as_deref())?,
        };
        let unused = Head::default();
        let [current, former] = refusals.both()?;
        if former.head == unused {
            // A key that anybody can know proves nothing, so there must be two of ours.
            refusals.renew()?;
        }
        let wanted = refusals.make(Clock::System.now())?;
        let Refusal { cookie_key, clock, made, .. } = current;
        let as_wanted = Refusal { cookie_key, clock, made, ..wanted };
        if former.head == unused || current != as_wanted {
            refusals.put(wanted)?;
        }
        Ok(refusals)
    }

    /// Puts a refusal with new keys in force; the one in force until now stays good for what it has begun.
    pub(super) fn renew(&mut self) -> Result<(), XdpError> {
        let refusal = self.make(Clock::System.now())?;
        self.put(refusal)
    }

    fn make(&mut self, now: Timestamp) -> Result<Refusal, XdpError> {
        let epoch = self.references.current(now)?;
        let random = || getrandom::u64().map_err(XdpError::random);
        Ok(Refusal {
            cookie_key: [random()?, random()?],
            clock: clock(now),
            made: moment::now(),
            reference_key: epoch.key(),
            epoch: epoch.number,
            head: self.head,
            answers_per_second: self.answers_per_second,
        })
    }

    fn put(&mut self, refusal: Refusal) -> Result<(), XdpError> {
        let control = self.control.get()?;
        let next = control.current & 1 ^ 1;
        let written = self.values.set(next, RefusalValue(refusal), 0);
        written.map_err(failed(map::REFUSALS))?;
        self.control.change(|control| control.current = next)
    }

    /// The one in force and the former.
    fn both(&self) -> Result<[Refusal; 2], XdpError> {
        let current = self.control.get()?.current & 1;
        let get = |index| {
            let value = self.values.get(&index, 0).map_err(failed(map::REFUSALS))?;
            Ok(value.0)
        };
        Ok([get(current)?, get(current ^ 1)?])
    }
}

/// Keys belong in no log.
impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").finish_non_exhaustive()
    }
}

/// For how many seconds the refusal in force has been, and for how many the former; `None` for one that was never made.
pub(super) fn ages(pins: &Pins) -> Result<Vec<Option<u64>>, XdpError> {
    let control = ControlMap::open(pins)?;
    let values: Array<MapData, RefusalValue> = open(pins, map::REFUSALS)?;
    let current = control.get()?.current & 1;
    let now = moment::now();
    let age = |index: u32| {
        let refusal = values.get(&index, 0).map_err(failed(map::REFUSALS))?.0;
        let was_made = refusal.head != Head::default();
        Ok(was_made.then(|| now.saturating_sub(refusal.made) / 1_000_000_000))
    };
    [current, current ^ 1].into_iter().map(age).collect()
}

/// What is added to the kernel's clock to get nanoseconds since references begin.
fn clock(now: Timestamp) -> u64 {
    let ours = now.as_nanosecond() - i128::from(FIRST_SECOND) * 1_000_000_000;
    u64::try_from(ours - i128::from(moment::now())).unwrap_or(0)
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct RefusalValue(Refusal);

// SAFETY: it consists of numbers alone, without gaps (the contract asserts its size).
unsafe impl aya::Pod for RefusalValue {}
