//! What is remembered of an address: decisions, changes of lists, the greylist, reviews.

use maud::{Markup, html};
use serde_json::Value;

use super::address::until;
use crate::web::parts::{
    action_of, at, badge, lookup, number, query, record, rows, segment, strange, text, time,
};

/// Rows of each table.
const ROWS: usize = 20;
/// Letters of a name or a note.
const LETTERS: usize = 200;

/// All of it.
pub(super) fn content(answer: &Value, senders: &Value, about: &str) -> Markup {
    html! {
        @for fault in rows(&answer["past_faults"]) {
            div.notice.doubtful { p { (text(fault)) } }
        }
        (decisions(rows(&answer["decisions"]), about))
        div.columns {
            (changes(rows(at(answer, "/history/events"))))
            div { (greylist(senders)) (reviews(rows(&answer["reviews"]))) }
        }
    }
}

fn decisions(seen: &[Value], about: &str) -> Markup {
    html! {
        section.card aria-labelledby="decisions" {
            h2 id="decisions" { "Last decisions" }
            @if seen.is_empty() {
                p.hint { "The newest part of the trail has none." }
            } @else {
                div.scroll tabindex="0" { table {
                    thead { tr { th scope="col" { "Time" } th scope="col" { "Reference" } th scope="col" { "Verdict" }
                        th scope="col" { "Action" } th scope="col" { "Because of" } th scope="col" { "Seen at" } } }
                    tbody { @for seen in seen.iter().take(ROWS) { tr {
                        td { (time(&seen["time"])) }
                        th scope="row" { (record(text(&seen["reference"]))) }
                        td { (text(&seen["verdict"])) " " span.hint { (text(&seen["phase"])) } }
                        td { (action_of(seen)) }
                        td { (because(seen)) }
                        td { (strange(text(&seen["hop"]), LETTERS))
                            @if seen["decided"] == false && seen["action"] != "accept" {
                                " " span.hint { "another decided" } } }
                    } } }
                } }
            }
            p { a href={ "/messages?address=" (query(about)) } { "All records about " (about) } }
        }
    }
}

/// The list or zone that decided.
fn because(seen: &Value) -> Markup {
    html! {
        @if let Some(list) = seen["list"].as_str() {
            "list " a href={ "/lists/" (segment(list)) } { (list) } " "
            @if let Some(entry) = seen["entry"].as_str() { (strange(entry, LETTERS)) }
        } @else if let Some(zone) = seen["zone"].as_str() { "zone " (zone) }
        @else if let Some(score) = seen["score"].as_u64().filter(|_score| seen["action"] != "accept") { "score " (score) }
        @else { "–" }
    }
}

fn changes(events: &[Value]) -> Markup {
    html! {
        section.card aria-labelledby="history" {
            h2 id="history" { "What came to lists and went" }
            @if events.is_empty() { p.hint { "Nothing since the journal begins." } } @else {
                div.scroll tabindex="0" { table {
                    thead { tr { th scope="col" { "Time" } th scope="col" { "What" } th scope="col" { "List" }
                        th scope="col" { "Entry" } th scope="col" { "By" } } }
                    tbody { @for event in events.iter().take(ROWS) {
                        @let list = text(&event["list"]);
                        tr {
                            td { (time(&event["at"])) }
                            td { @if event["added"] == true { "added" } @else { "removed" } }
                            th scope="row" { a href={ "/lists/" (segment(list)) } { (list) } }
                            td { (lookup(text(&event["prefix"]))) }
                            td { (strange(text(&event["by"]), LETTERS)) }
                        }
                    } }
                } }
                @if events.len() > ROWS {
                    p.hint { (number((events.len() - ROWS) as u64)) " earlier changes: " code { "portcullis list find" } }
                }
            }
        }
    }
}

/// Who waits on the greylist, and who passes.
pub(super) fn greylist(senders: &Value) -> Markup {
    let (waiting, passed) = (rows(&senders["waiting"]), rows(&senders["passed"]));
    html! {
        section.card aria-labelledby="greylist" {
            h2 id="greylist" { "Greylist" }
            @if waiting.is_empty() && passed.is_empty() { p.hint { "Nobody from there waits or passes." } }
            @if !waiting.is_empty() {
                div.scroll tabindex="0" { table {
                    caption { "Waiting" }
                    thead { tr { th scope="col" { "Network or domain" } th scope="col" { "Mail" }
                        th scope="col" { "First" } th.number scope="col" { "Tries" } } }
                    tbody { @for row in waiting.iter().take(ROWS) { tr {
                        th scope="row" { (strange(text(&row["pool"]), LETTERS)) }
                        td { "<" (strange(row["sender"].as_str().unwrap_or_default(), LETTERS)) "> to <"
                            (strange(row["recipient"].as_str().unwrap_or_default(), LETTERS)) ">" }
                        td { (time(&row["first"])) }
                        td.number { (row["tries"].as_u64().unwrap_or(0)) }
                    } } }
                } }
            }
            @if !passed.is_empty() {
                div.scroll tabindex="0" { table {
                    caption { "Passing" }
                    thead { tr { th scope="col" { "Network or domain" } th scope="col" { "Since" }
                        th scope="col" { "Until" } th scope="col" { "By" } } }
                    tbody { @for row in passed.iter().take(ROWS) { tr {
                        th scope="row" { (strange(text(&row["pool"]), LETTERS)) }
                        td { (time(&row["since"])) }
                        td { (until(&row["until"])) }
                        td { @if let Some(author) = row["author"].as_str() { (strange(author, LETTERS)) ": "
                                (strange(text(&row["reason"]), LETTERS)) }
                            @else { "it waited" } }
                    } } }
                } }
            }
        }
    }
}

/// Reviews, each with its own page.
pub(super) fn reviews(reviews: &[Value]) -> Markup {
    html! {
        section.card aria-labelledby="reviews" {
            h2 id="reviews" { "Reviews" }
            @if reviews.is_empty() { p.hint { "Nobody has asked for one." } }
            ul.story { @for review in reviews.iter().take(ROWS) {
                @let (ask, end) = (at(review, "/asks/0"), &review["resolution"]);
                li {
                    (time(&ask["at"]))
                    a href={ "/reviews/" (review["id"].as_u64().unwrap_or(0)) } {
                        "Review " (review["id"].as_u64().unwrap_or(0)) }
                    " of " (lookup(text(&review["prefix"]))) " "
                    @if review["state"] == "open" { (badge("open", "doubtful")) }
                    @else { (badge(text(&end["result"]), "plain")) }
                    @if let Some(note) = ask["note"].as_str() { ": " (strange(note, LETTERS)) }
                    @if let Some(note) = end["note"].as_str() { " – " (strange(note, LETTERS)) }
                }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_past_is_told_as_far_as_it_is_known() {
        let answer = json!({
            "past_faults": ["the journal cannot be read"],
            "decisions": [{"reference": "3Y15F2JPVHMW4", "verdict": "Open proxy", "action": "reject", "enforced": true,
                "hop": "received[2]", "decided": false, "list": "bad", "entry": "192.0.2.0/24"}],
            "history": {"events": vec![json!({"list": "bad", "prefix": "192.0.2.0/24", "added": true}); 30]},
            "reviews": [{"id": 7, "state": "open", "prefix": "192.0.2.1", "asks": [{"note": "why?"}]},
                {"id": 3, "state": "resolved", "asks": [], "resolution": {"result": "false-positive", "note": "so"}}],
        });
        let senders = json!({
            "waiting": [{"pool": "192.0.2.0/24", "sender": "", "recipient": "b@example.org", "tries": 2}],
            "passed": [{"pool": "@example.com", "until": null, "author": "ann", "reason": "known"}],
        });
        let shown = content(&answer, &senders, "192.0.2.1").into_string();
        for part in [
            "the journal cannot be read",
            "/messages/3Y15F2JPVHMW4",
            "another decided",
            "/lists/bad",
            "10 earlier changes",
            "/reviews/7",
            "why?",
            "false-positive",
            "&lt;<bdi></bdi>&gt; to &lt;<bdi>b@example.org</bdi>&gt;",
            "for ever",
            "/messages?address=192.0.2.1",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let nothing = content(&Value::Null, &Value::Null, "x").into_string();
        for part in ["has none", "Nothing since", "Nobody from there", "Nobody has asked"] {
            assert!(nothing.contains(part), "{part}: {nothing}");
        }
    }
}
