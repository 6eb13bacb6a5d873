//! The same list in others: how long nftables and ipset take to have it, and to have another one instead.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;

use anyhow::Result;
use harness::needs;
use harness::netns::{NetNs, run};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::corpus::{Case, Item, Lists};
use crate::figures::{milliseconds, now, rounded};
use crate::say;

/// Measures both with `entries` entries; what fails is the reason of a row without figures.
pub(crate) fn measure(entries: u32) -> Result<Vec<Value>> {
    let lists = Lists::new(Case::Plain, entries);
    let host = NetNs::new("peers")?;
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for (name, program, prepare, load) in [
        ("ipset", "ipset", write_ipset as Prepare, load_ipset as Load),
        ("nftables", "nft", write_nftables, load_nftables),
    ] {
        if needs::find(program).is_none() {
            say(&format!("{name}: not installed"));
            continue;
        }
        prepare(&folder, &lists.first, &lists.second)?;
        let mut times = Vec::new();
        let mut reason = None;
        for file in ["first", "second"] {
            let started = now();
            match load(&host, &folder.path().join(file)) {
                Ok(()) => times.push(rounded(milliseconds(started.elapsed()))),
                Err(error) => reason = Some(format!("{error:#}")),
            }
        }
        let row = json!({
            "name": name,
            "entries": entries,
            "load_ms": times.first(),
            "replace_ms": times.get(1),
            "reason": reason,
        });
        say(&row.to_string());
        rows.push(row);
    }
    Ok(rows)
}

/// Writes both lists down in the language of a program.
type Prepare = fn(&TempDir, &[Item], &[Item]) -> Result<()>;
/// Lets the program read one of them.
type Load = fn(&NetNs, &Path) -> Result<()>;

fn write_ipset(folder: &TempDir, first: &[Item], second: &[Item]) -> Result<()> {
    let tail = "swap next bad\ndestroy next\n";
    for (file, set, items, tail) in [("first", "bad", first, ""), ("second", "next", second, tail)]
    {
        let most = items.len().next_power_of_two();
        let mut text = format!("create {set} hash:net hashsize {most} maxelem {most}\n");
        for item in items {
            writeln!(text, "add {set} {} -exist", item.prefix)?;
        }
        text.push_str(tail);
        fs::write(folder.path().join(file), text)?;
    }
    Ok(())
}

fn load_ipset(host: &NetNs, file: &Path) -> Result<()> {
    run(host.command("ipset").arg("restore").stdin(File::open(file)?)).map(drop)
}

fn write_nftables(folder: &TempDir, first: &[Item], second: &[Item]) -> Result<()> {
    let set = "set bad { type ipv4_addr; flags interval; auto-merge; }";
    let table = format!("table ip lists {{\n{set}\n}}\n");
    let flush = "flush set ip lists bad\n";
    for (file, head, items) in [("first", table.as_str(), first), ("second", flush, second)] {
        let mut text = format!("{head}add element ip lists bad {{\n");
        for item in items {
            writeln!(text, "{},", item.prefix)?;
        }
        text.push_str("}\n");
        fs::write(folder.path().join(file), text)?;
    }
    Ok(())
}

fn load_nftables(host: &NetNs, file: &Path) -> Result<()> {
    run(host.command("nft").arg("-f").arg(file)).map(drop)
}
