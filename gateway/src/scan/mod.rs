//! The header block of a message: its fields, and the addresses in them as hops.

mod author;
mod header;
mod literal;
mod message_id;
mod received;
mod sighting;
mod subject;

pub use author::from_domain;
pub use header::{Field, Fields, HeaderBlock};
pub(crate) use literal::literals;
pub use message_id::message_id;
pub use sighting::{Sighting, count_received, sightings};
pub use subject::subject;
