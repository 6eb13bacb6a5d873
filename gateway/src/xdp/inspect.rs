//! What runs in the kernel now and what it holds, from the pins alone.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};

use aya::maps::MapData;
use aya::programs::{ProgramInfo, loaded_programs};
use gateway_ebpf::abi::{MapKind, SCHEMA, map};
use gateway_ebpf::table::header::{Header, Shape};
use jiff::Unit;
use serde::Serialize;

use super::control::ControlMap;
use super::counters::Taps;
use super::links::LinkPin;
use super::pins::Pins;
use super::refusals;
use super::tables::{Tables, failed};
use super::{Config, XdpError, capture, interface};
use crate::clock::Timestamp;

/// What runs in the kernel now and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The version of all that is pinned.
    pub schema: u32,
    /// Until when everything passes; `null` where nothing is paused.
    pub paused_until: Option<Timestamp>,
    /// The interfaces that it is put on.
    pub interfaces: Vec<Running>,
    /// The tables of bad prefixes.
    pub tables: Vec<TableFacts>,
    /// Bad IPv6 prefixes that the table has no place for.
    pub leftovers: usize,
    /// Prefixes that differ from the tables, or expire.
    pub delta: usize,
    /// Good prefixes.
    pub good: usize,
    /// Those of them that overlap bad ones.
    pub overlapping: usize,
    /// How long the key of refusals is in use, and how long the one before is; `null` before the first.
    pub key_ages_s: Vec<Option<u64>>,
    /// Whether `xdp capture` is going on.
    pub capturing: bool,
    /// How the telling of single packets went.
    pub taps: Taps,
    /// All maps.
    pub maps: Vec<KeptMap>,
    /// What all of them take of the kernel's memory; `null` where the kernel does not say.
    pub memory_bytes: Option<u64>,
}

/// The program on one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Running {
    /// The interface.
    pub interface: String,
    /// Where it runs: `native` or `generic`.
    pub mode: String,
    /// Whether it really runs there now, in this network namespace.
    pub running: bool,
    /// The number of the program.
    pub program: Option<u32>,
    /// Its tag, a hash over its instructions.
    pub tag: Option<String>,
    /// When it was loaded.
    pub loaded: Option<Timestamp>,
    /// How many instructions the verifier looked at (Linux 5.16).
    pub verified: Option<u32>,
    /// How long it is as machine code, in bytes.
    pub bytes: Option<u32>,
}

/// The table of one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableFacts {
    /// The family.
    pub family: &'static str,
    /// The prefixes that it was made from.
    pub prefixes: u64,
    /// How often it was made anew.
    pub generation: u32,
    /// Its lines, of 64 bytes each.
    pub lines: u32,
    /// The sizes of its parts.
    pub shape: String,
}

/// A map as the kernel keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptMap {
    /// Its name.
    pub name: String,
    /// Its number in the kernel.
    pub id: u32,
    /// How many entries fit, or bytes into a ring.
    pub entries: u32,
    /// What it takes of the kernel's memory; `null` where the kernel does not say.
    pub memory_bytes: Option<u64>,
}

/// Looks at all of it.
pub fn inspect(config: &Config) -> Result<Inspection, XdpError> {
    let pins = Pins::new(config);
    if !pins.exist()? {
        return Err(XdpError::NothingPinned { path: config.pin_dir.clone() });
    }
    let tables = Tables::open(&pins)?;
    let maps = maps(&pins, &tables)?;
    let memory: Option<Vec<u64>> = maps.iter().map(|map| map.memory_bytes).collect();
    let programs: Vec<ProgramInfo> = loaded_programs().filter_map(Result::ok).collect();
    Ok(Inspection {
        schema: SCHEMA,
        paused_until: ControlMap::open(&pins)?.paused_until()?,
        interfaces: pins.links()?.iter().map(|link| running(link, &programs)).collect(),
        tables: tables.bad.headers().iter().map(table).collect(),
        leftovers: tables.bad.leftovers()?,
        delta: tables.delta.entries()?.len(),
        good: tables.all_good.entries()?.len(),
        overlapping: tables.good.entries()?.len(),
        key_ages_s: refusals::ages(&pins)?,
        capturing: capture::is_going_on(&pins)?,
        taps: tables.counting.taps()?,
        memory_bytes: memory.map(|bytes| bytes.iter().sum()),
        maps,
    })
}

fn running(pin: &LinkPin, programs: &[ProgramInfo]) -> Running {
    let program = pin.open().and_then(|link| link.info()).map(|link| link.program_id()).ok();
    let index = interface::index(pin.interface()).ok();
    let on_it = index.and_then(|index| interface::running_program(index).ok().flatten());
    let info = programs.iter().find(|info| Some(info.id()) == program);
    Running {
        interface: pin.interface().to_owned(),
        mode: pin.mode().to_owned(),
        running: program.is_some() && on_it == program,
        program,
        tag: info.map(|info| format!("{:016x}", info.tag())),
        loaded: info.and_then(loaded),
        verified: info.and_then(ProgramInfo::verified_instruction_count),
        bytes: info.map(ProgramInfo::size_jitted),
    }
}

/// To the second: the kernel says it since the start of the host, which is not known as exactly as that.
fn loaded(info: &ProgramInfo) -> Option<Timestamp> {
    Timestamp::try_from(info.loaded_at()?).ok()?.round(Unit::Second).ok()
}

fn table(header: &Header) -> TableFacts {
    let (family, shape) = match header.shape {
        Shape::V4 { buckets } => ("ipv4", format!("2^{buckets} buckets")),
        Shape::V6 { gate, networks, hosts } => (
            "ipv6",
            format!(
                "gate of 2^{gate} bytes, 2^{networks} buckets for networks, 2^{hosts} for hosts"
            ),
        ),
    };
    TableFacts {
        family,
        prefixes: header.prefixes,
        generation: header.generation,
        lines: header.shape.lines(),
        shape,
    }
}

/// All pinned maps, and the tables inside those that hold one.
fn maps(pins: &Pins, tables: &Tables) -> Result<Vec<KeptMap>, XdpError> {
    let mut maps = Vec::new();
    for shape in map::ALL.into_iter().filter(|shape| shape.kind != MapKind::ArrayOfMaps) {
        let data = MapData::from_pin(pins.map(shape)).map_err(failed(shape))?;
        maps.push(kept(&data, shape.name).map_err(failed(shape))?);
    }
    for (shape, data) in tables.bad.maps()? {
        maps.push(kept(&data, shape.name).map_err(failed(shape))?);
    }
    Ok(maps)
}

fn kept(data: &MapData, name: &str) -> Result<KeptMap, aya::maps::MapError> {
    let info = data.info()?;
    Ok(KeptMap {
        name: name.to_owned(),
        id: info.id(),
        entries: info.max_entries(),
        memory_bytes: memory(data),
    })
}

/// What a map takes of the kernel's memory, as the kernel says about its descriptor.
fn memory(data: &MapData) -> Option<u64> {
    let file = format!("/proc/self/fdinfo/{}", data.fd().as_fd().as_raw_fd());
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("memlock:")?.trim().parse().ok())
}
