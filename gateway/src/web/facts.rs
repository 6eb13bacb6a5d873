//! What is known of an address, as pieces of pages: its score and what made it, the lists and zones that have it.

use maud::{Markup, html};
use serde_json::Value;

use super::parts::{action_of, badge, lookup, rows, segment, strange, text, time};

/// Items of evidence that are shown.
const EVIDENCE: usize = 60;
/// Letters of a reason or an answer that are shown.
const LETTERS: usize = 300;
/// The highest score.
const TOP: u64 = 1000;

/// The score with its thresholds as a scale, and its evidence as bars; nothing where there is no score.
pub(super) fn score(of: &Value) -> Markup {
    let Some(value) = of["score"].as_u64() else { return html! {} };
    let band = text(&of["band"]);
    let thresholds = of["delay_from"].as_u64().zip(of["reject_above"].as_u64());
    html! {
        p { "Score " strong { (value) } " of " (TOP) " " (badge(band, meaning_of_band(band)))
            @if let Some((from, above)) = thresholds {
                " " span.hint { "delayed from " (from) ", rejected above " (above) }
            } }
        @if let Some((from, above)) = thresholds { (scale(from, above, value)) }
        (evidence(&of["evidence"]))
    }
}

/// What a band of the score means to whoever looks.
pub(super) fn meaning_of_band(band: &str) -> &'static str {
    match band {
        "allow" => "good",
        "delay" => "doubtful",
        "reject" => "bad",
        _ => "plain",
    }
}

/// All scores with their bands, and a mark at one of them.
fn scale(from: u64, above: u64, value: u64) -> Markup {
    let (from, value) = (from.min(TOP), value.min(TOP));
    let above = above.clamp(from, TOP);
    html! {
        svg.scale viewBox="0 0 1000 40" preserveAspectRatio="none" role="img"
            aria-label={ "Score " (value) " on a scale from 0 to " (TOP) } {
            rect.good x="0" y="12" width=(from) height="16" {}
            rect.doubtful x=(from) y="12" width=(above - from) height="16" {}
            rect.bad x=(above) y="12" width=(TOP - above) height="16" {}
            rect.mark x=(value.min(TOP - 3)) y="0" width="3" height="40" {}
        }
    }
}

/// Each item with its weight: to the right what speaks against the address, to the left what speaks for it.
pub(super) fn evidence(evidence: &Value) -> Markup {
    let items = rows(evidence);
    let weight = |item: &Value| item["weight"].as_i64().unwrap_or(0);
    let most = items.iter().map(|item| weight(item).unsigned_abs()).max().unwrap_or(0).max(1);
    html! {
        @if items.is_empty() {
            p.hint { "No evidence for or against it." }
        } @else {
            table {
                caption { "Evidence: what adds to the score is against the address" }
                thead { tr { th scope="col" { "Evidence" } th.number scope="col" { "Weight" }
                    th scope="col" aria-label="Weight as a bar" {} } }
                tbody { @for item in items.iter().take(EVIDENCE) {
                    @let weight = weight(item);
                    tr {
                        th scope="row" { (strange(text(&item["name"]), LETTERS)) }
                        td.number { (format!("{weight:+}")) }
                        td { (signed_bar(weight, most)) }
                    }
                } }
            }
            @if items.len() > EVIDENCE { p.hint { "And " (items.len() - EVIDENCE) " more." } }
        }
    }
}

fn signed_bar(weight: i64, most: u64) -> Markup {
    let length = weight.unsigned_abs().saturating_mul(100).checked_div(most).unwrap_or(0).min(100);
    let (start, meaning) = if weight < 0 { (100 - length, "good") } else { (100, "bad") };
    html! {
        svg.bar viewBox="0 0 200 6" preserveAspectRatio="none" aria-hidden="true" {
            rect.track width="200" height="6" {}
            rect class=(meaning) x=(start) width=(length) height="6" {}
            rect.axis x="99.5" width="1" height="6" {}
        }
    }
}

/// The entries that cover an address; `undo` is what stands in the last column of each.
pub(super) fn matches(found: &[Value], undo: Option<&dyn Fn(&Value) -> Markup>) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            caption { "Lists, the deciding one first" }
            thead { tr { th scope="col" { "List" } th scope="col" { "Action" } th scope="col" { "Entry" }
                th scope="col" { "Where it stands" } th scope="col" { "Since" } th scope="col" { "Until" }
                th scope="col" { "Reason" }
                @if undo.is_some() { th scope="col" aria-label="What can be done" {} } } }
            tbody { @for found in found {
                @let list = text(&found["list"]);
                tr {
                    th scope="row" { a href={ "/lists/" (segment(list)) } { (list) }
                        " " span.hint { (text(&found["class"])) } }
                    td { (action_of(found)) }
                    td { (lookup(text(&found["entry"]))) }
                    td { (strange(text(&found["origin"]), LETTERS)) }
                    td { (time(&found["added"])) }
                    td { @if found["expires"].is_null() { "for ever" } @else { (time(&found["expires"])) } }
                    td { (strange(text(&found["reason"]), LETTERS)) }
                    @if let Some(undo) = undo { td { (undo(found)) } }
                }
            } }
        } }
    }
}

/// The zones that list an address, and those that gave no answer.
pub(super) fn listings(found: &[Value], unanswered: &[Value]) -> Markup {
    html! {
        @if !found.is_empty() {
            div.scroll tabindex="0" { table {
                caption { "Zones" }
                thead { tr { th scope="col" { "Zone" } th scope="col" { "Action" } th scope="col" { "Answers" }
                    th scope="col" { "Its text" } } }
                tbody { @for found in found { tr {
                    th scope="row" { a href="/zones" { (text(&found["zone"])) }
                        " " span.hint { (text(&found["class"])) } }
                    td { (action_of(found)) }
                    td { @for (index, hit) in rows(&found["hits"]).iter().enumerate() {
                        @if index > 0 { ", " }
                        code { (text(&hit["code"])) } " " (text(&hit["meaning"]))
                        @if let Some(weight) = hit["weight"].as_i64().filter(|weight| *weight != 0) {
                            (format!(" {weight:+}")) }
                    } }
                    td { (strange(text(&found["text"]), LETTERS)) }
                } } }
            } }
        }
        @if !unanswered.is_empty() {
            ul { @for fault in unanswered { li {
                (badge("no answer", "doubtful")) " " (text(&fault["zone"])) ": " (text(&fault["reason"]))
            } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn evidence_is_drawn_by_weight_and_sign() {
        let shown = evidence(&json!([
            {"name": "list:<script>", "weight": 400}, {"name": "history:good", "weight": -100}, {},
        ]))
        .into_string();
        for part in [
            "+400",
            "-100",
            "+0",
            "class=\"bad\" x=\"100\" width=\"100\"",
            "class=\"good\" x=\"75\" width=\"25\"",
            "&lt;script&gt;",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let many = json!(vec![json!({"name": "x".repeat(5000), "weight": i64::MIN}); 100]);
        let shown = evidence(&many).into_string();
        assert!(shown.len() < 50_000 && shown.contains("And 40 more"), "{}", shown.len());
        assert!(evidence(&Value::Null).into_string().contains("No evidence"));
    }

    #[test]
    fn a_score_has_its_thresholds() {
        for (of, expected) in [
            (json!({}), ""),
            (json!({"score": 550, "band": "delay"}), "badge doubtful"),
            (
                json!({"score": 550, "band": "reject", "delay_from": 500, "reject_above": 600}),
                "rejected above 600",
            ),
            // Of an answer that makes no sense nothing overflows.
            (
                json!({"score": u64::MAX, "delay_from": u64::MAX, "reject_above": 0}),
                "width=\"1000\"",
            ),
        ] {
            let shown = score(&of).into_string();
            assert!(shown.contains(expected), "{expected}: {shown}");
            assert_eq!(shown.is_empty(), expected.is_empty(), "{shown}");
        }
    }

    #[test]
    fn what_lists_and_zones_say_stays_text() {
        let hostile = "\"><script>alert(1)</script>";
        let found =
            [json!({"list": hostile, "class": hostile, "action": hostile, "entry": hostile,
            "origin": hostile, "reason": hostile, "enforce": false, "expires": "soon"})];
        let shown = matches(&found, None).into_string();
        assert!(!shown.contains("<script") && shown.contains("dry run"), "{shown}");
        let zone =
            [json!({"zone": hostile, "text": hostile, "hits": [{"code": hostile, "weight": -3}]})];
        let shown = listings(&zone, &[json!({"zone": hostile, "reason": "timeout"})]).into_string();
        assert!(!shown.contains("<script") && shown.contains("-3") && shown.contains("timeout"));
        assert_eq!(listings(&[], &[]).into_string(), "");
    }
}
