//! Searching records: the form, the page of results, the way to the next one.

use maud::{Markup, html};
use serde_json::Value;

use crate::policy::{Action, Verdict};
use crate::web::parts::{
    action_of, at, choice, field, lookup, record, rows, segment, strange, text, time,
};
use crate::web::said::{Said, asked};

/// Records of a page.
const PAGE: usize = 50;
/// Letters of a name or an address of a mailbox.
const LETTERS: usize = 80;
/// Letters of an event without a page of its own.
const EVENT: usize = 2000;
/// Recipients of a record that are named.
const RECIPIENTS: usize = 2;

/// The fields of the form that are typed, with their labels.
const TYPED: [(&str, &str); 10] = [
    ("address", "Address or network"),
    ("reference", "Reference"),
    ("message_id", "Message-ID"),
    ("queue_id", "Name in a queue"),
    ("sender", "Sender"),
    ("sender_domain", "Domain of the sender"),
    ("recipient", "Recipient"),
    ("recipient_domain", "Domain of the recipient"),
    ("since", "Not older than (2d, or a time)"),
    ("until", "Older than"),
];
/// Those that are chosen.
const CHOSEN: [&str; 5] = ["code", "action", "list", "zone", "phase"];

/// When a record can be written.
const PHASES: [&str; 11] = [
    "connect",
    "recipient",
    "message",
    "kernel",
    "quarantine",
    "zone",
    "review",
    "slider",
    "tap",
    "log",
    "web",
];

/// The parameters of the page.
pub(super) fn parameters() -> Vec<&'static str> {
    TYPED.iter().map(|(name, _label)| *name).chain(CHOSEN).chain(["after"]).collect()
}

/// What the API is asked.
pub(super) fn path(said: &Said) -> String {
    let limit = PAGE.to_string();
    let mut query: Vec<_> = parameters().into_iter().map(|name| (name, said.given(name))).collect();
    query.push(("limit", Some(&limit)));
    format!("/api/v1/audit/search{}", asked(&query))
}

/// The form, with what is said in it; `status` has the lists and zones that there are.
pub(super) fn form(said: &Said, status: &Value) -> Markup {
    let verdicts: Vec<_> =
        Verdict::ALL.iter().map(|verdict| (verdict.code(), verdict.name())).collect();
    let actions: Vec<_> = Action::ALL.iter().map(|action| (action.name(), action.name())).collect();
    let phases = PHASES.map(|phase| (phase, phase));
    let names = |of: &Value| -> Vec<String> {
        rows(of).iter().filter_map(|row| Some(row["name"].as_str()?.to_owned())).collect()
    };
    let (lists, zones) = (names(at(status, "/rules/lists")), names(&status["zones"]));
    let is_narrow =
        parameters().iter().any(|name| *name != "address" && said.given(name).is_some());
    html! {
        form.card method="get" action="/messages" role="search" {
            div.fields {
                @for (name, label) in TYPED.iter().take(2) { (typed(name, label, said)) }
                (any("code", "Verdict", &verdicts, said))
                (any("action", "Action", &actions, said))
                div { button type="submit" { "Search" } }
            }
            details open[is_narrow] {
                summary { "More to search by" }
                div.fields {
                    @for (name, label) in TYPED.iter().skip(2) { (typed(name, label, said)) }
                    (any("list", "List", &pairs(&lists), said))
                    (any("zone", "Zone", &pairs(&zones), said))
                    (any("phase", "Phase", &phases, said))
                }
                p.hint { "All that is said has to be so. Times are UTC: " code { "2026-11-20 08:00" }
                    ", or how long ago: " code { "3h" } "." }
            }
        }
    }
}

fn typed(name: &str, label: &str, said: &Said) -> Markup {
    field(&format!("by-{name}"), name, label, said.text(name))
}

fn pairs(names: &[String]) -> Vec<(&str, &str)> {
    names.iter().map(|name| (name.as_str(), name.as_str())).collect()
}

/// A choice that may be none; what is said is kept, though nothing of that name is there any more.
fn any(name: &str, label: &str, options: &[(&str, &str)], said: &Said) -> Markup {
    let chosen = said.text(name);
    let mut all = vec![("", "any")];
    all.extend(options);
    if !all.iter().any(|(value, _shown)| *value == chosen) {
        all.push((chosen, chosen));
    }
    choice(&format!("by-{name}"), name, label, &all, chosen)
}

/// A page of records, the newest first.
pub(super) fn results(page: &Value, said: &Said) -> Markup {
    let records = rows(&page["records"]);
    let at = |after| {
        let same = |name| if name == "after" { after } else { said.given(name) };
        let query: Vec<_> = parameters().into_iter().map(|name| (name, same(name))).collect();
        format!("/messages{}", asked(&query))
    };
    html! {
        @for fault in rows(&page["faults"]) { div.notice.doubtful { p { (text(fault)) } } }
        section.card aria-labelledby="found" {
            h2 id="found" { "Records, the newest first" }
            @if records.is_empty() {
                p { "None." }
                p.hint { "Records are kept as long as " code { "[audit] keep" } " says. Fewer fields find more." }
            } @else {
                div.scroll tabindex="0" { table {
                    thead { tr { th scope="col" { "Time" } th scope="col" { "Reference" } th scope="col" { "Verdict" }
                        th scope="col" { "Action" } th scope="col" { "Client" } th scope="col" { "Because of" }
                        th scope="col" { "Mail" } } }
                    tbody { @for record in records { (row(record)) } }
                } }
            }
            p.actions {
                @if said.given("after").is_some() { a.button href=(at(None)) { "Newest" } }
                @if let Some(next) = page["next"].as_str() { a.button href=(at(Some(next))) rel="next" { "Older" } }
            }
        }
    }
}

fn row(found: &Value) -> Markup {
    let reference = found["reference"].as_str();
    html! {
        tr {
            td { (time(&found["time"])) }
            td { @if let Some(reference) = reference { (record(reference)) } @else { (event(found)) } }
            td { (text(if found["verdict"].is_null() { &found["event"] } else { &found["verdict"] }))
                " " span.hint { (text(&found["phase"])) } }
            td { @if found["action"].is_null() { "–" } @else { (action_of(found)) } }
            td { @if let Some(client) = found["client"].as_str() { (lookup(client)) } @else { "–" } }
            td { (because(found)) }
            td { (mail(found)) }
        }
    }
}

/// A record that has no page: what was done with a list, a zone, a review and the like.
fn event(found: &Value) -> Markup {
    html! { details { summary { "event" } pre { code { (strange(&found.to_string(), EVENT)) } } } }
}

/// What decided, and where it was seen if that was not the client.
fn because(found: &Value) -> Markup {
    let offending = &found["offending"];
    html! {
        @if let Some(list) = found["list"].as_str() {
            "list " a href={ "/lists/" (segment(list)) } { (strange(list, LETTERS)) }
        } @else if let Some(zone) = found["zone"].as_str() {
            "zone " (strange(zone, LETTERS))
        } @else if let Some(author) = found["author"].as_str() {
            (strange(author, LETTERS))
        } @else if let Some(score) = found["score"].as_u64().filter(|_score| found["action"] != "accept") {
            "score " (score)
        } @else { "–" }
        @if let Some(ip) = offending["ip"].as_str().filter(|ip| Some(*ip) != found["client"].as_str()) {
            ", " (lookup(ip)) " at " (strange(text(&offending["hop"]), LETTERS))
        }
    }
}

/// From whom to whom; records of events have it at the top.
fn mail(found: &Value) -> Markup {
    let envelope = if found["envelope"].is_object() { &found["envelope"] } else { found };
    let Some(sender) = envelope["sender"].as_str() else { return html! { "–" } };
    let recipients = rows(&envelope["recipients"]);
    html! {
        "<" (strange(sender, LETTERS)) ">"
        @for (index, recipient) in recipients.iter().take(RECIPIENTS).enumerate() {
            @if index == 0 { " to " } @else { ", " }
            "<" (strange(recipient.as_str().unwrap_or_default(), LETTERS)) ">"
        }
        @if recipients.len() > RECIPIENTS { " and " (recipients.len() - RECIPIENTS) " more" }
        @if let Some(subject) = found["subject"].as_str() { br; span.hint { (strange(subject, LETTERS)) } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_fields_are_not_asked_for() {
        for (query, expected) in [
            ("", "?limit=50"),
            ("address=&code=&since=+", "?limit=50"),
            (
                "address=192.0.2.0/24&sender=%3C%3E&colour=red",
                "?address=192.0.2.0%2F24&sender=%3C%3E&limit=50",
            ),
            ("after=7-3&code=open-proxy&limit=1000", "?code=open-proxy&after=7-3&limit=50"),
        ] {
            assert_eq!(
                path(&Said::of(query)),
                format!("/api/v1/audit/search{expected}"),
                "{query}"
            );
        }
    }

    #[test]
    fn the_form_keeps_what_was_said() {
        let status = json!({"rules": {"lists": [{"name": "bad"}, {}]}, "zones": [{"name": "zen"}]});
        let shown = form(&Said::of("list=gone&code=open-proxy&sender=%22%3E%3Cb%3E"), &status)
            .into_string();
        for part in [
            "value=\"bad\"",
            "value=\"zen\"",
            "value=\"gone\" selected",
            "value=\"open-proxy\" selected",
            "&quot;&gt;&lt;b&gt;",
            "<details open",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let plain = form(&Said::of("address=192.0.2.1"), &Value::Null).into_string();
        assert!(
            !plain.contains("<details open") && plain.contains("value=\"192.0.2.1\""),
            "{plain}"
        );
    }

    #[test]
    fn a_record_of_each_kind_is_a_row() {
        for (record, expected) in [
            (
                json!({"reference": "3Y15F2JPVHMW4", "verdict": "Open proxy", "action": "reject", "enforced": false,
                "client": "192.0.2.1", "list": "bad", "offending": {"ip": "192.0.2.9", "hop": "received[2]"}}),
                vec![
                    "/messages/3Y15F2JPVHMW4",
                    "dry run",
                    "/lists/bad",
                    "about=192.0.2.9",
                    "received[2]",
                ],
            ),
            (
                json!({"phase": "web", "event": "login", "author": "ann"}),
                vec!["login", "ann", "<details>"],
            ),
            (
                json!({"envelope": {"sender": "", "recipients": ["a", "b", "c"]}, "subject": "hi"}),
                vec![
                    "&lt;<bdi></bdi>&gt; to &lt;<bdi>a</bdi>&gt;, &lt;<bdi>b</bdi>&gt; and 1 more",
                    "hi",
                ],
            ),
            (
                json!({"sender": "x", "zone": "zen"}),
                vec!["zone <bdi>zen</bdi>", "&lt;<bdi>x</bdi>&gt;"],
            ),
            (Value::Null, vec!["–"]),
        ] {
            let shown = row(&record).into_string();
            for part in expected {
                assert!(shown.contains(part), "{part}: {shown}");
            }
        }
    }

    #[test]
    fn a_full_page_of_the_worst_records_is_bounded_and_text() {
        let long = "<script>\"".repeat(1000);
        let record = json!({"reference": long, "client": "192.0.2.1", "list": long, "subject": long, "verdict": "x",
            "offending": {"ip": "192.0.2.9", "hop": long}, "envelope": {"sender": long, "recipients": vec![&long; 50]}});
        let page =
            json!({"records": vec![record; 50], "next": "7-3", "faults": ["one file is damaged"]});
        let shown = results(&page, &Said::of("code=open-proxy&after=9-9")).into_string();
        assert!(!shown.contains("<script") && shown.contains("one file is damaged"));
        assert!(shown.contains("/messages?code=open-proxy&amp;after=7-3"), "older");
        assert!(shown.contains("\"/messages?code=open-proxy\""), "newest");
        assert!(results(&Value::Null, &Said::default()).into_string().contains("None."));
    }
}
