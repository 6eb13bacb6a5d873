//! A moment as people type it.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Reads a moment: with its zone, or without one as UTC; a day alone is its beginning.
pub(super) fn parse(text: &str) -> Result<Timestamp, TimeError> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(DateTime::from));
    let zoned = civil.and_then(|civil| civil.to_zoned(TimeZone::UTC));
    zoned.map(|zoned| zoned.timestamp()).map_err(|_no_time| TimeError(text.to_owned()))
}

/// A text is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}`, expected a time such as `2026-11-29 22:10` (UTC) or `2026-11-29T22:10:00Z`")]
pub(super) struct TimeError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        for (text, expected) in [
            ("2026-11-29T22:10:00Z", Some("2026-11-29T22:10:00Z")),
            ("2026-11-29T22:10:00+01:00", Some("2026-11-29T21:10:00Z")),
            ("2026-11-29 22:10", Some("2026-11-29T22:10:00Z")),
            ("2026-11-29 22:10:30", Some("2026-11-29T22:10:30Z")),
            ("2026-11-29", Some("2026-11-29T00:00:00Z")),
            ("yesterday", None),
            ("22:10", None),
            ("", None),
        ] {
            let found = parse(text).ok().map(|time| time.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
