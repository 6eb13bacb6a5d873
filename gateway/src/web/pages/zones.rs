//! Zones: how each is, what it answers, and which are asked.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::admin::Fault;
use crate::web::frame::Frame;
use crate::web::notice::back;
use crate::web::parts::{action, at, badge, count, number, rows, segment, text, time, zone_state};
use crate::web::said::Said;
use crate::web::site::Site;

const PATH: &str = "/zones";
const TITLE: &str = "Zones";

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/zones", get(show).post(add))
        .route("/zones/{zone}/test", post(test))
        .route("/zones/{zone}/{verb}", post(change))
}

async fn show(State(site): State<Arc<Site>>, frame: Frame, Query(said): Query<Said>) -> Response {
    frame.shown(PATH, TITLE, said.unknown(&["spec"]), whole(&site, &frame, &said).await)
}

async fn whole(site: &Site, frame: &Frame, said: &Said) -> Result<Markup, Fault> {
    let (zones, config) =
        tokio::join!(site.api.get("/api/v1/zones"), site.api.get("/api/v1/config"));
    Ok(content(&zones?, at(&config.unwrap_or_default(), "/overrides"), said, frame))
}

async fn add(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let wanted = json!({"spec": said.text("spec")});
    let sent = site.api.send(&frame.author(), Method::POST, "/api/v1/zones", &wanted).await;
    told(&site, &frame, &said, sent).await
}

/// Asks for the test entries, and shows what came of it above how all zones are.
async fn test(State(site): State<Arc<Site>>, frame: Frame, Path(zone): Path<String>) -> Response {
    let path = format!("/api/v1/zones/{}/test", segment(&zone));
    let tested = site.api.send(&frame.author(), Method::POST, &path, &json!({})).await;
    let said = Said::default();
    let below = whole(&site, &frame, &said).await.unwrap_or_default();
    match tested {
        Ok(test) => {
            let content = html! { (of_test(&test)) (below) };
            frame.page(PATH, TITLE, content).into_response()
        }
        Err(fault) => frame.failed(&fault, PATH, TITLE, below),
    }
}

async fn change(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path((zone, verb)): Path<(String, String)>,
) -> Response {
    let path = format!("/api/v1/zones/{}", segment(&zone));
    let (method, path) = match verb.as_str() {
        "remove" => (Method::DELETE, path),
        verb => (Method::POST, format!("{path}/{}", segment(verb))),
    };
    let sent = site.api.send(&frame.author(), method, &path, &json!({})).await;
    told(&site, &frame, &Said::default(), sent).await
}

/// Back to the page, or the page with what went wrong.
async fn told(site: &Site, frame: &Frame, said: &Said, sent: Result<Value, Fault>) -> Response {
    let back = sent.map(|answer| {
        let done = format!("{}: {}", text(at(&answer, "/zone")), text(at(&answer, "/done")));
        back(PATH, &done, &answer)
    });
    frame.changed(back, PATH, TITLE, whole(site, frame, said)).await
}

fn content(zones: &Value, overrides: &Value, said: &Said, frame: &Frame) -> Markup {
    let zones = rows(zones);
    html! {
        @if zones.is_empty() {
            p.hint { "No zone is asked. Each " code { "[[zone]]" } " of the configuration is one; "
                "one can be added here, too." }
        }
        ul.chips { @for (index, zone) in zones.iter().enumerate() { li {
            a href={ "#zone-" (index) } { (text(&zone["name"])) } " " (zone_state(text(&zone["state"])))
        } } }
        div.columns.apart {
            @for (index, zone) in zones.iter().enumerate() { (one(index, zone, overrides, frame)) }
        }
        @if frame.may_change() { (addition(said, frame)) }
    }
}

fn one(index: usize, zone: &Value, overrides: &Value, frame: &Frame) -> Markup {
    let (name, counts) = (text(&zone["name"]), &zone["counts"]);
    let heading = format!("zone-{index}");
    let (listed, not_listed) = (counts["listed"].as_u64(), counts["not_listed"].as_u64());
    html! {
        section.card aria-labelledby=(heading) {
            h2 id=(heading) { (name) " " (zone_state(text(&zone["state"]))) }
            @if let Some(reason) = zone["reason"].as_str() {
                div.notice.bad { p { strong { (reason) } }
                    @if let Some(remedy) = zone["remedy"].as_str() { p { "What to do: " (remedy) } } }
            }
            dl {
                dt { "Asked" } dd { (text(&zone["domain"])) }
                @if zone["label"] != zone["name"] { dt { "Label" } dd { (text(&zone["label"])) } }
                dt { "Class" } dd { (text(&zone["class"])) }
                dt { "Action" } dd { (action(text(&zone["action"])))
                    @if zone["enforce"] == false { " " (badge("dry run", "doubtful")) } }
                dt { "Like that since" } dd { (time(&zone["since"])) }
                @for (family, shown) in [("ipv4", "IPv4"), ("ipv6", "IPv6")] {
                    @let state = &zone[family];
                    dt { (shown) }
                    dd { (zone_state(text(&state["state"])))
                        @if let Some(illness) = state["illness"].as_str() { " " (illness) }
                        " since " (time(&state["since"])) }
                }
                dt { "Next test" } dd { (time(&zone["next_probe"])) }
                dt { "Queries" } dd { (count(&counts["queries"])) ", "
                    (count(&counts["cache_hits"])) " answers from the cache" }
                dt { "Hit rate" } dd { (share(listed, not_listed)) ", " (count(&counts["listed"])) " listings" }
                dt { "Time of an answer" } dd { (latency(counts)) }
                dt { "Faults" } dd { (faults(&counts["faults"])) }
                @if counts["late"].as_u64().is_some_and(|late| late > 0) {
                    dt { "Too late" } dd { (count(&counts["late"])) " answers" }
                }
            }
            (actions(zone, overrides, frame))
        }
    }
}

fn actions(zone: &Value, overrides: &Value, frame: &Frame) -> Markup {
    let name = text(&zone["name"]);
    let path = format!("{PATH}/{}", segment(name));
    let about = format!("zone {name}");
    let is_added = rows(overrides).iter().any(|set| {
        set["about"] == about && set["set"].as_str().is_some_and(|set| set.starts_with("added"))
    });
    html! {
        @if frame.may_change() {
            div.actions.apart {
                @if zone["enabled"] == false {
                    (frame.button(&format!("{path}/enable"), "Enable", name, None))
                } @else {
                    (frame.button(&format!("{path}/test"), "Test now", name, None))
                    (frame.button(&format!("{path}/disable"), "Disable", name,
                        Some(&format!("Ask {name} no longer, until it is switched on?"))))
                }
                @if is_added {
                    (frame.button(&format!("{path}/remove"), "Remove", name,
                        Some(&format!("Remove {name}, which was added by a command?"))))
                }
            }
        }
    }
}

fn share(listed: Option<u64>, not_listed: Option<u64>) -> String {
    let (listed, not_listed) = (listed.unwrap_or(0), not_listed.unwrap_or(0));
    let tenths = u128::from(listed) * 1000;
    let all = u128::from(listed) + u128::from(not_listed);
    tenths.checked_div(all).map_or_else(
        || "no answer yet".to_owned(),
        |tenths| format!("{}.{} % of the answers", tenths / 10, tenths % 10),
    )
}

fn latency(counts: &Value) -> String {
    let microseconds = |value: u64| format!("{}.{} ms", value / 1000, value % 1000 / 100);
    let sum = counts["latency_sum"].as_u64().unwrap_or(0);
    let mean = sum.checked_div(counts["queries"].as_u64().unwrap_or(0));
    mean.map_or_else(
        || "–".to_owned(),
        |mean| {
            let most = counts["latency_most"].as_u64().unwrap_or(0);
            format!("{} on average, {} the slowest", microseconds(mean), microseconds(most))
        },
    )
}

fn faults(faults: &Value) -> Markup {
    let faults: Vec<_> = faults
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, count)| Some((name, count.as_u64().filter(|count| *count > 0)?)))
        .collect();
    html! {
        @if faults.is_empty() { "none" }
        @for (index, (name, count)) in faults.iter().enumerate() {
            @if index > 0 { ", " } (name) " " (number(*count))
        }
    }
}

fn addition(said: &Said, frame: &Frame) -> Markup {
    html! {
        section.card aria-labelledby="add" {
            h2 id="add" { "Add a zone" }
            form method="post" action=(PATH) {
                (frame.csrf())
                label for="spec" { "One table, as the configuration has it" }
                textarea id="spec" name="spec" rows="7" required spellcheck="false" aria-describedby="spec-hint"
                    placeholder="[[zone]]\nname = \"bl.example.net\"\nclass = \"third-party-bad\"\nenforce = false" {
                    (said.text("spec"))
                }
                p.hint id="spec-hint" { "It is asked from now on, also after a restart. With "
                    code { "enforce = false" } " its listings are recorded and nothing is done about them." }
                button type="submit" { "Add" }
            }
        }
    }
}

fn of_test(test: &Value) -> Markup {
    let is_well = test["well"] == true;
    html! {
        section.card aria-labelledby="test" {
            h2 id="test" { "Test of " (text(&test["zone"])) }
            div class={ "notice " (if is_well { "good" } else { "bad" }) } role="status" {
                p { strong { @if is_well { "Well: " } @else { "Not well: " } (text(&test["verdict"])) } }
                @if let Some(remedy) = test["remedy"].as_str() { p { "What to do: " (remedy) } }
            }
            @let points = rows(&test["points"]);
            @if points.is_empty() { p.hint { "It has no test entries." } }
            @else { div.scroll tabindex="0" { table {
                caption { "Each test entry, and whether it is as it should be" }
                thead { tr { th scope="col" { "Entry" } th scope="col" { "Expected" }
                    th scope="col" { "Answer" } th scope="col" { "Codes" } th.number scope="col" { "Time" } } }
                tbody { @for point in points { tr {
                    th scope="row" { (text(&point["address"])) }
                    td { (is_listed(&point["expected"])) }
                    td { (answer(point)) }
                    td { @for code in rows(&point["codes"]) { (text(code)) " " } }
                    td.number { (count(&point["milliseconds"])) " ms" }
                } } }
            } } }
        }
    }
}

fn is_listed(listed: &Value) -> &'static str {
    match listed.as_bool() {
        Some(true) => "listed",
        Some(false) => "not listed",
        None => "no answer",
    }
}

fn answer(point: &Value) -> Markup {
    let is_right = point["listed"] == point["expected"];
    html! {
        (badge(is_listed(&point["listed"]), if is_right { "good" } else { "bad" }))
        @match &point["fault"] {
            Value::Null => {}
            Value::String(fault) => { " " (fault) }
            fault => { " " (fault.to_string()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;

    fn zone(name: &str, state: &str) -> Value {
        json!({
            "name": name, "label": "L", "domain": name, "class": "third-party-bad", "action": "reject",
            "enforce": true, "enabled": state != "off", "state": state, "since": "2026-11-30T08:00:00Z",
            "reason": (state == "ill").then_some("it lists everything"), "remedy": "look <there>",
            "ipv4": {"state": state, "illness": null}, "ipv6": {"state": "not-offered"},
            "counts": {"queries": 4, "listed": 1, "not_listed": 7, "cache_hits": 9, "late": 0,
                "latency_sum": 10_000, "latency_most": 9_999, "faults": {"timeout": 3, "typo": 0}},
        })
    }

    #[test]
    fn each_state_shows_what_can_be_done() {
        let added = json!([{"about": "zone a.example", "set": "added, and off"}, {"about": "zone b", "set": "off"}]);
        for (state, overrides, role, expected, absent) in [
            (
                "healthy",
                &Value::Null,
                Role::Operator,
                vec!["badge good", "/test", "/disable"],
                vec!["/enable", "/remove", "notice"],
            ),
            (
                "ill",
                &Value::Null,
                Role::Operator,
                vec!["badge bad", "it lists everything", "look &lt;there&gt;"],
                vec!["/remove"],
            ),
            (
                "off",
                &added,
                Role::Operator,
                vec!["badge plain", "/enable", "/remove"],
                vec!["/test", "/disable"],
            ),
            (
                "unproven",
                &added,
                Role::Viewer,
                vec!["badge doubtful"],
                vec!["<form", "<button", "csrf"],
            ),
        ] {
            let zones = json!([zone("a.example", state)]);
            let shown =
                content(&zones, overrides, &Said::default(), &Frame::of(role)).into_string();
            for part in expected {
                assert!(shown.contains(part), "{state}: no {part} in {shown}");
            }
            for part in absent {
                assert!(!shown.contains(part), "{state}: {part} in {shown}");
            }
        }
    }

    #[test]
    fn what_it_was_asked_is_told_in_numbers() {
        let zones = json!([zone("a.example", "healthy")]);
        let shown = content(&zones, &Value::Null, &Said::default(), &Frame::of(Role::Viewer));
        let shown = shown.into_string();
        for part in ["12.5 % of the answers", "2.5 ms on average, 9.9 ms the slowest", "timeout 3"]
        {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(!shown.contains("typo"), "{shown}");
        assert_eq!(
            (share(None, None), latency(&json!({}))),
            ("no answer yet".to_owned(), "–".to_owned())
        );
    }

    #[test]
    fn nothing_that_a_zone_says_is_markup() {
        let hostile = "<script>\"'\u{1b}".repeat(100);
        let zones = json!([zone(&hostile, &hostile), {}, null, 7]);
        let frame = Frame::of(Role::Operator);
        let test = json!({"zone": hostile, "verdict": hostile, "well": false, "remedy": hostile,
            "points": [{"address": hostile, "codes": [hostile], "fault": {"x": hostile}}, {}]});
        for shown in [content(&zones, &json!([null]), &Said::default(), &frame), of_test(&test)] {
            let shown = shown.into_string();
            assert!(!shown.contains("<script") && !shown.contains("=\"\"'"), "{shown}");
        }
    }
}
