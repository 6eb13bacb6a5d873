//! The log: the last lines of each component, and more of them for a while.

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
use crate::web::frame::{Frame, told};
use crate::web::notice::back;
use crate::web::parts::{at, badge, choice, rows, text, time};
use crate::web::said::{Said, asked};
use crate::web::site::Site;

const HERE: &str = "/system/log";
const API: &str = "/api/v1/log";
const TITLE: &str = "Log";
/// Lines that are shown.
const SHOWN: &str = "200";
const LEVELS: [(&str, &str); 5] = [
    ("debug", "debug"),
    ("trace", "trace"),
    ("info", "info"),
    ("warn", "warn"),
    ("error", "error"),
];
/// What is shown: that level and graver ones.
const GRAVE: [(&str, &str); 5] = [
    ("", "all"),
    ("debug", "debug and graver"),
    ("info", "info and graver"),
    ("warn", "warn and error"),
    ("error", "error"),
];
const TIMES: [(&str, &str); 4] =
    [("900", "15 minutes"), ("3600", "1 hour"), ("14400", "4 hours"), ("86400", "1 day")];

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/system/log", get(show))
        .route("/system/log/raise", post(raise))
        .route("/system/log/reset", post(reset))
}

async fn show(State(site): State<Arc<Site>>, frame: Frame, Query(said): Query<Said>) -> Response {
    let unknown = said.unknown(&["component", "level"]);
    frame.shown(PATH, TITLE, unknown, whole(&site, &frame, &said).await)
}

async fn whole(site: &Site, frame: &Frame, said: &Said) -> Result<Markup, Fault> {
    let query = asked(&[
        ("limit", Some(SHOWN)),
        ("component", said.given("component")),
        ("level", said.given("level")),
    ]);
    let lines = format!("{API}/lines{query}");
    let (report, lines) = tokio::join!(site.api.get(API), site.api.get(&lines));
    let report = &report?;
    let lines = match &lines {
        Err(fault) if !fault.is_of_request() => return Err(fault.clone()),
        lines => lines.as_ref(),
    };
    Ok(html! {
        (pages(HERE))
        (of_lines(rows(&report["components"]), lines, said))
        (levels(report, frame))
    })
}

async fn raise(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let (component, level) = (said.text("component"), said.text("level"));
    let wanted = json!({"levels": {component: level}, "for_s": said.number("for").unwrap_or(0)});
    let done = format!("{component}: {level}");
    change(&site, &frame, (Method::POST, &wanted), &done).await
}

async fn reset(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let components: Vec<_> = said.given("component").into_iter().collect();
    let done = format!("{}: as before", components.first().unwrap_or(&"all components"));
    let wanted = json!({"components": components});
    change(&site, &frame, (Method::DELETE, &wanted), &done).await
}

/// Changes levels, and goes back here, or shows why not.
async fn change(
    site: &Site,
    frame: &Frame,
    (method, wanted): (Method, &Value),
    done: &str,
) -> Response {
    let sent = site.api.send(&frame.author(), method, API, wanted).await;
    let back = sent.map(|answer| back(HERE, done, &answer));
    frame.changed(back, PATH, TITLE, whole(site, frame, &Said::default())).await
}

/// The last lines, the newest first.
fn of_lines(components: &[Value], lines: Result<&Value, &Fault>, said: &Said) -> Markup {
    let names = components.iter().map(|it| text(&it["name"])).map(|name| (name, name));
    let other = [("other", "other")];
    let names: Vec<_> = std::iter::once(("", "all")).chain(names).chain(other).collect();
    html! {
        section.card aria-labelledby="lines" {
            h2 id="lines" { "The last lines" }
            form method="get" action=(HERE) {
                div.fields {
                    (choice("of-component", "component", "Component", &names, said.text("component")))
                    (choice("of-level", "level", "Level", &GRAVE, said.text("level")))
                    button type="submit" { "Filter" }
                }
            }
            @match lines {
                Err(fault) => (told(fault)),
                Ok(lines) => (table(rows(&lines["lines"]))),
            }
            p.hint { "Of each component the last 200 since the start. Decisions are under "
                a href="/messages" { "Messages" } ", where they are kept for longer." }
        }
    }
}

fn table(lines: &[Value]) -> Markup {
    html! {
        @if lines.is_empty() { p { "None." } }
        @else { div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "When" } th scope="col" { "Level" } th scope="col" { "Component" }
                th scope="col" { "Line" } } }
            tbody { @for line in lines {
                @let level = text(&line["level"]);
                tr {
                    td { (time(&line["time"])) }
                    td { (badge(level, match level { "error" => "bad", "warn" => "doubtful", _ => "plain" })) }
                    td { (text(&line["component"])) }
                    td { (text(&line["text"])) }
                }
            } }
        } } }
    }
}

fn levels(report: &Value, frame: &Frame) -> Markup {
    let components = rows(&report["components"]);
    let raised: Vec<_> = components.iter().filter(|it| !it["raised"].is_null()).collect();
    html! {
        section.card aria-labelledby="log" {
            h2 id="log" { "Levels " (badge(text(&report["level"]), "plain")) }
            @if frame.may_change() { (form(components, frame)) }
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
                div.scroll tabindex="0" { table {
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

fn form(components: &[Value], frame: &Frame) -> Markup {
    let names: Vec<_> = components.iter().map(|it| text(&it["name"])).collect();
    let names: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
    html! {
        form method="post" action="/system/log/raise" {
            (frame.csrf())
            div.fields {
                (choice("component", "component", "Component", &names, ""))
                (choice("level", "level", "Level", &LEVELS, ""))
                (choice("log-for", "for", "For", &TIMES, ""))
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
            let shown = levels(&report, &Frame::of(role)).into_string();
            assert_eq!(shown.contains("/system/log/raise"), can_raise, "{shown}");
            assert_eq!(shown.contains("/system/log/reset"), can_reset, "{shown}");
            assert!(!shown.contains("<script"), "{shown}");
        }
    }

    #[test]
    fn lines_are_text_and_a_wrong_filter_is_told() {
        let lines = json!({"lines": [{"time": "2026-11-30T08:00:00Z", "level": "error", "component": HOSTILE,
            "text": HOSTILE}, {}, null]});
        let shown = of_lines(&[], Ok(&lines), &Said::default()).into_string();
        assert!(shown.contains("badge bad") && !shown.contains("<script"), "{shown}");
        let none = of_lines(&[], Ok(&json!({"lines": []})), &Said::default()).into_string();
        assert!(none.contains("None."), "{none}");
        let fault = Fault::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, HOSTILE);
        let told = of_lines(&[], Err(&fault), &Said::of("level=loud")).into_string();
        assert!(told.contains("&lt;script&gt;"), "{told}");
    }
}
