//! Thresholds that somebody put in force by hand, in the place of those of the configuration, and the record of it.

use serde::Serialize;

use super::{SCHEMA, Thresholds};
use crate::clock::Timestamp;

/// Thresholds that count instead of those of the configuration until somebody resets them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetThresholds {
    /// Where the bands begin and end.
    #[serde(flatten)]
    pub thresholds: Thresholds,
    /// Who set them.
    pub author: Box<str>,
    /// When, to the microsecond.
    pub at: Timestamp,
}

/// One record of phase `slider`.
#[derive(Debug, Serialize)]
pub struct SliderEvent<'a> {
    /// The version of these fields, which is that of all records.
    pub schema: u8,
    /// When it happened.
    pub time: Timestamp,
    /// Always `slider`.
    pub phase: &'static str,
    /// `set` or `reset`.
    pub event: &'static str,
    /// Who did it.
    pub author: &'a str,
    /// What is set from now on; `null` where the configuration counts.
    pub set: Option<Thresholds>,
    /// What was set before.
    pub before: Option<Thresholds>,
}

impl<'a> SliderEvent<'a> {
    /// That `author` put `set` in the place of `before`.
    pub fn new(
        time: Timestamp,
        author: &'a str,
        set: Option<Thresholds>,
        before: Option<Thresholds>,
    ) -> Self {
        let event = if set.is_some() { "set" } else { "reset" };
        Self { schema: SCHEMA, time, phase: "slider", event, author, set, before }
    }
}
