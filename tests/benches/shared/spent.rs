//! What a process has used of the processors, by the system's own count.

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
    pub(crate) fn of_ticks(ticks: u64) -> Self {
        Self { seconds: ticks as f64 / TICKS_PER_SECOND }
    }

    pub(crate) fn since(self, earlier: Self) -> f64 {
        self.seconds - earlier.seconds
    }
}

/// Of one process with all its threads.
pub(crate) fn of_process(pid: u32) -> Result<Spent> {
    Ok(Spent::of_ticks(stat(pid, 11)? + stat(pid, 12)?))
}

/// A number of `proc_pid_stat(5)`, counted from the first field behind the name, which may hold anything.
pub(crate) fn stat(pid: u32, index: usize) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(") ").context("no name in stat")?;
    let field = rest.split_ascii_whitespace().nth(index).context("stat is too short")?;
    Ok(field.parse()?)
}
