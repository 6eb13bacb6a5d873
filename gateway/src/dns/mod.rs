//! Asks DNS: zones, reverse names, forward names.

mod asker;
mod counters;
#[cfg(test)]
mod fake;
mod hearing;
mod host_name;
mod member;
mod mx;
mod names;
mod probing;
mod ptr;
mod resolve;
mod resolver;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod zones;

pub use asker::Asker;
pub use counters::Counts;
pub use mx::{Exchanger, Exchangers, addresses, exchangers};
pub use names::{Addresses, Names};
pub use probing::{PointTest, ZoneTest};
pub use ptr::reverse;
pub use resolve::{Answer, Fault, Kind, Question, Records, Resolve};
pub use resolver::{ResolverError, resolver, resolvers};
pub use settings::Settings;
pub use status::{FamilyStatus, ZoneStatus};
pub use zones::{ConfiguredZone, ZoneEvent, Zones};
