//! What is remembered of an address, as lines for people: reviews, decisions, what came to lists and went from them.

use serde_json::Value;

use super::answer::{items, plain};
use super::output::{self, Meaning};
use super::safe::safe;
use super::{Failure, review};

/// Events of lists that are told; `list find` has all.
const EVENTS: usize = 10;

/// Prints what a lookup says of the past.
pub(super) fn show(answer: &Value) -> Result<(), Failure> {
    for row in items(&answer["reviews"]) {
        output::field("review", review::in_one_line(row))?;
    }
    for seen in items(&answer["decisions"]) {
        output::field("decided", decision(seen))?;
    }
    let events = || answer.pointer("/history/events").into_iter().flat_map(items);
    for event in events().take(EVENTS) {
        let what = if event["added"] == true { "added" } else { "removed" };
        let [at, list, prefix, by] =
            ["at", "list", "prefix", "by"].map(|name| safe(&plain(&event[name])));
        output::field(what, format_args!("{at} {list}: {prefix} by {by}"))?;
    }
    let more = events().count().saturating_sub(EVENTS);
    if more > 0 {
        let all = format_args!("{more} earlier changes of lists: `portcullis list find`");
        output::field("and", all)?;
    }
    for fault in items(&answer["past_faults"]) {
        output::field("unknown", output::coloured(safe(&plain(fault)), Meaning::Doubtful))?;
    }
    Ok(())
}

/// One decision: when, what, because of what, where the address was seen.
fn decision(seen: &Value) -> String {
    let text = |name: &str| safe(&plain(&seen[name]));
    let told = |before: &str, name: &str| match &seen[name] {
        Value::Null => String::new(),
        value => format!("{before}{}", safe(&plain(value))),
    };
    let dry = if seen["enforced"] == false { ", dry run" } else { "" };
    let other = if seen["decided"] == true { "" } else { ", another decided" };
    let (list, zone) = (told(", list ", "list"), told(", zone ", "zone"));
    let head =
        format!("{} {} ({}), {}{dry}", text("time"), text("verdict"), text("code"), text("action"));
    let bad = seen["action"] != "accept";
    let other = if bad { other } else { "" };
    format!("{head}{list}{zone}, at {}{other}, {}", text("hop"), text("reference"))
}
