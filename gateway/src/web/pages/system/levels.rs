//! What each component of the log says, and more of it for a while.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::post;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::change;
use crate::web::frame::Frame;
use crate::web::parts::{at, badge, choice, rows, text, time};
use crate::web::said::Said;
use crate::web::site::Site;

const API: &str = "/api/v1/log";
const LEVELS: [(&str, &str); 5] = [
    ("debug", "debug"),
    ("trace", "trace"),
    ("info", "info"),
    ("warn", "warn"),
    ("error", "error"),
];
const TIMES: [(&str, &str); 4] =
    [("900", "15 minutes"), ("3600", "1 hour"), ("14400", "4 hours"), ("86400", "1 day")];

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/system/log/raise", post(raise)).route("/system/log/reset", post(reset))
}

async fn raise(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let (component, level) = (said.text("component"), said.text("level"));
    let wanted = json!({"levels": {component: level}, "for_s": said.number("for").unwrap_or(0)});
    let done = format!("{component}: {level}");
    change(&site, &frame, &said, (Method::POST, API, &wanted), &done).await
}

async fn reset(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let components: Vec<_> = said.given("component").into_iter().collect();
    let done = format!("{}: as before", components.first().unwrap_or(&"all components"));
    let wanted = json!({"components": components});
    change(&site, &frame, &said, (Method::DELETE, API, &wanted), &done).await
}

pub(super) fn section(report: &Value, said: &Said, frame: &Frame) -> Markup {
    let components = rows(&report["components"]);
    let raised: Vec<_> = components.iter().filter(|it| !it["raised"].is_null()).collect();
    html! {
        section.card aria-labelledby="log" {
            h2 id="log" { "Log " (badge(text(&report["level"]), "plain")) }
            @if frame.may_change() { (form(components, said, frame)) }
            @if frame.may_change() && !raised.is_empty() {
                form.apart method="post" action="/system/log/reset" {
                    (frame.csrf())
                    div.actions {
                        @for component in &raised {
                            @let name = text(&component["name"]);
                            button.quiet type="submit" name="component" value=(name) { "Reset " (name) }
                        }
                        button.quiet type="submit" { "Reset all" }
                    }
                }
            }
            details open[!raised.is_empty()] {
                summary { (components.len()) " components, " (raised.len()) " raised" }
                div.scroll { table {
                    thead { tr { th scope="col" { "Component" } th scope="col" { "Level" }
                        th scope="col" { "Until" } th scope="col" { "What it tells of" } } }
                    tbody { @for component in components {
                        @let is_raised = !component["raised"].is_null();
                        tr {
                            th scope="row" { (text(&component["name"])) }
                            td { (badge(text(&component["level"]), if is_raised { "doubtful" } else { "plain" })) }
                            td { @if is_raised { (time(at(component, "/raised/until"))) " by "
                                (text(at(component, "/raised/author"))) } @else { "–" } }
                            td { (text(&component["about"])) }
                        }
                    } }
                } }
            }
        }
    }
}

fn form(components: &[Value], said: &Said, frame: &Frame) -> Markup {
    let names: Vec<_> = components.iter().map(|it| text(&it["name"])).collect();
    let names: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
    html! {
        form method="post" action="/system/log/raise" {
            (frame.csrf())
            div.fields {
                (choice("component", "component", "Component", &names, said.text("component")))
                (choice("level", "level", "Level", &LEVELS, said.text("level")))
                (choice("log-for", "for", "For", &TIMES, said.text("for")))
                button type="submit" { "Raise" }
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
    fn what_is_raised_can_be_reset() {
        let raised = json!({"name": "dns", "level": "debug", "about": HOSTILE,
            "raised": {"until": "2026-11-30T08:00:00Z", "author": HOSTILE}});
        let quiet = json!({"name": "smtp", "level": "info", "about": "x", "raised": null});
        for (components, role, can_raise, can_reset) in [
            (json!([raised, quiet]), Role::Operator, true, true),
            (json!([quiet]), Role::Operator, true, false),
            (json!([raised, null]), Role::Viewer, false, false),
        ] {
            let report = json!({"level": "info", "components": components});
            let shown = section(&report, &Said::default(), &Frame::of(role)).into_string();
            assert_eq!(shown.contains("/system/log/raise"), can_raise, "{shown}");
            assert_eq!(shown.contains("/system/log/reset"), can_reset, "{shown}");
            assert!(!shown.contains("<script"), "{shown}");
        }
    }
}
