//! Whether somebody keeps the kernel's clock right; here, since only this module may call what is not safe.
#![expect(unsafe_code, reason = "there is no safe way to adjtimex(2)")]

use std::io;
use std::time::Duration;

/// What the kernel says of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelClock {
    /// Whether a time service sets it.
    pub is_synchronised: bool,
    /// How wrong it may be at most, as the time service says.
    pub most_wrong: Duration,
}

/// Asks, and sets nothing.
pub fn kernel_clock() -> io::Result<KernelClock> {
    // SAFETY: all of it are numbers, for which zeros will do; no mode is set, so that the kernel only writes.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes into `state`, which lives until it is done.
    let result = unsafe { libc::adjtimex(&raw mut state) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let is_synchronised = result != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0;
    let most_wrong = Duration::from_micros(u64::try_from(state.maxerror).unwrap_or(0));
    Ok(KernelClock { is_synchronised, most_wrong })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_or_refuses() {
        // A sandbox may forbid the call, which is an answer as well.
        if let Ok(clock) = kernel_clock() {
            assert!(clock.most_wrong < Duration::from_secs(1000), "{clock:?}");
        }
    }
}
