//! Feeds: where the entries of lists come from, with the last good copy of each.

mod copy;
mod intake;
mod read;

pub use copy::{Head, LastGood};
pub use intake::{Content, Intake, Load};
pub use read::{SIZE_LIMIT, bounded, decompressed, read};
