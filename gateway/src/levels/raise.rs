//! A raise: one component says more until a moment that comes by itself, and that setting a clock does not put off.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::components::{COMPONENTS, component};
use crate::clock::{Timestamp, day_of_uptime, since_boot};

/// The longest raise: whoever wants more of it wants another `[log] level`.
pub const LONGEST: Duration = Duration::from_hours(24);

/// The most letters in the name of whoever asked for it.
const MOST_AUTHOR: usize = 100;

/// How much is said, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What is lost.
    Error,
    /// What an operator should know.
    Warn,
    /// What happens.
    Info,
    /// What it is made from.
    Debug,
    /// All of it.
    Trace,
}

impl Level {
    /// All of them, the least first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl FromStr for Level {
    type Err = LevelFault;

    fn from_str(text: &str) -> Result<Self, LevelFault> {
        let found = Self::ALL.into_iter().find(|level| level.word() == text);
        found.ok_or_else(|| LevelFault::Level { text: text.into() })
    }
}

/// One component says more for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raise {
    pub(super) component: &'static str,
    pub(super) level: Level,
    /// Since the host started.
    end: Duration,
    pub(super) author: Box<str>,
}

impl Raise {
    /// From now on, for `time`; one that lasts no time at all is over at once.
    pub fn lasting(
        name: &str,
        level: &str,
        time: Duration,
        author: &str,
    ) -> Result<Self, LevelFault> {
        if time > LONGEST {
            return Err(LevelFault::Time { seconds: time.as_secs() });
        }
        let letters = author.chars().count();
        let is_line = !author.trim().is_empty() && !author.chars().any(char::is_control);
        if letters > MOST_AUTHOR || !is_line {
            return Err(LevelFault::Author);
        }
        let component = component(name)?;
        let end = since_boot() + time;
        Ok(Self { component, level: level.parse()?, end, author: author.into() })
    }

    /// When it is over, by what the clock on the wall says now.
    pub(super) fn until(&self) -> Timestamp {
        day_of_uptime(u32::try_from(self.end.as_secs()).unwrap_or(u32::MAX))
    }

    /// The time left when the host has run for `ran`.
    pub(super) fn left_at(&self, ran: Duration) -> Duration {
        self.end.saturating_sub(ran)
    }

    /// Whether it is over when the host has run for `ran`.
    pub(super) fn is_over_at(&self, ran: Duration) -> bool {
        self.end <= ran
    }
}

/// Why nothing is raised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelFault {
    /// There is no such component.
    #[error("component {name:?}, expected one of {}", names())]
    Component {
        /// What was asked for.
        name: Box<str>,
    },
    /// There is no such level.
    #[error("level {text:?}, expected error, warn, info, debug or trace")]
    Level {
        /// What was asked for.
        text: Box<str>,
    },
    /// It would say no more than before.
    #[error("{component}={level} says no more than {base}, which all components say")]
    NotMore {
        /// The component.
        component: &'static str,
        /// What it was to say.
        level: Level,
        /// What all say.
        base: Level,
    },
    /// For too long.
    #[error("for {seconds} s, expected at most 24 h")]
    Time {
        /// How long.
        seconds: u64,
    },
    /// Nobody, or more than a name.
    #[error("the author is not one line of at most {MOST_AUTHOR} letters")]
    Author,
    /// Nothing is to be raised.
    #[error("no component, expected at least one with its level")]
    Nothing,
}

impl LevelFault {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Component { .. } => "`portcullis log` names all components",
            Self::Level { .. } | Self::Nothing => "`portcullis log set smtp=debug --for 10m`",
            Self::NotMore { .. } => "name a level that says more, or change `[log] level`",
            Self::Time { .. } => "`[log] level` and SIGHUP change what is said for good",
            Self::Author => "set USER to a name",
        }
    }
}

fn names() -> String {
    COMPONENTS.map(|component| component.name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_within_a_day_is_raised() {
        let long = "x".repeat(101);
        for (name, level, seconds, author, expected) in [
            ("smtp", "debug", 600, "ada", None),
            ("smtp", "trace", 86_400, "größer", None),
            ("smtp", "debug", 86_401, "ada", Some("for 86401 s, expected at most 24 h")),
            ("smtp", "loud", 9, "ada", Some("level \"loud\", expected error")),
            ("smtp", "off", 9, "ada", Some("level \"off\", expected error")),
            ("hickory_proto", "trace", 9, "ada", Some("component \"hickory_proto\", expected one")),
            ("smtp=trace,x", "debug", 9, "ada", Some("component \"smtp=trace,x\"")),
            ("", "debug", 9, "ada", Some("component \"\"")),
            ("smtp", "debug", 9, " ", Some("the author is not one line")),
            ("smtp", "debug", 9, "a\nb", Some("the author is not one line")),
            ("smtp", "debug", 9, &long, Some("the author is not one line")),
        ] {
            let fault = Raise::lasting(name, level, Duration::from_secs(seconds), author);
            let fault = fault.err().map(|fault| fault.to_string());
            let is_expected = match (&fault, expected) {
                (Some(fault), Some(words)) => fault.starts_with(words),
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(is_expected, "{name}={level} {seconds} {author}: {fault:?}");
        }
    }

    #[test]
    fn it_is_over_when_its_time_is() {
        let raise = Raise::lasting("smtp", "debug", Duration::from_mins(1), "ada").unwrap();
        let ran = since_boot();
        assert!(!raise.is_over_at(ran) && raise.is_over_at(ran + Duration::from_mins(1)));
        assert!(raise.left_at(ran) <= Duration::from_mins(1));
        assert_eq!(raise.left_at(ran + Duration::from_secs(99)), Duration::ZERO);
    }
}
