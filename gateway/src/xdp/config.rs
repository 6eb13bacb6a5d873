//! What an operator can say about the kernel filter.

use std::path::PathBuf;
use std::time::Duration;

use gateway_ebpf::limit::FloodAction;

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
    /// What networks may do to the host, and get from it.
    pub limits: Limits,
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
            limits: Limits::default(),
            references: None,
        }
    }
}

impl Config {
    /// Whether all but the limits, which can change while the filter runs, is the same.
    pub fn is_same_filter(&self, other: &Self) -> bool {
        let limits = other.limits.clone();
        Self { limits, ..self.clone() } == *other
    }
}

/// What networks may do to the host, and get from it. All numbers are of the whole host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many SYNs from one network are answered in a second; 0 is no limit. Beyond it they are dropped.
    pub answers_per_network: u32,
    /// The limiter for sources that are on no list.
    pub flood: Flood,
}

impl Default for Limits {
    fn default() -> Self {
        Self { answers_per_network: 200, flood: Flood::default() }
    }
}

/// The limiter for sources that are on no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flood {
    /// What is done about a SYN beyond the limit of its network.
    pub action: FloodAction,
    /// Networks are looked at only while more SYNs than this come in a second; 0 is always.
    pub engage_above: u32,
    /// How many connections a network may open in a second, for ever; at least 1.
    pub per_network: u32,
    /// How many it may open at once; at least 1.
    pub burst: u32,
    /// How many bits of an IPv4 address are its network.
    pub network_v4: u8,
    /// How many bits of an IPv6 address are its network, at most 64.
    pub network_v6: u8,
    /// How long a completed handshake exempts the network of the client.
    pub known_for: Duration,
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            action: FloodAction::Observe,
            engage_above: 10_000,
            per_network: 20,
            burst: 100,
            network_v4: 24,
            network_v6: 64,
            known_for: Duration::from_hours(24),
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
