//! Draws bars whose parts are the bands of the score.

use std::env;
use std::io::{self, IsTerminal as _};

use super::output::{self, Meaning};
use crate::policy::{Band, Thresholds};

/// The characters of the bands: allow, delay, reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink([char; 3]);

impl Ink {
    const BLOCKS: Self = Self(['\u{2591}', '\u{2592}', '\u{2588}']);
    const ASCII: Self = Self(['.', '=', '#']);

    /// Blocks on a terminal whose characters are UTF-8, otherwise ASCII.
    pub(super) fn of_output() -> Self {
        let mut locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(env::var_os);
        let locale = locale.find(|name| !name.is_empty());
        let is_utf8 = locale.is_some_and(|name| {
            let name = name.to_string_lossy().to_ascii_lowercase();
            name.contains("utf-8") || name.contains("utf8")
        });
        if is_utf8 && io::stdout().is_terminal() { Self::BLOCKS } else { Self::ASCII }
    }

    /// A bar of `width` cells, divided as `parts` (allow, delay, reject) are.
    pub(super) fn bar(self, parts: [u64; 3], width: u64) -> String {
        let meanings = [Meaning::Good, Meaning::Doubtful, Meaning::Bad];
        let cells = divide(parts, width).into_iter().zip(self.0).zip(meanings);
        cells
            .filter(|((count, _ink), _meaning)| *count > 0)
            .map(|((count, ink), meaning)| {
                let part: String = (0..count).map(|_cell| ink).collect();
                output::coloured(part, meaning)
            })
            .collect()
    }
}

/// The colour of a band.
pub(super) const fn meaning(band: Band) -> Meaning {
    match band {
        Band::Allow => Meaning::Good,
        Band::Delay => Meaning::Doubtful,
        Band::Reject => Meaning::Bad,
    }
}

/// Cells for each of the parts, `width` in all; what is there has one at least, however little it is.
fn divide(parts: [u64; 3], width: u64) -> [u64; 3] {
    let sum: u64 = parts.iter().sum();
    let share = |part: u64| {
        // Rounded; 128 bits hold every product.
        let twice = 2 * u128::from(part) * u128::from(width) + u128::from(sum);
        let cells = twice.checked_div(2 * u128::from(sum)).unwrap_or(0);
        u64::try_from(cells).unwrap_or(width).max(u64::from(part > 0))
    };
    let mut cells = parts.map(share);
    let used: u64 = cells.iter().sum();
    if let Some(largest) = cells.iter_mut().max_by_key(|cells| **cells).filter(|_| sum > 0) {
        *largest = (*largest + width).saturating_sub(used).max(1);
    }
    cells
}

/// The line below a bar of the scale from 500 to 1000: both ends, and the thresholds where there is room.
pub(super) fn scale(thresholds: Thresholds, width: usize) -> String {
    let mut labels: Vec<(usize, String)> = Vec::new();
    for score in
        [Thresholds::FLOOR, Thresholds::TOP, thresholds.delay_from(), thresholds.reject_above()]
    {
        let label = score.to_string();
        let start = cell(score, width).min(width.saturating_sub(label.len()));
        let is_free = labels
            .iter()
            .all(|(other, text)| start + label.len() < *other || other + text.len() < start);
        if is_free {
            labels.push((start, label));
        }
    }
    labels.sort_unstable();
    let mut line = String::new();
    for (start, label) in labels {
        line.extend((line.len()..start).map(|_cell| ' '));
        line.push_str(&label);
    }
    line
}

/// The cell of `score` in a bar of the scale from 500 to 1000.
pub(super) fn cell(score: u16, width: usize) -> usize {
    let scale = usize::from(Thresholds::TOP - Thresholds::FLOOR);
    let cell = usize::from(score.saturating_sub(Thresholds::FLOOR)) * width / scale;
    cell.min(width.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_that_is_there_is_seen() {
        for (parts, width, cells) in [
            ([0, 100, 400], 50, [0, 10, 40]),
            ([250, 50, 200], 50, [25, 5, 20]),
            ([250, 0, 250], 50, [25, 0, 25]),
            ([1, 0, 499], 50, [1, 0, 49]),
            ([1, 1, 498], 50, [1, 1, 48]),
            ([0, 500, 0], 50, [0, 50, 0]),
            ([0, 0, 0], 50, [0, 0, 0]),
            ([1, 1, 1], 50, [17, 17, 16]),
            ([1, 1, 1], 1, [1, 1, 1]),
            ([u64::MAX / 2, 0, 1], 40, [39, 0, 1]),
        ] {
            let found = divide(parts, width);
            assert_eq!(found.iter().sum::<u64>(), cells.iter().sum::<u64>(), "{parts:?}");
            let spread = found.iter().zip(cells).map(|(found, cells)| found.abs_diff(cells));
            assert!(spread.max() <= Some(1), "{parts:?}: {found:?}");
            assert!(parts.iter().zip(found).all(|(part, cells)| (*part > 0) == (cells > 0)));
        }
    }

    #[test]
    fn the_ends_are_labelled_and_thresholds_where_there_is_room() {
        for (delay_from, reject_above, expected) in [
            (500, 600, "500       600                                 1000"),
            (750, 800, "500                      750  800             1000"),
            (750, 751, "500                      750                  1000"),
            (510, 990, "500                                           1000"),
            (1000, 1000, "500                                           1000"),
        ] {
            let thresholds = Thresholds::from_scores(delay_from, reject_above).unwrap();
            assert_eq!(scale(thresholds, 50), expected, "{delay_from} {reject_above}");
        }
    }
}
