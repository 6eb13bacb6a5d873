//! The audit trail: one JSON line per decision, written by one thread that mail never waits for.

mod writer;

pub use writer::{Writer, WriterStatus};
