//! Another copy of a list without a source: what it would change is shown before it is put.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Form, Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use maud::{Markup, html};
use serde_json::Value;

use super::changes::{done, told};
use super::copies::change;
use super::{API, PATH, one, path};
use crate::web::frame::{self, Frame};
use crate::web::parts::{rows, segment};
use crate::web::said::Said;
use crate::web::site::{LONGEST_FORM, Site};

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/lists/{list}/preview", post(preview))
        .route("/lists/{list}/preview/file", post(preview_of_file))
        .route("/lists/{list}/put", post(put))
        .route("/lists/{list}/put/file", post(put_file))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
}

/// Whether a list has what was put, and nothing else.
pub(super) fn is_put(list: &Value) -> bool {
    rows(&list["sources"]).iter().any(|source| source["kind"] == "put")
}

/// The path of a preview in the API.
fn api(list: &str, what: &str) -> String {
    format!("{API}/{}/{what}", segment(list))
}

async fn preview(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(list): Path<String>,
    Form(said): Form<Said>,
) -> Response {
    let octets = said.text("entries").to_owned().into();
    let found = site.api.put(&frame.author(), Method::POST, &api(&list, "preview"), octets).await;
    match found {
        Ok(found) => match one::whole(&site, &frame, &list, &said, Some(&found)).await {
            Ok(content) => frame.page(PATH, &list, content).into_response(),
            Err(fault) => frame.trouble(fault).into_response(),
        },
        Err(fault) => told(&site, &frame, &list, &said, Err(fault)).await,
    }
}

/// For the script, which sends a file: what it would change, as a part of the page.
async fn preview_of_file(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(list): Path<String>,
    file: Body,
) -> Response {
    match site.api.put(&frame.author(), Method::POST, &api(&list, "preview"), file).await {
        Ok(found) => of_preview(&found).into_response(),
        Err(fault) => (fault.status(), frame::told(&fault)).into_response(),
    }
}

async fn put(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(list): Path<String>,
    Form(said): Form<Said>,
) -> Response {
    let octets = said.text("entries").to_owned().into();
    let sent = site.api.put(&frame.author(), Method::PUT, &api(&list, "entries"), octets).await;
    told(&site, &frame, &list, &said, sent).await
}

/// For the script, which goes to the page of the list then, where it is told.
async fn put_file(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(list): Path<String>,
    file: Body,
) -> Response {
    match site.api.put(&frame.author(), Method::PUT, &api(&list, "entries"), file).await {
        Ok(answer) => {
            frame.tell(done(&list, &answer));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(fault) => (fault.status(), frame::told(&fault)).into_response(),
    }
}

pub(super) fn form(name: &str, said: &Said, preview: Option<&Value>, frame: &Frame) -> Markup {
    let page = path(name);
    html! {
        section.card aria-labelledby="put" {
            h2 id="put" { "Put another copy" }
            @if let Some(preview) = preview { (of_preview(preview)) }
            form method="post" action={ (page) "/preview#put" } {
                (frame.csrf())
                label for="copy" { "The whole list, in any format" }
                textarea id="copy" name="entries" rows="8" spellcheck="false" required {
                    "\n" (said.text("entries"))
                }
                div.actions {
                    button.quiet type="submit" { "Preview" }
                    @if preview.is_some() {
                        button.danger type="submit" formaction={ (page) "/put" }
                            data-ask={ "Replace what " (name) " has with this?" } { "Put what stands here" }
                    }
                }
            }
            div.apart hidden data-upload=(page) {
                label for="file" { "Or a file, of any length" }
                input id="file" type="file";
                div data-preview aria-live="polite" {}
                button.danger type="button" hidden { "Put the file" }
            }
        }
    }
}

fn of_preview(preview: &Value) -> Markup {
    html! {
        @if let Some(doubt) = preview["doubt"].as_str() {
            div.notice.bad role="alert" {
                p { strong { "It would be refused, and held back: " } (doubt) }
                p { "Where it is right all the same, put it, and accept it then." }
            }
        }
        (change(preview))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{HOSTILE, list};
    use super::*;
    use crate::config::Role;

    #[test]
    fn a_copy_is_put_after_its_preview_alone() {
        let frame = Frame::of(Role::Operator);
        let preview = json!({"entries": 2, "format": "plain", "doubt": HOSTILE, "rejected": 1, "notices": [HOSTILE],
            "come": {"count": 1, "first": ["192.0.2.7"]}, "go": {"count": 0, "first": []}, "stay": {},
            "rejected_lines": [{"line": 3, "text": HOSTILE, "why": HOSTILE}, {}]});
        for (preview, can_put) in
            [(None, false), (Some(&preview), true), (Some(&Value::Null), true)]
        {
            let shown = form("a/b", &Said::default(), preview, &frame).into_string();
            assert_eq!(shown.contains("formaction=\"/lists/a%2Fb/put\""), can_put, "{shown}");
            assert!(
                shown.contains("/lists/a%2Fb/preview") && !shown.contains("<script"),
                "{shown}"
            );
        }
        let shown = of_preview(&preview).into_string();
        for part in ["held back", "Would come", "192.0.2.7", "line 3"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        for (kind, expected) in [("put", true), ("file", false), ("url", false)] {
            assert_eq!(is_put(&list(kind)), expected);
        }
    }
}
