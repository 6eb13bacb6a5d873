//! The reputation score: named, weighted facts, their sum, the band it lies in.

use std::sync::Arc;

use serde::Serialize;

use super::{Band, Thresholds};

/// One named, weighted fact about an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What it is: `list:NAME` for a match of a list, `zone:NAME` for a listing by a zone, `ptr:…`, `helo:…`, `history:…`.
    pub name: Arc<str>,
    /// What it adds, -1000 to 1000.
    pub weight: i32,
}

impl Evidence {
    /// An item; `None` where it adds nothing.
    pub fn new(name: impl Into<Arc<str>>, weight: i32) -> Option<Self> {
        (weight != 0).then(|| Self { name: name.into(), weight })
    }
}

/// A score with all that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// The sum, clamped to 0..=1000.
    pub value: u16,
    /// Where the bands were.
    pub thresholds: Thresholds,
    /// The band in which the value lies.
    pub band: Band,
    /// Every fact, in the order in which it was found.
    pub evidence: Vec<Evidence>,
}

impl Score {
    /// Adds up `evidence`.
    pub fn new(evidence: Vec<Evidence>, thresholds: Thresholds) -> Self {
        let sum: i32 = evidence.iter().map(|item| item.weight).sum();
        let value = u16::try_from(sum.clamp(0, 1000)).unwrap_or(0);
        Self { value, thresholds, band: thresholds.band(value), evidence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_clamped() {
        for (weights, expected) in [
            (&[][..], 0),
            (&[300, 250], 550),
            (&[900, 900], 1000),
            (&[-300], 0),
            (&[700, -150], 550),
        ] {
            let evidence = weights.iter().map(|&weight| Evidence { name: "list:x".into(), weight });
            assert_eq!(Score::new(evidence.collect(), Thresholds::default()).value, expected);
        }
    }
}
