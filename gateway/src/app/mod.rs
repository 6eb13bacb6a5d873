//! The application: puts the parts together, reloads them, stops them.

mod descriptors;
mod failure;
mod log;
mod run;
mod signals;

pub use failure::Failure;
pub use log::start_log;
pub use run::run;
