//! What this process takes of the host, as the kernel says.

use std::fs;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// What the process takes; `None` where the kernel does not say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    /// Processor time of all threads, in seconds.
    pub(super) cpu_seconds: f64,
    /// Octets of memory that are its own now.
    pub(super) resident: Option<u64>,
    /// Files that it has open.
    pub(super) open_files: Option<usize>,
    /// How many it may have.
    pub(super) most_files: Option<u64>,
}

impl Process {
    /// This one.
    pub(super) fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            cpu_seconds: std::time::Duration::try_from(cpu).unwrap_or_default().as_secs_f64(),
            resident: resident(),
            // One of them is the folder that is being read.
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() - 1),
            most_files: getrlimit(Resource::Nofile).current,
        }
    }
}

fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kilobytes.checked_mul(1024)
}
