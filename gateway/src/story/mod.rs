//! Tells a record of the audit trail as a story for people: what happened, by which rule, whether it still stands, what to type.
//!
//! A story is made from what the record says and from what is known beside it; nothing is asked here. What strangers wrote stands in
//! it as they wrote it: whoever prints it makes it safe.

mod after;
mod remedy;
mod steps;
#[cfg(test)]
mod tests;
mod told;

use serde::Serialize;

pub use after::{AddressNow, EntryNow, Since};
pub use remedy::Remedy;
pub use told::{Told, ToldEvidence, ToldOffending};

use crate::clock::Timestamp;

/// One decision as a story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Story {
    /// The name of the decision.
    pub reference: String,
    /// The outcome in one line.
    pub headline: String,
    /// Whether its sender was told no, for now or for good.
    pub refused: bool,
    /// What happened, in the order of time; what has no time of its own has that of the step before.
    pub steps: Vec<Step>,
    /// Whether the same would happen now.
    pub stands: Stands,
    /// What to type to look further, or to change it.
    pub next: Vec<Remedy>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When; `None` where it belongs to the step before.
    pub time: Option<Timestamp>,
    /// What.
    pub text: String,
}

/// Whether the same would happen now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stands {
    /// `None` where nobody can tell, as of a fault that is over or a score that depends on what a daemon remembers.
    pub stands: Option<bool>,
    /// Why.
    pub text: String,
}

impl Story {
    /// The story of `record`, with what happened to it and to its entry `since`.
    pub fn new(record: &Told, since: &Since<'_>) -> Self {
        let steps = steps::of(record).into_iter().chain(since.steps(record)).collect();
        let stands = since.stands(record);
        Self {
            reference: record.reference.clone(),
            headline: steps::headline(record),
            refused: record.is_refused(),
            steps,
            next: remedy::of(record, since, &stands),
            stands,
        }
    }
}
