//! The kernel filter seen from the daemon: load, attach, sync, count. No other module names `aya`.
//!
//! | file | question |
//! |---|---|
//! | `config` | what can an operator say? |
//! | `filter` | the whole: open, sync, attach, count, look up, detach |
//! | `program` | how is the program loaded? |
//! | `attach` | on which interfaces does it run, in which mode, and why? |
//! | `interface` | which interface is meant, and what runs there already? |
//! | `vlan` | where can no answer be sent, since the tag is not in the frame? |
//! | `pins`, `links`, `table_pin` | what survives the daemon, and may it be trusted? |
//! | `ownership` | whose is it? |
//! | `tables` | what do the kernel's maps hold? |
//! | `control` | what does the program ask first? |
//! | `base` | how do the tables of bad prefixes get there, and how are they switched? |
//! | `delta`, `changes`, `tries` | what differs from the tables, or expires, and which good prefixes matter? |
//! | `boot` | when is that by the kernel's clock? |
//! | `memory` | what has aya no call for? |
//! | `wanted`, `slots`, `plan` | which changes lead from what they hold to what they should hold? |
//! | `refusals` | how does the kernel refuse? |
//! | `limits` | what may networks do, and which are known? |
//! | `references` | what does a reference in a refusal say? |
//! | `features` | what must a kernel have, and what works without it? |
//! | `probe`, `driver` | what has this host of it? |
//! | `device`, `offloads` | what does an interface do with frames? |
//! | `kernel_clock` | does somebody keep the clock right? |
//! | `counters`, `counting` | what did the kernel do? |
//! | `events` | to whom, for some of the packets? |
//! | `capture`, `pcapng` | what did the packets look like? |
//! | `explain` | how does the kernel find its answer for an address? |
//! | `inspect` | what runs there now, and what does it hold? |
//! | `moment` | when was that, by the clock on the wall? |
//! | `log` | what does a program built for debugging say? |

mod attach;
mod base;
#[cfg(feature = "bench")]
pub mod bench;
mod boot;
mod capture;
mod changes;
mod config;
mod control;
mod counters;
mod counting;
mod delta;
mod device;
mod driver;
mod error;
mod events;
mod explain;
pub mod features;
mod filter;
mod inspect;
mod interface;
mod kernel_clock;
mod limits;
mod links;
mod log;
mod memory;
mod moment;
mod offloads;
mod ownership;
mod pcapng;
mod pins;
mod plan;
pub mod probe;
mod program;
mod references;
mod refusals;
mod slots;
mod table_pin;
mod tables;
mod tries;
mod vlan;
mod wanted;

pub use attach::{Attachment, RunsIn};
pub use capture::{Capture, CapturedPacket, interface_name};
pub use config::{Config, Flood, Limits, Mode};
pub use counters::{Count, Counters, Taps};
pub use device::{Device, device};
pub use error::XdpError;
pub use events::{Events, KernelEvent};
pub use explain::{Explained, Explanation, explain};
pub use filter::{
    Filter, KernelRule, SyncReport, detach, is_pinned, pinned_list, read_counters, read_pinned,
};
pub use inspect::{Inspection, KeptMap, Running, TableFacts, inspect};
pub use kernel_clock::{KernelClock, kernel_clock};
pub use ownership::{give_pins, make_pin_folder};
pub use pcapng::PcapngWriter;
pub use references::{KernelReference, References};
