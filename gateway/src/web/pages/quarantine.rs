//! The quarantine: which messages are held back and why; each can be looked at, released, deleted.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use jiff::SignedDuration;
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::admin::Fault;
use crate::clock::Clock;
use crate::web::frame::{Frame, Trouble, told};
use crate::web::notice::{Back, back};
use crate::web::parts::{
    at, badge, bar, choice, count, field, lookup, number, octets, rows, segment, text, time,
};
use crate::web::said::{Said, asked};
use crate::web::site::Site;

const PATH: &str = "/quarantine";
const API: &str = "/api/v1/quarantine";
const TITLE: &str = "Quarantine";
/// Messages on one page.
const SHOWN: &str = "50";
/// Recipients of one message that are shown.
const RECIPIENTS: usize = 200;
/// Letters of a header that are shown; the rest is in the message itself.
const HEADER: usize = 20_000;
/// The parameters of the list.
const FILTERS: [&str; 5] = ["from", "to", "client", "within", "before"];
/// How long ago a message came: what is sent, and what is read.
const WITHIN: [(&str, &str); 5] = [
    ("", "any time"),
    ("3600", "the last hour"),
    ("86400", "the last day"),
    ("604800", "the last 7 days"),
    ("2592000", "the last 30 days"),
];

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/quarantine", get(show))
        .route("/quarantine/{id}", get(show_one))
        .route("/quarantine/{id}/release", post(release))
        .route("/quarantine/{id}/delete", post(delete))
}

async fn show(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Query(said): Query<Said>,
) -> Result<Markup, Trouble> {
    let path = format!("{API}{}", wanted(&said));
    let (found, status) = tokio::join!(site.api.get(&path), site.api.get("/api/v1/status"));
    let status = status.map_err(|fault| frame.trouble(fault))?;
    let content = match found {
        Ok(found) => content(&found, &status, &said),
        Err(fault) if fault.is_of_request() => html! {
            (told(&fault)) (filter(&said))
            p { a href=(PATH) { "All messages" } }
        },
        Err(fault) => return Err(frame.trouble(fault)),
    };
    Ok(frame.page(PATH, TITLE, html! { (said.unknown(&FILTERS)) (content) }))
}

/// What the API is asked.
fn wanted(said: &Said) -> String {
    let within = said.number("within").and_then(|seconds| i64::try_from(seconds).ok());
    let since = within.and_then(|seconds| {
        Clock::System.now().checked_sub(SignedDuration::from_secs(seconds)).ok()
    });
    asked(&[
        ("limit", Some(SHOWN)),
        ("from", said.given("from")),
        ("to", said.given("to")),
        ("client", said.given("client")),
        ("since", since.map(|since| since.to_string()).as_deref()),
        ("before", said.given("before")),
    ])
}

async fn show_one(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(id): Path<String>,
    Query(said): Query<Said>,
) -> Response {
    let content = whole_one(&site, &frame, &id).await;
    frame.shown(PATH, &title(&id), said.unknown(&[]), content)
}

fn title(id: &str) -> String {
    format!("Message {id}")
}

async fn whole_one(site: &Site, frame: &Frame, id: &str) -> Result<Markup, Fault> {
    let message = site.api.get(&format!("{API}/{}", segment(id))).await?;
    Ok(one(&message, frame))
}

/// For all recipients, or for the one that is said.
async fn release(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(id): Path<String>,
    Form(said): Form<Said>,
) -> Response {
    let path = format!("{API}/{}/release", segment(&id));
    let to: Vec<_> = said.given("to").into_iter().collect();
    match &site.api.send(&frame.author(), Method::POST, &path, &json!({"to": to})).await {
        Ok(answer) if answer["left"] == 0 && answer["fault"].is_null() => {
            let to = rows(&answer["recipients"]).len();
            let done = format!("{}: released; recipients: {to}", text(&answer["id"]));
            frame.go(back(PATH, &done, answer))
        }
        Ok(answer) => {
            let below = whole_one(&site, &frame, &id).await.unwrap_or_default();
            frame.page(PATH, &title(&id), html! { (released(answer)) (below) }).into_response()
        }
        Err(fault) => changed(&site, &frame, &id, Err(fault.clone())).await,
    }
}

async fn delete(State(site): State<Arc<Site>>, frame: Frame, Path(id): Path<String>) -> Response {
    let path = format!("{API}/{}", segment(&id));
    let sent = site.api.send(&frame.author(), Method::DELETE, &path, &json!({})).await;
    let back =
        sent.map(|answer| back(PATH, &format!("{}: deleted", text(at(&answer, "/id"))), &answer));
    changed(&site, &frame, &id, back).await
}

async fn changed(site: &Site, frame: &Frame, id: &str, back: Result<Back, Fault>) -> Response {
    frame.changed(back, PATH, &title(id), whole_one(site, frame, id)).await
}

fn content(found: &Value, status: &Value, said: &Said) -> Markup {
    let state = &found["quarantine"];
    let is_empty = state["messages"].as_u64() == Some(0);
    html! {
        @if !sends_here(status) {
            div.notice.doubtful {
                p { strong { "Not in use" } ": no list and no zone has the action " code { "quarantine" }
                    ", so no message comes here." }
            }
        }
        (fullness(state))
        @if !is_empty || FILTERS.iter().any(|name| said.given(name).is_some()) {
            (filter(said))
            (table(found, said))
        } @else { p.hint { "No message is held back." } }
    }
}

/// Whether something sends messages here.
fn sends_here(status: &Value) -> bool {
    let all = rows(at(status, "/rules/lists")).iter().chain(rows(&status["zones"]));
    all.into_iter().any(|it| it["action"] == "quarantine")
}

fn fullness(state: &Value) -> Markup {
    let whole = |name: &str| state[name].as_u64().unwrap_or(0);
    let full =
        |part: u64, whole: u64| match part.saturating_mul(100).checked_div(whole).unwrap_or(0) {
            0..75 => "good",
            75..90 => "doubtful",
            _ => "bad",
        };
    html! {
        section.card aria-labelledby="state" {
            h2 id="state" { "How full it is" }
            dl {
                @for (name, part, most, write) in [
                    ("Messages", whole("messages"), whole("max_messages"), number as fn(u64) -> String),
                    ("Size", whole("octets"), whole("max_size"), octets),
                ] {
                    dt { (name) } dd { (write(part)) " of " (write(most)) (bar(part, most, full(part, most))) }
                }
                dt { "Oldest" } dd { (time(&state["oldest"])) }
                dt { "Since the start" } dd { (count(&state["kept"])) " came, " (count(&state["removed"]))
                    " were released or deleted, " (count(&state["expired"])) " expired" }
                dt { "Not kept" }
                dd { (badge(&count(&state["not_kept"]), if whole("not_kept") == 0 { "good" } else { "bad" }))
                    @if whole("not_kept") > 0 { " times a message could not be kept; its sender was deferred" } }
            }
        }
    }
}

fn filter(said: &Said) -> Markup {
    html! {
        form.card method="get" action=(PATH) aria-label="Filter" {
            div.fields {
                (field("from", "from", "Sender has", said.text("from")))
                (field("to", "to", "Recipient has", said.text("to")))
                (field("client", "client", "Client", said.text("client")))
                (choice("within", "within", "Came", &WITHIN, said.text("within")))
                button type="submit" { "Filter" }
            }
        }
    }
}

fn table(found: &Value, said: &Said) -> Markup {
    let messages = rows(&found["rows"]);
    let before = messages.last().and_then(|row| row["since"].as_str());
    let next = asked(&[
        ("from", said.given("from")),
        ("to", said.given("to")),
        ("client", said.given("client")),
        ("within", said.given("within")),
        ("before", before),
    ]);
    html! {
        section.card aria-labelledby="messages" {
            h2 id="messages" { "Messages" }
            @if messages.is_empty() { p.hint { "None is like that." } }
            @else { div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { "Message" } th scope="col" { "Came" } th scope="col" { "Client" }
                    th scope="col" { "Sender" } th scope="col" { "Recipients" } th scope="col" { "Subject" }
                    th scope="col" { "Why" } th.number scope="col" { "Size" } } }
                tbody { @for row in messages { (line(row)) } }
            } } }
            @if found["has_more"] == true { p { a href={ (PATH) (next) } { "Earlier ones" } } }
            @if said.given("before").is_some() { p { a href=(PATH) { "The newest" } } }
        }
    }
}

fn line(row: &Value) -> Markup {
    let (id, message) = (text(&row["id"]), &row["message"]);
    let recipients = rows(&message["recipients"]);
    html! {
        tr {
            th scope="row" { a href={ (PATH) "/" (segment(id)) } { code { (id) } }
                @if row["taken"] == true { " " (badge("taken", "doubtful")) } }
            td { (time(&row["since"])) }
            @if let Some(fault) = row["fault"].as_str() {
                td colspan="5" { (badge("cannot be read", "bad")) " " (fault) }
            } @else {
                td { (client(message)) }
                td { (address(&message["sender"])) }
                td { (recipients.first().map_or("–", |first| text(&first["address"])))
                    @if recipients.len() > 1 { " and " (recipients.len() - 1) " more" } }
                td { (text(&message["subject"])) }
                td { (text(at(message, "/why/verdict"))) ": " (text(at(message, "/why/list"))) }
            }
            td.number { (octets(row["octets"].as_u64().unwrap_or(0))) }
        }
    }
}

/// The address alone, with its lookup.
fn client(message: &Value) -> Markup {
    let client = text(&message["client"]);
    match client.parse::<SocketAddr>() {
        Ok(client) => lookup(&client.ip().to_string()),
        Err(_unread) => html! { (client) },
    }
}

/// The address of a sender; a bounce has none.
fn address(sender: &Value) -> &str {
    match sender.as_str() {
        Some("") => "<>",
        Some(sender) => sender,
        None => "–",
    }
}

fn one(message: &Value, frame: &Frame) -> Markup {
    let id = text(&message["id"]);
    let path = format!("{PATH}/{}", segment(id));
    let (recipients, begun) = (rows(&message["recipients"]), &message["release_begun"]);
    html! {
        @if !begun.is_null() {
            @let to = rows(&begun["to"]);
            div.notice.doubtful { p { strong { "A release was begun" } " by " (text(&begun["author"])) ", "
                (time(&begun["time"]))
                @if !to.is_empty() { ", for " @for (place, to) in to.iter().take(RECIPIENTS).enumerate() {
                    @if place > 0 { ", " } (text(to)) } }
                ", and nothing is known of its end: the next hop may have the message." } }
        }
        div.columns {
            section.card aria-labelledby="envelope" {
                h2 id="envelope" { "Envelope" }
                dl {
                    dt { "Came" } dd { (time(&message["time"])) }
                    dt { "Client" } dd { (client(message)) " (" (text(&message["helo"])) ")" }
                    dt { "At" } dd { (text(&message["local"])) }
                    dt { "Sender" } dd { (address(&message["sender"])) }
                    dt { "Subject" } dd { (text(&message["subject"])) }
                    dt { "Message-ID" } dd { (text(&message["message_id"])) }
                    dt { "Size" } dd { (octets(message["octets"].as_u64().unwrap_or(0))) }
                }
            }
            (why(&message["why"], id))
        }
        section.card aria-labelledby="recipients" {
            h2 id="recipients" { "Recipients that do not have it yet" }
            @let all = html! { ul.plain { @for recipient in recipients.iter().take(RECIPIENTS) { li {
                (text(&recipient["address"]))
                @if let Some(refused) = recipient["refused"].as_str() {
                    " " (badge("not taken", "bad")) " " (refused)
                }
                @if frame.may_change() && recipients.len() > 1 { " " (release_to(text(&recipient["address"]))) }
            } } } };
            @if frame.may_change() && recipients.len() > 1 {
                form method="post" action={ (path) "/release" } { (frame.csrf()) (all) }
            } @else { (all) }
            @if recipients.len() > RECIPIENTS { p.hint { "and " (recipients.len() - RECIPIENTS) " more" } }
        }
        section.card aria-labelledby="header" {
            h2 id="header" { "Header" }
            (header(&message["header"]))
            div.actions {
                (frame.button(&format!("{path}/release"), "Release to all", id,
                    Some("Hand this message to the next hop, for all its recipients?")))
                (frame.button(&format!("{path}/delete"), "Delete", id,
                    Some("Delete this message for good? Nobody is told.")))
                a href={ (API) "/" (segment(id)) "/message" } download={ (id) ".eml" } { "Download the message" }
            }
            p.hint { "It may be harmful: open it with care." }
        }
        p { a href=(PATH) { "All messages" } }
    }
}

/// A button of the form around all recipients.
fn release_to(recipient: &str) -> Markup {
    html! {
        button.quiet type="submit" name="to" value=(recipient)
            data-ask={ "Hand this message to the next hop, for " (recipient) " alone?" } {
            "Release" span.visually-hidden { " to " (recipient) } }
    }
}

fn header(header: &Value) -> Markup {
    let header = header.as_str().unwrap_or_default();
    let shown: String = header.chars().take(HEADER).collect();
    html! {
        @if header.is_empty() { p.hint { "It has none, or it cannot be read." } }
        @else { pre { (shown.trim_end()) } }
        @if shown.len() < header.len() { p.hint { "It goes on: the rest is in the message." } }
    }
}

fn why(why: &Value, id: &str) -> Markup {
    html! {
        section.card aria-labelledby="why" {
            h2 id="why" { "Why it is here" }
            dl {
                dt { "Verdict" } dd { (text(&why["verdict"])) " (" (text(&why["code"])) ")" }
                dt { "Address" }
                dd { @if let Some(address) = why["address"].as_str() { (lookup(address)) } @else { "–" } }
                dt { "Seen at" } dd { (text(&why["hop"])) }
                dt { "List or zone" } dd { (text(&why["list"])) }
                @if let Some(entry) = why["entry"].as_str() { dt { "Entry" } dd { (entry) } }
                @if let Some(reason) = why["reason"].as_str() { dt { "Reason" } dd { (reason) } }
                dt { "Record" } dd { (lookup(id)) }
            }
        }
    }
}

fn released(answer: &Value) -> Markup {
    html! {
        section.card aria-labelledby="released" {
            h2 id="released" { "What the next hop said" }
            div.notice.doubtful role="status" { p { strong {
                @if let Some(fault) = answer["fault"].as_str() { "What was released stays recorded here, so that another release would deliver it twice: " (fault) }
                @else { "Recipients that do not have it: " (count(&answer["left"])) "; for them it stays here." }
            } } }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { "Recipient" } th scope="col" { "Result" } th scope="col" { "Reply" } } }
                tbody { @for outcome in rows(&answer["recipients"]).iter().take(RECIPIENTS) { tr {
                    th scope="row" { (text(&outcome["recipient"])) }
                    td { @if outcome["released"] == true { (badge("released", "good")) }
                        @else { (badge("not taken", "bad")) } }
                    td { (text(&outcome["reply"])) }
                } } }
            } }
            @if let Some(reply) = answer["reply"].as_str() { p { "To the message: " (reply) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;

    const HOSTILE: &str = "<script>\"'\u{1b}&";

    fn message() -> Value {
        json!({
            "id": "0Z7K5N3QW8RTA", "time": "2026-11-30T08:00:00Z", "client": "[2001:db8::7]:2525",
            "helo": HOSTILE, "sender": HOSTILE, "recipients": [{"address": HOSTILE, "refused": HOSTILE}],
            "subject": HOSTILE, "message_id": HOSTILE, "octets": 2048, "header": HOSTILE.repeat(10_000),
            "why": {"verdict": "Open proxy", "list": HOSTILE, "entry": HOSTILE, "reason": HOSTILE, "address": HOSTILE},
        })
    }

    fn found(rows: &Value, messages: u64) -> Value {
        json!({"rows": rows, "has_more": true,
            "quarantine": {"messages": messages, "max_messages": 10, "octets": 1, "max_size": 100, "not_kept": 0}})
    }

    #[test]
    fn it_is_not_in_use_where_nothing_sends_mail_there() {
        let with = |list: &str, zone: &str| json!({"rules": {"lists": [{"action": list}]}, "zones": [{"action": zone}]});
        for (status, expected) in [
            (with("quarantine", "reject"), true),
            (with("reject", "quarantine"), true),
            (with("reject", "reject"), false),
            (json!({}), false),
        ] {
            let shown = content(&found(&json!([]), 0), &status, &Said::default()).into_string();
            assert_eq!(shown.contains("Not in use"), !expected, "{status}");
            assert!(shown.contains("No message is held back"), "{shown}");
        }
    }

    #[test]
    fn what_strangers_wrote_is_text_and_bounded() {
        let listed = json!([
            {"id": "0Z7K5N3QW8RTA", "since": "2026-11-30T08:00:00Z", "message": message(), "octets": 1},
            {"id": HOSTILE, "fault": HOSTILE, "message": null},
            {}, null,
        ]);
        let shown = content(&found(&listed, 9), &json!({}), &Said::default()).into_string();
        assert!(
            shown.contains("cannot be read") && shown.contains("about=2001%3Adb8%3A%3A7"),
            "{shown}"
        );
        let one = one(&message(), &Frame::of(Role::Operator)).into_string();
        assert!(one.contains("It goes on") && one.len() < 150_000);
        let left = json!({"left": 1, "recipients": [{"recipient": HOSTILE, "reply": HOSTILE}], "reply": HOSTILE});
        for shown in [
            shown,
            one,
            released(&left).into_string(),
            super::one(&json!({}), &Frame::of(Role::Viewer)).into_string(),
        ] {
            assert!(!shown.contains("<script"), "{shown}");
        }
    }

    #[test]
    fn a_viewer_reads_and_changes_nothing() {
        for (role, is_operator) in [(Role::Operator, true), (Role::Viewer, false)] {
            let shown = one(&message(), &Frame::of(role)).into_string();
            for part in ["/release", "/delete", "data-ask"] {
                assert_eq!(shown.contains(part), is_operator, "{part}");
            }
            assert!(shown.contains("/api/v1/quarantine/0Z7K5N3QW8RTA/message"), "{shown}");
        }
    }
}
