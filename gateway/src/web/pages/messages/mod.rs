//! Records of the trail: searched, and each told as a story.

mod chain;
mod explain;
mod search;
mod story;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use maud::{Markup, html};

use crate::web::frame::{Frame, Trouble, told};
use crate::web::parts::segment;
use crate::web::said::{Said, asked};
use crate::web::site::Site;

const PATH: &str = "/messages";

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route(PATH, get(list))
        .route("/messages/{what}", get(one))
        .merge(explain::routes())
}

async fn list(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Query(said): Query<Said>,
) -> Result<Markup, Trouble> {
    let path = search::path(&said);
    let (found, status) = tokio::join!(site.api.get(&path), site.api.get("/api/v1/status"));
    let results = match found {
        Ok(page) => search::results(&page, &said),
        Err(fault) if fault.is_of_request() => told(&fault),
        Err(fault) => return Err(frame.trouble(fault)),
    };
    let form = search::form(&said, &status.unwrap_or_default());
    let bounce = explain::form(&Said::default(), &frame);
    let content = html! { (said.unknown(&search::parameters())) (form) (results) (bounce) };
    Ok(frame.page(PATH, "Messages", content))
}

async fn one(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(what): Path<String>,
    Query(said): Query<Said>,
) -> Result<Markup, Trouble> {
    let parameters = [("at", said.given("at")), ("client", said.given("client"))];
    let path = format!("/api/v1/why/{}{}", segment(&what), asked(&parameters));
    let content = match site.api.get(&path).await {
        Ok(answer) => story::content(&answer, &what),
        Err(fault) if fault.is_of_request() => told(&fault),
        Err(fault) => return Err(frame.trouble(fault)),
    };
    let unknown = said.unknown(&["at", "client"]);
    Ok(frame.page(PATH, "One message", html! { (unknown) (content) }))
}
