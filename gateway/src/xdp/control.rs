//! What the program asks first, in the kernel: which refusal is in force, what there is to ask at all, and who is addressed.
#![expect(unsafe_code, reason = "aya takes values that are marked as plain data only")]

use std::fmt;
use std::net::IpAddr;

use aya::maps::{Array, MapData};
use gateway_ebpf::abi::{Control, map};

use super::XdpError;
use super::pins::Pins;
use super::tables::{failed, open};
use crate::clock::{Timestamp, day_of_uptime, uptime};

/// The one value of its map. Whoever opens it reads it before he writes, so all may do so, but one at a time.
pub(super) struct ControlMap(Array<MapData, Value>);

impl ControlMap {
    /// Opens the pinned map.
    pub(super) fn open(pins: &Pins) -> Result<Self, XdpError> {
        open(pins, map::CONTROL).map(Self)
    }

    /// What is in force.
    pub(super) fn get(&self) -> Result<Control, XdpError> {
        let value = self.0.get(&0, 0).map_err(failed(map::CONTROL))?;
        Ok(value.0)
    }

    /// Changes what is in force.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Control)) -> Result<(), XdpError> {
        let before = self.get()?;
        let mut control = before;
        change(&mut control);
        if control == before {
            return Ok(());
        }
        self.0.set(0, Value(control), 0).map_err(failed(map::CONTROL))
    }

    /// Until when everything passes; `None` where nothing is paused now.
    pub(super) fn paused_until(&self) -> Result<Option<Timestamp>, XdpError> {
        let until = self.get()?.paused_until;
        Ok((until > uptime()).then(|| day_of_uptime(until)))
    }

    /// Makes `own` the addresses that the program compares with at once; the maps of own addresses hold them all already.
    pub(super) fn set_own(&mut self, own: &[IpAddr]) -> Result<(), XdpError> {
        let mut few = Control::default();
        let (mut v4, mut v6) = (few.own_v4.iter_mut(), few.own_v6.iter_mut());
        let mut rest = 0;
        for address in own {
            let placed = match address {
                IpAddr::V4(address) => v4.next().map(|place| *place = address.to_bits()),
                IpAddr::V6(address) => v6.next().map(|place| *place = words(address.to_bits())),
            };
            rest |= u32::from(placed.is_none());
        }
        let now = self.get()?;
        if (now.own_v4, now.own_v6, now.more_own) == (few.own_v4, few.own_v6, rest) {
            return Ok(());
        }
        // The value is not written in one step, so in between the maps are asked.
        self.change(|control| control.more_own = 1)?;
        self.change(|control| (control.own_v4, control.own_v6) = (few.own_v4, few.own_v6))?;
        self.change(|control| control.more_own = rest)
    }
}

impl fmt::Debug for ControlMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ControlMap").finish_non_exhaustive()
    }
}

fn words(address: u128) -> [u32; 4] {
    [96, 64, 32, 0].map(|shift| u32::try_from(address >> shift & 0xffff_ffff).unwrap_or(0))
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Value(Control);

// SAFETY: it consists of numbers alone, without gaps (the contract asserts its size).
unsafe impl aya::Pod for Value {}
