//! Records as CSV, in which no cell is a formula for the program that opens it, and none has a second line.

use std::io::{self, StdoutLock};

use serde_json::Value;

use super::super::Failure;
use super::super::safe::safe;

/// The columns with where they stand in a record.
const COLUMNS: [(&str, &[&str]); 22] = [
    ("time", &["/time"]),
    ("reference", &["/reference"]),
    ("front", &["/front"]),
    ("phase", &["/phase"]),
    ("code", &["/code"]),
    ("action", &["/action"]),
    ("enforced", &["/enforced"]),
    ("client", &["/client"]),
    ("logical_client", &["/logical_client"]),
    ("list", &["/list"]),
    ("entry", &["/entry"]),
    ("zone", &["/zone"]),
    ("score", &["/score"]),
    ("helo", &["/envelope/helo"]),
    ("sender", &["/envelope/sender", "/sender"]),
    ("recipients", &["/envelope/recipients", "/recipients"]),
    ("message_id", &["/message_id"]),
    ("subject", &["/subject"]),
    ("octets", &["/octets"]),
    ("queue_id", &["/queue_id"]),
    ("reply", &["/reply"]),
    ("next_hop", &["/next_hop"]),
];

/// Standard output as CSV.
pub(super) struct Out(csv::Writer<StdoutLock<'static>>);

impl Out {
    /// Writes the names of the columns.
    pub(super) fn begin() -> Result<Self, Failure> {
        let mut out = csv::Writer::from_writer(io::stdout().lock());
        out.write_record(COLUMNS.map(|(name, _)| name)).map_err(failed)?;
        Ok(Self(out))
    }

    /// Writes a record.
    pub(super) fn row(&mut self, record: &Value) -> Result<(), Failure> {
        self.0.write_record(cells(record)).map_err(failed)
    }

    pub(super) fn finish(mut self) -> Result<(), Failure> {
        Ok(self.0.flush()?)
    }
}

fn failed(error: csv::Error) -> Failure {
    io::Error::from(error).into()
}

fn cells(record: &Value) -> [String; COLUMNS.len()] {
    COLUMNS.map(|(_name, places)| {
        let value = places.iter().find_map(|place| record.pointer(place));
        cell(&text(value.unwrap_or(&Value::Null)))
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// A cell that says what it is: a program for tables would compute what begins like a formula.
fn cell(text: &str) -> String {
    let first = text.trim_start_matches(' ').chars().next();
    let is_formula = matches!(first, Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n'));
    let guard = if is_formula { "'" } else { "" };
    format!("{guard}{}", safe(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1", "'  =1"),
            ("\t=1", "'\\u{9}=1"),
            ("\r=1", "'\\u{d}=1"),
            ("a\n=1", "a\\u{a}=1"),
            ("a@b", "a@b"),
        ] {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn records_of_all_kinds_have_their_columns() {
        let record = json!({"time": "t", "score": 5, "enforced": true, "list": null,
            "envelope": {"sender": "=a@b", "recipients": ["c@d", "e@f"]}});
        let found = cells(&record).join(",");
        assert_eq!(found, "t,,,,,,true,,,,,,5,,'=a@b,c@d e@f,,,,,,");
        let event = json!({"sender": "a@b", "recipients": ["c@d"]});
        assert!(cells(&event).join(",").contains("a@b,c@d"));
        assert!(cells(&json!("odd")).concat().is_empty());
    }
}
