//! How many of those who come a zone lists, and whether that jumped.

use std::collections::VecDeque;

/// The last answers that are compared with those before them.
const WINDOW: usize = 200;

/// How many answers before them there must be, so that they say something.
const LEAST_HISTORY: f64 = 500.0;

/// From so many on, old ones count less and less.
const MOST_HISTORY: f64 = 5000.0;

/// The part of what is not listed that must have become listed.
const JUMP: f64 = 0.75;

/// The answers of a zone: the last ones, and the share of listings among those before.
#[derive(Clone, Debug, Default)]
pub(super) struct HitRate {
    window: VecDeque<bool>,
    listed_in_window: u16,
    history: f64,
    listed_in_history: f64,
}

/// A jump, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jump {
    pub(super) now: u8,
    pub(super) before: u8,
}

impl HitRate {
    /// Notes an answer about an address; what jumped, where it did.
    pub(super) fn note(&mut self, is_listed: bool) -> Option<Jump> {
        self.window.push_back(is_listed);
        self.listed_in_window += u16::from(is_listed);
        if self.window.len() > WINDOW
            && let Some(oldest) = self.window.pop_front()
        {
            self.listed_in_window -= u16::from(oldest);
            self.history += 1.0;
            self.listed_in_history += f64::from(u8::from(oldest));
            if self.history > MOST_HISTORY {
                self.history /= 2.0;
                self.listed_in_history /= 2.0;
            }
        }
        if self.window.len() < WINDOW || self.history < LEAST_HISTORY {
            return None;
        }
        let (now, before) = (self.now(), self.listed_in_history / self.history);
        let has_jumped = now >= JUMP.mul_add(1.0 - before, before) && now > before;
        has_jumped.then(|| Jump { now: percent(now), before: percent(before) })
    }

    /// Takes the last answers for what is usual from now on.
    pub(super) fn accept(&mut self) {
        self.history = LEAST_HISTORY;
        self.listed_in_history = self.now() * LEAST_HISTORY;
        self.forget_window();
    }

    /// Forgets the last answers, which came when the zone was ill.
    pub(super) fn forget_window(&mut self) {
        self.window.clear();
        self.listed_in_window = 0;
    }

    fn now(&self) -> f64 {
        let all = u16::try_from(self.window.len()).unwrap_or(u16::MAX).max(1);
        f64::from(self.listed_in_window) / f64::from(all)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1 becomes 0 to 100"
)]
fn percent(share: f64) -> u8 {
    (share.clamp(0.0, 1.0) * 100.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of which `share` of 100 are listings.
    fn feed(rate: &mut HitRate, share: usize, answers: usize) -> Option<(usize, Jump)> {
        (0..answers).find_map(|index| {
            let is_listed = (index * share) / 100 != ((index + 1) * share) / 100;
            rate.note(is_listed).map(|jump| (index + 1, jump))
        })
    }

    #[test]
    fn only_a_jump_trips_it() {
        for (usual, answers, then, expected) in [
            // Too little is known yet.
            (10, 400, 100, None),
            (10, 1000, 10, None),
            (10, 1000, 70, None),
            // 0.1 + 0.75 * 0.9 = 0.775.
            (10, 1000, 100, Some(Jump { now: 78, before: 10 })),
            (60, 1000, 85, None),
            (60, 1000, 100, Some(Jump { now: 90, before: 60 })),
            // A zone that lists everybody always did.
            (100, 1000, 100, None),
            (0, 20_000, 100, Some(Jump { now: 75, before: 0 })),
        ] {
            let mut rate = HitRate::default();
            assert_eq!(feed(&mut rate, usual, answers), None, "{usual}");
            let found = feed(&mut rate, then, 299).map(|(_, jump)| jump);
            assert_eq!(found, expected, "{usual} {then}");
        }
    }

    #[test]
    fn a_jump_that_was_accepted_is_usual() {
        let mut rate = HitRate::default();
        assert_eq!(feed(&mut rate, 10, 1000), None);
        assert!(feed(&mut rate, 100, 200).is_some());
        rate.accept();
        // 0.78 + 0.75 * 0.22 = 0.945.
        assert_eq!(feed(&mut rate, 90, 1000), None);
    }
}
