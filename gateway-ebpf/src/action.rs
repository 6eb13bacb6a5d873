//! Decides what becomes of a connection attempt, from the rules that cover its source.

use crate::abi::{KernelAction, Outcome, RuleValue, list_index};
use crate::event::NO_LIST;

/// What becomes of a connection attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What it counts as.
    pub outcome: Outcome,
    /// The rule that decided; `None` when there was none, or one that leaves it to the daemon.
    pub rule: Option<RuleValue>,
    /// Whether it is the first connection attempt for some time by which its network is beyond its limit.
    pub first_of_flood: bool,
}

impl Decision {
    /// Decides by the longest bad rule; `good` gives the longest good rule and is asked only when there is a bad one.
    #[inline(always)]
    pub fn new(bad: Option<RuleValue>, good: impl FnOnce() -> Option<RuleValue>) -> Self {
        let Some(bad) = bad else {
            return Self::without_rule(Outcome::Unlisted);
        };
        if let Some(good) = good() {
            return Self::by_rule(Outcome::Good, good);
        }
        let outcome = match bad.action() {
            Some(KernelAction::Count) => Outcome::Counted,
            Some(KernelAction::Refuse) => Outcome::RefusedSyn,
            Some(KernelAction::Reset) => Outcome::Reset,
            Some(KernelAction::Drop) => Outcome::Dropped,
            Some(KernelAction::Off) => return Self::without_rule(Outcome::Off),
            None => return Self::without_rule(Outcome::BadRule),
        };
        Self::by_rule(outcome, bad)
    }

    /// What becomes of a packet for which no rule speaks.
    #[inline(always)]
    pub const fn without_rule(outcome: Outcome) -> Self {
        Self { outcome, rule: None, first_of_flood: false }
    }

    /// What becomes of a connection attempt by which a network is beyond its limit.
    #[inline(always)]
    pub const fn of_flood(outcome: Outcome, first_of_flood: bool) -> Self {
        Self { outcome, rule: None, first_of_flood }
    }

    /// The same decision when its answer could not be made.
    #[inline(always)]
    #[must_use]
    pub const fn without_reply(self) -> Self {
        Self { outcome: Outcome::ReplyFailed, ..self }
    }

    /// The same decision when enough was answered in this second.
    #[inline(always)]
    #[must_use]
    pub const fn over_cap(self) -> Self {
        Self { outcome: Outcome::OverCap, ..self }
    }

    /// The same decision when its network got enough answers in this second.
    #[inline(always)]
    #[must_use]
    pub const fn over_network_cap(self) -> Self {
        Self { outcome: Outcome::OverNetworkCap, ..self }
    }

    /// The same decision when nothing may be answered on its interface.
    #[inline(always)]
    #[must_use]
    pub const fn mute(self) -> Self {
        Self { outcome: Outcome::Mute, ..self }
    }

    /// The same decision while everything passes: counted, not carried out.
    #[inline(always)]
    #[must_use]
    pub const fn paused(self) -> Self {
        let outcome = match self.outcome {
            Outcome::RefusedSyn | Outcome::Reset | Outcome::Dropped => Outcome::Counted,
            Outcome::FloodDropped => Outcome::FloodObserved,
            other => other,
        };
        Self { outcome, ..self }
    }

    /// Whether the packet goes no further, before it is known how its answer comes out.
    #[inline(always)]
    pub const fn ends_here(self) -> bool {
        matches!(
            self.outcome,
            Outcome::RefusedSyn | Outcome::Reset | Outcome::Dropped | Outcome::FloodDropped
        )
    }

    /// The rule that decided, or one of no list.
    #[inline(always)]
    pub const fn rule_or_none(self) -> RuleValue {
        match self.rule {
            Some(rule) => rule,
            None => RuleValue::new(NO_LIST, KernelAction::Drop),
        }
    }

    /// Where the list that decided counts it, under what was really done.
    #[inline(always)]
    pub fn list_index(self) -> Option<u32> {
        let done = match self.outcome {
            Outcome::Good => KernelAction::Off,
            Outcome::RefusedSyn => KernelAction::Refuse,
            Outcome::Reset => KernelAction::Reset,
            Outcome::Dropped | Outcome::OverCap | Outcome::OverNetworkCap | Outcome::Mute => {
                KernelAction::Drop
            }
            _ => KernelAction::Count,
        };
        self.rule.map(|rule| list_index(rule.list(), done, rule.family()))
    }

    #[inline(always)]
    const fn by_rule(outcome: Outcome, rule: RuleValue) -> Self {
        Self { outcome, rule: Some(rule), first_of_flood: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Family;

    #[test]
    fn each_pair_of_rules_has_its_outcome() {
        use KernelAction::{Count, Drop, Off, Refuse, Reset};
        let rule = |list, action| Some(RuleValue::new(list, action));
        let unknown = Some(RuleValue::from_bytes([7, 0, 200, 0]));
        for (bad, good, outcome, counted) in [
            (None, None, Outcome::Unlisted, None),
            (None, rule(1, Off), Outcome::Unlisted, None),
            (rule(2, Off), None, Outcome::Off, None),
            (rule(2, Count), None, Outcome::Counted, Some((2, Count))),
            (rule(2, Refuse), None, Outcome::RefusedSyn, Some((2, Refuse))),
            (rule(2, Reset), None, Outcome::Reset, Some((2, Reset))),
            (rule(2, Drop), None, Outcome::Dropped, Some((2, Drop))),
            (rule(2, Drop), rule(1, Off), Outcome::Good, Some((1, Off))),
            // Only that a good rule is there matters, not what is in it.
            (rule(2, Drop), rule(1, Drop), Outcome::Good, Some((1, Off))),
            (unknown, None, Outcome::BadRule, None),
            (unknown, rule(1, Off), Outcome::Good, Some((1, Off))),
        ] {
            let decision = Decision::new(bad, || good);
            assert_eq!(decision.outcome, outcome, "{bad:?} {good:?}");
            let of = |family| counted.map(|(list, action)| list_index(list, action, family));
            assert_eq!(decision.list_index(), of(Family::V4), "{bad:?} {good:?}");
            let v6 = |rule: Option<RuleValue>| rule.map(|rule| rule.of(Family::V6));
            let decision = Decision::new(v6(bad), || v6(good));
            assert_eq!(decision.list_index(), of(Family::V6), "{bad:?} {good:?}");
        }
    }

    #[test]
    fn an_answer_that_failed_counts_as_passed() {
        let rule = RuleValue::new(5, KernelAction::Reset);
        let decision = Decision::new(Some(rule), || None).without_reply();
        assert_eq!(decision.outcome, Outcome::ReplyFailed);
        assert_eq!(decision.list_index(), Some(list_index(5, KernelAction::Count, Family::V4)));
    }

    #[test]
    fn in_a_pause_nothing_ends_here() {
        for outcome in Outcome::ALL {
            for rule in [None, Some(RuleValue::new(5, KernelAction::Refuse))] {
                let decision = Decision { outcome, rule, first_of_flood: true };
                let paused = decision.paused();
                assert!(!paused.ends_here(), "{outcome:?}");
                assert_eq!(paused == decision, !decision.ends_here(), "{outcome:?}");
                assert_eq!((paused.rule, paused.first_of_flood), (rule, true), "{outcome:?}");
            }
        }
        let refused = Decision::new(Some(RuleValue::new(5, KernelAction::Refuse)), || None);
        let counted = list_index(5, KernelAction::Count, Family::V4);
        assert_eq!(refused.paused().list_index(), Some(counted));
    }

    #[test]
    fn an_answer_that_may_not_be_given_counts_as_dropped() {
        let rule = RuleValue::new(5, KernelAction::Refuse);
        let decision = Decision::new(Some(rule), || None);
        for (decision, outcome) in [
            (decision.over_cap(), Outcome::OverCap),
            (decision.over_network_cap(), Outcome::OverNetworkCap),
            (decision.mute(), Outcome::Mute),
        ] {
            assert_eq!(decision.outcome, outcome);
            assert_eq!(decision.list_index(), Some(list_index(5, KernelAction::Drop, Family::V4)));
        }
    }
}
