//! Counts the questions that got no answer, until there are so many that asking on is no use.

/// So many in a row are too many.
const MOST_IN_A_ROW: u32 = 5;

/// The answers that are looked at for those that are not in a row.
const WINDOW: u32 = 20;

/// The last answers of a zone, as far as it gave some.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Breaker {
    /// One bit each, the last one lowest; 1 for no answer.
    recent: u32,
}

impl Breaker {
    /// Notes an answer, or that there was none; true when there are too few by now.
    pub(super) const fn note(&mut self, has_failed: bool) -> bool {
        self.recent = ((self.recent << 1) | has_failed as u32) & ((1 << WINDOW) - 1);
        has_failed
            && (self.recent.trailing_ones() >= MOST_IN_A_ROW
                || self.recent.count_ones() > WINDOW / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_trips_at_five_in_a_row_or_more_than_half_of_twenty() {
        for (answers, trips_at) in [
            ("xxxx.xxxx", None),
            ("xxxxx", Some(5)),
            ("......xxxxx", Some(11)),
            (&"x.".repeat(50), None),
            ("xx.xx.xx.xx.xx.x", Some(16)),
            (&"xx..".repeat(20), None),
        ] {
            let mut breaker = Breaker::default();
            let tripped = answers.chars().position(|answer| breaker.note(answer == 'x'));
            assert_eq!(tripped.map(|index| index + 1), trips_at, "{answers}");
        }
    }
}
