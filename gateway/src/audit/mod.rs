//! The audit trail: each decision as a JSON line and in a store that can be searched, by one thread that mail never waits for.

mod connect;
mod error;
mod file;
mod folder;
mod growing;
mod judged;
mod lines;
mod load;
mod output;
mod pack;
mod postfix;
mod privacy;
mod query;
mod recent;
mod sealed;
mod sealer;
mod search;
mod seen;
mod settings;
mod shelf;
mod sink;
mod terms;
#[cfg(test)]
mod tests;
mod writer;

pub use error::AuditError;
pub use judged::{JudgedRecord, JudgedTrail};
pub use load::{MOST as MOST_WAITING, WriterStatus};
pub use output::{Format, Output, Target};
pub use privacy::{Keep, Privacy, Veil};
pub use query::{Cursor, CursorError, Query};
pub use recent::{Recent, SeenAddress, SeenMessage};
pub use search::{Archive, Follower, Found, FoundRecord, Seen, SegmentStatus};
pub use seen::SeenDecision;
pub use settings::{Retention, Rotation, Settings, StoreSettings};
pub use terms::{Kind, Terms, Word};
pub use writer::Writer;
