//! The pieces that pages are made of: badges, times, numbers, bars.

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use crate::clock::Clock;

/// What a word means to whoever looks: good, doubtful, bad, or neither.
pub(super) fn meaning(action: &str) -> &'static str {
    match action {
        "accept" => "good",
        "defer" | "tag" | "quarantine" | "delay" => "doubtful",
        "reject" | "reject-message" | "discard" | "refuse" | "reset" | "drop" => "bad",
        _ => "plain",
    }
}

/// A word in the colour of its meaning.
pub(super) fn badge(word: &str, meaning: &str) -> Markup {
    html! { span class={ "badge " (meaning) } { (word) } }
}

/// An action in the colour of its meaning.
pub(super) fn action(name: &str) -> Markup {
    badge(name, meaning(name))
}

/// A moment, with how long ago it is.
pub(super) fn time(at: &Value) -> Markup {
    let Some(text) = at.as_str() else { return html! { "–" } };
    let Ok(moment) = text.parse::<Timestamp>() else { return html! { (text) } };
    html! {
        time datetime=(text) title=(moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()) {
            (ago(Clock::System.now().duration_since(moment).as_secs()))
        }
    }
}

fn ago(seconds: i64) -> String {
    if seconds < 0 {
        format!("in {}", duration(seconds.unsigned_abs()))
    } else if seconds < 5 {
        "now".to_owned()
    } else {
        format!("{} ago", duration(seconds.unsigned_abs()))
    }
}

/// A time in its largest unit.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A number with its thousands apart.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A size in its largest unit.
pub(super) fn octets(value: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fitting = units.into_iter().find(|(size, _unit)| value >= *size);
    fitting.map_or_else(
        || format!("{value} octets"),
        |(size, unit)| format!("{}.{} {unit}", value / size, value % size * 10 / size),
    )
}

/// A number of an answer.
pub(super) fn count(value: &Value) -> String {
    value.as_u64().map_or_else(|| "–".to_owned(), number)
}

/// A text of an answer; a dash where there is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or("–")
}

/// A bar that is as long as `part` of `whole`; what it says stands beside it.
pub(super) fn bar(part: u64, whole: u64, meaning: &str) -> Markup {
    let width = part.saturating_mul(100).checked_div(whole).unwrap_or(0).min(100);
    html! {
        svg.bar viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" {
            rect.track width="100" height="6" {}
            rect class=(meaning) width=(width) height="6" {}
        }
    }
}

/// What is at a JSON pointer of an answer; `null` where nothing is.
pub(super) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// The rows of an answer; none where there are none.
pub(super) fn rows(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The state of a zone in the colour of its meaning.
pub(super) fn zone_state(state: &str) -> Markup {
    badge(
        state,
        match state {
            "healthy" => "good",
            "unproven" => "doubtful",
            "ill" => "bad",
            _ => "plain",
        },
    )
}

/// How the kernel filter runs, in the colour of its meaning.
pub(super) fn filter_mode(mode: &str) -> Markup {
    badge(
        mode,
        match mode {
            "native" | "offloaded" => "good",
            "off" => "plain",
            _ => "doubtful",
        },
    )
}

/// A field of one line with its label.
pub(super) fn field(id: &str, name: &str, label: &str, value: &str) -> Markup {
    html! {
        div { label for=(id) { (label) } input id=(id) name=(name) value=(value) autocomplete="off"; }
    }
}

/// A choice with its label; each option is what is sent and what is read.
pub(super) fn choice(
    id: &str,
    name: &str,
    label: &str,
    options: &[(&str, &str)],
    chosen: &str,
) -> Markup {
    html! {
        div { label for=(id) { (label) }
            select id=(id) name=(name) { @for (value, shown) in options {
                option value=(value) selected[*value == chosen] { (shown) }
            } }
        }
    }
}

/// How long something shall last: what is sent, and what is read.
pub(super) const LASTING: [(&str, &str); 7] = [
    ("", "for ever"),
    ("3600", "1 hour"),
    ("86400", "1 day"),
    ("604800", "7 days"),
    ("2592000", "30 days"),
    ("7776000", "90 days"),
    ("31536000", "1 year"),
];

/// The address of the lookup of an address.
pub(super) fn lookup(address: &str) -> Markup {
    html! { a href={ "/lookup?about=" (query(address)) } { (address) } }
}

/// A text as a part of a query.
pub(super) fn query(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// What a stranger wrote, at most `most` letters of it; its direction of writing ends with it.
pub(super) fn strange(text: &str, most: usize) -> Markup {
    let mut letters = text.chars();
    let start: String = letters.by_ref().take(most).collect();
    let is_cut = letters.next().is_some();
    html! { bdi { (start) @if is_cut { "…" } } }
}

/// The page of a record, by its name.
pub(super) fn record(reference: &str) -> Markup {
    html! { a href={ "/messages/" (segment(reference)) } { code { (strange(reference, 64)) } } }
}

/// An action, and whether it was only thought of.
pub(super) fn action_of(facts: &Value) -> Markup {
    html! {
        (action(text(&facts["action"])))
        @if facts["enforced"] == false || facts["enforce"] == false { " " (badge("dry run", "doubtful")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_short() {
        for (value, expected) in [(0, "0"), (999, "999"), (1000, "1 000"), (1_234_567, "1 234 567")]
        {
            assert_eq!(number(value).replace('\u{202f}', " "), expected);
        }
        for (seconds, expected) in [
            (0, "now"),
            (60, "60 s ago"),
            (3600, "60 min ago"),
            (86_400, "24 h ago"),
            (-90, "in 90 s"),
        ] {
            assert_eq!(ago(seconds), expected);
        }
        assert_eq!(ago(200_000), "2 d ago");
        for (value, expected) in
            [(0, "0 octets"), (1536, "1.5 KiB"), (u64::MAX, "17179869183.9 GiB")]
        {
            assert_eq!(octets(value), expected);
        }
    }

    #[test]
    fn what_strangers_wrote_stays_text() {
        let hostile = "<script>alert(1)</script>\" onclick=x";
        let shown = lookup(hostile).into_string();
        assert!(!shown.contains("<script") && !shown.contains("\" onclick"), "{shown}");
        assert_eq!(segment("a/b?c"), "a%2Fb%3Fc");
        assert!(bar(3, 0, "bad").into_string().contains("width=\"0\""));
    }
}
