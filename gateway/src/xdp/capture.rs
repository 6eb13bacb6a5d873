//! A capture of the packets that the kernel drops or answers, as they came in.
#![expect(unsafe_code, reason = "aya takes values that are marked as plain data only")]

use std::fmt;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use aya::maps::{Array, MapData, RingBuf};
use gateway_ebpf::abi::{KernelAction, map};
use gateway_ebpf::event::{CapturePrefix, Capturing, Copied, MAX_CAPTURE_PREFIXES};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::counting::Counting;
use super::moment::{self, Moment};
use super::pins::Pins;
use super::slots::Slots;
use super::tables::{failed, open};
use super::{Config, XdpError};
use crate::clock::Timestamp;
use crate::net::Prefix;

/// How far ahead the end of a capture is moved each time: one that is killed ends that much later.
const AHEAD: Duration = Duration::from_secs(2);

/// A packet as it came in, or its first [`SNAP`](gateway_ebpf::event::SNAP) octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedPacket {
    /// When.
    pub time: Timestamp,
    /// The number of the interface.
    pub interface: u32,
    /// The length of the frame.
    pub length: u32,
    /// Its beginning.
    pub octets: Vec<u8>,
    /// The list that decided; `None` when it has no name.
    pub list: Option<Arc<str>>,
    /// What its rule says.
    pub action: Option<KernelAction>,
}

/// A capture that is going on; there is one at a time, and it ends when this is dropped.
pub struct Capture {
    ring: RingBuf<MapData>,
    capturing: Array<MapData, CapturingValue>,
    prefixes: [CapturePrefix; MAX_CAPTURE_PREFIXES],
    counting: Counting,
    slots: Slots,
    lost_before: u64,
    _lock: File,
}

impl Capture {
    /// Starts a capture of the packets of clients in `prefixes`, or of all when there are none.
    pub fn start(config: &Config, prefixes: &[Prefix]) -> Result<Self, XdpError> {
        let pins = Pins::new(config);
        if !pins.exist()? {
            return Err(XdpError::NothingPinned { path: config.pin_dir.clone() });
        }
        let lock = lock(&pins)?;
        let mut ring: RingBuf<MapData> = open(&pins, map::CAPTURE)?;
        // An earlier capture may have left some.
        while ring.next().is_some() {}
        let counting = Counting::open(&pins)?;
        let mut capture = Self {
            ring,
            capturing: open(&pins, map::CAPTURING)?,
            prefixes: masks(prefixes)?,
            slots: counting.slots()?,
            lost_before: counting.taps()?.copies_lost,
            counting,
            _lock: lock,
        };
        capture.go_on()?;
        Ok(capture)
    }

    /// Lets the capture go on for another two seconds.
    pub fn go_on(&mut self) -> Result<(), XdpError> {
        let ahead = u64::try_from(AHEAD.as_nanos()).unwrap_or(0);
        self.set(moment::now() + ahead)
    }

    /// Takes out the next packet; `None` when there is none yet. `now` is now.
    pub fn next(&mut self, now: Timestamp) -> Option<CapturedPacket> {
        let moment = Moment::at(now);
        loop {
            let item = self.ring.next()?;
            let Some(copied) = Copied::from_bytes(&item) else { continue };
            return Some(CapturedPacket {
                time: moment.day(copied.time),
                interface: copied.interface,
                length: copied.length,
                octets: copied.octets().to_vec(),
                list: self.slots.name(copied.rule.list()).map(Arc::clone),
                action: copied.rule.action(),
            });
        }
    }

    /// No further packets; those that are there can still be taken out.
    pub fn stop(&mut self) -> Result<(), XdpError> {
        self.set(0)
    }

    /// For how many packets there was no room since the start.
    pub fn lost(&self) -> Result<u64, XdpError> {
        Ok(self.counting.taps()?.copies_lost.saturating_sub(self.lost_before))
    }

    fn set(&mut self, until: u64) -> Result<(), XdpError> {
        let value = CapturingValue(Capturing { until, prefixes: self.prefixes });
        self.capturing.set(0, value, 0).map_err(failed(map::CAPTURING))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!("the capture ends by itself in {} s: {error}", AHEAD.as_secs());
        }
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").finish_non_exhaustive()
    }
}

/// Whether a capture is going on now.
pub(super) fn is_going_on(pins: &Pins) -> Result<bool, XdpError> {
    let capturing: Array<MapData, CapturingValue> = open(pins, map::CAPTURING)?;
    let value = capturing.get(&0, 0).map_err(failed(map::CAPTURING))?;
    Ok(value.0.until > moment::now())
}

/// The name of an interface of this network namespace.
pub fn interface_name(index: u32) -> Option<String> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None).ok()?;
    index_to_name(&socket, index).ok()
}

/// The folder of the pins, locked: two captures would take the packets from each other.
fn lock(pins: &Pins) -> Result<File, XdpError> {
    let folder = File::open(pins.folder()).map_err(|error| XdpError::path(pins.folder(), error))?;
    match flock(folder.as_fd(), FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(folder),
        Err(Errno::WOULDBLOCK) => Err(XdpError::CaptureTaken),
        Err(error) => Err(XdpError::path(pins.folder(), error.into())),
    }
}

fn masks(prefixes: &[Prefix]) -> Result<[CapturePrefix; MAX_CAPTURE_PREFIXES], XdpError> {
    let mut masks = [CapturePrefix::NOBODY; MAX_CAPTURE_PREFIXES];
    if prefixes.len() > masks.len() {
        let (found, most) = (prefixes.len(), masks.len());
        return Err(XdpError::DoesNotFit { what: "prefixes", found, most });
    }
    if prefixes.is_empty() {
        masks = [CapturePrefix::new(0, 0); MAX_CAPTURE_PREFIXES];
    }
    for (mask, prefix) in masks.iter_mut().zip(prefixes) {
        let (bits, beside) = match prefix.address() {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped().to_bits(), 96),
            IpAddr::V6(v6) => (v6.to_bits(), 0),
        };
        *mask = CapturePrefix::new(bits, beside + u32::from(prefix.length()));
    }
    Ok(masks)
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct CapturingValue(Capturing);

// SAFETY: it consists of numbers alone, without gaps (the contract asserts its size).
unsafe impl aya::Pod for CapturingValue {}
