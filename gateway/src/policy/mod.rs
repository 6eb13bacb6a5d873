//! Decisions: facts in, one outcome with its reason out; nothing here asks a socket, a file or a clock.

mod action;
mod reply;
mod score;
mod slider;
mod verdict;

pub use action::Action;
pub use reply::{Reference, Reply, ReplyStyle, ReplyText};
pub use score::{Evidence, Score};
pub use slider::{Band, Percent, SliderError, Thresholds};
pub use verdict::Verdict;
