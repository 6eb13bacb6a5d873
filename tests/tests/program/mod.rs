//! The loaded program, run on one frame at a time by the kernel itself (`BPF_PROG_TEST_RUN`).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use aya::programs::{TestRun as _, TestRunOptions};
use gateway::xdp::{Config, Counters, Filter, detach};

/// The verdict that passes a packet on.
pub(crate) const PASS: u32 = 2;
/// The verdict that throws it away.
pub(crate) const DROP: u32 = 1;
/// The verdict that sends it back.
pub(crate) const TX: u32 = 3;

/// The kernel filter with pins of its own, which are gone when it is.
pub(crate) struct Kernel {
    /// The filter.
    pub(crate) filter: Filter,
    /// What it was opened with.
    pub(crate) config: Config,
}

impl Kernel {
    /// A filter with all of `config` but the place of its pins.
    pub(crate) fn with(config: Config) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let config = Config {
            pin_dir: PathBuf::from(format!(
                "/sys/fs/bpf/portcullis-packets-{}-{number}",
                process::id()
            )),
            ..config
        };
        let filter = Filter::open(&config).unwrap();
        Self { filter, config }
    }

    /// What the kernel answers for one frame, and the frame as it is then.
    pub(crate) fn run(&self, frame: &[u8]) -> (u32, Vec<u8>) {
        let mut out = vec![0; frame.len() + 256];
        let result = self
            .filter
            .program()
            .unwrap()
            .test_run(TestRunOptions {
                data_in: Some(frame),
                data_out: Some(&mut out),
                ..TestRunOptions::default()
            })
            .unwrap();
        out.truncate(result.data_size_out as usize);
        (result.return_value, out)
    }

    /// What it has counted.
    pub(crate) fn counters(&self) -> Counters {
        self.filter.counters().unwrap()
    }

    /// Runs a frame and says under which outcome it was counted, which must be exactly one.
    pub(crate) fn outcome(&self, frame: &[u8]) -> (&'static str, u32, Vec<u8>) {
        let before = self.counters();
        let (verdict, out) = self.run(frame);
        let after = self.counters();
        let changed: Vec<&'static str> = before
            .outcomes
            .iter()
            .filter(|(name, count)| after.outcomes[*name] != **count)
            .map(|(name, _)| *name)
            .collect();
        let [name] = *changed.as_slice() else {
            panic!("counted under {changed:?}, expected one outcome");
        };
        let (before, after) = (before.outcomes[name], after.outcomes[name]);
        assert_eq!(after.packets - before.packets, 1, "{name}");
        assert_eq!(after.bytes - before.bytes, frame.len() as u64, "{name}");
        (name, verdict, out)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        detach(&self.config).unwrap();
        assert!(!self.config.pin_dir.exists());
    }
}
