//! Pauses: everything passes for a while.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::post;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{PATH, TITLE, whole};
use crate::web::frame::Frame;
use crate::web::notice::back;
use crate::web::parts::{badge, choice, field, text, time};
use crate::web::said::Said;
use crate::web::site::Site;

const API: &str = "/api/v1/pause";
const TIMES: [(&str, &str); 5] = [
    ("900", "15 minutes"),
    ("3600", "1 hour"),
    ("14400", "4 hours"),
    ("43200", "12 hours"),
    ("86400", "24 hours"),
];

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/system/pause", post(begin)).route("/system/pause/end", post(end))
}

async fn begin(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let wanted = json!({"for_s": said.number("for").unwrap_or(0), "reason": said.given("reason")});
    change(&site, &frame, &said, (Method::POST, &wanted), "Everything passes").await
}

async fn end(State(site): State<Arc<Site>>, frame: Frame) -> Response {
    let none = (Method::DELETE, &Value::Null);
    change(&site, &frame, &Said::default(), none, "The pause has ended").await
}

/// Changes something, and goes back to the first page of this part, or shows there why not.
async fn change(
    site: &Site,
    frame: &Frame,
    said: &Said,
    (method, wanted): (Method, &Value),
    done: &str,
) -> Response {
    let sent = site.api.send(&frame.author(), method, API, wanted).await;
    let back = sent.map(|answer| back(PATH, done, &answer));
    frame.changed(back, PATH, TITLE, whole(site, frame, said)).await
}

pub(super) fn section(paused: &Value, said: &Said, frame: &Frame) -> Markup {
    html! {
        section.card aria-labelledby="pause" {
            h2 id="pause" { "Pause " @if paused.is_null() { (badge("none", "good")) } @else { (badge("everything passes", "doubtful")) } }
            @if !paused.is_null() {
                p { "Until " (time(&paused["until"])) ", said " (text(&paused["author"])) ": " (text(&paused["reason"])) }
                (frame.button("/system/pause/end", "End", "the pause", None))
            } @else if frame.may_change() {
                form method="post" action="/system/pause" {
                    (frame.csrf())
                    div.fields {
                        (choice("pause-for", "for", "For", &TIMES, said.text("for")))
                        (field("pause-reason", "reason", "Reason", said.text("reason")))
                        button.danger type="submit" data-ask="Let everything pass, in the kernel filter, too?" {
                            "Let everything pass" }
                    }
                }
            } @else { p.hint { "Nothing is paused." } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::HOSTILE;
    use super::*;
    use crate::config::Role;

    #[test]
    fn a_pause_begins_where_there_is_none_and_ends_where_there_is_one() {
        let paused = json!({"until": HOSTILE, "author": HOSTILE, "reason": HOSTILE});
        for (paused, role, form) in [
            (&Value::Null, Role::Operator, Some("\"/system/pause\"")),
            (&paused, Role::Operator, Some("\"/system/pause/end\"")),
            (&Value::Null, Role::Viewer, None),
            (&paused, Role::Viewer, None),
        ] {
            let shown = section(paused, &Said::default(), &Frame::of(role)).into_string();
            assert_eq!(shown.matches("<form").count(), usize::from(form.is_some()), "{shown}");
            assert!(
                shown.contains(form.unwrap_or_default()) && !shown.contains("<script"),
                "{shown}"
            );
        }
    }
}
