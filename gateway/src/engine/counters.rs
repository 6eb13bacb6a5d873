//! How many decisions had each verdict and action.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::policy::{Action, Decision, Verdict};

/// How many recorded decisions had each verdict and action.
#[derive(Debug, Default)]
pub struct Counters {
    slots: [[AtomicU64; Action::ALL.len()]; Verdict::ALL.len()],
}

impl Counters {
    pub(super) fn count(&self, decision: &Decision) {
        if let Some(slot) = self.slot(decision.verdict, decision.effective()) {
            slot.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of decisions with this verdict and this effective action.
    pub fn get(&self, verdict: Verdict, action: Action) -> u64 {
        self.slot(verdict, action).map_or(0, |slot| slot.load(Ordering::Relaxed))
    }

    fn slot(&self, verdict: Verdict, action: Action) -> Option<&AtomicU64> {
        let row = Verdict::ALL.iter().position(|known| *known == verdict)?;
        let column = Action::ALL.iter().position(|known| *known == action)?;
        self.slots.get(row)?.get(column)
    }
}
