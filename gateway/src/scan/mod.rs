//! The header block of a message: its fields, and the addresses in them as hops.

mod header;
mod literal;
mod received;
mod sighting;

pub use header::{Field, Fields, HeaderBlock};
pub use sighting::{Sighting, count_received, sightings};

/// STUB until merged.
pub fn from_domain(_header: &[u8]) -> Option<String> {
    None
}
