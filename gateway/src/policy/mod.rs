//! Decisions: facts in, one outcome with its reason out; nothing here asks a socket, a file or a clock.

mod action;
mod decide;
mod decision;
mod facts;
mod record;
mod reply;
mod score;
mod slider;
mod verdict;
mod weights;

pub use action::Action;
pub use decide::{Policy, decide_connect, decide_message};
pub use decision::{Decision, Offending, Phase};
pub use facts::{AddressFacts, MessageFacts, Skipped};
pub use record::{AddressRecord, Envelope, KernelFacts, MatchRecord, Outcome, Record, SCHEMA};
pub use reply::{Reference, Reply, ReplyStyle, ReplyText};
pub use score::{Evidence, Score};
pub use slider::{Band, Percent, SliderError, Thresholds};
pub use verdict::Verdict;
pub use weights::EvidenceWeights;
