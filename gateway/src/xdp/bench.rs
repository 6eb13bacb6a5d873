//! What the benchmark needs of this module: the programs that measure, and tables made the way the daemon makes them.
#![expect(unsafe_code, reason = "aya takes values that are marked as plain data only")]

use aya::maps::{MapData, MapError};
use aya::{Ebpf, include_bytes_aligned};
use gateway_ebpf::repeat::Run;
use gateway_ebpf::table::Line;

use super::pins::Pins;
use super::program::load_object;
use super::{Config, XdpError, memory};

/// The object file with the programs that measure lookups.
pub static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/portcullis-bench"));

/// The object file with the generator of floods and the programs beside it.
pub static FLOOD: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/portcullis-flood"));

static REPEAT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/portcullis-repeat"));
static REPEAT_PLAIN: &[u8] =
    include_bytes_aligned!(concat!(env!("OUT_DIR"), "/portcullis-repeat-plain"));

/// A run of the filter in a loop, as its map `RUN` holds it.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct HeldRun(pub Run);

// SAFETY: it consists of numbers alone, without gaps (the contract asserts its size).
unsafe impl aya::Pod for HeldRun {}

/// The filter in a loop, beside the one that is pinned and with its maps; its program is still to be loaded. In a `plain` one
/// references are not enciphered.
pub fn repeat(config: &Config, plain: bool) -> Result<Ebpf, XdpError> {
    let pins = Pins::new(config);
    let object = if plain { REPEAT_PLAIN } else { REPEAT };
    load_object(object, config, |shape| Some(pins.map(shape)))
}

/// Makes a map for a table of `lines` lines, all zero.
pub fn create_table(lines: u32) -> Result<MapData, MapError> {
    memory::create_table(lines)
}

/// Makes a map that holds one map of the shape of `table`.
pub fn create_holder(table: &MapData) -> Result<MapData, MapError> {
    memory::create_holder(table)
}

/// Writes `lines` into a table that nobody reads yet.
pub fn fill(table: &MapData, lines: &[Line]) -> Result<(), MapError> {
    memory::fill(table, lines)
}
