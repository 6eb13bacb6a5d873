//! A bounce that somebody pasted: whether it was this host, what is behind it, what to do.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, State};
use axum::http::Method;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde_json::Value;

use super::{PATH, story};
use crate::web::frame::Frame;
use crate::web::parts::{action_of, at, badge, count, lookup, record, rows, strange, text, time};
use crate::web::said::Said;
use crate::web::site::{LONGEST_FORM, Site};

const EXPLAIN: &str = "/messages/explain";
/// Letters of a sentence.
const SENTENCE: usize = 500;
/// References, addresses and replies that are shown.
const SHOWN: usize = 10;

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    // Who comes back to the page by its address is shown where to paste.
    let explain = get(async || Redirect::to(PATH)).post(explain);
    Router::new().route(EXPLAIN, explain).layer(DefaultBodyLimit::max(LONGEST_FORM))
}

async fn explain(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let octets = said.text("text").to_owned().into();
    let found = site.api.put(&frame.author(), Method::POST, "/api/v1/explain", octets).await;
    let unknown = said.unknown(&["text"]);
    match found {
        Ok(answer) => {
            let content = html! { (unknown) (content(&answer)) (form(&said, &frame)) };
            frame.page(PATH, "A bounce", content).into_response()
        }
        Err(fault) if fault.is_of_request() => {
            frame.failed(&fault, PATH, "A bounce", html! { (unknown) (form(&said, &frame)) })
        }
        Err(fault) => frame.trouble(fault).into_response(),
    }
}

/// Where a bounce is pasted. It changes nothing, so viewers have it, too.
pub(super) fn form(said: &Said, frame: &Frame) -> Markup {
    html! {
        section.card aria-labelledby="bounce" {
            h2 id="bounce" { "Paste a bounce" }
            form method="post" action=(EXPLAIN) {
                (frame.csrf())
                label for="text" { "A bounce, an error, a log line, or a message with its header" }
                textarea id="text" name="text" rows="6" spellcheck="false" required {
                    "\n" (said.text("text"))
                }
                div.actions { button type="submit" { "Explain" } }
            }
        }
    }
}

/// What the API makes of a text.
fn content(answer: &Value) -> Markup {
    let (headline, word, meaning) = match text(&answer["whose"]) {
        "us" => ("It was this host", "us", "bad"),
        "perhaps-us" => ("It may have been this host", "perhaps us", "doubtful"),
        "somebody-else" => ("It was somebody else", "not us", "good"),
        _ => ("It cannot be told who it was", "unknown", "doubtful"),
    };
    html! {
        @for warning in rows(&answer["warnings"]) { div.notice.doubtful { p { (text(warning)) } } }
        section.card aria-labelledby="whose" {
            h2 id="whose" { (headline) " " (badge(word, meaning)) }
            p { "Because " (strange(text(&answer["because"]), SENTENCE)) "." }
            (named(&answer["bounce"]))
            @if !answer["decision"].is_null() { (decision(&answer["decision"])) }
            @if let Some(address) = answer["address"].as_str() { (now(address, &answer["now"])) }
            @if !answer["origin"].is_null() { (origin(&answer["origin"])) }
        }
        @let told = &answer["story"];
        @if !told.is_null() {
            section.card aria-labelledby="story" {
                h2 id="story" { (strange(text(&told["headline"]), SENTENCE)) }
                (story::what_happened(told))
            }
        }
        section.card aria-labelledby="next" {
            h2 id="next" { "What to do" }
            ul { @for step in rows(&answer["next"]) { li {
                @if let Some(command) = step["command"].as_str() { code { (strange(command, SENTENCE)) } ": " }
                (strange(text(&step["why"]), SENTENCE))
            } } }
        }
    }
}

/// What the text says of itself.
fn named(bounce: &Value) -> Markup {
    let server = bounce["servers"].get(0).unwrap_or(&Value::Null);
    let references = rows(&bounce["references"]).iter().filter(|found| found["named"] == true);
    let references: Vec<_> =
        references.map(|found| text(&found["reference"])).take(SHOWN).collect();
    let recipients = rows(&bounce["recipients"]);
    html! {
        dl {
            @for (field, label) in [("sender", "From"), ("message_id", "Message-ID"), ("reporter", "Told by")] {
                @if let Some(said) = bounce[field].as_str() { dt { (label) } dd { (strange(said, SENTENCE)) } }
            }
            @if !recipients.is_empty() {
                dt { "To" }
                dd { @for recipient in recipients.iter().take(SHOWN) { (strange(text(recipient), SENTENCE)) " " }
                    @if recipients.len() > SHOWN { "and " (recipients.len() - SHOWN) " more" } }
            }
            @if !server.is_null() {
                dt { "Said by" }
                dd { @if let Some(name) = server["name"].as_str() { (strange(name, SENTENCE)) " " }
                    @if let Some(address) = server["address"].as_str() { (lookup(address)) } }
            }
            @for reply in rows(&bounce["replies"]).iter().take(SHOWN) {
                dt { "Reply" }
                dd { (count(&reply["code"])) " "
                    @if let Some(enhanced) = reply["enhanced"].as_str() { (strange(enhanced, SENTENCE)) " " }
                    (strange(text(&reply["text"]), SENTENCE)) }
            }
            @if !references.is_empty() {
                dt { "Reference" }
                dd { @for reference in references { (record(reference)) " " } }
            }
            @for seen in rows(&bounce["addresses"]).iter().take(SHOWN) {
                dt { "Address" }
                dd { (lookup(text(&seen["ip"]))) " " span.hint { (strange(text(&seen["place"]), SENTENCE)) } }
            }
        }
    }
}

fn decision(behind: &Value) -> Markup {
    html! {
        h3 { "The decision behind it" }
        p { (record(text(&behind["reference"]))) " " (action_of(behind)) " " (text(&behind["verdict"])) " "
            span.hint { "by the " (text(&behind["decided_by"]))
                @if behind["found_by"] == "address" { ", the last one about that address" }
                ", " (time(&behind["time"])) } }
    }
}

fn now(address: &str, now: &Value) -> Markup {
    html! {
        h3 { "What would be decided now" }
        p { (lookup(address)) " "
            @if now.is_null() { "It is not known." }
            @else { (action_of(now)) " " (text(&now["verdict"])) } }
    }
}

fn origin(origin: &Value) -> Markup {
    let meaning = match text(&origin["belongs"]) {
        "yes" => "good",
        "no" => "bad",
        _ => "doubtful",
    };
    html! {
        h3 { "Where it came from" }
        p { (badge(text(&origin["belongs"]), meaning)) " " (strange(text(at(origin, "/meaning")), SENTENCE)) }
        @for fault in rows(&origin["faults"]) { p.hint { (strange(text(fault), SENTENCE)) } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Role;

    #[test]
    fn what_is_known_has_links_and_nothing_of_it_is_markup() {
        let hostile = "<script>\"";
        let answer = json!({"whose": "us", "because": hostile, "warnings": [hostile],
            "bounce": {"sender": hostile, "recipients": vec![hostile; 20], "servers": [{"name": hostile}],
                "replies": [{"code": 554, "enhanced": hostile, "text": hostile}],
                "references": [{"reference": "3Y15F2JPVHMW4", "named": true}, {"reference": "no", "named": false}],
                "addresses": [{"ip": "192.0.2.9", "place": hostile}]},
            "decision": {"reference": "3Y15F2JPVHMW4", "verdict": hostile, "found_by": "address"},
            "address": "192.0.2.7", "now": {"action": "reject", "verdict": hostile},
            "origin": {"belongs": "no", "meaning": hostile, "faults": [hostile]},
            "story": {"headline": hostile, "steps": [{"text": hostile}]},
            "next": [{"command": hostile, "why": hostile}, {}]});
        let shown = content(&answer).into_string();
        for part in [
            "It was this host",
            "/messages/3Y15F2JPVHMW4",
            "about=192.0.2.7",
            "about=192.0.2.9",
            "the last one about that address",
            "and 10 more",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(!shown.contains("<script") && !shown.contains("/messages/no"), "{shown}");
        assert!(content(&Value::Null).into_string().contains("It cannot be told"));
    }

    #[test]
    fn viewers_may_paste() {
        let shown = form(&Said::default(), &Frame::of(Role::Viewer)).into_string();
        assert!(shown.contains("t0ken") && shown.contains("<textarea"), "{shown}");
    }
}
