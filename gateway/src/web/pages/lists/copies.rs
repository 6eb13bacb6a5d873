//! What another copy of a list would change, and the page of the copies that are held back.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::changes::told;
use super::{API, PATH, path};
use crate::admin::Fault;
use crate::web::frame::Frame;
use crate::web::parts::{badge, count, octets, rows, segment, text, time};
use crate::web::said::Said;
use crate::web::site::Site;

/// Prefixes of each side, and lines, that are shown.
const SHOWN: usize = 50;

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/lists/{list}/held-back", get(show).post(accept))
}

/// The page of the copies of a list that are held back.
pub(super) fn held_back(list: &str) -> String {
    format!("{}/held-back", path(list))
}

async fn show(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(list): Path<String>,
    Query(said): Query<Said>,
) -> Response {
    frame.shown(PATH, &title(&list), said.unknown(&[]), whole(&site, &frame, &list).await)
}

fn title(list: &str) -> String {
    format!("{list}: held back")
}

async fn whole(site: &Site, frame: &Frame, list: &str) -> Result<Markup, Fault> {
    let copies = site.api.get(&format!("{API}/{}/held-back", segment(list))).await?;
    Ok(all(list, &copies, frame))
}

/// Accepts the copy that was looked at, and no other.
async fn accept(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(list): Path<String>,
    Form(said): Form<Said>,
) -> Response {
    let to = format!("{API}/{}/accept", segment(&list));
    // Nothing hashes to nothing.
    let wanted = json!({"sha256": said.text("sha256")});
    let sent = site.api.send(&frame.author(), Method::POST, &to, &wanted).await;
    told(&site, &frame, &list, &Said::default(), sent).await
}

fn all(list: &str, copies: &Value, frame: &Frame) -> Markup {
    let first = rows(&copies["copies"]);
    let more = copies["count"].as_u64().unwrap_or(0).saturating_sub(first.len() as u64);
    html! {
        @for copy in first {
            section.card {
                h2 { (text(&copy["where"])) }
                div.notice.bad { p { (text(&copy["why"])) } }
                p { "A copy of " (octets(copy["octets"].as_u64().unwrap_or(0))) ", " (time(&copy["as_of"]))
                    ", SHA-256 " code { (text(&copy["sha256"])) } "." }
                (change(copy))
                @if frame.may_change() {
                    form method="post" action=(held_back(list)) {
                        (frame.csrf())
                        input type="hidden" name="sha256" value=(text(&copy["sha256"]));
                        div.actions.apart { button.danger type="submit"
                            data-ask={ "Put this copy of " (list) " in force?" } { "Accept this copy" } }
                    }
                }
            }
        }
        @if more > 0 { p.hint { "and " (more) " more" } }
        p { a href=(path(list)) { "The list as it is" } }
    }
}

/// What a copy would change: prefixes that come, go and stay, and lines that are no entries.
pub(super) fn change(copy: &Value) -> Markup {
    html! {
        p { "Entries: " (count(&copy["entries"])) ", read as " (text(&copy["format"])) "." }
        div.columns {
            @for (side, title, meaning) in [
                ("come", "Would come", "plain"), ("go", "Would go", "doubtful"), ("stay", "Would stay", "good"),
            ] {
                @let of_side = &copy[side];
                @let first = rows(&of_side["first"]);
                div {
                    h3 { (title) " " (badge(&count(&of_side["count"]), meaning)) }
                    @if !first.is_empty() { details {
                        summary { "The first " (first.len().min(SHOWN)) }
                        ul { @for prefix in first.iter().take(SHOWN) { li { (text(prefix)) } } }
                    } }
                }
            }
        }
        @let rejected = rows(&copy["rejected_lines"]);
        @if !rejected.is_empty() {
            div.notice.doubtful {
                p { strong { "Lines that are no entries: " (count(&copy["rejected"])) } }
                ul { @for line in rejected.iter().take(SHOWN) {
                    li { "line " (count(&line["line"])) ": " code { (text(&line["text"])) } ": " (text(&line["why"])) }
                } }
            }
        }
        @for notice in rows(&copy["notices"]).iter().take(SHOWN) { p.hint { (text(notice)) } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::HOSTILE;
    use super::*;
    use crate::config::Role;

    #[test]
    fn a_copy_is_accepted_after_it_was_looked_at() {
        let copies = json!({"list": "a/b", "count": 3, "copies": [
            {"where": HOSTILE, "why": HOSTILE, "octets": 10, "as_of": HOSTILE, "sha256": "abc", "entries": 2,
             "come": {"count": 1, "first": ["192.0.2.7"]}, "rejected": 1,
             "rejected_lines": [{"line": 3, "text": HOSTILE, "why": HOSTILE}], "notices": [HOSTILE]},
            null]});
        for (role, may_change) in [(Role::Operator, true), (Role::Viewer, false)] {
            let shown = all("a/b", &copies, &Frame::of(role)).into_string();
            let accepts = shown.contains("action=\"/lists/a%2Fb/held-back\"")
                && shown.contains("name=\"sha256\" value=\"abc\"");
            assert_eq!(accepts, may_change, "{shown}");
            for part in ["Would come", "192.0.2.7", "line 3", "and 1 more"] {
                assert!(shown.contains(part), "{part} in {shown}");
            }
            assert!(!shown.contains("<script"), "{shown}");
        }
    }
}
