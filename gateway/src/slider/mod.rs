//! The slider: which thresholds of the score count, where they come from, what they mean, what others would have done.

mod replay;
mod tried;

use serde::{Deserialize, Serialize};

pub use self::replay::{PHASES, PhaseCount, ReplayAnswer, ReplayError, Replaying};
pub use self::tried::TriedAnswer;
use crate::config::ScoreConfig;
use crate::policy::{self, Band, ChartRow, Percent, Point, SetThresholds, SliderError, Thresholds};

/// Thresholds as somebody writes them: all three parts in percent, or both raw scores, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Percent of the scale above 500 that is allowed.
    pub allow: Option<u16>,
    /// Percent that is delayed.
    pub delay: Option<u16>,
    /// Percent that is rejected.
    pub reject: Option<u16>,
    /// The first score that is delayed.
    pub delay_from: Option<u16>,
    /// The last score that is delayed.
    pub reject_above: Option<u16>,
}

/// Why that is no slider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WantedError {
    /// Some of the keys are there that belong together, or both kinds are.
    #[error("{found}, expected delay_from and reject_above, or allow, delay and reject in percent")]
    Parts {
        /// What is there.
        found: String,
    },
    /// They do not fit.
    #[error(transparent)]
    Slider(#[from] SliderError),
}

impl Wanted {
    /// The thresholds; `None` where nothing is said.
    pub fn thresholds(self) -> Result<Option<Thresholds>, WantedError> {
        let Self { allow, delay, reject, delay_from, reject_above } = self;
        let thresholds = match (allow, delay, reject, delay_from, reject_above) {
            (None, None, None, None, None) => return Ok(None),
            (Some(allow), Some(delay), Some(reject), None, None) => {
                Thresholds::from_percent(allow, delay, reject)?
            }
            (None, None, None, Some(delay_from), Some(reject_above)) => {
                Thresholds::from_scores(delay_from, reject_above)?
            }
            _ => return Err(WantedError::Parts { found: self.names() }),
        };
        Ok(Some(thresholds))
    }

    fn names(self) -> String {
        let all = [
            ("allow", self.allow),
            ("delay", self.delay),
            ("reject", self.reject),
            ("delay_from", self.delay_from),
            ("reject_above", self.reject_above),
        ];
        let there = all.into_iter().filter_map(|(name, value)| value.map(|_said| name));
        format!("{} alone", there.collect::<Vec<_>>().join(", "))
    }
}

/// What thresholds mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Meaning {
    /// In percent of the scale above 500.
    pub percent: Parts,
    /// Where the delay band begins, and where it ends.
    #[serde(flatten)]
    pub thresholds: Thresholds,
    /// The band of the score in question.
    pub band: Option<Band>,
    /// The score in question.
    pub point: Option<Point>,
    /// Scores beside percent.
    pub chart: Vec<ChartRow>,
}

/// The three parts of the slider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Parts {
    /// The first.
    pub allow: Percent,
    /// The second.
    pub delay: Percent,
    /// The third.
    pub reject: Percent,
}

impl Parts {
    fn of(thresholds: Thresholds) -> Self {
        let [allow, delay, reject] = thresholds.percent();
        Self { allow, delay, reject }
    }
}

impl Meaning {
    /// What `thresholds` mean, for `score` above all.
    pub fn of(thresholds: Thresholds, score: Option<u16>) -> Self {
        let point = score.map(|score| Point::new(score, thresholds));
        Self {
            percent: Parts::of(thresholds),
            thresholds,
            band: point.map(|point| point.band),
            point,
            chart: policy::chart(thresholds),
        }
    }
}

/// Which thresholds count.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// Whether there is a score at all.
    pub enabled: bool,
    /// Whose thresholds count.
    pub in_force: Origin,
    /// Those of the configuration.
    pub configured: Named,
    /// Those that somebody set by hand.
    pub set: Option<SetByHand>,
}

/// Where thresholds come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// From the configuration.
    Configured,
    /// From somebody's hand.
    Set,
}

/// Thresholds in both ways of writing them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Named {
    /// As raw scores.
    #[serde(flatten)]
    pub thresholds: Thresholds,
    /// In percent.
    pub percent: Parts,
}

/// The same with who set them, and when.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetByHand {
    /// As raw scores.
    #[serde(flatten)]
    pub set: SetThresholds,
    /// In percent.
    pub percent: Parts,
}

impl Standing {
    /// What was `set`, beside what `configured` says.
    pub fn new(configured: &ScoreConfig, set: Option<SetThresholds>) -> Self {
        let thresholds = configured.thresholds;
        let set = set.map(|set| SetByHand { percent: Parts::of(set.thresholds), set });
        Self {
            enabled: configured.enabled,
            in_force: if set.is_some() { Origin::Set } else { Origin::Configured },
            configured: Named { thresholds, percent: Parts::of(thresholds) },
            set,
        }
    }

    /// The thresholds that count.
    pub fn thresholds(&self) -> Thresholds {
        self.set.as_ref().map_or(self.configured.thresholds, |it| it.set.thresholds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_all_percent_or_both_scores() {
        let wanted = |percent: [Option<u16>; 3], scores: [Option<u16>; 2]| {
            let ([allow, delay, reject], [delay_from, reject_above]) = (percent, scores);
            Wanted { allow, delay, reject, delay_from, reject_above }.thresholds()
        };
        let scores = |from, above| Thresholds::from_scores(from, above).ok();
        let none = [None; 3];
        assert_eq!(wanted(none, [None; 2]), Ok(None));
        assert_eq!(wanted([Some(50), Some(10), Some(40)], [None; 2]), Ok(scores(750, 800)));
        assert_eq!(wanted(none, [Some(501), Some(503)]), Ok(scores(501, 503)));
        for (percent, scores, expected) in [
            ([Some(50), None, None], [None; 2], "allow alone, expected"),
            (none, [Some(700), None], "delay_from alone, expected"),
            ([Some(50), Some(10), Some(40)], [Some(700), None], "allow, delay, reject, delay_from"),
            ([Some(50), Some(10), Some(50)], [None; 2], "is 110 percent, expected 100"),
            (none, [Some(800), Some(700)], "do not fit, expected 500 <= delay_from"),
        ] {
            let fault = wanted(percent, scores).unwrap_err().to_string();
            assert!(fault.contains(expected), "{fault}");
        }
    }
}
