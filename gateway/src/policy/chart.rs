//! The chart of the slider: real scores beside their place on the scale above 500, in scores, in percent, in bands.

use serde::Serialize;

use super::{Band, Percent, Thresholds};

/// Every so many scores there is a row.
const STEP: usize = 50;

/// One score in the three ways of writing it, with its band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    /// The score as it is, 0 to 1000.
    pub score: u16,
    /// What is above 500; `None` below, where everybody is allowed.
    pub normalised: Option<u16>,
    /// The same in percent of the scale.
    pub percent: Option<Percent>,
    /// What happens to it.
    pub band: Band,
}

/// One row of the chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ChartRow {
    /// The score.
    #[serde(flatten)]
    pub point: Point,
    /// Whether it is the threshold from which on nobody is allowed.
    pub is_delay_from: bool,
    /// Whether it is the threshold above which everybody is refused.
    pub is_reject_above: bool,
}

impl Point {
    /// Where `score` lies.
    pub fn new(score: u16, thresholds: Thresholds) -> Self {
        Self {
            score,
            normalised: score.checked_sub(Thresholds::FLOOR),
            percent: Percent::of_score(score),
            band: thresholds.band(score),
        }
    }
}

/// The rows from 500 to 1000 in steps of 50, with the thresholds among them.
pub fn chart(thresholds: Thresholds) -> Vec<ChartRow> {
    let (delay_from, reject_above) = (thresholds.delay_from(), thresholds.reject_above());
    let steps = (Thresholds::FLOOR..=Thresholds::TOP).step_by(STEP);
    let mut scores: Vec<_> = steps.chain([delay_from, reject_above]).collect();
    scores.sort_unstable();
    scores.dedup();
    let row = |score| ChartRow {
        point: Point::new(score, thresholds),
        is_delay_from: score == delay_from,
        is_reject_above: score == reject_above,
    };
    scores.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_written_in_three_ways() {
        let thresholds = Thresholds::from_percent(50, 10, 40).unwrap();
        for (score, normalised, percent, band) in [
            (0, None, None, Band::Allow),
            (499, None, None, Band::Allow),
            (500, Some(0), Some("0"), Band::Allow),
            (501, Some(1), Some("0.2"), Band::Allow),
            (750, Some(250), Some("50"), Band::Delay),
            (800, Some(300), Some("60"), Band::Delay),
            (801, Some(301), Some("60.2"), Band::Reject),
            (1000, Some(500), Some("100"), Band::Reject),
        ] {
            let point = Point::new(score, thresholds);
            let found = point.percent.map(|percent| percent.to_string());
            assert_eq!((point.normalised, found.as_deref()), (normalised, percent), "{score}");
            assert_eq!(point.band, band, "{score}");
        }
    }

    #[test]
    fn thresholds_stand_among_the_rows_once() {
        for (delay_from, reject_above, rows, marked) in [
            (500, 600, 11, vec![500, 600]),
            (750, 750, 11, vec![750]),
            (500, 1000, 11, vec![500, 1000]),
            (501, 600, 12, vec![501, 600]),
            (723, 777, 13, vec![723, 777]),
        ] {
            let thresholds = Thresholds::from_scores(delay_from, reject_above).unwrap();
            let chart = chart(thresholds);
            assert_eq!(chart.len(), rows, "{delay_from} {reject_above}");
            assert!(chart.is_sorted_by_key(|row| row.point.score));
            let is_marked = |row: &&ChartRow| row.is_delay_from || row.is_reject_above;
            let found: Vec<_> = chart.iter().filter(is_marked).map(|row| row.point.score).collect();
            assert_eq!(found, marked);
        }
    }
}
