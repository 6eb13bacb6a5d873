//! Feeds: where the entries of lists come from, with the last good copy of each.

mod file;

pub use file::{FileFeed, Load, read};
