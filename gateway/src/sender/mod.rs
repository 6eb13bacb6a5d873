//! What is remembered of senders: tries that wait, pools that passed, refusals that add up.

mod bounded;
mod greylist;
mod history;
mod pool;
mod promotion;
mod selection;

use std::time::Duration;

pub use self::greylist::{
    Attempt, Greylist, GreylistAnswer, Manual, Passed, PassedBy, Turn, Waiting, judge,
};
pub use self::history::{Event, History, HistorySettings};
pub use self::pool::{Pool, PoolError};
pub use self::promotion::{MOST_REFUSALS, Promotion, PromotionSettings, Promotions};
pub use self::selection::Selection;
use crate::clock::Timestamp;

/// How long ago `since` was; nothing if the clock was set back behind it.
fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}
