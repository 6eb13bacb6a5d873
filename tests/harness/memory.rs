//! Too little memory in the kernel: a control group of version 1, into which a single thread of a process can be put.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::daemon::Daemon;
use crate::deadline::wait_for;

/// Where the groups are mounted.
pub(crate) const GROUPS: &str = "/sys/fs/cgroup/memory";

/// A group for one thread, removed when this is dropped.
///
/// What the kernel allocates for a thread is charged to the group of the thread, but the memory of the process to that of
/// its first thread: so maps cannot be made, while the process lacks nothing.
#[derive(Debug)]
pub struct TightMemory {
    group: PathBuf,
    task: String,
}

impl TightMemory {
    /// Leaves the thread named `thread` of `daemon` with `octets` in the kernel.
    pub fn new(daemon: &Daemon, thread: &str, octets: u64) -> Result<Self> {
        let tasks = PathBuf::from(format!("/proc/{}/task", daemon.id()));
        let is_named = |task: &PathBuf| {
            fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim_end() == thread)
        };
        let entries = fs::read_dir(&tasks)?.flatten().map(|entry| entry.path());
        let task = entries.into_iter().find(is_named).context("no such thread")?;
        let task = task.file_name().context("no number")?.to_string_lossy().into_owned();
        let group = PathBuf::from(GROUPS).join(format!("portcullis-{}-{task}", std::process::id()));
        fs::create_dir(&group).with_context(|| group.display().to_string())?;
        let tight = Self { group, task };
        fs::write(tight.group.join("memory.limit_in_bytes"), octets.to_string())?;
        fs::write(tight.group.join("tasks"), &tight.task)?;
        Ok(tight)
    }

    /// Lets the thread have what it wants.
    pub fn relax(&self) -> Result<()> {
        Ok(fs::write(self.group.join("memory.limit_in_bytes"), "-1")?)
    }

    /// How often the kernel had to refuse.
    pub fn refusals(&self) -> Result<u64> {
        let text = fs::read_to_string(self.group.join("memory.failcnt"))?;
        Ok(text.trim().parse()?)
    }
}

impl Drop for TightMemory {
    fn drop(&mut self) {
        // It may have ended.
        fs::write(Path::new(GROUPS).join("tasks"), &self.task).unwrap_or_default();
        let removed = || Ok(fs::remove_dir(&self.group).ok());
        // One that is left behind harms nobody: it is empty.
        drop(wait_for("an empty group", Duration::from_secs(2), removed));
    }
}
