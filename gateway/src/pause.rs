//! A pause: everything passes until a moment that comes by itself, and that setting a clock does not put off.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::{Timestamp, day_of_uptime, since_boot, uptime};

/// The longest pause: whoever wants more of it wants `enforce = false`.
pub const LONGEST: Duration = Duration::from_hours(24);

/// The most letters in the name of whoever asked for it.
const MOST_AUTHOR: usize = 100;

/// The most letters in the reason.
const MOST_REASON: usize = 500;

/// A pause of all enforcement; kernel filter and daemon end it at the same second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// In seconds since the host started: what the kernel filter compares with.
    until: u32,
    author: Box<str>,
    reason: Option<Box<str>>,
}

impl Pause {
    /// A pause from now on, to the end of its last second.
    pub fn lasting(time: Duration, author: &str, reason: Option<&str>) -> Result<Self, PauseFault> {
        if time < Duration::from_secs(1) || time > LONGEST {
            return Err(PauseFault::Time { seconds: time.as_secs() });
        }
        let end = since_boot() + time;
        let until = end.as_secs() + u64::from(end.subsec_nanos() > 0);
        Ok(Self {
            until: u32::try_from(until).unwrap_or(u32::MAX),
            author: checked("author", author, MOST_AUTHOR)?,
            reason: reason.map(|reason| checked("reason", reason, MOST_REASON)).transpose()?,
        })
    }

    /// The second since the host started from which on it is over.
    pub const fn until_uptime(&self) -> u32 {
        self.until
    }

    /// When it is over, by what the clock on the wall says now.
    pub fn until(&self) -> Timestamp {
        day_of_uptime(self.until)
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.until <= uptime()
    }

    /// Whether it could have begun at all: one that is read from a file could say anything.
    pub fn is_possible(&self) -> bool {
        let longest = since_boot() + LONGEST + Duration::from_secs(1);
        u64::from(self.until) <= longest.as_secs()
    }
}

/// As alarms and the command line say it.
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.until().strftime("%H:%M:%S UTC");
        write!(f, "everything passes until {until}, by {}", self.author)?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// A pause as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Pause)]
pub struct PauseReport {
    /// When it is over.
    pub until: Timestamp,
    /// Who asked for it.
    pub author: Box<str>,
    /// Why; `null` where that was not said.
    pub reason: Option<Box<str>>,
}

impl From<&Pause> for PauseReport {
    fn from(pause: &Pause) -> Self {
        Self { until: pause.until(), author: pause.author.clone(), reason: pause.reason.clone() }
    }
}

/// Why there is no such pause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PauseFault {
    /// Too short or too long.
    #[error("a pause of {seconds} s, expected 1 s to 24 h")]
    Time {
        /// Its length.
        seconds: u64,
    },
    /// A text that is too long.
    #[error("{what} of {letters} letters, expected at most {most}")]
    Long {
        /// The name of the text.
        what: &'static str,
        /// Its letters.
        letters: usize,
        /// The most.
        most: usize,
    },
    /// A text that is not one line.
    #[error("{what} {text:?}, expected one line of text")]
    Line {
        /// The name of the text.
        what: &'static str,
        /// The text.
        text: Box<str>,
    },
}

/// A text that is safe in a log line.
fn checked(what: &'static str, text: &str, most: usize) -> Result<Box<str>, PauseFault> {
    let letters = text.chars().count();
    if letters > most {
        return Err(PauseFault::Long { what, letters, most });
    }
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(PauseFault::Line { what, text: text.into() });
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_within_a_day_and_fits_on_a_line_is_a_pause() {
        let long = "x".repeat(501);
        for (seconds, author, reason, expected) in [
            (600, "root", None, None),
            (1, "root", Some("the list of today is broken"), None),
            (86_400, "root", Some("größer"), None),
            (0, "root", None, Some("a pause of 0 s, expected 1 s to 24 h")),
            (86_401, "root", None, Some("a pause of 86401 s, expected 1 s to 24 h")),
            (9, "", None, Some("author \"\", expected one line of text")),
            (9, "root", Some("a\nb"), Some("reason \"a\\nb\", expected one line of text")),
            (9, "root", Some(&long), Some("reason of 501 letters, expected at most 500")),
            (9, &long, None, Some("author of 501 letters, expected at most 100")),
        ] {
            let pause = Pause::lasting(Duration::from_secs(seconds), author, reason);
            let fault = pause.as_ref().err().map(ToString::to_string);
            assert_eq!(fault.as_deref(), expected, "{seconds} {author} {reason:?}");
            assert!(pause.is_err() || pause.is_ok_and(|pause| pause.is_possible()));
        }
    }

    #[test]
    fn it_is_over_when_its_last_second_is() {
        let pause = |until| Pause { until, author: "root".into(), reason: None };
        let now = uptime();
        assert!(pause(now).is_over() && pause(0).is_over());
        assert!(!pause(now + 60).is_over() && pause(now + 60).is_possible());
        assert!(!pause(u32::MAX).is_possible());
        let lasting = Pause::lasting(Duration::from_mins(1), "root", None).unwrap();
        assert!((now + 60..=now + 62).contains(&lasting.until_uptime()));
    }

    #[test]
    fn it_says_until_when_by_whom_and_why() {
        let mut pause = Pause::lasting(Duration::from_mins(10), "root", None).unwrap();
        let until = pause.until().strftime("%H:%M:%S UTC").to_string();
        assert_eq!(pause.to_string(), format!("everything passes until {until}, by root"));
        pause.reason = Some("a broken feed".into());
        assert!(pause.to_string().ends_with(", by root: a broken feed"));
    }
}
