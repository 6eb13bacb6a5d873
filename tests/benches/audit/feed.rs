//! Records through the writer of the daemon: as fast as they are taken, then at a rate that is given.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use gateway::audit::Archive;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::figures::{now, rounded};
use crate::records;
use crate::trail::{fill, wait, wait_until_sealed, writer};

/// The rate that is aimed at, in records a second, and for how long.
const PACE: u32 = 20_000;
const PACED: Duration = Duration::from_secs(10);

pub(crate) fn store(folder: &Path) -> PathBuf {
    folder.join("audit")
}

/// Writes `count` records as fast as they are taken.
pub(crate) fn measure(folder: &Path, count: u32) -> Result<Value> {
    let lines = folder.join("audit.jsonl");
    let writer = writer(&store(folder), &lines, None)?;
    let (started, processor) = (now(), processor_time());
    fill(&writer, count, |number| {
        records::with_record(number, |record| writer.write_decision(record));
    })?;
    let (wall, spent) = (started.elapsed(), processor_time().saturating_sub(processor));
    let archive = Archive::new(&store(folder));
    let after = now();
    wait_until_sealed(&archive)?;
    let sealing = after.elapsed();
    writer.close();
    let (segments, faults) = archive.segments()?;
    ensure!(faults.is_empty(), "{faults:?}");
    let octets: u64 = segments.iter().map(|segment| segment.octets).sum();
    let in_lines = lines.metadata()?.len();
    let rate = |time: Duration| (f64::from(count) / time.as_secs_f64()).round();
    let each = |octets: u64| rounded(octets as f64 / f64::from(count));
    Ok(json!({
        "records": count,
        "records_per_second": rate(wall),
        "records_per_processor_second": rate(spent),
        "sealing_goes_on_for_s": rounded(sealing.as_secs_f64()),
        "segments": segments.len(),
        "store_octets_per_record": each(octets),
        "line_octets_per_record": each(in_lines),
    }))
}

/// Writes records at the rate that is aimed at into a store of their own: how many wait at most, and whether any is left out.
pub(crate) fn paced(folder: &Path) -> Result<Value> {
    let writer = writer(&folder.join("paced"), &folder.join("paced.jsonl"), None)?;
    let (started, processor) = (now(), processor_time());
    let (mut number, mut most) = (0, 0);
    while started.elapsed() < PACED {
        let due = started.elapsed().as_secs_f64() * f64::from(PACE);
        while number < due as u32 {
            records::with_record(number, |record| writer.write_decision(record));
            number += 1;
        }
        most = most.max(writer.status().waiting);
        sleep(Duration::from_millis(2));
    }
    let spent = processor_time().saturating_sub(processor);
    wait(started, || writer.status().waiting == 0)?;
    let wall = started.elapsed();
    let status = writer.status();
    writer.close();
    Ok(json!({
        "aim_per_second": PACE,
        "given": number,
        "seconds": rounded(wall.as_secs_f64()),
        "processors": rounded(spent.as_secs_f64() / PACED.as_secs_f64()),
        "most_waiting": most,
        "status": status,
    }))
}

/// What all threads of this process have used of the processors.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
