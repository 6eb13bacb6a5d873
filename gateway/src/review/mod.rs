//! Reviews: who asked that an address be looked at again, and what came of it.

mod event;
mod letter;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::event::{Event, EventKind};
pub use self::letter::{Letter, Sighting, whom_to_ask};
use crate::clock::{Expiry, Timestamp};
use crate::net::Prefix;

/// The most requests of one review that are kept word by word; those that come later are counted.
pub const MOST_ASKS: usize = 5;

/// Letters of a reference.
const REFERENCE: usize = 13;

/// A review: all that was asked about one prefix until somebody decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    /// Its number, which no other review ever gets.
    pub id: u64,
    /// Whether somebody has decided.
    pub state: State,
    /// The address or prefix that it is about.
    pub prefix: Prefix,
    /// The records that it is linked to, by their references.
    pub references: Vec<Box<str>>,
    /// How often it was asked for.
    pub requests: u64,
    /// Who asked, the first one first, at most [`MOST_ASKS`].
    pub asks: Vec<Ask>,
    /// What came of it; `null` while it is open.
    pub resolution: Option<Resolution>,
}

/// Whether a review waits for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does.
    Open,
    /// Somebody has decided.
    Resolved,
}

impl State {
    /// The word that commands and records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }
}

/// One request for a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ask {
    /// When, to the microsecond.
    pub at: Timestamp,
    /// Who asked, at most 100 characters.
    pub author: Box<str>,
    /// The record that it is about; `null` where none was named.
    pub reference: Option<Box<str>>,
    /// Why, at most 500 characters.
    pub note: Option<Box<str>>,
    /// Whom to answer, at most 254 characters.
    pub contact: Option<Box<str>>,
}

/// How a review ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resolution {
    /// What was decided.
    pub result: Outcome,
    /// Why, at most 500 characters.
    pub note: Box<str>,
    /// Who decided.
    pub author: Box<str>,
    /// When, to the microsecond.
    pub at: Timestamp,
    /// Until when the good entry counts; `null` for ever, and for other results.
    pub until: Option<Expiry>,
    /// What was changed, list by list.
    pub done: Vec<String>,
}

/// What can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What was entered here against it is gone.
    Removed,
    /// It is on a good list now.
    GoodListed,
    /// Nothing changes.
    Refused,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Removed, Self::GoodListed, Self::Refused];

    /// The word that commands and records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::GoodListed => "good-listed",
            Self::Refused => "refused",
        }
    }
}

/// What a review is asked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// An address or a prefix.
    Prefix(Prefix),
    /// The reference of a record.
    Reference(Box<str>),
}

impl FromStr for About {
    type Err = AboutError;

    fn from_str(text: &str) -> Result<Self, AboutError> {
        let text = text.trim();
        let prefix = text.parse().ok().map(Self::Prefix);
        let found = prefix.or_else(|| reference(text).map(Self::Reference));
        found.ok_or_else(|| AboutError(text.chars().take(60).collect()))
    }
}

/// The reference that `text` can be, as it is written in records.
pub fn reference(text: &str) -> Option<Box<str>> {
    let is_one = text.len() == REFERENCE && text.bytes().all(|octet| octet.is_ascii_alphanumeric());
    is_one.then(|| text.to_ascii_uppercase().into())
}

/// A text is nothing that a review can be about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?}, expected an address, a prefix, or the {REFERENCE} letters and digits of a reference"
)]
pub struct AboutError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_is_about_a_prefix_or_a_record() {
        let prefix = |text: &str| Some(About::Prefix(text.parse().unwrap()));
        let reference = |text: &str| Some(About::Reference(text.into()));
        for (text, expected) in [
            ("192.0.2.7", prefix("192.0.2.7")),
            (" 192.0.2.9/24 ", prefix("192.0.2.0/24")),
            ("::ffff:192.0.2.7", prefix("192.0.2.7")),
            ("2001:db8::/32", prefix("2001:db8::/32")),
            ("0z7k5n3qw8rta", reference("0Z7K5N3QW8RTA")),
            ("0Z7K5N3QW8RT", None),
            ("0Z7K5N3QW8RTAB", None),
            ("0Z7K5N3QW8RT\"", None),
            ("192.0.2.0/33", None),
            ("\u{1b}[2J", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<About>().ok(), expected, "{text:?}");
        }
        let long = "\u{1b}".repeat(1000).parse::<About>().unwrap_err().to_string();
        assert!(long.len() < 600 && !long.contains('\u{1b}'), "{long}");
    }
}
