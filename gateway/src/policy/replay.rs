//! The dry run of thresholds: what they would have said of scores that were recorded under others.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde::Serialize;

use super::{Band, Decision, Thresholds, Verdict};

/// Scores of one bar of the histogram.
const STEP: u16 = 50;
/// Addresses that are told apart; of more, the rest is not counted.
const MOST_ADDRESSES: usize = 1_000_000;
/// Pairs of thresholds that are told apart.
const MOST_THRESHOLDS: usize = 16;

/// What a recorded decision says of the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// There was none.
    NotScored,
    /// There was one, but something else decided, whatever the score: a list, an exemption.
    Otherwise,
    /// The score decided.
    Scored {
        /// The score.
        score: u16,
        /// The band in which it lay.
        band: Band,
        /// Where the bands were.
        thresholds: Thresholds,
    },
}

impl Judged {
    /// What the score says of `decision`.
    pub fn of(decision: &Decision) -> Self {
        let Some(score) = &decision.score else { return Self::NotScored };
        if decision.enforced && !Self::is_by_score(decision.verdict.code()) {
            return Self::Otherwise;
        }
        Self::Scored { score: score.value, band: score.band, thresholds: score.thresholds }
    }

    /// Whether an outcome, by its code, is one of those that the score alone can lead to.
    pub fn is_by_score(code: &str) -> bool {
        let outcomes = [
            Verdict::Accept,
            Verdict::Greylist,
            Verdict::ReputationDelay,
            Verdict::ReputationReject,
        ];
        outcomes.iter().any(|verdict| code == verdict.code())
    }
}

/// Recorded decisions, judged again one after the other.
#[derive(Debug)]
pub struct Replay {
    thresholds: Thresholds,
    not_scored: u64,
    otherwise: u64,
    /// By the band of then and the band of now.
    moves: BTreeMap<(Band, Band), u64>,
    histogram: BTreeMap<u16, ByBand>,
    in_force: Vec<InForce>,
    /// `None` where addresses are not told apart.
    addresses: Option<Addresses>,
}

/// The addresses that decisions were about.
#[derive(Debug)]
struct Addresses {
    /// Whether anything would change for each.
    changes: HashMap<IpAddr, bool>,
    is_complete: bool,
}

/// Of how many addresses decisions would have been others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AddressCounts {
    /// Distinct addresses.
    pub addresses: usize,
    /// Those for which something would change.
    pub addresses_changed: usize,
    /// False: there were more than could be told apart.
    pub addresses_complete: bool,
}

/// How many there are in each band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByBand {
    /// Let in.
    pub allow: u64,
    /// Answered with a 4xx.
    pub delay: u64,
    /// Refused with a 5xx.
    pub reject: u64,
}

/// How many would go from one band to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The band as recorded.
    pub from: Band,
    /// The band by the thresholds of the dry run.
    pub to: Band,
    /// How many decisions.
    pub count: u64,
}

/// One bar of the histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bar {
    /// The lowest score that it counts.
    pub from: u16,
    /// The highest.
    pub to: u16,
    /// How many there are.
    pub count: u64,
    /// The same by the bands of the dry run.
    #[serde(flatten)]
    pub bands: ByBand,
}

/// Thresholds that were in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct InForce {
    /// The first score of their delay band.
    pub delay_from: u16,
    /// The last one.
    pub reject_above: u16,
    /// How many scores were judged by them.
    pub count: u64,
}

/// What the dry run found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// The first score of the delay band in the dry run.
    pub delay_from: u16,
    /// The last one.
    pub reject_above: u16,
    /// All decisions.
    pub decisions: u64,
    /// Those that had no score.
    pub not_scored: u64,
    /// Those that were decided by something else, whatever the score.
    pub decided_otherwise: u64,
    /// Those that the score decided: what follows is about them.
    pub scored: u64,
    /// Their bands as recorded.
    pub recorded: ByBand,
    /// Their bands by the thresholds of the dry run.
    pub now: ByBand,
    /// How many would go to another band.
    pub changed: u64,
    /// From where to where.
    pub changes: Vec<Change>,
    /// The thresholds that were in force, in the order in which they came; at most 16.
    pub recorded_thresholds: Vec<InForce>,
    /// `None` where addresses were not told apart.
    #[serde(flatten)]
    pub addresses: Option<AddressCounts>,
    /// All scores from 0 to 1000, in steps of 50.
    pub histogram: Vec<Bar>,
}

impl Replay {
    /// A dry run of `thresholds`, with nothing judged yet.
    pub fn new(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            not_scored: 0,
            otherwise: 0,
            moves: BTreeMap::new(),
            histogram: BTreeMap::new(),
            in_force: Vec::new(),
            addresses: Some(Addresses { changes: HashMap::new(), is_complete: true }),
        }
    }

    /// The same of decisions of which nobody knows what addresses they were about.
    pub fn of_counts(thresholds: Thresholds) -> Self {
        Self { addresses: None, ..Self::new(thresholds) }
    }

    /// Judges so many decisions about `address` again.
    pub fn add(&mut self, address: Option<IpAddr>, judged: Judged, count: u64) {
        match judged {
            Judged::NotScored => self.not_scored += count,
            Judged::Otherwise => self.otherwise += count,
            Judged::Scored { score, band, thresholds } => {
                let now = self.thresholds.band(score);
                *self.moves.entry((band, now)).or_default() += count;
                self.histogram.entry(bar(score)).or_default().add(now, count);
                self.add_thresholds(thresholds, count);
                if let Some(address) = address {
                    self.add_address(address, band != now);
                }
            }
        }
    }

    fn add_thresholds(&mut self, thresholds: Thresholds, count: u64) {
        let (delay_from, reject_above) = (thresholds.delay_from(), thresholds.reject_above());
        let is_it = |known: &&mut InForce| {
            (known.delay_from, known.reject_above) == (delay_from, reject_above)
        };
        if let Some(known) = self.in_force.iter_mut().find(is_it) {
            known.count += count;
        } else if self.in_force.len() < MOST_THRESHOLDS {
            self.in_force.push(InForce { delay_from, reject_above, count });
        }
    }

    fn add_address(&mut self, address: IpAddr, changes: bool) {
        let Some(known) = &mut self.addresses else { return };
        if let Some(changed) = known.changes.get_mut(&address) {
            *changed |= changes;
        } else if known.changes.len() < MOST_ADDRESSES {
            known.changes.insert(address, changes);
        } else {
            known.is_complete = false;
        }
    }

    /// What was found.
    pub fn finish(self) -> Replayed {
        let (mut recorded, mut now) = (ByBand::default(), ByBand::default());
        let mut changes = Vec::new();
        for (&(from, to), &count) in &self.moves {
            recorded.add(from, count);
            now.add(to, count);
            if from != to {
                changes.push(Change { from, to, count });
            }
        }
        let last = bar(Thresholds::TOP);
        let bars = (0..=last).map(|number| {
            let bands = self.histogram.get(&number).copied().unwrap_or_default();
            let from = number * STEP;
            let to = if number == last { Thresholds::TOP } else { from + STEP - 1 };
            Bar { from, to, count: bands.sum(), bands }
        });
        Replayed {
            delay_from: self.thresholds.delay_from(),
            reject_above: self.thresholds.reject_above(),
            decisions: now.sum() + self.not_scored + self.otherwise,
            not_scored: self.not_scored,
            decided_otherwise: self.otherwise,
            scored: now.sum(),
            recorded,
            now,
            changed: changes.iter().map(|change| change.count).sum(),
            changes,
            recorded_thresholds: self.in_force,
            addresses: self.addresses.map(|Addresses { changes, is_complete }| AddressCounts {
                addresses: changes.len(),
                addresses_changed: changes.values().filter(|&&changed| changed).count(),
                addresses_complete: is_complete,
            }),
            histogram: bars.collect(),
        }
    }
}

impl ByBand {
    fn add(&mut self, band: Band, count: u64) {
        let sum = match band {
            Band::Allow => &mut self.allow,
            Band::Delay => &mut self.delay,
            Band::Reject => &mut self.reject,
        };
        *sum += count;
    }

    /// All together.
    pub const fn sum(self) -> u64 {
        self.allow + self.delay + self.reject
    }
}

/// The number of the bar that counts `score`; the highest score has none of its own.
fn bar(score: u16) -> u16 {
    (score / STEP).min(Thresholds::TOP / STEP - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SCORE DELAY_FROM REJECT_ABOVE`, `-` for no score, `list` for another reason; the address behind it.
    fn replay(thresholds: (u16, u16), decisions: &[(&str, u8)]) -> Replayed {
        let from_scores = |from, above| Thresholds::from_scores(from, above).unwrap();
        let mut replay = Replay::new(from_scores(thresholds.0, thresholds.1));
        for &(text, address) in decisions {
            let judged = match text {
                "-" => Judged::NotScored,
                "list" => Judged::Otherwise,
                numbers => {
                    let numbers: Vec<u16> =
                        numbers.split(' ').map(|number| number.parse().unwrap()).collect();
                    let thresholds = from_scores(numbers[1], numbers[2]);
                    let (score, band) = (numbers[0], thresholds.band(numbers[0]));
                    Judged::Scored { score, band, thresholds }
                }
            };
            replay.add(Some(IpAddr::from([192, 0, 2, address])), judged, 1);
        }
        replay.finish()
    }

    #[test]
    fn says_what_would_change() {
        let found = replay(
            (750, 800),
            &[
                ("0 500 600", 1),
                ("550 500 600", 2),
                ("550 500 600", 2),
                ("700 500 600", 3),
                ("750 500 600", 3),
                ("801 500 600", 4),
                ("801 900 950", 5),
                ("-", 6),
                ("list", 7),
            ],
        );
        assert_eq!((found.decisions, found.scored), (9, 7));
        assert_eq!((found.not_scored, found.decided_otherwise), (1, 1));
        assert_eq!(found.recorded, ByBand { allow: 2, delay: 2, reject: 3 });
        assert_eq!(found.now, ByBand { allow: 4, delay: 1, reject: 2 });
        let changes = found.changes.iter().map(|change| (change.from, change.to, change.count));
        let expected = [
            (Band::Allow, Band::Reject, 1),
            (Band::Delay, Band::Allow, 2),
            (Band::Reject, Band::Allow, 1),
            (Band::Reject, Band::Delay, 1),
        ];
        assert_eq!(changes.collect::<Vec<_>>(), expected);
        let addresses = found.addresses.unwrap();
        assert_eq!((found.changed, addresses.addresses, addresses.addresses_changed), (5, 5, 3));
        let in_force =
            found.recorded_thresholds.iter().map(|known| (known.delay_from, known.count));
        assert_eq!(in_force.collect::<Vec<_>>(), [(500, 6), (900, 1)]);
    }

    #[test]
    fn a_bar_counts_fifty_scores_by_their_bands() {
        for (score, from, to) in [
            (0, 0, 49),
            (49, 0, 49),
            (50, 50, 99),
            (500, 500, 549),
            (950, 950, 1000),
            (1000, 950, 1000),
        ] {
            let found = replay((500, 600), &[(&format!("{score} 500 600"), 1)]);
            assert_eq!(found.histogram.len(), 20);
            let bars: Vec<_> = found.histogram.iter().filter(|bar| bar.count > 0).collect();
            assert_eq!((bars.len(), bars[0].from, bars[0].to), (1, from, to), "{score}");
            assert_eq!(bars[0].bands, found.now, "{score}");
        }
        let found =
            replay((725, 730), &[("724 500 600", 1), ("725 500 600", 1), ("731 500 600", 1)]);
        assert_eq!(found.histogram[14].bands, ByBand { allow: 1, delay: 1, reject: 1 });
    }

    #[test]
    fn nothing_is_no_fault() {
        let found = replay((500, 600), &[]);
        assert_eq!((found.decisions, found.changed, found.addresses.unwrap().addresses), (0, 0, 0));
        assert!(found.histogram.iter().all(|bar| bar.count == 0));
    }
}
