//! The audit trail: one JSON line per decision, written by one thread that mail never waits for.

mod recent;
mod writer;

pub use recent::{Recent, SeenAddress, SeenMessage};
pub use writer::{Writer, WriterStatus};
