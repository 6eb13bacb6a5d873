//! A moment as people type it: a time, a day, or how long ago it was.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use serde::{Deserialize, Deserializer, de};

use super::{Clock, Timestamp, duration};

/// Reads a moment: with its zone, without one as UTC; a day alone is its beginning; a length of time is so long ago.
pub fn parse(text: &str) -> Result<Timestamp, MomentError> {
    let wrong = || MomentError(text.to_owned());
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(DateTime::from));
    if let Ok(civil) = civil {
        let zoned = civil.to_zoned(TimeZone::UTC).map_err(|_no_time| wrong())?;
        return Ok(zoned.timestamp());
    }
    let ago = duration::parse(text).map_err(|_neither| wrong())?;
    let ago = SignedDuration::try_from(ago).unwrap_or(SignedDuration::MAX);
    Clock::System.now().checked_sub(ago).map_err(|_before_all| wrong())
}

/// Reads a moment in the same way where a program asks for one.
pub fn deserialize<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(text)?;
    parse(&text).map(Some).map_err(de::Error::custom)
}

/// A text is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}`, expected a time such as 2026-11-20T08:00:00Z or `2026-11-20 08:00` (UTC), or how long ago, such as 2d"
)]
pub struct MomentError(String);

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
        let hour = SignedDuration::from_hours(1);
        let then = parse("1h").unwrap();
        let ago = Clock::System.now().duration_since(then);
        assert!(ago >= hour && ago < hour * 2, "{ago}");
        assert_eq!(parse("-1h").ok(), None);
    }
}
