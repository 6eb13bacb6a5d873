//! A length of time as people type it: `10m`, `4h`, `1d`, `1h30m`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Reads a length of time with its unit; days have 24 hours, and there is none below a second.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let wrong = || DurationError(text.to_owned());
    let span: Span = text.parse().map_err(|_no_span| wrong())?;
    let time = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let time = time.map_err(|_months| wrong())?;
    let time = Duration::try_from(time).map_err(|_negative| wrong())?;
    if time < Duration::from_secs(1) { Err(wrong()) } else { Ok(time) }
}

/// The seconds of `time`; a part of a second more is not too much.
pub fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}`, expected a number with a unit, such as 90s, 10m, 4h, 1d or 1h30m")]
pub struct DurationError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("10min", Some(600)),
            ("4h", Some(14_400)),
            ("1d", Some(86_400)),
            ("2w", Some(1_209_600)),
            ("1h30m", Some(5_400)),
            ("1h 30m", Some(5_400)),
            ("PT10M", Some(600)),
            ("10", None),
            ("", None),
            ("h", None),
            ("-10m", None),
            ("0s", None),
            ("10ms", None),
            ("1mo", None),
            ("1y", None),
            ("99999999999999999999h", None),
            ("ten minutes", None),
        ] {
            let time = parse(text);
            assert_eq!(time.as_ref().ok().map(Duration::as_secs), seconds, "{text}: {time:?}");
        }
    }
}
