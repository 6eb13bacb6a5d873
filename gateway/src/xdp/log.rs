//! Prints what the program logs, when the daemon was built for debugging and asked for it.
//!
//! The records arrive under the target `gateway::xdp::program`, through the `log` crate, which `tracing-subscriber` reads.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use aya::Ebpf;
use aya_log::{EbpfLogger, Level};

/// Nobody waits for a log line; the program's buffer holds some thousand.
const INTERVAL: Duration = Duration::from_millis(200);

/// The level up to which the program logs; a constant of the program, so nothing is spent on what is off.
pub(super) fn level() -> u8 {
    if tracing::enabled!(target: "gateway::xdp::program", tracing::Level::DEBUG) {
        Level::Debug as u8
    } else {
        0
    }
}

/// The thread that prints; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Printer {
    _ends_when_dropped: Sender<()>,
}

impl Printer {
    /// Starts printing; `None` when the program has nothing to say.
    pub(super) fn start(ebpf: &mut Ebpf) -> Option<Self> {
        if level() == 0 {
            return None;
        }
        let mut logger = EbpfLogger::init(ebpf)
            .inspect_err(|error| tracing::debug!("the program cannot log: {error}"))
            .ok()?;
        let (sender, receiver) = channel();
        thread::Builder::new()
            .name("xdp-log".to_owned())
            .spawn(move || {
                while receiver.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    logger.flush();
                }
            })
            .inspect_err(|error| tracing::debug!("the program's log is not printed: {error}"))
            .ok()?;
        Some(Self { _ends_when_dropped: sender })
    }
}
