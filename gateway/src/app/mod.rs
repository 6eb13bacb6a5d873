//! The application: puts the parts together, reloads them, stops them.

mod asking;
mod begin;
mod descriptors;
mod failure;
mod fronts;
mod hand_over;
mod held;
mod log;
mod notify;
mod quarantine;
mod reload;
mod run;
mod scores;
mod signals;
mod sockets;
mod take_over;
mod web;

pub use begin::{Begun, account, begin, begin_attach, unreadable};
pub use failure::Failure;
pub use log::start_log;
pub use run::run;
