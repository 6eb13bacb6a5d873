//! One record in one line for people. What strangers wrote is in it.

use serde_json::Value;

use super::super::answer::{items, plain};
use super::super::output::{self, Meaning};
use super::super::safe::safe;
use crate::policy::Action;

/// Letters of an address of a mailbox that are shown.
const SHOWN: usize = 80;

/// Time, reference, verdict, action, client, sender and recipients.
pub(super) fn row(record: &Value) -> String {
    let text = |name: &str| safe(&plain(&record[name]));
    let action = text("action");
    let action = output::coloured(format_args!("{action:<14}"), meaning(&action));
    let head = format!(
        "{:<20} {:<13} {:<16} {action} {:<15}",
        brief(&text("time")),
        text("reference"),
        text("code"),
        text("client")
    );
    match mail(record) {
        Some(mail) => format!("{head} {mail}"),
        None => head.trim_end().to_owned(),
    }
}

/// From whom to whom; records of events have it at the top.
fn mail(record: &Value) -> Option<String> {
    let envelope = if record["envelope"].is_object() { &record["envelope"] } else { record };
    let sender = envelope["sender"].as_str()?;
    let recipients: Vec<_> = items(&envelope["recipients"]).collect();
    let first = recipients.first().map(|first| format!(" -> <{}>", short(&plain(first))));
    let more = match recipients.len() {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    Some(format!("<{}>{}{more}", short(sender), first.unwrap_or_default()))
}

fn short(text: &str) -> String {
    let mut letters = text.chars();
    let start: String = letters.by_ref().take(SHOWN).collect();
    let rest = if letters.next().is_some() { "..." } else { "" };
    format!("{}{rest}", safe(&start))
}

/// A time without its fraction of a second.
fn brief(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _fraction)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

fn meaning(action: &str) -> Meaning {
    let known = Action::ALL.into_iter().find(|known| known.name() == action);
    known.map_or(Meaning::Doubtful, output::meaning)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_is_in_it() {
        let record = json!({
            "time": "2026-11-20T08:00:00.123Z", "reference": "ABC", "code": "accept",
            "action": "accept", "client": "192.0.2.1",
            "envelope": {"sender": "a\u{1b}[2J\n@b", "recipients": ["c@d\r\n", "e@f"]}
        });
        let shown = row(&record);
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        for part in ["2026-11-20T08:00:00Z", "ABC", "<a\\u{1b}[2J\\u{a}@b> -> <c@d", "1 more"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        for odd in [json!(null), json!([]), json!({"envelope": 5, "sender": {}, "time": ["\n"]})] {
            assert!(!row(&odd).chars().any(char::is_control), "{odd}");
        }
        let long = json!({"sender": "x".repeat(1000), "recipients": "none"});
        assert!(row(&long).len() < 250);
    }
}
