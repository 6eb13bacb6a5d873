//! Addresses: prefixes as lists write them, clients as sockets see them, ranges that mean nothing in public, reverse names.

mod client;
mod generic_name;
mod hop;
mod prefix;
mod ptr;
mod reserved;

pub use client::fold;
pub use generic_name::looks_generic;
pub use hop::{Hop, HopError};
pub use prefix::{Prefix, PrefixError};
pub use ptr::{Ptr, PtrFault};
pub use reserved::{Reserved, reserved, reserved_prefix, reserved_within};
