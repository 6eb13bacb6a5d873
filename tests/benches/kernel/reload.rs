//! How long it takes to replace a table: building it, filling the kernel's memory, switching.

use anyhow::Result;
use aya::maps::{ArrayOfMaps, Map, MapData};
use gateway::xdp::bench;
use serde_json::{Value, json};

use crate::lookup::{build, entries_v4};
use crate::{median, milliseconds, now, rounded, say};

const RUNS: usize = 7;

/// Measures the replacement of an IPv4 table by one with as many entries.
pub(crate) fn measure(entries: u32) -> Result<Value> {
    let prefixes = entries_v4(entries);
    let lines = build(&prefixes)?.header.shape.lines();
    let holder = bench::create_holder(&bench::create_table(lines)?)?;
    let mut holder: ArrayOfMaps<MapData, MapData> = Map::from_map_data(holder)?.try_into()?;
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..RUNS {
        let start = now();
        let built = build(&prefixes)?;
        let build_ms = milliseconds(start);
        let start = now();
        let table = bench::create_table(lines)?;
        bench::fill(&table, &built.lines)?;
        let fill_ms = milliseconds(start);
        let start = now();
        holder.set(0, &table, 0)?;
        let swap_ms = milliseconds(start);
        for (times, time) in times.iter_mut().zip([build_ms, fill_ms, swap_ms]) {
            times.push(time);
        }
    }
    let [build_ms, fill_ms, swap_ms] = times.map(median);
    say(&format!(
        "reload {entries:>8}: build {build_ms:.1} ms, fill {fill_ms:.1} ms, swap {swap_ms:.1} ms"
    ));
    Ok(json!({
        "entries": entries,
        "build_ms": rounded(build_ms),
        "fill_ms": rounded(fill_ms),
        "swap_ms": rounded(swap_ms),
    }))
}
