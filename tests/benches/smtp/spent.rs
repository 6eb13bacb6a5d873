//! What processes have used of the processors, by the system's own count.

use std::fs;

use anyhow::{Context as _, Result};

/// The unit of the system's count (`USER_HZ`): the same on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) seconds: f64,
}

impl Spent {
    pub(crate) fn since(self, earlier: Self) -> f64 {
        self.seconds - earlier.seconds
    }
}

/// Of one process with all its threads.
pub(crate) fn of_process(pid: u32) -> Result<Spent> {
    let stat = stat(pid)?;
    Ok(Spent { seconds: seconds(stat.own) })
}

/// Of a Postfix: its master, all that live of what it started, and all that have ended.
pub(crate) fn of_postfix(master: u32) -> Result<Spent> {
    let first = stat(master)?;
    let mut ticks = first.own + first.ended;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that ended in the meantime is among those that have ended, at the next look.
        let Ok(found) = stat(pid) else { continue };
        if found.parent == master {
            ticks += found.own + found.ended;
        }
    }
    Ok(Spent { seconds: seconds(ticks) })
}

struct Stat {
    parent: u32,
    /// Ticks of its own, in the kernel and outside.
    own: u64,
    /// Ticks of its children that have ended.
    ended: u64,
}

/// See `proc_pid_stat(5)`: the fields behind the name, which may hold anything.
fn stat(pid: u32) -> Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(") ").context("no name in stat")?;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| -> Result<u64> {
        Ok(fields.get(index).context("stat is too short")?.parse()?)
    };
    Ok(Stat {
        parent: u32::try_from(number(1)?)?,
        own: number(11)? + number(12)?,
        ended: number(13)? + number(14)?,
    })
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}
