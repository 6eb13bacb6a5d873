//! The audit trail: one JSON line per decision, written by one thread that mail never waits for.

mod file;
mod judged;
mod recent;
mod seen;
mod writer;

pub use judged::{JudgedRecord, JudgedTrail};
pub use recent::{Recent, SeenAddress, SeenMessage};
pub use seen::SeenDecision;
pub use writer::{Writer, WriterStatus};
