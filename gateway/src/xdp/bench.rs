//! What the benchmark needs of this module: the programs that measure, and tables made the way the daemon makes them.

use aya::include_bytes_aligned;
use aya::maps::{MapData, MapError};
use gateway_ebpf::table::Line;

use super::memory;

/// The object file with the programs that measure lookups.
pub static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/portcullis-bench"));

/// The object file with the generator of floods and the programs beside it.
pub static FLOOD: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/portcullis-flood"));

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
