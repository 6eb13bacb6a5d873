//! How long it takes to replace a table: building it, filling the kernel's memory, switching.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Result;
use aya::maps::{ArrayOfMaps, Map, MapData};
use gateway::list::{Rule, Rules};
use gateway::net::Prefix;
use gateway::xdp::{Config, Filter, bench, detach};
use gateway_ebpf::abi::KernelAction;
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
    let sync_ms = sync(entries)?;
    say(&format!(
        "reload {entries:>8}: build {build_ms:.1} ms, fill {fill_ms:.1} ms, swap {swap_ms:.1} ms; all that the daemon does {sync_ms:.1} ms"
    ));
    Ok(json!({
        "entries": entries,
        "build_ms": rounded(build_ms),
        "fill_ms": rounded(fill_ms),
        "swap_ms": rounded(swap_ms),
        "sync_ms": rounded(sync_ms),
    }))
}

/// The daemon's own path from rules to the kernel, when one rule of many is new or gone.
fn sync(entries: u32) -> Result<f64> {
    let pin_dir = PathBuf::from(format!("/sys/fs/bpf/portcullis-reload-{}", std::process::id()));
    let config = Config { pin_dir, ..Config::default() };
    let measured = time_syncs(&config, entries);
    detach(&config)?;
    measured
}

fn time_syncs(config: &Config, entries: u32) -> Result<f64> {
    let mut filter = Filter::open(config)?;
    let bad = entries_v4(entries).into_iter().map(|entry| Rule {
        prefix: Prefix::host(Ipv4Addr::from_bits(entry.address).into()),
        list: 0,
        action: KernelAction::Drop,
        expires: None,
    });
    let lists = vec!["list".into()];
    let mut rules = Rules { version: 1, lists, good: Vec::new(), bad: bad.collect() };
    let mut times = Vec::new();
    for _ in 0..=RUNS {
        let start = now();
        filter.sync(&rules, &[])?;
        times.push(milliseconds(start));
        if rules.bad.len() == entries as usize {
            rules.bad.pop();
        } else if let Some(last) = rules.bad.last().copied() {
            let next = Ipv4Addr::BROADCAST.into();
            rules.bad.push(Rule { prefix: Prefix::host(next), ..last });
        }
    }
    // The first one fills what was empty, and may have to load a program for a larger table.
    times.remove(0);
    Ok(median(times))
}
