//! One decision as a story: what happened, whether it would happen again, what to type, then all that was recorded.

use maud::{Markup, html};
use serde_json::Value;

use super::chain;
use crate::web::facts;
use crate::web::parts::{
    action_of, at, badge, count, lookup, query, record, rows, segment, strange, text, time,
};

/// Stories that are told with all that was recorded; of more of the same name only what happened.
const WHOLE: usize = 3;
/// Letters of a step.
const STEP: usize = 500;
/// Letters of a field.
const LETTERS: usize = 320;
/// Letters of the JSON of a record.
const RAW: usize = 12_000;
/// Recipients that are named.
const RECIPIENTS: usize = 10;

/// What the API tells of `what`.
pub(super) fn content(answer: &Value, what: &str) -> Markup {
    let stories = rows(&answer["stories"]);
    let earlier = stories.len().saturating_sub(WHOLE);
    html! {
        @for warning in rows(&answer["warnings"]) { div.notice.doubtful { p { (text(warning)) } } }
        @match text(&answer["kind"]) {
            "kernel" => { (of_kernel(&answer["kernel"])) }
            "nothing" => { (of_nothing(what)) }
            "address" => {
                div.notice.good { p { (lookup(text(at(answer, "/address/ip")))) " is an address; these are its last decisions." } }
            }
            _ => {}
        }
        @if stories.len() > 1 {
            p { (stories.len()) " records have that name, the newest first." }
        }
        @for (index, told) in stories.iter().enumerate().rev() { (one(told, index, index >= earlier)) }
        @if !stories.is_empty() {
            p { a href={ "/api/v1/why/" (segment(what)) } { "All of it as JSON" } }
        }
    }
}

fn of_nothing(what: &str) -> Markup {
    html! {
        div.notice.doubtful role="status" {
            p { strong { "Nothing is known of " (strange(what, LETTERS)) "." } }
            p { "A reference has 13 letters and digits. Records end when they are too old, and the kernel filter's "
                "references can be read only on the host that gave them." }
        }
        p { a href={ "/messages?message_id=" (query(what)) } { "Search for it as a Message-ID" } ", or "
            a href="/messages" { "search by something else" } }
    }
}

/// A reference of the kernel's, of which there is no record.
fn of_kernel(kernel: &Value) -> Markup {
    let reference = text(&kernel["reference"]);
    html! {
        section.card aria-labelledby="kernel" {
            h2 id="kernel" { "Refused by the kernel filter" }
            dl {
                dt { "Reference" } dd { code { (strange(reference, LETTERS)) } }
                dt { "Host" } dd { (text(&kernel["host"])) }
                dt { "Minute" } dd { (time(&kernel["time"])) }
                dt { "List" }
                dd { @if let Some(list) = kernel["list"].as_str() { a href={ "/lists/" (segment(list)) } { (list) } }
                    @else { "number " (count(&kernel["slot"])) " of a filter that is gone" } }
                @if let Some(is_it) = kernel["client"].as_bool() {
                    dt { "Given to that address" }
                    dd { @if is_it { (badge("yes", "good")) } @else { (badge("no", "bad")) } }
                }
            }
            form method="get" action={ "/messages/" (segment(reference)) } {
                div.fields {
                    (crate::web::parts::field("client", "client", "Was it given to this address?", ""))
                    button type="submit" { "Check" }
                }
            }
        }
    }
}

fn one(told: &Value, index: usize, is_whole: bool) -> Markup {
    let (story, heading) = (&told["story"], format!("story-{index}"));
    html! {
        section.card aria-labelledby=(heading) {
            h2 id=(heading) { (strange(text(&story["headline"]), STEP)) }
            p { (record(text(&told["reference"]))) " " (action_of(told)) " " (text(&told["verdict"])) " "
                span.hint { (text(&told["phase"])) ", " (time(&told["time"])) } }
            (what_happened(story))
            (remedies(rows(&story["next"])))
            @if is_whole { (recorded(told)) }
        }
    }
}

/// What happened in a story, and whether it is still so.
pub(super) fn what_happened(story: &Value) -> Markup {
    html! {
        (steps(rows(&story["steps"])))
        (stands(&story["stands"], story["refused"] == true))
    }
}

fn steps(steps: &[Value]) -> Markup {
    html! {
        ol.story { @for step in steps { li {
            @if let Some(time) = step["time"].as_str() { time datetime=(time) { (brief(time)) } }
            (strange(text(&step["text"]), STEP))
        } } }
    }
}

/// A time without its fraction of a second.
fn brief(time: &str) -> String {
    let whole = time.split('.').next().unwrap_or(time);
    format!("{} UTC", whole.trim_end_matches('Z').replace('T', " "))
}

fn stands(stands: &Value, refused: bool) -> Markup {
    let (word, meaning) = match (stands["stands"].as_bool(), refused) {
        (Some(true), true) => ("still so", "bad"),
        (Some(true), false) => ("still so", "good"),
        (Some(false), _) => ("no longer so", "doubtful"),
        (None, _) => ("nobody can tell", "plain"),
    };
    html! { p { (badge(word, meaning)) " " (strange(text(&stands["text"]), STEP)) } }
}

fn remedies(next: &[Value]) -> Markup {
    html! {
        @if !next.is_empty() {
            h3 { "What to type" }
            dl { @for remedy in next {
                dt { (strange(text(&remedy["what"]), LETTERS)) }
                dd { code { (strange(text(&remedy["command"]), STEP)) } }
            } }
        }
    }
}

/// All that the record says.
fn recorded(told: &Value) -> Markup {
    html! {
        h3 { "The way of the mail" }
        (chain::content(told))
        @if !told["score"].is_null() { h3 { "Score" } (facts::score(told)) }
        (envelope(told))
        details {
            summary { "The record as JSON" }
            pre tabindex="0" { code { (strange(&raw(told), RAW)) } }
        }
    }
}

/// Fields of the message and of the dialogue, with their words.
const SAID: [(&str, &str); 10] = [
    ("/envelope/helo", "HELO"),
    ("/message_id", "Message-ID"),
    ("/subject", "Subject"),
    ("/queue_id", "Name in the queue"),
    ("/exempt", "Exempt domain"),
    ("/reply", "The client was told"),
    ("/next_hop", "The next hop said"),
    ("/front", "Came by"),
    ("/peer", "Named by"),
    ("/local", "Received on"),
];

fn envelope(told: &Value) -> Markup {
    let envelope = &told["envelope"];
    let recipients = rows(&envelope["recipients"]);
    html! {
        h3 { "Envelope and replies" }
        dl {
            @if let Some(sender) = envelope["sender"].as_str() { dt { "Sender" } dd { "<" (strange(sender, LETTERS)) ">" } }
            @if !recipients.is_empty() {
                dt { "Recipients" }
                dd { @for (index, recipient) in recipients.iter().take(RECIPIENTS).enumerate() {
                        @if index > 0 { ", " } "<" (strange(recipient.as_str().unwrap_or_default(), LETTERS)) ">" }
                    @if recipients.len() > RECIPIENTS { " and " (recipients.len() - RECIPIENTS) " more" } }
            }
            @for (pointer, label) in SAID {
                @if let Some(said) = told.pointer(pointer).and_then(Value::as_str) {
                    dt { (label) } dd { (strange(said, LETTERS)) }
                }
            }
            @if !told["octets"].is_null() { dt { "Size" } dd { (count(&told["octets"])) " octets" } }
            @if let Some(tls) = told["tls"].as_object() {
                dt { "TLS" } dd { @for (_name, said) in tls { (text(said)) " " } }
            }
            @if let Some(pool) = at(told, "/greylisted/pool").as_str() {
                dt { "Greylist" } dd { (strange(pool, LETTERS)) ", try " (count(at(told, "/greylisted/tries"))) }
            }
            @if let Some(name) = told["quarantine"].as_str() {
                dt { "Quarantine" } dd { a href={ "/quarantine/" (segment(name)) } { (strange(name, LETTERS)) } }
            }
        }
    }
}

/// The record without what was made of it.
fn raw(told: &Value) -> String {
    let mut record = told.clone();
    if let Some(fields) = record.as_object_mut() {
        fields.remove("story");
        fields.remove("entry_removed");
    }
    serde_json::to_string_pretty(&record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(hostile: &str) -> Value {
        json!({
            "reference": "3Y15F2JPVHMW4", "time": "2026-11-20T08:00:01.5Z", "verdict": "Open proxy", "action": "reject",
            "phase": "message", "subject": hostile, "reply": hostile, "score": 550, "band": "delay",
            "envelope": {"helo": hostile, "sender": "", "recipients": vec![hostile; 60]},
            "story": {"headline": hostile, "refused": true, "steps": [
                {"time": "2026-11-20T08:00:00Z", "text": hostile}, {"time": null, "text": "then"}],
                "stands": {"stands": true, "text": "the list has it"},
                "next": [{"what": "let it in", "command": "portcullis list add good 192.0.2.1"}]},
        })
    }

    #[test]
    fn each_kind_of_answer_is_told() {
        for (answer, expected) in [
            (json!({"kind": "nothing"}), vec!["Nothing is known of", "message_id=abc"]),
            (
                json!({"kind": "kernel", "kernel": {"reference": "3Y15F2JPVHMW4", "slot": 3, "client": false}}),
                vec!["number 3 of a filter that is gone", "badge bad", "Was it given"],
            ),
            (
                json!({"kind": "address", "address": {"ip": "192.0.2.1"}}),
                vec!["/lookup?about=192.0.2.1"],
            ),
            (
                json!({"kind": "records", "warnings": ["the journal cannot be read"], "stories": [told("x")]}),
                vec![
                    "the journal cannot be read",
                    "still so",
                    "let it in",
                    "The record as JSON",
                    "2026-11-20 08:00:00 UTC",
                    "/api/v1/why/abc",
                    "and 50 more",
                ],
            ),
            (
                json!({"kind": "records", "stories": [{"story": {"stands": {"stands": false}}}]}),
                vec!["no longer so"],
            ),
            (
                json!({"kind": "records", "stories": [{}]}),
                vec!["nobody can tell", "No address is recorded"],
            ),
            (Value::Null, vec![]),
        ] {
            let shown = content(&answer, "abc").into_string();
            for part in expected {
                assert!(shown.contains(part), "{part}: {shown}");
            }
        }
    }

    #[test]
    fn what_strangers_wrote_stays_text_and_many_stories_are_short() {
        let hostile = "\"><script>alert(1)</script>".repeat(100);
        let answer = json!({"kind": "records", "stories": vec![told(&hostile); 20]});
        let shown = content(&answer, "<script>").into_string();
        assert!(!shown.contains("<script"), "{shown}");
        assert_eq!(shown.matches("The record as JSON").count(), 3);
        assert!(shown.len() < 150_000, "{}", shown.len());
    }
}
