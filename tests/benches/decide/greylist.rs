//! The greylist: first tries, retries that pass, pools that are known; in a file and in memory, from one thread and from two.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gateway::clock::Timestamp;
use gateway::sender::{Attempt, Greylist, GreylistAnswer, Pool};
use gateway::store::{MemorySenders, SenderStore, SqliteSenders};
use serde_json::Value;

use crate::meter::{Begun, Meter, Spent, times};

/// The first try, in seconds since 1970.
const BEGIN: i64 = 1_790_000_000;
/// What is done, and how much later than the first tries that is, in seconds.
const STEPS: [(&str, i64); 3] =
    [("first tries", 0), ("retries that pass", 360), ("known pools", 420)];

/// How a store is opened in a folder.
type Open = fn(&Path) -> Result<Box<dyn SenderStore>>;

/// Measures `runs` runs of `tries` tries each.
pub(crate) fn measure(runs: usize, tries: u32) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for (name, open) in [("SQLite", open_file as Open), ("memory", open_memory)] {
        for threads in [1, 2] {
            let mut meters = STEPS.map(|_| Meter::default());
            for _ in 0..runs {
                let folder = tempfile::tempdir()?;
                let store = open(folder.path())?;
                let settings = Greylist::default();
                for ((step, later), meter) in STEPS.iter().zip(&mut meters) {
                    let passed = run(&*store, &settings, 0..tries, *later, threads, meter)?;
                    let expected = if *later == 0 { 0 } else { tries as usize };
                    ensure!(passed == expected, "{name}, {step}: {passed} passed");
                }
            }
            for ((step, _), meter) in STEPS.iter().zip(meters) {
                let plural = if threads == 1 { "" } else { "s" };
                rows.push(
                    meter.row("greylist", &format!("{name}, {threads} thread{plural}: {step}")),
                );
            }
        }
        rows.push(full(open, runs, tries)?.row("greylist", &format!("{name}, full: first tries")));
    }
    Ok(rows)
}

/// First tries where each one pushes out another.
fn full(open: Open, runs: usize, tries: u32) -> Result<Meter> {
    let folder = tempfile::tempdir()?;
    let store = open(folder.path())?;
    let settings = Greylist { most: 2 * tries as usize, ..Greylist::default() };
    run(&*store, &settings, 0..tries, 0, 1, &mut Meter::default())?;
    let mut meter = Meter::default();
    for number in (1..).take(runs) {
        let range = number * tries..(number + 1) * tries;
        run(&*store, &settings, range, number.into(), 1, &mut meter)?;
    }
    ensure!(store.counts().waiting <= settings.most, "{:?}", store.counts());
    Ok(meter)
}

/// Tries once for each number, from several threads; how many passed.
fn run(
    store: &dyn SenderStore,
    settings: &Greylist,
    numbers: std::ops::Range<u32>,
    later: i64,
    threads: u32,
    meter: &mut Meter,
) -> Result<usize> {
    let now = Timestamp::from_second(BEGIN + later)?;
    let share = u32::try_from(numbers.len())?.div_ceil(threads);
    let starts = numbers.clone().step_by(share as usize);
    let shares: Vec<Vec<Attempt>> = starts
        .map(|start| (start..numbers.end.min(start + share)).map(attempt).collect())
        .collect();
    let ready = Barrier::new(shares.len() + 1);
    let work = |attempts: &[Attempt]| {
        ready.wait();
        let (mut passed, mut failed) = (0, None);
        let times = times(attempts, |attempt| match store.greylist(attempt, settings, now) {
            Ok(answer) => {
                passed += usize::from(matches!(black_box(answer), GreylistAnswer::Passed { .. }));
            }
            Err(error) => failed = Some(error),
        });
        failed.map_or(Ok((passed, times)), Err)
    };
    let mut spent = Spent::default();
    let done = thread::scope(|scope| {
        let work = &work;
        let mut running = Vec::new();
        for share in &shares {
            running.push(scope.spawn(move || work(share)));
        }
        ready.wait();
        let begun = Begun::now();
        let done: Vec<_> = running.into_iter().map(thread::ScopedJoinHandle::join).collect();
        spent.add(&begun);
        done
    });
    let (mut passed, mut all) = (0, Vec::<Duration>::new());
    for done in done {
        let (number, times) = done.ok().context("a thread died")??;
        passed += number;
        all.extend(times);
    }
    meter.add(numbers.len(), spent);
    meter.add_times(&all);
    Ok(passed)
}

/// A try from a network of its own.
fn attempt(number: u32) -> Attempt {
    let settings = Greylist::default();
    let pool = Pool::network(Ipv4Addr::from_bits(number << 8).into(), &settings);
    // In no order, as strangers come.
    let name = number.wrapping_mul(0x9e37_79b1);
    let sender = format!("sender-{name:08x}@example.net");
    let recipient = format!("user{}@example.org", name % 1000);
    Attempt::new(pool, &sender, &recipient)
}

fn open_file(folder: &Path) -> Result<Box<dyn SenderStore>> {
    let opened = SqliteSenders::open(folder, Timestamp::from_second(BEGIN)?)?;
    Ok(Box::new(opened.store))
}

#[expect(clippy::unnecessary_wraps, reason = "the other one can fail")]
fn open_memory(_folder: &Path) -> Result<Box<dyn SenderStore>> {
    Ok(Box::new(MemorySenders::default()))
}
