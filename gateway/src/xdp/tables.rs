//! The kernel's maps, opened by their pins and spoken to in the daemon's types.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use aya::maps::{HashMap, Map, MapData, MapError};
use gateway_ebpf::abi::{MapShape, RuleValue, map};
use gateway_ebpf::dated::{self, NOTHING};

use super::XdpError;
use super::base::Base;
use super::counting::Counting;
use super::delta::Delta;
use super::pins::Pins;
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
    pub(super) counting: Counting,
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
            counting: Counting::open(pins)?,
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
