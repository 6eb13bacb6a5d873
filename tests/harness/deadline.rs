//! The end of a wait: no peer, process or socket is waited for without one.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at while waiting for it.
const POLL: Duration = Duration::from_millis(10);

/// A moment after which waiting is a failure.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    started: Instant,
    within: Duration,
}

impl Deadline {
    /// The moment `within` from now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the harness waits for real processes and sockets; this is its only clock"
    )]
    pub fn after(within: Duration) -> Self {
        Self { started: Instant::now(), within }
    }

    /// The time since it was set.
    pub fn elapsed(self) -> Duration {
        self.started.elapsed()
    }

    /// The time that is left, never zero, since sockets take a timeout of zero for none at all.
    pub fn left(self) -> Duration {
        self.within.saturating_sub(self.elapsed()).max(Duration::from_millis(1))
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        self.elapsed() >= self.within
    }
}

/// Asks `look` until it answers with something; `what` names the thing in the error of a wait in vain.
pub fn wait_for<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Deadline::after(within);
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if deadline.passed() {
            bail!("waited {within:?} for {what} in vain");
        }
        sleep(POLL);
    }
}
