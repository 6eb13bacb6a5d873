//! Single values of a configuration: texts into types, or what is wrong with them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use gateway_ebpf::line::{Head, MOST_TEXT};
use jiff::SignedDuration;

use super::tree::Value;
use crate::direction::Direction;
use crate::list::is_list_name;
use crate::net::Prefix;

/// What is wrong with a value: the value first, then what was expected; and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) text: String,
    pub(super) hint: Option<String>,
}

impl Wrong {
    pub(super) fn new(text: impl fmt::Display) -> Self {
        Self { text: text.to_string(), hint: None }
    }

    pub(super) fn expected(value: &impl fmt::Display, expected: impl fmt::Display) -> Self {
        Self::new(format_args!("{value}, expected {expected}"))
    }

    pub(super) fn hint(self, hint: impl fmt::Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }
}

/// How a value becomes a `T`.
pub(super) type Parsed<T> = Result<T, Wrong>;

pub(super) fn boolean(value: &Value) -> Parsed<bool> {
    match value {
        Value::Boolean(boolean) => Ok(*boolean),
        _ => Err(Wrong::expected(value, "true or false")),
    }
}

pub(super) fn text(value: &Value) -> Parsed<String> {
    match value {
        Value::Text(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err(Wrong::expected(value, "a text in quotes")),
    }
}

/// One of the words, as what it stands for.
pub(super) fn choice<T: Copy>(words: &[(&str, T)]) -> impl Fn(&Value) -> Parsed<T> {
    move |value| {
        let found =
            words.iter().find(|(word, _)| matches!(value, Value::Text(text) if text == word));
        found.map(|&(_, chosen)| chosen).ok_or_else(|| {
            let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            Wrong::expected(value, format_args!("one of {}", all.join(", ")))
        })
    }
}

/// Which way mail goes; `None` is told from the client.
pub(super) fn direction(value: &Value) -> Parsed<Option<Direction>> {
    let inbound_or_outbound = choice(&[
        ("auto", None),
        ("inbound", Some(Direction::Inbound)),
        ("outbound", Some(Direction::Outbound)),
    ]);
    inbound_or_outbound(value)
}

/// A number in `range`.
pub(super) fn integer<T>(range: RangeInclusive<T>) -> impl Fn(&Value) -> Parsed<T>
where
    T: TryFrom<i64> + PartialOrd + fmt::Display,
{
    move |value| {
        let number = match value {
            Value::Integer(number) => T::try_from(*number).ok(),
            _ => None,
        };
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            Wrong::expected(value, format_args!("a number from {least} to {most}"))
        })
    }
}

/// A number of octets in `range`, as a number or a text with K, M or G (powers of 1024).
pub(super) fn size<T>(range: RangeInclusive<T>) -> impl Fn(&Value) -> Parsed<T>
where
    T: TryFrom<u64> + PartialOrd + fmt::Display,
{
    move |value| {
        let octets = match value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) => octets(text),
            _ => None,
        };
        octets
            .and_then(|octets| T::try_from(octets).ok())
            .filter(|octets| range.contains(octets))
            .ok_or_else(|| {
                let (least, most) = (range.start(), range.end());
                Wrong::expected(
                    value,
                    format_args!(
                        "a size like 65536, \"64K\" or \"1M\", from {least} to {most} octets"
                    ),
                )
            })
    }
}

fn octets(text: &str) -> Option<u64> {
    let (number, unit) = match text.split_at_checked(text.len().checked_sub(1)?)? {
        (number, "K" | "k") => (number, 1 << 10),
        (number, "M" | "m") => (number, 1 << 20),
        (number, "G" | "g") => (number, 1 << 30),
        _ => (text, 1),
    };
    let is_digits = number.bytes().all(|octet| octet.is_ascii_digit());
    is_digits.then(|| number.parse::<u64>().ok()?.checked_mul(unit))?
}

/// A time from one second to a day, as text with a unit.
pub(super) fn duration(value: &Value) -> Parsed<Duration> {
    time(value, SECOND..=Duration::from_hours(24)).ok_or_else(|| {
        Wrong::expected(value, "a time like \"10s\", \"5m\" or \"1h\", from 1s to 24h")
    })
}

/// A time from one second to a year, as text with a unit.
pub(super) fn long_duration(value: &Value) -> Parsed<Duration> {
    time(value, SECOND..=Duration::from_hours(365 * 24)).ok_or_else(|| {
        Wrong::expected(value, "a time like \"30m\", \"12h\" or \"7d\", from 1s to 365d")
    })
}

const SECOND: Duration = Duration::from_secs(1);

/// A time in `range`, which `words` say.
pub(super) fn time_in(
    range: RangeInclusive<Duration>,
    words: &'static str,
) -> impl Fn(&Value) -> Parsed<Duration> {
    move |value| {
        time(value, range.clone())
            .ok_or_else(|| Wrong::expected(value, format_args!("a time {words}")))
    }
}

fn time(value: &Value, range: RangeInclusive<Duration>) -> Option<Duration> {
    let Value::Text(text) = value else { return None };
    // A day has 24 hours here, whatever the calendar does.
    let time = match text.strip_suffix('d').map(str::trim_end) {
        Some(days) => days
            .parse()
            .ok()
            .and_then(|days: u16| SignedDuration::try_from_hours(i64::from(days) * 24)),
        None => text.parse().ok(),
    };
    let time = Duration::try_from(time?).ok()?;
    range.contains(&time).then_some(time)
}

fn prefix(value: &Value) -> Parsed<Prefix> {
    text(value)?.parse().map_err(Wrong::new)
}

/// A prefix of hosts of one's own, at the widest /8 or /16; `hint` says what a wider one would do.
pub(super) fn own_prefix(hint: &'static str) -> impl Fn(&Value) -> Parsed<Prefix> {
    move |value| {
        let prefix = prefix(value)?;
        let (widest, family) = match prefix.address() {
            IpAddr::V4(_) => (8, "IPv4"),
            IpAddr::V6(_) => (16, "IPv6"),
        };
        if prefix.length() >= widest {
            return Ok(prefix);
        }
        let expected = format_args!("at the widest /{widest} for {family}");
        Err(Wrong::expected(value, expected).hint(hint))
    }
}

/// Address and port; names are refused, since nothing may wait for DNS at the start.
pub(super) fn socket_address(value: &Value) -> Parsed<SocketAddr> {
    let expected = "an IP address with a port, like \"192.0.2.1:25\" or \"[2001:db8::1]:25\"";
    let address = text(value)?;
    address.parse().map_err(|_not_an_address| {
        let wrong = Wrong::expected(value, expected);
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        let is_name = host.parse::<IpAddr>().is_err()
            && host.bytes().any(|octet| octet.is_ascii_alphabetic())
            && !host.contains(':');
        if is_name {
            wrong.hint("host names come with a later version; write the address")
        } else if address.parse::<IpAddr>().is_ok() {
            wrong.hint("the port is missing")
        } else {
            wrong
        }
    })
}

/// The name of a user or group, as useradd(8) takes it; a number would be one that nobody gave a name, and so nobody's.
pub(super) fn account(value: &Value) -> Parsed<String> {
    let name = text(value)?;
    let is_name = name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-".contains(&octet));
    is_name
        .then_some(name)
        .ok_or_else(|| Wrong::expected(value, "the name of a user or group, like \"portcullis\""))
}

/// A name in DNS, in lower case.
pub(super) fn domain(value: &Value) -> Parsed<String> {
    let name = text(value)?;
    if is_domain(&name) {
        return Ok(name.to_ascii_lowercase());
    }
    let wrong = Wrong::expected(value, "a domain name like \"example.org\"");
    Err(if name.is_ascii() {
        wrong
    } else {
        wrong.hint("write an international name in its ASCII form (xn--…)")
    })
}

/// A domain whose recipients are ours; with a dot before it, those of all its subdomains but not its own.
pub(super) fn recipient_domain(value: &Value) -> Parsed<String> {
    match value {
        Value::Text(name) => match name.strip_prefix('.') {
            Some(parent) => {
                let parent = domain(&Value::Text(parent.to_owned()));
                let expected = "a domain name like \"example.org\" or \".example.org\"";
                parent.map(|parent| format!(".{parent}")).map_err(|without_dot| Wrong {
                    text: Wrong::expected(value, expected).text,
                    ..without_dot
                })
            }
            None => domain(value),
        },
        _ => domain(value),
    }
}

/// RFC 1123 section 2.1; underscores too, which Windows hosts have.
pub(super) fn is_domain(name: &str) -> bool {
    let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(is_letter)
        })
}

/// The name of a header field (RFC 5322 section 3.6.8).
pub(super) fn header_name(value: &Value) -> Parsed<String> {
    let name = text(value)?;
    if name.eq_ignore_ascii_case("Received") {
        return Err(Wrong::expected(value, "another field")
            .hint("Received fields are always scanned, their `from` clause only"));
    }
    let is_name = name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet));
    is_name.then_some(name).ok_or_else(|| {
        Wrong::expected(value, "the name of a header field like \"X-Originating-IP\"")
    })
}

/// The name of a network interface, as the kernel takes them (`dev_valid_name`).
pub(super) fn interface(value: &Value) -> Parsed<String> {
    let name = text(value)?;
    let is_name = name.len() < 16
        && name != "."
        && name != ".."
        && name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'/' && octet != b':');
    is_name.then_some(name).ok_or_else(|| {
        Wrong::expected(value, "the name of a network interface like \"eth0\", at most 15 letters")
    })
}

/// The name of a list, fit for metrics, records and commands.
pub(super) fn list_name(value: &Value) -> Parsed<String> {
    let name = text(value)?;
    is_list_name(&name).then_some(name).ok_or_else(|| {
        Wrong::expected(
            value,
            "a name of at most 64 letters, digits, hyphens, dots and underscores",
        )
    })
}

/// The name of a zone: that of a list, or a domain.
pub(super) fn zone_name(value: &Value) -> Parsed<String> {
    let name = text(value)?;
    if is_list_name(&name) || is_domain(&name) {
        return Ok(name);
    }
    let expected =
        "a domain, or a name of at most 64 letters, digits, hyphens, dots and underscores";
    Err(Wrong::expected(value, expected))
}

/// The name that replies to senders use.
pub(super) fn label(value: &Value) -> Parsed<String> {
    let label = text(value)?;
    let is_safe = label.len() <= 100 && label.bytes().all(|octet| (b' '..=b'~').contains(&octet));
    is_safe.then_some(label).ok_or_else(|| {
        Wrong::expected(
            value,
            "at most 100 printable ASCII letters, since it stands in SMTP replies",
        )
    })
}

/// The words that the kernel says.
pub(super) fn refuse_text(value: &Value) -> Parsed<String> {
    let words = text(value)?;
    Head::new(&words).map(|_head| words).ok_or_else(|| {
        Wrong::expected(value, format_args!("at most {MOST_TEXT} printable ASCII letters"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: fmt::Debug>(parse: impl Fn(&Value) -> Parsed<T>, rows: &[(&str, &str)]) {
        for (text, expected) in rows {
            let found = match parse(&Value::Text((*text).to_owned())) {
                Ok(value) => format!("{value:?}"),
                Err(wrong) => wrong.text,
            };
            assert!(found.starts_with(expected), "{text}: {found}");
        }
    }

    #[test]
    fn sizes() {
        check(
            size(1..=u64::MAX),
            &[
                ("1", "1"),
                ("64K", "65536"),
                ("100m", "104857600"),
                ("2G", "2147483648"),
                ("0", "\"0\", expected a size like 65536, \"64K\" or \"1M\", from 1 to"),
                ("K", "\"K\", expected"),
                ("+1K", "\"+1K\", expected"),
                ("1.5M", "\"1.5M\", expected"),
                ("99999999999G", "\"99999999999G\", expected"),
                ("1é", "\"1é\", expected"),
            ],
        );
    }

    #[test]
    fn times() {
        check(
            duration,
            &[
                ("10s", "10s"),
                ("5m", "300s"),
                ("1h 30m", "5400s"),
                ("0s", "\"0s\", expected a time like"),
                ("-5m", "\"-5m\", expected a time like"),
                ("25h", "\"25h\", expected a time like"),
                ("10", "\"10\", expected a time like"),
            ],
        );
    }

    #[test]
    fn long_times() {
        check(
            long_duration,
            &[
                ("1d", "86400s"),
                ("30 d", "2592000s"),
                ("12h", "43200s"),
                ("366d", "\"366d\", expected a time like"),
                ("0d", "\"0d\", expected a time like"),
                ("-1d", "\"-1d\", expected a time like"),
                ("d", "\"d\", expected a time like"),
                ("99999999999d", "\"99999999999d\", expected a time like"),
            ],
        );
        check(duration, &[("1d", "86400s"), ("2d", "\"2d\", expected a time like")]);
    }

    #[test]
    fn names() {
        check(
            recipient_domain,
            &[
                ("Example.ORG", "\"example.org\""),
                (".Example.ORG", "\".example.org\""),
                ("localhost", "\"localhost\""),
                ("a..b", "\"a..b\", expected a domain name"),
                ("example.org.", "\"example.org.\", expected a domain name"),
                ("*.example.org", "\"*.example.org\", expected a domain name"),
                (".", "\".\", expected a domain name"),
                ("-a.b", "\"-a.b\", expected a domain name"),
                ("bücher.example", "\"bücher.example\", expected a domain name"),
            ],
        );
        check(
            interface,
            &[
                ("eth0", "\"eth0\""),
                ("enp0s31f6.100", "\"enp0s31f6.100\""),
                ("eth 0", "\"eth 0\", expected the name of a network interface"),
                ("a/b", "\"a/b\", expected the name of a network interface"),
                ("sixteen-letters-", "\"sixteen-letters-\", expected the name"),
            ],
        );
        check(header_name, &[("X-Ip", "\"X-Ip\""), ("X: y", "\"X: y\", expected the name of")]);
        check(list_name, &[("a.b-c_1", "\"a.b-c_1\""), ("a b", "\"a b\", expected a name")]);
        check(label, &[("Some list", "\"Some list\""), ("a\nb", "\"a\\nb\", expected at most")]);
    }
}
