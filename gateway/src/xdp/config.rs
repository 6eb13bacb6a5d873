//! What an operator can say about the kernel filter.

use std::path::PathBuf;

/// What an operator can say about the kernel filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The interfaces to filter on; empty means the default route's.
    pub interfaces: Vec<String>,
    /// Where in the kernel the program runs.
    pub mode: Mode,
    /// The ports that are filtered, at most [`gateway_ebpf::abi::MAX_PORTS`].
    pub ports: Vec<u16>,
    /// The folder of a bpffs under which the filter is pinned; a folder per schema version is made in it.
    pub pin_dir: PathBuf,
    /// The words of a refusal, at most [`gateway_ebpf::line::MOST_TEXT`] octets of printable ASCII.
    pub refuse_text: String,
    /// How many answers of refusals a processor gives in a second; 0 is no limit. Beyond it, it drops.
    pub answers_per_second: u32,
    /// How many events a processor tells the daemon in a second; 0 is none.
    pub events_per_second: u32,
    /// Where the keys of references are kept; `None` where nobody will ask what a reference says.
    pub references: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            mode: Mode::Auto,
            ports: vec![25],
            pin_dir: PathBuf::from("/sys/fs/bpf/portcullis"),
            refuse_text: "you are not allowed to connect".to_owned(),
            answers_per_second: 100_000,
            events_per_second: 100,
            references: None,
        }
    }
}

/// Where in the kernel the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Native where the driver can, otherwise generic, with an alarm.
    Auto,
    /// In the driver, or not at all.
    Native,
    /// After the socket buffer is allocated: for tests, no defence against a flood.
    Generic,
    /// Nowhere: the daemon decides everything.
    Off,
}
