//! Senders: who waits on the greylist and who passes; made to pass, or forgotten.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{PATH, pages};
use crate::admin::Fault;
use crate::web::frame::Frame;
use crate::web::notice::back;
use crate::web::parts::{LASTING, at, choice, count, field, rows, text, time};
use crate::web::said::{Said, asked};
use crate::web::site::Site;

const HERE: &str = "/system/senders";
const API: &str = "/api/v1/senders";
const TITLE: &str = "Senders";
/// Rows of each kind.
const SHOWN: &str = "50";

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/system/senders", get(show))
        .route("/system/senders/pass", post(pass))
        .route("/system/senders/forget", post(forget))
}

async fn show(State(site): State<Arc<Site>>, frame: Frame, Query(said): Query<Said>) -> Response {
    frame.shown(PATH, TITLE, said.unknown(&["search", "pool"]), whole(&site, &frame, &said).await)
}

async fn whole(site: &Site, frame: &Frame, said: &Said) -> Result<Markup, Fault> {
    let query = asked(&[("limit", Some(SHOWN)), ("which", said.given("search"))]);
    let senders = site.api.get(&format!("{API}{query}")).await?;
    Ok(html! { (pages(HERE)) (content(&senders, said, frame)) })
}

async fn pass(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let wanted = json!({
        "pool": said.text("pool"), "reason": said.given("reason"), "for_s": said.number("for"),
    });
    let sent = site.api.send(&frame.author(), Method::POST, API, &wanted).await;
    let sent = sent.map(|answer| (format!("{} passes", text(at(&answer, "/pool"))), answer));
    told(&site, &frame, &said, sent).await
}

async fn forget(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let wanted = json!({"which": said.text("which")});
    let sent = site.api.send(&frame.author(), Method::DELETE, API, &wanted).await;
    let sent = sent.map(|answer| {
        let (waiting, passed) = (count(at(&answer, "/waiting")), count(at(&answer, "/passed")));
        (format!("Forgotten: {waiting} rows of tries that waited, {passed} that passed"), answer)
    });
    told(&site, &frame, &said, sent).await
}

async fn told(
    site: &Site,
    frame: &Frame,
    said: &Said,
    sent: Result<(String, Value), Fault>,
) -> Response {
    let back = sent.map(|(done, answer)| back(HERE, &done, &answer));
    frame.changed(back, PATH, TITLE, whole(site, frame, said)).await
}

fn content(senders: &Value, said: &Said, frame: &Frame) -> Markup {
    html! {
        form.card method="get" action=(HERE) aria-label="Search" {
            div.fields {
                (field("search", "search", "Address, prefix, @DOMAIN, or a part of a sender or recipient", said.text("search")))
                button type="submit" { "Search" }
                @if said.given("search").is_some() { a href=(HERE) { "All senders" } }
            }
        }
        (with_forget("Rows of tries that wait on the greylist", "waiting", waiting(senders, frame), senders, frame))
        (with_forget("Passing", "passed", passed(senders, frame), senders, frame))
        @if frame.may_change() { (forms(said, frame)) }
    }
}

/// A table whose rows can be forgotten.
fn with_forget(title: &str, kind: &str, table: Markup, senders: &Value, frame: &Frame) -> Markup {
    let total = &senders["total"];
    html! {
        section.card aria-labelledby=(kind) {
            h2 id=(kind) { (title) " – " (count(&total[kind])) }
            @if rows(&senders[kind]).is_empty() { p.hint { "None here." } }
            @else if frame.may_change() {
                form method="post" action={ (HERE) "/forget" } { (frame.csrf()) (table) }
            } @else { (table) }
        }
    }
}

fn waiting(senders: &Value, frame: &Frame) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "From" } th scope="col" { "Sender" } th scope="col" { "Recipient" }
                th scope="col" { "First" } th.number scope="col" { "Tries" }
                @if frame.may_change() { th scope="col" { "Change" } } } }
            tbody { @for row in rows(&senders["waiting"]) {
                tr {
                    th scope="row" { (text(&row["pool"])) }
                    td { (row["sender"].as_str().filter(|it| !it.is_empty()).unwrap_or("<>")) }
                    td { (text(&row["recipient"])) }
                    td { (time(&row["first"])) }
                    td.number { (count(&row["tries"])) }
                    (forget_cell(text(&row["pool"]), frame))
                }
            } }
        } }
    }
}

fn passed(senders: &Value, frame: &Frame) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "From" } th scope="col" { "Since" } th scope="col" { "Last used" }
                th scope="col" { "Until" } th scope="col" { "By" }
                @if frame.may_change() { th scope="col" { "Change" } } } }
            tbody { @for row in rows(&senders["passed"]) {
                tr {
                    th scope="row" { (text(&row["pool"])) }
                    td { (time(&row["since"])) }
                    td { (time(&row["used"])) }
                    td { @if row["until"].is_null() { "for ever" } @else { (time(&row["until"])) } }
                    td { @if let Some(author) = row["author"].as_str() { (author) ": " (text(&row["reason"])) }
                        @else { "itself" } }
                    (forget_cell(text(&row["pool"]), frame))
                }
            } }
        } }
    }
}

fn forget_cell(pool: &str, frame: &Frame) -> Markup {
    html! {
        @if frame.may_change() { td {
            button.quiet type="submit" name="which" value=(pool) data-ask={ "Forget all of " (pool) "?" } {
                "Forget" span.visually-hidden { " " (pool) } }
        } }
    }
}

fn forms(said: &Said, frame: &Frame) -> Markup {
    html! {
        section.card aria-labelledby="pass" {
            h2 id="pass" { "Let a sender pass" }
            form method="post" action={ (HERE) "/pass" } {
                (frame.csrf())
                div.fields {
                    (field("pool", "pool", "Address, network or @DOMAIN", said.text("pool")))
                    (field("reason", "reason", "Reason", said.text("reason")))
                    (choice("for", "for", "Until", &LASTING, said.text("for")))
                    button type="submit" { "Let pass" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::HOSTILE;
    use super::*;
    use crate::config::Role;

    #[test]
    fn senders_are_text_and_only_an_operator_forgets_them() {
        let senders = json!({
            "waiting": [{"pool": HOSTILE, "sender": HOSTILE, "recipient": HOSTILE, "tries": 3}, {"sender": ""}, null],
            "passed": [{"pool": "192.0.2.0/24", "author": HOSTILE, "reason": HOSTILE, "until": null}],
            "total": {"waiting": 1_000, "passed": 1},
        });
        for (role, is_operator) in [(Role::Operator, true), (Role::Viewer, false)] {
            let shown = content(&senders, &Said::default(), &Frame::of(role)).into_string();
            for part in ["/system/senders/forget", "/system/senders/pass", "value=\"192.0.2.0/24\""]
            {
                assert_eq!(shown.contains(part), is_operator, "{part} in {shown}");
            }
            assert!(shown.contains("1\u{202f}000") && shown.contains("for ever"), "{shown}");
            assert!(!shown.contains("<script"), "{shown}");
        }
        let none = content(&json!({}), &Said::default(), &Frame::of(Role::Viewer)).into_string();
        assert!(none.contains("None here"), "{none}");
    }
}
