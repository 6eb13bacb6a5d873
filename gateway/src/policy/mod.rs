//! Decisions: facts in, one outcome with its reason out; nothing here asks a socket, a file or a clock.

mod action;
mod chart;
mod decide;
mod decision;
mod facts;
mod record;
mod replay;
mod reply;
mod score;
mod slider;
mod verdict;

pub use action::Action;
pub use chart::{ChartRow, Point, chart};
pub use decide::{Policy, decide_connect, decide_message};
pub use decision::{Decision, Offending, Phase};
pub use facts::{AddressFacts, MessageFacts, Skipped};
pub use record::{AddressRecord, Envelope, KernelFacts, MatchRecord, Outcome, Record, SCHEMA};
pub use replay::{Bar, ByBand, Change, InForce, Judged, Replay, Replayed};
pub use reply::{Reference, Reply, ReplyStyle, ReplyText};
pub use score::{Evidence, Score};
pub use slider::{Band, Percent, SliderError, Thresholds};
pub use verdict::Verdict;
