//! Reads columns: an address or prefix, and of what else CrowdSec exports what a list needs.

use std::time::Duration;

use csv_core::{ReadRecordResult, Reader};

use super::super::Remark;
use super::{Found, Line, LineFault, Sink, Told, lines, says_empty};
use crate::clock::{Expiry, Timestamp};
use crate::net::Prefix;

/// Columns of a line that are looked at.
const COLUMNS: usize = 32;

/// Which column has what.
#[derive(Clone, Copy, Debug)]
struct Columns {
    value: usize,
    scope: Option<usize>,
    kind: Option<usize>,
    duration: Option<usize>,
    expires: Option<usize>,
    reason: Option<usize>,
}

impl Columns {
    /// Without a line that names them: `value,scope,type,duration,reason`.
    const USUAL: Self = Self {
        value: 0,
        scope: Some(1),
        kind: Some(2),
        duration: Some(3),
        expires: None,
        reason: Some(4),
    };

    /// Those that `names` name; `None` when these name no column with addresses.
    fn named(names: &Fields) -> Option<Self> {
        let names: Vec<String> = names.iter().map(str::to_ascii_lowercase).collect();
        // A scope is called as a column may be, but no column as a decision.
        if names.iter().any(|name| name == "ban" || name.parse::<Prefix>().is_ok()) {
            return None;
        }
        let column = |words: &[&str]| {
            words.iter().find_map(|word| names.iter().position(|name| name.trim() == *word))
        };
        Some(Self {
            value: column(&["value", "ip", "address", "range", "cidr", "prefix", "network"])?,
            scope: column(&["scope"]),
            kind: column(&["type", "action"]),
            duration: column(&["duration", "expiration"]),
            expires: column(&["expires"]),
            reason: column(&["reason", "scenario", "comment"]),
        })
    }
}

/// Reads all lines. Each is read by itself, so that a quote that is not closed hides no other line.
pub(super) fn read(octets: &[u8], sink: &mut Sink<'_>) -> Told {
    let mut told = Told::NOTHING;
    let mut columns = None;
    let mut reader = Reader::new();
    for Line { number: line, text } in lines(octets) {
        if text.is_empty() || text.starts_with('#') {
            told.says_empty |= says_empty(&text);
            continue;
        }
        let fields = match Fields::read(&text, &mut reader) {
            Ok(fields) => fields,
            Err(fault) => {
                sink.reject(line, &text, fault);
                continue;
            }
        };
        let columns = if let Some(columns) = columns {
            columns
        } else {
            let named = Columns::named(&fields);
            columns = Some(named.unwrap_or(Columns::USUAL));
            if named.is_some() {
                continue;
            }
            Columns::USUAL
        };
        match read_fields(&fields, columns, sink.as_of()) {
            Ok((prefix, expires)) => {
                let reason = fields.optional(columns.reason);
                let remark = Remark { reason, ..Remark::default() };
                sink.list(&Found { line, text: &text, remark, expires }, &[prefix]);
            }
            Err(fault) => sink.reject(line, &text, fault),
        }
    }
    told
}

/// Whether `line` names columns, one with addresses among them.
pub(super) fn is_header(line: &str) -> bool {
    Fields::read(line, &mut Reader::new()).is_ok_and(|fields| Columns::named(&fields).is_some())
}

/// The fields of one line without their quotes.
struct Fields {
    text: String,
    ends: Vec<usize>,
}

impl Fields {
    fn read(line: &str, reader: &mut Reader) -> Result<Self, LineFault> {
        reader.reset();
        let mut text = vec![0; line.len()];
        let mut ends = [0; COLUMNS];
        let (_result, _read, written, count) =
            reader.read_record(line.as_bytes(), &mut text, &mut ends);
        let at_end = ends.get_mut(count..).unwrap_or_default();
        let room = text.get_mut(written..).unwrap_or_default();
        let (result, _read, _written, more) = reader.read_record(&[], room, at_end);
        if result != ReadRecordResult::Record {
            return Err(LineFault::found(line, "at most 32 columns"));
        }
        let ends = ends.get(..count + more).unwrap_or_default().to_vec();
        text.truncate(written);
        // Fields are cut at ASCII commas, so they are as much UTF-8 as the line.
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(Self { text, ends })
    }

    fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).unwrap_or(&0);
        self.text.get(*start..end).map(str::trim)
    }

    /// The field in this column; empty where there is none.
    fn optional(&self, column: Option<usize>) -> &str {
        column.and_then(|column| self.get(column)).unwrap_or_default()
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).filter_map(|index| self.get(index))
    }
}

fn read_fields(
    fields: &Fields,
    columns: Columns,
    as_of: Timestamp,
) -> Result<(Prefix, Option<Expiry>), LineFault> {
    let scope = fields.optional(columns.scope);
    if !["", "ip", "range"].iter().any(|known| scope.eq_ignore_ascii_case(known)) {
        return Err(LineFault::found(scope, "the scope ip or range"));
    }
    let kind = fields.optional(columns.kind);
    if !["", "ban"].iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        return Err(LineFault::found(kind, "the type ban"));
    }
    let value = fields.get(columns.value).unwrap_or_default();
    // Some exports have the scope in front: `Ip:192.0.2.7`.
    let scopes = ["Ip:", "Range:", "ip:", "range:"];
    let value = scopes.iter().find_map(|scope| value.strip_prefix(scope)).unwrap_or(value);
    let expires = match (fields.optional(columns.expires), fields.optional(columns.duration)) {
        ("", "") => None,
        ("", text) => Some(after(text, as_of)?),
        (text, _) => match text.parse() {
            Ok(at) => Some(Expiry::at(at)),
            Err(_no_time) => {
                return Err(LineFault::found(text, "a time like 2026-11-21T10:00:00Z"));
            }
        },
    };
    Ok((value.parse()?, expires))
}

/// What lasts `text` from `as_of` on, in the notation of Go: `167h59m1.2s`.
fn after(text: &str, as_of: Timestamp) -> Result<Expiry, LineFault> {
    let duration = duration(text)
        .ok_or_else(|| LineFault::found(text, "a duration like 4h or 167h59m1.2s"))?;
    let end = as_of.checked_add(duration).unwrap_or(Timestamp::MAX);
    Ok(Expiry::at(end))
}

fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0_f64;
    while !rest.is_empty() {
        let unit_at = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at_checked(unit_at)?;
        let number_at = after.find(|letter: char| letter.is_ascii_digit() || letter == '.');
        let (unit, after) = after.split_at_checked(number_at.unwrap_or(after.len()))?;
        seconds += number.parse::<f64>().ok()? * seconds_of(unit)?;
        rest = after;
    }
    // More than fits is as good as never, which is the year 2106.
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "d" => 86_400.0,
        "h" => 3_600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" | "μs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{entries, parsed, rejected};

    #[test]
    fn reads_columns_with_and_without_names() {
        for (text, expected) in [
            ("192.0.2.7,ip,ban,4h,ssh", &["1:192.0.2.7 ssh until 14400"][..]),
            (
                "value,scope,type,duration,reason\n192.0.2.0/24,Range,ban,167h59m1.2s,\"a, b\"\r\n",
                &["2:192.0.2.0/24 a, b until 604742"],
            ),
            ("reason, Value\n\"say \"\"x\"\"\", 2001:db8::1\n", &["2:2001:db8::1 say \"x\""]),
            (
                "id,source,ip,reason,action,expiration\n1,cscli,Ip:192.0.2.7,x,ban,1.5s\n",
                &["2:192.0.2.7 x until 2"],
            ),
            ("cidr,expires\n192.0.2.7,1970-01-01T00:01:00Z\n", &["2:192.0.2.7 until 60"]),
            ("192.0.2.7\n# comment\n192.0.2.8,,,,\n", &["1:192.0.2.7", "3:192.0.2.8"]),
            ("192.0.2.7,ip,ban,99999999999999999999h,x", &["1:192.0.2.7 x until 4294967295"]),
        ] {
            assert_eq!(entries(Format::Csv, text), expected, "{text:?}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, expected) in [
            (
                "192.0.2.7,country,ban,4h,x",
                "`country` cannot be read, expected the scope ip or range",
            ),
            ("192.0.2.7,ip,captcha,4h,x", "`captcha` cannot be read, expected the type ban"),
            (
                "192.0.2.7,ip,ban,-4h,x",
                "`-4h` cannot be read, expected a duration like 4h or 167h59m1.2s",
            ),
            ("192.0.2.7,ip,ban,4,x", "expected a duration"),
            ("192.0.2.7,ip,ban,1e400h,x", "expected a duration"),
            ("x,ip,ban,4h,x", "`x` is no IP address"),
            (&format!("192.0.2.7{}", ",".repeat(40)), "expected at most 32 columns"),
        ] {
            let rejected = rejected(Format::Csv, text);
            assert!(rejected.len() == 1 && rejected[0].contains(expected), "{text}: {rejected:?}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_hides_no_line() {
        let text = "192.0.2.7,ip,ban,4h,\"x\n192.0.2.8,ip,ban,4h,y\n\"192.0.2.9\n";
        let parsed = parsed(Format::Csv, text);
        assert_eq!((parsed.entries.len(), parsed.rejected.count), (3, 0));
    }
}
