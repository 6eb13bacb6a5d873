//! How long one lookup takes, in our tables and in the kernel's own maps, with the same keys in the same run.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, ArrayOfMaps, HashMap, Map, MapData};
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use gateway::xdp::bench::{self, OBJECT};
use gateway_ebpf::abi::{KernelAction, RuleValue};
use gateway_ebpf::bench_keys::{
    ENTRIES, FOUND, HIT, KIND, LOOKUPS, MISS, NANOSECONDS, NEAR_MISS, STATE, entry_v4, entry_v6,
};
use gateway_ebpf::table::build::{Entry, Made, Rows, Table, build_v4, build_v6};
use gateway_ebpf::table::header::Shape;
use serde_json::{Value, json};

use crate::{median, milliseconds, now, rounded, say};

/// Lookups of one run, and runs of which the median counts.
const LOOKUPS_PER_RUN: u64 = 20_000;
const RUNS: usize = 61;

/// Measures all structures with `entries` entries.
pub(crate) fn measure(entries: u32) -> Result<Vec<Value>> {
    let mut bench = Bench::new(entries)?;
    let mut rows = Vec::new();
    for family in [4, 6] {
        for structure in ["table", "trie", "hash"] {
            rows.push(bench.structure(family, structure)?);
        }
    }
    Ok(rows)
}

struct Bench {
    ebpf: Ebpf,
    entries: u32,
}

impl Bench {
    fn new(entries: u32) -> Result<Self> {
        let folder = PathBuf::from(format!("/sys/fs/bpf/portcullis-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let loaded = Self::load(entries, &folder);
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { ebpf: loaded?, entries })
    }

    /// Loads the programs with maps of the sizes that `entries` need; nothing stays pinned.
    fn load(entries: u32, folder: &std::path::Path) -> Result<Ebpf> {
        let mut loader = EbpfLoader::new();
        for (name, table) in [("TABLE_V4", table_v4(entries)?), ("TABLE_V6", table_v6(entries)?)] {
            let map = bench::create_table(table.header.shape.lines())?;
            bench::create_holder(&map)?.pin(folder.join(name))?;
            loader.map_pin_path(name, folder.join(name));
        }
        for name in ["TRIE_V4", "TRIE_V6", "HASH_V4", "HASH_V6"] {
            loader.map_max_entries(name, entries);
        }
        Ok(loader.load(OBJECT)?)
    }

    fn structure(&mut self, family: u8, structure: &str) -> Result<Value> {
        let map = format!("{}_V{family}", structure.to_uppercase());
        let (fill_ms, bytes) = match structure {
            "table" => self.fill_table(family, &map)?,
            "trie" => self.fill_trie(family, &map)?,
            _ => self.fill_hash(family, &map)?,
        };
        let program = format!("{structure}_v{family}");
        let loop_ns = self.time(&format!("loop_v{family}"), HIT, None)?;
        let hit = self.time(&program, HIT, Some(1.0))?;
        let miss = self.time(&program, MISS, Some(0.0))?;
        let near = (family == 6).then(|| self.time(&program, NEAR_MISS, Some(0.0))).transpose()?;
        let per_entry = bytes / f64::from(self.entries);
        say(&format!(
            "IPv{family} {:>8} {structure:<6} hit {hit:>7.1} ns  miss {miss:>7.1} ns  {:>6} B/entry  fill {fill_ms:>8.1} ms",
            self.entries,
            rounded(per_entry)
        ));
        Ok(json!({
            "family": family,
            "entries": self.entries,
            "structure": structure,
            "hit_ns": rounded(hit),
            "miss_ns": rounded(miss),
            "near_miss_ns": near.map(rounded),
            "loop_ns": rounded(loop_ns),
            "bytes_per_entry": rounded(per_entry),
            "fill_ms": rounded(fill_ms),
        }))
    }

    /// Nanoseconds per lookup, the loop and its random numbers included; `found` is the share of keys that must be found.
    fn time(&mut self, program: &str, kind: u64, found: Option<f64>) -> Result<f64> {
        let runs = (0..RUNS).map(|run| {
            let mut request = [0; 8];
            request[ENTRIES] = self.entries.into();
            request[KIND] = kind;
            request[LOOKUPS] = LOOKUPS_PER_RUN;
            request[STATE] = 1 + 0x1234_5678_9abc * run as u64;
            self.run_map()?.set(0, request, 0)?;
            let program: &mut Xdp =
                self.ebpf.program_mut(program).context("program")?.try_into()?;
            if program.fd().is_err() {
                program.load()?;
            }
            let options = TestRunOptions { data_in: Some(&[0; 64]), ..TestRunOptions::default() };
            program.test_run(options)?;
            let answer = self.run_map()?.get(&0, 0)?;
            let share = answer[FOUND] as f64 / LOOKUPS_PER_RUN as f64;
            if let Some(found) = found {
                // A random address may be listed after all, where nothing else makes it certain.
                ensure!((share - found).abs() < 1e-9, "{share} found, expected {found}");
            }
            Ok(answer[NANOSECONDS] as f64 / LOOKUPS_PER_RUN as f64)
        });
        runs.collect::<Result<Vec<f64>>>().map(median)
    }

    fn run_map(&mut self) -> Result<Array<&mut MapData, [u64; 8]>> {
        Ok(self.ebpf.map_mut("RUN").context("RUN")?.try_into()?)
    }

    fn fill_table(&mut self, family: u8, map: &str) -> Result<(f64, f64)> {
        let built = if family == 4 { table_v4(self.entries)? } else { table_v6(self.entries)? };
        let started = now();
        let table = bench::create_table(built.header.shape.lines())?;
        bench::fill(&table, &built.lines)?;
        let filled = milliseconds(started);
        let mut left: LpmTrie<_, [u8; 20], [u8; 4]> =
            self.ebpf.map_mut("LEFT_V6").context("LEFT_V6")?.try_into()?;
        for entry in &built.leftovers {
            let mut data = [0; 20];
            let (first, rest) = data.split_at_mut(4);
            first.copy_from_slice(&built.header.generation.to_ne_bytes());
            rest.copy_from_slice(&entry.address.to_be_bytes());
            let key = Key::new(32 + u32::from(entry.length), data);
            left.insert(&key, [entry.class, entry.length, 0, 0], 0)?;
        }
        let mut holder: ArrayOfMaps<&mut MapData, MapData> =
            self.ebpf.map_mut(map).context("table")?.try_into()?;
        holder.set(0, &table, 0)?;
        let left_bytes = 160.0 * built.leftovers.len() as f64;
        Ok((filled, memory_of(&table)? + left_bytes))
    }

    fn fill_trie(&mut self, family: u8, map: &str) -> Result<(f64, f64)> {
        let entries = self.entries;
        let map = self.ebpf.map_mut(map).context("trie")?;
        let started = now();
        if family == 4 {
            let mut trie: LpmTrie<_, [u8; 4], u32> = (&mut *map).try_into()?;
            for number in 0..entries {
                trie.insert(&Key::new(32, entry_v4(number).to_be_bytes()), 1, 0)?;
            }
        } else {
            let mut trie: LpmTrie<_, [u8; 16], u32> = (&mut *map).try_into()?;
            for number in 0..entries {
                let (words, length) = entry_v6(number);
                trie.insert(&Key::new(length.into(), number_v6(words).to_be_bytes()), 1, 0)?;
            }
        }
        let filled = milliseconds(started);
        Ok((filled, memory_of(data(map)?)?))
    }

    fn fill_hash(&mut self, family: u8, map: &str) -> Result<(f64, f64)> {
        let entries = self.entries;
        let map = self.ebpf.map_mut(map).context("hash")?;
        let started = now();
        if family == 4 {
            let mut hash: HashMap<_, u32, u32> = (&mut *map).try_into()?;
            for number in 0..entries {
                hash.insert(entry_v4(number), 1, 0)?;
            }
        } else {
            let mut hash: HashMap<_, [u32; 5], u32> = (&mut *map).try_into()?;
            for number in 0..entries {
                let ([a, b, c, d], length) = entry_v6(number);
                hash.insert([length.into(), a, b, c, d], 1, 0)?;
            }
        }
        let filled = milliseconds(started);
        Ok((filled, memory_of(data(map)?)?))
    }
}

fn data(map: &Map) -> Result<&MapData> {
    match map {
        Map::LpmTrie(data) | Map::HashMap(data) => Ok(data),
        _ => anyhow::bail!("neither a trie nor a hash"),
    }
}

/// What the kernel says that a map takes (Linux 6.4 says it truly).
fn memory_of(map: &MapData) -> Result<f64> {
    let file = format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd());
    let text = fs::read_to_string(&file).context(file)?;
    let bytes = text.lines().find_map(|line| line.strip_prefix("memlock:"));
    Ok(bytes.context("memlock")?.trim().parse()?)
}

fn number_v6(words: [u32; 4]) -> u128 {
    words.into_iter().fold(0, |number, word| number << 32 | u128::from(word))
}

fn rows() -> (Rows, u8) {
    let mut rows = Rows::new();
    let class = rows.class(RuleValue::new(0, KernelAction::Drop)).unwrap_or_default();
    (rows, class)
}

fn made(at_least: Shape) -> Made {
    Made { at_least, generation: 1, seed: 0x5eed, digest: 0 }
}

/// The prefixes in the order in which the daemon has them.
pub(crate) fn entries_v4(entries: u32) -> Vec<Entry<u32>> {
    let (_, class) = rows();
    let addresses = (0..entries).map(entry_v4);
    let mut entries: Vec<_> =
        addresses.map(|address| Entry { address, length: 32, class }).collect();
    entries.sort_unstable();
    entries
}

pub(crate) fn entries_v6(entries: u32) -> Vec<Entry<u128>> {
    let (_, class) = rows();
    let mut entries: Vec<_> = (0..entries)
        .map(entry_v6)
        .map(|(words, length)| Entry { address: number_v6(words), length, class })
        .collect();
    entries.sort_unstable();
    entries
}

pub(crate) fn build(entries: &[Entry<u32>]) -> Result<Table> {
    let made = made(Shape::SMALLEST_V4);
    build_v4(entries, &rows().0, made).map_err(|error| anyhow::anyhow!("{error:?}"))
}

fn table_v4(entries: u32) -> Result<Table> {
    build(&entries_v4(entries))
}

fn table_v6(entries: u32) -> Result<Table> {
    let made = made(Shape::SMALLEST_V6);
    build_v6(&entries_v6(entries), &rows().0, made, 1 << 20)
        .map_err(|error| anyhow::anyhow!("{error:?}"))
}
