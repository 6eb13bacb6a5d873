//! What thresholds would have said of all scores of the last hours, as the daemon counted them.

use serde::Serialize;

use super::{PHASES, PhaseCount};
use crate::clock::Timestamp;
use crate::policy::{Phase, Replayed, Tally, Thresholds};

/// What was counted, and what the thresholds would say of it.
#[derive(Debug, Serialize)]
pub struct TriedAnswer {
    /// Where the time that was counted begins: with an hour, or when counting began.
    pub since: Timestamp,
    /// Where it ends.
    pub until: Timestamp,
    /// False: counting began later than was asked for.
    pub complete: bool,
    /// The decisions that are judged.
    pub phase: &'static str,
    /// How many decisions there are.
    pub phases: [PhaseCount; PHASES.len()],
    /// What would change; addresses are not counted.
    #[serde(flatten)]
    pub replayed: Replayed,
}

impl TriedAnswer {
    /// Judges the decisions of `phase` since `since` again.
    pub fn new(
        tally: &Tally,
        thresholds: Thresholds,
        phase: Phase,
        since: Timestamp,
        until: Timestamp,
    ) -> Self {
        let tried = tally.replay(thresholds, phase, since);
        Self {
            since: tried.since,
            until,
            complete: tried.is_complete,
            phase: phase.name(),
            phases: tried.phases.map(|(phase, decisions, scored)| PhaseCount {
                phase: phase.name(),
                decisions,
                scored,
            }),
            replayed: tried.replayed,
        }
    }
}
