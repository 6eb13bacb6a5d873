//! Records through the writer of the daemon into lines and a store, as fast as they are taken.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gateway::alarm::Alarms;
use gateway::audit::{Archive, Rotation, Settings, StoreSettings, Writer};
use gateway::clock::Clock;

use crate::figures::now;

/// So many records wait at most: nothing is left out yet.
const WAITING: u64 = 16_000;
/// How long writing or sealing may take.
const LONGEST: Duration = Duration::from_mins(100);

/// A writer like that of a daemon, that never removes anything of the store.
pub(crate) fn writer(store: &Path, lines: &Path, rotation: Option<Rotation>) -> Result<Writer> {
    let mut kept = StoreSettings::new(store);
    kept.retention.max_size = 1 << 40;
    kept.retention.keep = Duration::from_hours(24 * 365 * 10);
    let settings = Settings { store: Some(kept), rotation, ..Settings::lines(lines) };
    Ok(Writer::start(settings, Alarms::default(), Clock::System)?)
}

/// Has `write` write `count` records, and waits until all of them are.
pub(crate) fn fill(writer: &Writer, count: u32, write: impl Fn(u32)) -> Result<()> {
    let started = now();
    for number in 0..count {
        while number.is_multiple_of(256) && writer.status().waiting > WAITING {
            sleep(Duration::from_millis(1));
        }
        write(number);
    }
    wait(started, || writer.status().written >= u64::from(count))?;
    let status = writer.status();
    ensure!(status.lost + status.sampled_out + status.without_details == 0, "{status:?}");
    Ok(())
}

/// Waits until all segments but the growing one are sealed.
pub(crate) fn wait_until_sealed(archive: &Archive) -> Result<()> {
    wait(now(), || {
        let (segments, _faults) = archive.segments().unwrap_or_default();
        segments.iter().filter(|segment| !segment.sealed).count() <= 1
    })
}

/// Waits for what should come.
pub(crate) fn wait(since: Instant, is_so: impl Fn() -> bool) -> Result<()> {
    while !is_so() {
        ensure!(since.elapsed() < LONGEST, "it takes too long");
        sleep(Duration::from_millis(5));
    }
    Ok(())
}
