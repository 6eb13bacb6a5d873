//! Which processor does what: one makes the flood, another one receives it.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::netns::run;
use rustix::process::{Pid, setpriority_process};
use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_setaffinity};

/// The greatest claim on a processor that there is without real-time rights.
const FIRST: i32 = -20;

/// The least claim.
const LAST: i32 = 19;

/// The number of a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Core(usize);

/// Who runs where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// Makes the flood where it is to be faster than its receiver, and takes in what comes back.
    pub(crate) generator: Core,
    /// Receives for the edge host, and makes the flood where the cost of a packet is measured.
    pub(crate) edge: Core,
}

impl Cores {
    /// The first and the last processor that this process may use.
    pub(crate) fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let allowed: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        ensure!(allowed.len() > 1, "a flood needs two processors, one to send and one to receive");
        let core = |number: Option<&usize>| number.copied().map(Core).context("no processor");
        Ok(Self { generator: core(allowed.first())?, edge: core(allowed.last())? })
    }
}

/// Where the kernel shares processors out by session, a thread's own claim counts only within it (sched(7)).
const OF_SESSION: &str = "/proc/self/autogroup";

/// Lets everything else on the machine wait for this process: a generator that others interrupt saturates nobody.
///
/// The claim of its session is what it was before when this is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    before: Option<String>,
}

impl Claim {
    pub(crate) fn new() -> Result<Self> {
        setpriority_process(None, FIRST)?;
        let before = fs::read_to_string(OF_SESSION).ok();
        let before = before.and_then(|text| Some(text.trim().rsplit_once(' ')?.1.to_owned()));
        if before.is_some() {
            fs::write(OF_SESSION, FIRST.to_string()).context(OF_SESSION)?;
        }
        Ok(Self { before })
    }
}

impl Drop for Claim {
    /// Where that fails, the claim ends with the session.
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            fs::write(OF_SESSION, before).unwrap_or_default();
        }
    }
}

/// A thread on a processor of its own; the processor time that it takes is the cost of what it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread {
    id: Pid,
}

impl Thread {
    /// The kernel thread that receives for `device`, whose name no other device of the system has, put on `core`.
    pub(crate) fn of(device: &str, core: Core) -> Result<Self> {
        let id = find(&format!("napi/{device}-"))?;
        run_on(Some(id), core)?;
        // Before all others, as what interrupts do comes on a host with a network card.
        let number = id.as_raw_nonzero().to_string();
        run(Command::new("chrt").args(["--fifo", "--pid", "1", &number]))?;
        Ok(Self { id })
    }

    /// The calling thread, put on `core`.
    pub(crate) fn this(core: Core) -> Result<Self> {
        run_on(None, core)?;
        Ok(Self { id: gettid() })
    }

    /// Makes it wait for whoever else wants its processor.
    pub(crate) fn come_last(self) -> Result<()> {
        // Of this thread alone: on Linux a thread has a claim of its own.
        Ok(setpriority_process(Some(self.id), LAST)?)
    }

    /// The processor time that it has taken so far, in nanoseconds.
    pub(crate) fn busy_ns(self) -> Result<u64> {
        let file = format!("/proc/{}/schedstat", self.id.as_raw_nonzero());
        let text = fs::read_to_string(&file).context(file)?;
        Ok(text.split(' ').next().unwrap_or_default().parse()?)
    }
}

/// Makes `thread`, or the calling one, run on `core` only.
fn run_on(thread: Option<Pid>, core: Core) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core.0);
    sched_setaffinity(thread, &set).with_context(|| format!("processor {}", core.0))
}

/// The kernel starts the thread a moment after it was asked to.
fn find(prefix: &str) -> Result<Pid> {
    for _ in 0..100 {
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A process may end while its name is read.
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            if name.starts_with(prefix) {
                return Pid::from_raw(number).context("no process");
            }
        }
        sleep(Duration::from_millis(10));
    }
    anyhow::bail!("no kernel thread `{prefix}…`: the device has no threaded NAPI")
}
