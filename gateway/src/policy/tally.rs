//! What the score said of all decisions of the last day, counted hour by hour, so that other thresholds can be tried on them at once.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::replay::{Judged, Replay, Replayed};
use super::{Band, Phase, Thresholds};
use crate::clock::Timestamp;

/// Hours that are kept: a day, and the one under way.
const HOURS: usize = 25;
const SECONDS: i64 = 3600;
/// Different counts of one phase in an hour; there are 1,001 scores, and thresholds change rarely.
const MOST_COUNTS: usize = 10_000;

/// The counts. A clock that is set keeps them: hours are told apart by their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Since when all decisions are counted.
    began: Option<Timestamp>,
    /// The oldest first.
    hours: VecDeque<Hour>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hour {
    /// Since 1970.
    number: i64,
    phases: [OfPhase; Tally::PHASES.len()],
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct OfPhase {
    not_scored: u64,
    otherwise: u64,
    /// In the order of what they count.
    scored: Vec<(Scored, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Scored {
    score: u16,
    band: Band,
    delay_from: u16,
    reject_above: u16,
}

/// What thresholds would have said of what was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Where the time that was counted begins: with an hour, or when counting began.
    pub since: Timestamp,
    /// Whether all of the time in question was counted.
    pub is_complete: bool,
    /// Decisions of each phase, and those that were decided by their scores.
    pub phases: [(Phase, u64, u64); Tally::PHASES.len()],
    /// Of the phase in question.
    pub replayed: Replayed,
}

impl Tally {
    /// The phases in which there are scores.
    pub const PHASES: [Phase; 3] = [Phase::Connect, Phase::Recipient, Phase::Message];

    /// Nothing yet, from `now` on.
    pub fn begin(now: Timestamp) -> Self {
        Self { began: Some(now), hours: VecDeque::new() }
    }

    /// Counts one decision.
    pub fn note(&mut self, phase: Phase, judged: Judged, now: Timestamp) {
        let Some(place) = Self::PHASES.iter().position(|known| *known == phase) else { return };
        let number = now.as_second().div_euclid(SECONDS);
        // Where the clock was set back, the newest hour goes on.
        if self.hours.back().is_none_or(|newest| newest.number < number) {
            self.hours.push_back(Hour { number, phases: Default::default() });
            if self.hours.len() > HOURS {
                self.hours.pop_front();
            }
        }
        let newest = self.hours.back_mut();
        if let Some(counts) = newest.and_then(|newest| newest.phases.get_mut(place)) {
            counts.note(judged);
        }
    }

    /// What `thresholds` would have said of the decisions of `phase` since `since`, which is within the hour where counting begins.
    pub fn replay(&self, thresholds: Thresholds, phase: Phase, since: Timestamp) -> Tried {
        let first = since.as_second().div_euclid(SECONDS);
        let hour = Timestamp::from_second(first * SECONDS).unwrap_or(since);
        let began = self.began.unwrap_or(since);
        let mut phases = Self::PHASES.map(|phase| (phase, 0, 0));
        let mut replay = Replay::of_counts(thresholds);
        for Hour { phases: of_hour, .. } in self.hours.iter().filter(|it| it.number >= first) {
            for ((name, decisions, scored), counts) in phases.iter_mut().zip(of_hour) {
                let by_score: u64 = counts.scored.iter().map(|(_scored, count)| count).sum();
                *scored += by_score;
                *decisions += by_score + counts.otherwise + counts.not_scored;
                if *name == phase {
                    counts.tell(&mut replay);
                }
            }
        }
        Tried {
            since: hour.max(began),
            is_complete: began <= since,
            phases,
            replayed: replay.finish(),
        }
    }
}

impl OfPhase {
    fn note(&mut self, judged: Judged) {
        let Judged::Scored { score, band, thresholds } = judged else {
            let sum = match judged {
                Judged::NotScored => &mut self.not_scored,
                _ => &mut self.otherwise,
            };
            *sum += 1;
            return;
        };
        let (delay_from, reject_above) = (thresholds.delay_from(), thresholds.reject_above());
        let scored = Scored { score, band, delay_from, reject_above };
        match self.scored.binary_search_by_key(&scored, |(known, _count)| *known) {
            Ok(place) => {
                if let Some((_known, count)) = self.scored.get_mut(place) {
                    *count += 1;
                }
            }
            Err(place) if self.scored.len() < MOST_COUNTS => self.scored.insert(place, (scored, 1)),
            Err(_full) => {}
        }
    }

    fn tell(&self, replay: &mut Replay) {
        replay.add(None, Judged::NotScored, self.not_scored);
        replay.add(None, Judged::Otherwise, self.otherwise);
        for (Scored { score, band, delay_from, reject_above }, count) in &self.scored {
            // What was written by hand into the file that keeps it may be anything.
            if let Ok(thresholds) = Thresholds::from_scores(*delay_from, *reject_above) {
                let (score, band) = ((*score).min(Thresholds::TOP), *band);
                replay.add(None, Judged::Scored { score, band, thresholds }, *count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64, second: i64) -> Timestamp {
        Timestamp::from_second(hour * SECONDS + second).unwrap()
    }

    fn thresholds(from: u16, above: u16) -> Thresholds {
        Thresholds::from_scores(from, above).unwrap()
    }

    fn scored(score: u16) -> Judged {
        let thresholds = thresholds(600, 800);
        Judged::Scored { score, band: thresholds.band(score), thresholds }
    }

    #[test]
    fn a_day_of_decisions_is_judged_again() {
        let mut tally = Tally::begin(at(100, 0));
        for hour in 100..130 {
            for (judged, times) in
                [(scored(550), 3), (scored(700), 2), (Judged::Otherwise, 1), (Judged::NotScored, 4)]
            {
                for second in 0..times {
                    tally.note(Phase::Connect, judged, at(hour, second));
                }
            }
            tally.note(Phase::Message, scored(900), at(hour, 5));
            tally.note(Phase::Kernel, scored(900), at(hour, 5));
        }
        let kept: Tally = serde_json::from_str(&serde_json::to_string(&tally).unwrap()).unwrap();
        assert_eq!(kept, tally);
        for (since, hours, is_complete, begins) in [
            (at(129, 0), 1, true, at(129, 0)),
            (at(105, 1800), 25, true, at(105, 0)),
            (at(0, 0), 25, false, at(100, 0)),
        ] {
            let tried = tally.replay(thresholds(500, 650), Phase::Connect, since);
            assert_eq!((tried.is_complete, tried.since), (is_complete, begins), "{since}");
            let found = tried.replayed;
            assert_eq!((found.decisions, found.scored), (hours * 10, hours * 5), "{since}");
            assert_eq!((found.not_scored, found.decided_otherwise), (hours * 4, hours));
            assert_eq!(
                (found.now.allow, found.now.delay, found.now.reject),
                (0, hours * 3, hours * 2)
            );
            assert_eq!((found.recorded.allow, found.recorded.delay), (hours * 3, hours * 2));
            assert_eq!(tried.phases[2], (Phase::Message, hours, hours));
        }
    }

    #[test]
    fn a_clock_that_is_set_loses_nothing() {
        let mut tally = Tally::begin(at(100, 0));
        for hour in [100, 90, 5000, 101] {
            tally.note(Phase::Connect, scored(700), at(hour, 0));
        }
        let found = tally.replay(thresholds(600, 800), Phase::Connect, at(100, 0));
        assert_eq!((found.replayed.scored, tally.hours.len()), (4, 2));
    }

    #[test]
    fn what_is_kept_may_be_anything() {
        let text = r#"{"began": null, "hours": [{"number": 7, "phases": [
            {"not_scored": 1, "otherwise": 0, "scored": [
                [{"score": 9000, "band": "reject", "delay_from": 900, "reject_above": 100}, 5],
                [{"score": 9000, "band": "reject", "delay_from": 600, "reject_above": 800}, 5]]},
            {"not_scored": 0, "otherwise": 0, "scored": []}, {"not_scored": 0, "otherwise": 0, "scored": []}]}]}"#;
        let tally: Tally = serde_json::from_str(text).unwrap();
        let tried = tally.replay(thresholds(600, 800), Phase::Connect, at(0, 0));
        assert_eq!((tried.replayed.scored, tried.replayed.now.reject), (5, 5));
    }
}
