//! The greylist: which try of a sender waits, and which one passes.

use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;

use super::{Pool, elapsed};
use crate::clock::Timestamp;

/// How the greylist works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greylist {
    /// How long a sender waits from its first try on.
    pub wait: Duration,
    /// How long after its first try a sender may come again; after that it begins anew.
    pub retry_within: Duration,
    /// How long a pool that passed is remembered after its last use.
    pub pass_for: Duration,
    /// The length of an IPv4 network whose addresses are one pool, in bits.
    pub network_v4: u8,
    /// The same for IPv6.
    pub network_v6: u8,
    /// How many rows of tries are kept, a first try has two; and as many pools that passed by themselves.
    pub most: usize,
}

impl Default for Greylist {
    fn default() -> Self {
        Self {
            wait: Duration::from_mins(5),
            retry_within: Duration::from_hours(24),
            pass_for: Duration::from_hours(36 * 24),
            network_v4: 24,
            network_v6: 64,
            most: 1_000_000,
        }
    }
}

/// One try to hand over a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From where.
    pub pool: Pool,
    sender: Box<str>,
    recipient: Box<str>,
}

/// As much as is kept of a mail address, in characters.
const MAILBOX: usize = 320;

impl Attempt {
    /// A try from `pool`; the sender of a bounce is empty. Of both addresses the first 320 characters count, in lower case.
    pub fn new(pool: Pool, sender: &str, recipient: &str) -> Self {
        Self { pool, sender: normalised(sender), recipient: normalised(recipient) }
    }

    /// The sender as it is kept.
    pub fn sender(&self) -> &str {
        &self.sender
    }

    /// The recipient as it is kept.
    pub fn recipient(&self) -> &str {
        &self.recipient
    }
}

fn normalised(mailbox: &str) -> Box<str> {
    if mailbox.len() <= MAILBOX && mailbox.is_ascii() {
        return mailbox.to_ascii_lowercase().into();
    }
    let lower = mailbox.chars().take(MAILBOX).flat_map(char::to_lowercase);
    lower.take(MAILBOX).collect::<String>().into()
}

/// Tries that have not passed: those of a sender to a recipient from one pool, or from all pools together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// When the first try was.
    pub first: Timestamp,
    /// When the last try was that counts: a try within the wait after one that counts does not.
    pub counted: Timestamp,
    /// How many tries count.
    pub tries: u32,
}

impl Waiting {
    /// Whether these tries are forgotten at `now`, or made by a clock that has been set back since.
    pub fn is_over(&self, settings: &Greylist, now: Timestamp) -> bool {
        self.first > now || elapsed(self.first, now) > settings.retry_within
    }

    /// What is kept after one more try at `now`.
    fn and_now(earlier: Option<Self>, settings: &Greylist, now: Timestamp) -> Self {
        match earlier.filter(|it| !it.is_over(settings, now)) {
            None => Self { first: now, counted: now, tries: 1 },
            Some(it) if it.counted <= now && elapsed(it.counted, now) >= settings.wait => {
                Self { counted: now, tries: it.tries.saturating_add(1), ..it }
            }
            // A clock that was set back must not make the wait longer than it is.
            Some(it) => Self { counted: it.counted.min(now), ..it },
        }
    }

    /// How long it takes until the next try would be number `needed`; `None` if more than one is missing.
    fn left(&self, needed: u32, settings: &Greylist, now: Timestamp) -> Option<Duration> {
        let is_next = self.tries.saturating_add(1) >= needed;
        is_next.then(|| settings.wait.saturating_sub(elapsed(self.counted, now)))
    }
}

/// A pool whose mail does not wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Since when.
    pub since: Timestamp,
    /// When its mail came last, to a hundredth of `pass_for`.
    pub used: Timestamp,
    /// Who said so, unless it passed by itself.
    pub manual: Option<Manual>,
}

/// What a person said of a pool that passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manual {
    /// Who, at most 100 characters.
    pub author: Box<str>,
    /// Why, at most 500 characters.
    pub reason: Option<Box<str>>,
    /// Until when; `None` for always.
    pub until: Option<Timestamp>,
}

impl Passed {
    /// A pool that passes from `now` on.
    pub const fn new(manual: Option<Manual>, now: Timestamp) -> Self {
        Self { since: now, used: now, manual }
    }

    /// From when on it does not count, without further use; `None` for never.
    pub fn until(&self, settings: &Greylist) -> Option<Timestamp> {
        if let Some(manual) = &self.manual {
            return manual.until;
        }
        let pass_for = SignedDuration::try_from(settings.pass_for);
        self.used.checked_add(pass_for.unwrap_or(SignedDuration::MAX)).ok()
    }

    /// Whether it counts at `now`.
    pub fn counts(&self, settings: &Greylist, now: Timestamp) -> bool {
        self.until(settings).is_none_or(|until| now < until)
    }

    /// Whether its last use is to be set to `now`: not for each message, that would be a write for each.
    pub fn is_due(&self, settings: &Greylist, now: Timestamp) -> bool {
        self.used > now || elapsed(self.used, now) >= settings.pass_for / 100
    }

    /// What is said of its mail.
    pub const fn answer(&self) -> GreylistAnswer {
        GreylistAnswer::Passed { how: PassedBy::KnownPool, since: self.since }
    }
}

/// What the greylist says of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GreylistAnswer {
    /// It passes.
    Passed {
        /// For which reason.
        how: PassedBy,
        /// When the pool passed, otherwise when the first try was.
        since: Timestamp,
    },
    /// It waits.
    Wait {
        /// Until a try passes, at least 1.
        seconds_left: u64,
        /// How many tries of this sender to this recipient count so far, from whatever pool.
        tries: u32,
        /// When the first of them was.
        first: Timestamp,
    },
}

/// Why a try passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PassedBy {
    /// Mail of this pool passed before, or a person said so.
    KnownPool,
    /// The same pool came again in time.
    Retry,
    /// The same sender tried the same recipient for the third time, from whatever pools.
    Pair,
}

/// The try that counts with which a sender passes that comes from the pool it came from before.
const RETRY: u32 = 2;
/// The same for a sender that comes from pool after pool.
const PAIR: u32 = 3;

/// What follows from a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What is to be kept of the tries from this pool, unless it passes.
    pub pool: Waiting,
    /// What is to be kept of those from all pools, unless it passes.
    pub pair: Waiting,
    /// What is said. The pool of a try that passes is to be remembered, its tries are to be forgotten.
    pub answer: GreylistAnswer,
}

/// Judges a try from a pool that is not known, by what is kept of the tries of its sender to its recipient: from this pool
/// and from all of them.
pub fn judge(
    pool: Option<Waiting>,
    pair: Option<Waiting>,
    settings: &Greylist,
    now: Timestamp,
) -> Turn {
    let pool = Waiting::and_now(pool, settings, now);
    let pair = Waiting::and_now(pair, settings, now);
    let answer = if pool.tries >= RETRY {
        GreylistAnswer::Passed { how: PassedBy::Retry, since: pool.first }
    } else if pair.tries >= PAIR {
        GreylistAnswer::Passed { how: PassedBy::Pair, since: pair.first }
    } else {
        let left = [pool.left(RETRY, settings, now), pair.left(PAIR, settings, now)];
        let left = left.into_iter().flatten().min().unwrap_or(settings.wait);
        let seconds_left = left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0));
        GreylistAnswer::Wait {
            seconds_left: seconds_left.max(1),
            tries: pair.tries,
            first: pair.first,
        }
    };
    Turn { pool, pair, answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + 60 * minute).unwrap()
    }

    /// The answers to tries from one pool (`a`, `b`, ...) at a minute each: `WAIT tries`, or how it passes.
    fn answers(tries: &[(char, i64)]) -> Vec<String> {
        let settings = Greylist::default();
        let mut pools = std::collections::HashMap::new();
        let mut pair = None;
        let mut answers = Vec::new();
        for &(name, minute) in tries {
            let turn = judge(pools.get(&name).copied(), pair, &settings, at(minute));
            pools.insert(name, turn.pool);
            pair = Some(turn.pair);
            answers.push(match turn.answer {
                GreylistAnswer::Passed { how, since } => {
                    format!("{how:?} {}", (since.as_second() - at(0).as_second()) / 60)
                }
                GreylistAnswer::Wait { seconds_left, tries, .. } => {
                    format!("{seconds_left} {tries}")
                }
            });
        }
        answers
    }

    #[test]
    fn a_try_passes_when_it_comes_again_in_time() {
        const DAY: i64 = 24 * 60;
        for (name, tries, expected) in [
            ("in time", &[('a', 0), ('a', 5)][..], &["300 1", "Retry 0"][..]),
            ("at the last moment", &[('a', 0), ('a', DAY)], &["300 1", "Retry 0"]),
            ("too late", &[('a', 0), ('a', DAY + 1)], &["300 1", "300 1"]),
            (
                "too late, then in time",
                &[('a', 0), ('a', 1441), ('a', 1446)],
                &["300 1", "300 1", "Retry 1441"],
            ),
            ("too early", &[('a', 0), ('a', 2), ('a', 4)], &["300 1", "180 1", "60 1"]),
            (
                "too early, then in time",
                &[('a', 0), ('a', 4), ('a', 5)],
                &["300 1", "60 1", "Retry 0"],
            ),
            ("the third pool", &[('a', 0), ('b', 5), ('c', 10)], &["300 1", "300 2", "Pair 0"]),
            (
                "many pools at once",
                &[('a', 0), ('b', 1), ('c', 2), ('d', 3)],
                &["300 1", "300 1", "300 1", "300 1"],
            ),
            (
                "a pool that is nearly there",
                &[('a', 0), ('b', 5), ('c', 8), ('d', 10)],
                &["300 1", "300 2", "120 2", "Pair 0"],
            ),
            (
                "the first pool again",
                &[('a', 0), ('b', 5), ('a', 6)],
                &["300 1", "300 2", "Retry 0"],
            ),
            (
                "pools over a day",
                &[('a', 0), ('b', 700), ('c', 1441)],
                &["300 1", "300 2", "300 1"],
            ),
            (
                "a clock set back",
                &[('a', 0), ('a', -60), ('a', -57), ('a', -55)],
                &["300 1", "300 1", "120 1", "Retry -60"],
            ),
            (
                "a clock set back between pools",
                &[('a', 0), ('b', 60), ('c', 30), ('d', 35)],
                &["300 1", "300 2", "300 2", "Pair 0"],
            ),
        ] {
            assert_eq!(answers(tries), expected, "{name}");
        }
    }

    #[test]
    fn settings_without_sense_do_no_harm() {
        let times = [Timestamp::MIN, at(0), Timestamp::MAX];
        for wait in [Duration::ZERO, Duration::MAX] {
            for pass_for in [Duration::ZERO, Duration::MAX] {
                let settings = Greylist { wait, pass_for, ..Greylist::default() };
                for now in times {
                    let turn = judge(None, None, &settings, now);
                    assert!(matches!(turn.answer, GreylistAnswer::Wait { seconds_left: 1.., .. }));
                    for later in times {
                        judge(Some(turn.pool), Some(turn.pair), &settings, later);
                        let passed = Passed::new(None, now);
                        let said =
                            (passed.counts(&settings, later), passed.is_due(&settings, later));
                        assert!(said.0 || pass_for.is_zero() || later > now);
                    }
                }
            }
        }
    }

    #[test]
    fn a_pool_is_remembered_after_its_last_use() {
        let settings = Greylist { pass_for: Duration::from_mins(100), ..Greylist::default() };
        let by_itself = Passed::new(None, at(0));
        let person = |until| Manual { author: "anna".into(), reason: None, until };
        let always = Passed::new(Some(person(None)), at(0));
        let for_an_hour = Passed::new(Some(person(Some(at(60)))), at(0));
        for (passed, minute, counts, is_due) in [
            (&by_itself, 0, true, false),
            (&by_itself, 1, true, true),
            (&by_itself, 99, true, true),
            (&by_itself, 100, false, true),
            (&by_itself, -1, true, true),
            (&always, 1000, true, true),
            (&for_an_hour, 59, true, true),
            (&for_an_hour, 60, false, true),
        ] {
            let found =
                (passed.counts(&settings, at(minute)), passed.is_due(&settings, at(minute)));
            assert_eq!(found, (counts, is_due), "{passed:?} {minute}");
        }
    }

    #[test]
    fn mailboxes_are_kept_short_in_lower_case() {
        let pool = Pool::Domain("example.org".into());
        let long = "Ä".repeat(400);
        for (mailbox, expected) in [
            ("Anna@Example.ORG", "anna@example.org".to_owned()),
            ("", String::new()),
            ("ÄNNA+x@example.org", "änna+x@example.org".to_owned()),
            (&long, "ä".repeat(320)),
            (&"İ".repeat(320), "i\u{307}".repeat(160)),
        ] {
            let attempt = Attempt::new(pool.clone(), mailbox, mailbox);
            assert_eq!((attempt.sender(), attempt.recipient()), (&*expected, &*expected));
        }
    }
}
