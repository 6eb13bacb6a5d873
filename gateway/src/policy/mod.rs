//! Decisions: facts in, one outcome with its reason out; nothing here asks a socket, a file or a clock.

mod action;
mod by_hand;
mod chart;
mod decide;
mod decision;
mod facts;
mod finding;
mod front;
mod record;
mod replay;
mod reply;
mod score;
mod slider;
mod tally;
mod verdict;
mod weights;

pub use action::Action;
pub use by_hand::{SetThresholds, SliderEvent};
pub use chart::{ChartRow, Point, chart};
pub use decide::{
    AtRecipient, DelayMode, Policy, decide_connect, decide_greylisted, decide_message,
    decide_recipient,
};
pub use decision::{Cause, Decision, Greylisted, Offending, Phase};
pub use facts::{AddressFacts, ClientFacts, MessageFacts, Skipped, Unanswered};
pub use front::Front;
pub use record::{
    AddressRecord, ClientTls, Envelope, KernelFacts, ListingRecord, MatchRecord, Outcome, Record,
    SCHEMA, UnansweredRecord,
};
pub use replay::{AddressCounts, Bar, ByBand, Change, InForce, Judged, Replay, Replayed};
pub use reply::{DNS_UNAVAILABLE, Reference, Reply, ReplyStyle, ReplyText};
pub use score::{Evidence, Score};
pub use slider::{Band, Percent, SliderError, Thresholds};
pub use tally::{Tally, Tried};
pub use verdict::Verdict;
pub use weights::EvidenceWeights;
