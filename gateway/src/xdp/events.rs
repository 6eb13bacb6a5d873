//! The sampled events of the kernel, read by the one daemon; whoever reads takes them out.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use aya::maps::{Array, MapData, RingBuf};
use gateway_ebpf::abi::{Family, KernelAction, Outcome, map};
use gateway_ebpf::event::{Event, NO_LIST};

use super::moment::Moment;
use super::pins::Pins;
use super::slots::{self, NameBytes};
use super::tables::{failed, open};
use super::{Config, XdpError};
use crate::clock::Timestamp;
use crate::net::fold;

/// A packet that the kernel decided and told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelEvent {
    /// When.
    pub time: Timestamp,
    /// For how many packets it stands, itself among them: those that the same processor decided since the last event.
    pub weight: u32,
    /// The length of the frame.
    pub length: u32,
    /// The number of the interface.
    pub interface: u32,
    /// The name of the list that decided; `None` where there was none, or it has no name any more.
    pub list: Option<Arc<str>>,
    /// What became of it.
    pub outcome: Outcome,
    /// What the rule says.
    pub action: Option<KernelAction>,
    /// The client.
    pub client: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// The family of both.
    pub family: Family,
}

/// The receiving end of the events.
pub struct Events {
    ring: RingBuf<MapData>,
    names: Array<MapData, NameBytes>,
    /// Which map it is, to notice when another takes its place.
    id: u32,
}

impl Events {
    /// Opens the ring of the pinned filter.
    pub fn open(config: &Config) -> Result<Self, XdpError> {
        let pins = Pins::new(config);
        if !pins.exist()? {
            return Err(XdpError::NothingPinned { path: config.pin_dir.clone() });
        }
        Ok(Self {
            ring: open(&pins, map::EVENTS)?,
            names: open(&pins, map::NAMES)?,
            id: ring_id(&pins)?,
        })
    }

    /// Whether the filter that is pinned now is still the one whose events are read here.
    pub fn is_current(&self, config: &Config) -> bool {
        ring_id(&Pins::new(config)).is_ok_and(|id| id == self.id)
    }

    /// Takes out what is there, at most `most` events; `now` is now.
    pub fn read(&mut self, most: usize, now: Timestamp) -> Vec<KernelEvent> {
        let moment = Moment::at(now);
        let mut events = Vec::new();
        while events.len() < most {
            let Some(item) = self.ring.next() else { break };
            let Some(event) = Event::from_bytes(&item) else { continue };
            drop(item);
            events.extend(self.event(&event, moment));
        }
        events
    }

    fn event(&self, event: &Event, moment: Moment) -> Option<KernelEvent> {
        Some(KernelEvent {
            time: moment.day(event.time),
            weight: event.weight,
            length: event.length,
            interface: event.interface,
            list: self.list(event.list),
            outcome: event.outcome()?,
            action: event.action(),
            client: SocketAddr::new(address(event.source), event.client_port),
            local: SocketAddr::new(address(event.destination), event.port),
            family: event.family(),
        })
    }

    /// A name is asked for when it is needed: there are few events, and names change under way.
    fn list(&self, slot: u16) -> Option<Arc<str>> {
        if slot == NO_LIST {
            return None;
        }
        slots::decode(&self.names.get(&u32::from(slot), 0).ok()?).map(Arc::from)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("id", &self.id).finish_non_exhaustive()
    }
}

fn ring_id(pins: &Pins) -> Result<u32, XdpError> {
    let info = MapData::from_pin(pins.map(map::EVENTS)).and_then(|map| map.info());
    info.map(|info| info.id()).map_err(failed(map::EVENTS))
}

/// An address as the kernel writes it down, IPv4-mapped ones folded.
pub(super) fn address(words: [u32; 4]) -> IpAddr {
    let bits = words.into_iter().fold(0_u128, |bits, word| bits << 32 | u128::from(word));
    fold(Ipv6Addr::from_bits(bits).into())
}
