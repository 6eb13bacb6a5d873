//! The application: puts the parts together, reloads them, stops them.

mod asking;
mod descriptors;
mod failure;
mod log;
mod notify;
mod quarantine;
mod reload;
mod run;
mod signals;
mod sockets;

pub use failure::Failure;
pub use log::start_log;
pub use run::run;
