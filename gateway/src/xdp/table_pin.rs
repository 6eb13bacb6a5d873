//! The pin of a table: to open one through the map that holds it takes `CAP_SYS_ADMIN`, which the daemon has no other use for.
//!
//! A new table is pinned beside the one in force before the two change places, and its pin is renamed afterwards. So whenever
//! a daemon dies, the table in force is pinned under one of the two names, and its number says under which.

use std::fs;
use std::os::fd::AsFd as _;

use aya::maps::{MapData, MapError};
use gateway_ebpf::abi::MapShape;

use super::XdpError;
use super::base::pin_failed;
use super::memory;
use super::pins::{self, Pins};
use super::tables::failed;

/// Opens the table that `holder` holds.
pub(super) fn open(pins: &Pins, shape: MapShape, holder: &MapData) -> Result<MapData, XdpError> {
    let held = memory::held(holder).map_err(failed(shape))?;
    for path in [pins.table(shape), pins.new_table(shape)] {
        let pinned = MapData::from_pin(path).ok();
        let is_it = |table: &MapData| table.info().is_ok_and(|info| info.id() == held);
        if let Some(table) = pinned.filter(is_it) {
            return Ok(table);
        }
    }
    // An earlier version did not pin it.
    MapData::from_id(held).map_err(failed(shape))
}

/// Pins a table as the one in force, in the place of any other.
pub(super) fn put(pins: &Pins, shape: MapShape, table: &MapData) -> Result<(), XdpError> {
    put_beside(pins, shape, table)?;
    keep(pins, shape)
}

/// Pins a table beside the one in force.
pub(super) fn put_beside(pins: &Pins, shape: MapShape, table: &MapData) -> Result<(), XdpError> {
    let path = pins.new_table(shape);
    pins::remove(&path)?;
    table.pin(path).map_err(|error| pin_failed(shape, error))
}

/// Makes the pin beside the one in force the one in force.
pub(super) fn keep(pins: &Pins, shape: MapShape) -> Result<(), XdpError> {
    let new = pins.new_table(shape);
    fs::rename(&new, pins.table(shape)).map_err(|error| XdpError::path(&new, error))
}

/// A table of `lines` lines that is pinned beside the one in force and that nobody reads: what a process without the right to
/// make tables has to fill.
pub(super) fn spare(
    pins: &Pins,
    shape: MapShape,
    in_force: &MapData,
    lines: u32,
) -> Result<MapData, XdpError> {
    let info = |table: &MapData| table.info().map_err(failed(shape));
    let missing = |_error| XdpError::NotAttached {
        path: pins.new_table(shape),
        reason: "there is no spare table".to_owned(),
    };
    let spare = MapData::from_pin(pins.new_table(shape)).map_err(missing)?;
    if info(&spare)?.id() == info(in_force)?.id() || info(&spare)?.max_entries() != lines {
        return Err(XdpError::Outgrown { map: shape.name });
    }
    Ok(spare)
}

/// Another hold on the same table.
pub(super) fn share(table: &MapData) -> Result<MapData, MapError> {
    MapData::from_fd(table.fd().as_fd().try_clone_to_owned()?)
}
