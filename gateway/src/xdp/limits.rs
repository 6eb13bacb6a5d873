//! The limits of networks in the kernel, and the networks that it knows by a completed handshake.
#![expect(unsafe_code, reason = "aya takes values that are marked as plain data only")]

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use aya::maps::{Array, HashMap, MapData};
use aya::util::online_cpus;
use gateway_ebpf::abi::map;
use gateway_ebpf::limit;
use rustix::time::{ClockId, clock_gettime};

use super::pins::Pins;
use super::references::addresses;
use super::tables::{failed, open};
use super::{Limits, XdpError};
use crate::net::fold;

const SECOND: u64 = 1_000_000_000;

/// The maps of the limiter that the daemon writes.
pub(super) struct KernelLimits {
    value: Array<MapData, LimitsValue>,
    known_v4: HashMap<MapData, u64, u64>,
    known_v6: HashMap<MapData, u64, u64>,
    in_force: limit::Limits,
}

impl KernelLimits {
    /// Opens the pinned maps and puts `limits` in force.
    pub(super) fn open(pins: &Pins, limits: &Limits) -> Result<Self, XdpError> {
        let cell_key = getrandom::u64().map_err(XdpError::random)?;
        let mut opened = Self {
            value: open(pins, map::LIMITS)?,
            known_v4: open(pins, map::KNOWN_V4)?,
            known_v6: open(pins, map::KNOWN_V6)?,
            in_force: in_kernel(limits, cell_key, processors()),
        };
        opened.set(limits)?;
        Ok(opened)
    }

    /// Puts `limits` in force.
    pub(super) fn set(&mut self, limits: &Limits) -> Result<(), XdpError> {
        let limits = in_kernel(limits, self.in_force.cell_key, processors());
        self.value.set(0, LimitsValue(limits), 0).map_err(failed(map::LIMITS))?;
        self.in_force = limits;
        Ok(())
    }

    /// Makes the networks of `clients` known, from now on and for a while.
    pub(super) fn make_known(&mut self, clients: &[IpAddr]) -> Result<(), XdpError> {
        let now = now();
        let (v4, v6): (Vec<_>, Vec<_>) =
            clients.iter().copied().map(fold).partition(IpAddr::is_ipv4);
        for (map, shape, clients) in
            [(&mut self.known_v4, map::KNOWN_V4, v4), (&mut self.known_v6, map::KNOWN_V6, v6)]
        {
            let networks: BTreeSet<u64> = clients
                .into_iter()
                .map(|client| self.in_force.network(&addresses(client)))
                .collect();
            for network in networks {
                map.insert(network, now, 0).map_err(failed(shape))?;
            }
        }
        Ok(())
    }
}

/// The key of cells belongs in no log.
impl fmt::Debug for KernelLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelLimits").finish_non_exhaustive()
    }
}

/// The limits of the host as those of each of its processors.
fn in_kernel(limits: &Limits, cell_key: u64, processors: u32) -> limit::Limits {
    let flood = &limits.flood;
    let interval = SECOND / u64::from(flood.per_network.max(1));
    limit::Limits {
        action: u32::from(flood.action as u8),
        engage_above: flood.engage_above.div_ceil(processors),
        interval,
        burst: interval.saturating_mul(u64::from(flood.burst)),
        known_for: u64::try_from(flood.known_for.as_nanos()).unwrap_or(u64::MAX),
        mask_v4: u32::MAX.checked_shl(32_u32.saturating_sub(flood.network_v4.into())).unwrap_or(0),
        answers_per_network: limits.answers_per_network.div_ceil(processors),
        mask_v6: u64::MAX.checked_shl(64_u32.saturating_sub(flood.network_v6.into())).unwrap_or(0),
        cell_key,
    }
}

/// Packets are spread over the processors, which count apart; where one gets them all, it is one that is strict.
fn processors() -> u32 {
    let online = online_cpus().map_or(1, |processors| processors.len());
    u32::try_from(online).unwrap_or(u32::MAX).max(1)
}

/// The time by the kernel's clock that the program reads.
fn now() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(now.tv_sec).saturating_mul(SECOND).saturating_add(part(now.tv_nsec))
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct LimitsValue(limit::Limits);

// SAFETY: it consists of numbers alone, without gaps (the contract asserts its size).
unsafe impl aya::Pod for LimitsValue {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xdp::Flood;

    #[test]
    fn the_limits_of_the_host_are_shared_by_its_processors() {
        let limits = |per_network, burst, network_v4, network_v6| Limits {
            answers_per_network: 200,
            flood: Flood { per_network, burst, network_v4, network_v6, ..Flood::default() },
        };
        for (limits, processors, interval, burst, masks, shares) in [
            (limits(20, 100, 24, 64), 1, 50_000_000, 5 * SECOND, (!0xff, u64::MAX), (10_000, 200)),
            (limits(1, 1, 32, 48), 3, SECOND, SECOND, (!0, u64::MAX << 16), (3334, 67)),
            (
                limits(20, 100, 8, 16),
                4096,
                50_000_000,
                5 * SECOND,
                (!0 << 24, 0xffff << 48),
                (3, 1),
            ),
        ] {
            let kernel = in_kernel(&limits, 7, processors);
            assert_eq!((kernel.interval, kernel.burst), (interval, burst));
            assert_eq!((kernel.mask_v4, kernel.mask_v6), masks);
            assert_eq!((kernel.engage_above, kernel.answers_per_network), shares);
        }
    }

    #[test]
    fn no_limit_stays_no_limit() {
        let flood = Flood { engage_above: 0, ..Flood::default() };
        let kernel = in_kernel(&Limits { answers_per_network: 0, flood }, 7, 8);
        assert_eq!((kernel.engage_above, kernel.answers_per_network), (0, 0));
    }
}
