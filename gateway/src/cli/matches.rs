//! One entry that covers an address, as a line for people.

use serde_json::Value;

use super::answer::plain;
use super::{Failure, output};

/// Prints which list has the address, by which entry, since when, until when, why; `found` is a `MatchRecord` as JSON.
pub(super) fn show(found: &Value) -> Result<(), Failure> {
    let text = |name: &str| plain(&found[name]);
    let told = |name: &str, before: &str| {
        let value = &found[name];
        if value.is_null() { String::new() } else { format!(", {before}{}", plain(value)) }
    };
    let dry = if found["enforce"] == false { ", dry run" } else { "" };
    output::field(
        "listed",
        format_args!(
            "{} ({}, {}{dry}): {}, {}{}{}{}",
            text("list"),
            text("class"),
            text("action"),
            text("entry"),
            text("origin"),
            told("added", "since "),
            told("expires", "until "),
            told("reason", "")
        ),
    )
}
