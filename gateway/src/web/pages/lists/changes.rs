//! What changes a list: entries that come and go, the list itself switched and fetched.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};

use super::{API, PATH, one, path};
use crate::admin::Fault;
use crate::web::frame::Frame;
use crate::web::notice::{Back, Notice};
use crate::web::parts::{at, segment, text};
use crate::web::said::Said;
use crate::web::site::Site;

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/lists/{list}/add", post(add))
        .route("/lists/{list}/remove", post(remove))
        .route("/lists/{list}/restore", post(restore))
        .route("/lists/{list}/fetch", post(fetch))
        .route("/lists/{list}/enable", post(enable))
        .route("/lists/{list}/disable", post(disable))
}

type Of = (State<Arc<Site>>, Path<String>);

async fn add((State(site), Path(list)): Of, frame: Frame, Form(said): Form<Said>) -> Response {
    let wanted = json!({
        "prefix": said.text("prefix"), "reason": said.given("reason"), "for_s": said.number("for"),
    });
    let to = format!("{API}/{}/entries", segment(&list));
    let sent = site.api.send(&frame.author(), Method::POST, &to, &wanted).await;
    told(&site, &frame, &list, &said, sent).await
}

async fn remove(of: Of, frame: Frame, Form(said): Form<Said>) -> Response {
    take_away(of, &frame, &said, "entries").await
}

async fn restore(of: Of, frame: Frame, Form(said): Form<Said>) -> Response {
    take_away(of, &frame, &said, "exceptions").await
}

async fn take_away(
    (State(site), Path(list)): Of,
    frame: &Frame,
    said: &Said,
    what: &str,
) -> Response {
    let wanted = json!({"prefix": said.text("prefix")});
    let to = format!("{API}/{}/{what}", segment(&list));
    let sent = site.api.send(&frame.author(), Method::DELETE, &to, &wanted).await;
    told(&site, frame, &list, &Said::default(), sent).await
}

async fn fetch((State(site), Path(list)): Of, frame: Frame) -> Response {
    change(&site, &frame, &list, &format!("/api/v1/feeds/{}/fetch", segment(&list))).await
}

async fn enable((State(site), Path(list)): Of, frame: Frame) -> Response {
    change(&site, &frame, &list, &format!("{API}/{}/enable", segment(&list))).await
}

async fn disable((State(site), Path(list)): Of, frame: Frame) -> Response {
    change(&site, &frame, &list, &format!("{API}/{}/disable", segment(&list))).await
}

async fn change(site: &Site, frame: &Frame, list: &str, to: &str) -> Response {
    let sent = site.api.send(&frame.author(), Method::POST, to, &json!({})).await;
    told(site, frame, list, &Said::default(), sent).await
}

/// Back to the page of the list, or that page with what went wrong.
pub(super) async fn told(
    site: &Site,
    frame: &Frame,
    list: &str,
    said: &Said,
    sent: Result<Value, Fault>,
) -> Response {
    let back = sent.map(|answer| Back { to: path(list), notice: done(list, &answer) });
    frame.changed(back, PATH, list, one::whole(site, frame, list, said, None)).await
}

/// What was done to a list.
pub(super) fn done(list: &str, answer: &Value) -> Notice {
    Notice::of_answer(&format!("{list}: {}", text(at(answer, "/done"))), answer)
}
