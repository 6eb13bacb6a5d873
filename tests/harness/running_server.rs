//! A mail server that runs: it is asked to stop before it is killed, since that ends all of its processes.

use std::process::{Child, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::wait_for;

/// How long it may take to start, or to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first process of a mail server; dropping it ends it and all its processes.
#[derive(Debug)]
pub(crate) struct RunningServer {
    name: &'static str,
    process: Child,
}

impl RunningServer {
    /// The server of this name, once its process is there.
    pub(crate) fn new(name: &'static str, process: Child) -> Self {
        Self { name, process }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until `is_ready`; `said` is what it tells where it ends before that, or takes too long.
    pub(crate) fn wait_until_started(
        &mut self,
        said: impl Fn() -> String,
        is_ready: impl Fn() -> Result<bool>,
    ) -> Result<()> {
        let Self { name, process } = self;
        wait_for(&format!("{name} to start"), PATIENCE, || {
            if let Some(status) = process.try_wait()? {
                bail!("{name} ended with {status}:\n{}", said());
            }
            Ok(is_ready()?.then_some(()))
        })
        .with_context(&said)
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no process")?, Signal::TERM)?;
        wait_for(&format!("the end of {}", self.name), PATIENCE, || Ok(self.process.try_wait()?))
    }
}

impl Drop for RunningServer {
    /// One that does not stop when asked to is killed.
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) && self.stop().is_err() {
            self.process.kill().unwrap_or_default();
            self.process.wait().map(drop).unwrap_or_default();
        }
    }
}

/// Waits until `log` has a line with all of `parts`; that line.
pub(crate) fn wait_for_line(
    log: impl Fn() -> String,
    parts: &[&str],
    within: Duration,
) -> Result<String> {
    wait_for(&format!("a log line with {parts:?}"), within, || {
        let log = log();
        let found = log.lines().find(|line| parts.iter().all(|part| line.contains(part)));
        Ok(found.map(ToOwned::to_owned))
    })
    .with_context(&log)
}
