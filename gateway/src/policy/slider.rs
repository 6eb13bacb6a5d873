//! The slider of the reputation score: percent to scores, scores to percent, score to band.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// Below this score everybody is allowed.
const FLOOR: u16 = Thresholds::FLOOR;
/// The highest score.
const TOP: u16 = Thresholds::TOP;
/// Scores per percent.
const STEP: u16 = 5;

/// The part of the scale in which a score lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Band {
    /// Let in.
    Allow,
    /// Answered with a 4xx.
    Delay,
    /// Refused with a 5xx.
    Reject,
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Delay => "delay",
            Self::Reject => "reject",
        })
    }
}

/// A share of the scale above 500, in fifths of a percent (one score each), so that raw scores lose nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent {
    scores: u16,
}

impl Percent {
    /// How far up the scale `score` lies; `None` below 500 and above 1000.
    pub fn of_score(score: u16) -> Option<Self> {
        let scores = score.checked_sub(FLOOR)?;
        (score <= TOP).then_some(Self { scores })
    }

    /// The score that lies this far up the scale.
    pub const fn score(self) -> u16 {
        FLOOR + self.scores
    }
}

impl FromStr for Percent {
    type Err = SliderError;

    /// Reads 0 to 100, with one decimal where it is a fifth: `50`, `50.2`.
    fn from_str(text: &str) -> Result<Self, SliderError> {
        let wrong = || SliderError::Percent { text: text.to_owned() };
        let (whole, tenths) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
        let digits = |text: &str| is_number(text).then(|| text.parse::<u16>().ok()).flatten();
        let (whole, tenths) = digits(whole).zip(digits(tenths)).ok_or_else(wrong)?;
        if whole > 100 || tenths > 9 || !tenths.is_multiple_of(2) {
            return Err(wrong());
        }
        Self::of_score(FLOOR + whole * STEP + tenths / 2).ok_or_else(wrong)
    }
}

impl Serialize for Percent {
    /// A whole number where it is one.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.scores.is_multiple_of(STEP) {
            serializer.serialize_u16(self.scores / STEP)
        } else {
            serializer.serialize_f64(f64::from(self.scores) / f64::from(STEP))
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.scores) / f64::from(STEP))
    }
}

/// Where the bands begin and end. A band of 0 % does not exist: no score lies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Thresholds {
    delay_from: u16,
    reject_above: u16,
}

impl Default for Thresholds {
    /// 0 % allow, 20 % delay, 80 % reject: 500 to 600 is delayed, 601 and more refused.
    fn default() -> Self {
        Self { delay_from: FLOOR, reject_above: 600 }
    }
}

impl Thresholds {
    /// Below this score everybody is allowed.
    pub const FLOOR: u16 = 500;
    /// The highest score.
    pub const TOP: u16 = 1000;

    /// From the three parts of the slider, which add up to 100.
    pub fn from_percent(allow: u16, delay: u16, reject: u16) -> Result<Self, SliderError> {
        let sum = u32::from(allow) + u32::from(delay) + u32::from(reject);
        if sum != 100 {
            return Err(SliderError::Sum { sum, allow, delay, reject });
        }
        let delay_from = FLOOR + STEP * allow;
        Ok(Self { delay_from, reject_above: delay_from + STEP * delay })
    }

    /// From raw scores: `500 <= delay_from <= reject_above <= 1000`.
    pub fn from_scores(delay_from: u16, reject_above: u16) -> Result<Self, SliderError> {
        if !(FLOOR..=TOP).contains(&delay_from) || !(delay_from..=TOP).contains(&reject_above) {
            return Err(SliderError::Scores { delay_from, reject_above });
        }
        Ok(Self { delay_from, reject_above })
    }

    /// The first score that is not allowed.
    pub fn delay_from(self) -> u16 {
        self.delay_from
    }

    /// The last score of the delay band; where there is no such band, the same as [`Self::delay_from`].
    pub fn reject_above(self) -> u16 {
        self.reject_above
    }

    /// The shares of allow, delay and reject.
    pub fn percent(self) -> [Percent; 3] {
        [
            Percent { scores: self.delay_from - FLOOR },
            Percent { scores: self.reject_above - self.delay_from },
            Percent { scores: TOP - self.reject_above },
        ]
    }

    /// The band in which `score` lies.
    pub fn band(self, score: u16) -> Band {
        let has_delay = self.reject_above > self.delay_from;
        let has_reject = self.reject_above < TOP;
        if score < self.delay_from {
            Band::Allow
        } else if has_delay && score <= self.reject_above {
            Band::Delay
        } else if has_reject {
            Band::Reject
        } else {
            // Only a score of 1000 with 100 % allow gets here.
            Band::Allow
        }
    }
}

impl fmt::Display for Thresholds {
    /// Both raw scores: `500/600`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.delay_from, self.reject_above)
    }
}

/// Why the slider cannot stand there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SliderError {
    /// A text is no place on the scale.
    #[error("`{text}`, expected percent from 0 to 100, in steps of 0.2")]
    Percent {
        /// The text.
        text: String,
    },
    /// The three parts do not make a whole.
    #[error("allow {allow} + delay {delay} + reject {reject} is {sum} percent, expected 100")]
    Sum {
        /// What they add up to.
        sum: u32,
        /// The first part.
        allow: u16,
        /// The second part.
        delay: u16,
        /// The third part.
        reject: u16,
    },
    /// The raw scores are out of order or out of range.
    #[error(
        "delay_from {delay_from} and reject_above {reject_above} do not fit, expected 500 <= delay_from <= reject_above <= 1000"
    )]
    Scores {
        /// Where the delay band begins.
        delay_from: u16,
        /// Where it ends.
        reject_above: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bands_of_the_article() {
        use Band::{Allow, Delay, Reject};
        for (allow, delay, reject, score, expected) in [
            (0, 20, 80, 0, Allow),
            (0, 20, 80, 499, Allow),
            (0, 20, 80, 500, Delay),
            (0, 20, 80, 600, Delay),
            (0, 20, 80, 601, Reject),
            (0, 20, 80, 1000, Reject),
            (50, 10, 40, 749, Allow),
            (50, 10, 40, 750, Delay),
            (50, 10, 40, 800, Delay),
            (50, 10, 40, 801, Reject),
            (50, 0, 50, 749, Allow),
            (50, 0, 50, 750, Reject),
            (0, 100, 0, 1000, Delay),
            (100, 0, 0, 1000, Allow),
            (0, 0, 100, 499, Allow),
            (0, 0, 100, 500, Reject),
        ] {
            let thresholds = Thresholds::from_percent(allow, delay, reject).unwrap();
            assert_eq!(thresholds.band(score), expected, "{allow}/{delay}/{reject} at {score}");
        }
    }

    #[test]
    fn scores_and_percent_say_the_same() {
        for allow in 0..=100_u16 {
            for delay in 0..=100 - allow {
                let from_percent =
                    Thresholds::from_percent(allow, delay, 100 - allow - delay).unwrap();
                let from_scores =
                    Thresholds::from_scores(from_percent.delay_from(), from_percent.reject_above())
                        .unwrap();
                assert_eq!(from_percent, from_scores);
                let percent = from_scores.percent().map(|part| part.to_string());
                assert_eq!(
                    percent,
                    [allow, delay, 100 - allow - delay].map(|part| part.to_string())
                );
            }
        }
    }

    #[test]
    fn percent_is_read_in_fifths() {
        for (text, score) in [
            ("0", Some(500)),
            ("50", Some(750)),
            ("50.0", Some(750)),
            ("50.2", Some(751)),
            ("99.8", Some(999)),
            ("100", Some(1000)),
            ("100.2", None),
            ("101", None),
            ("50.1", None),
            ("50.20", None),
            ("+50", None),
            ("-1", None),
            ("", None),
            (".", None),
            ("65536", None),
            ("half", None),
        ] {
            let percent = text.parse::<Percent>();
            assert_eq!(percent.as_ref().ok().map(|percent| percent.score()), score, "{text}");
            if let Ok(percent) = percent {
                assert_eq!(Percent::of_score(percent.score()), Some(percent));
            }
        }
        assert_eq!(Percent::of_score(499), None);
        assert_eq!(Percent::of_score(1001), None);
    }

    #[test]
    fn refuses_what_cannot_be() {
        for (allow, delay, reject) in [(0, 20, 79), (50, 50, 50), (65535, 65535, 65535)] {
            assert!(Thresholds::from_percent(allow, delay, reject).is_err());
        }
        for (delay_from, reject_above) in [(499, 600), (700, 699), (500, 1001), (1001, 1001)] {
            assert!(Thresholds::from_scores(delay_from, reject_above).is_err());
        }
        assert!(Thresholds::from_scores(501, 503).is_ok());
    }
}
