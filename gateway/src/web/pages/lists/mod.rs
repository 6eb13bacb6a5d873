//! Lists: how each is, and what can be done about it.

mod changes;
mod copies;
mod one;
mod put;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde_json::Value;

use crate::admin::Fault;
use crate::web::frame::Frame;
use crate::web::parts::{action, badge, count, duration, octets, rows, segment, text, time};
use crate::web::said::Said;
use crate::web::site::Site;

const PATH: &str = "/lists";
const API: &str = "/api/v1/lists";
const TITLE: &str = "Lists";
/// Lists on one page.
const LISTS: usize = 100;
/// Sources of one list that are shown; a folder may have any number of files.
const SOURCES: usize = 50;

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/lists", get(show))
        .merge(one::routes())
        .merge(changes::routes())
        .merge(copies::routes())
        .merge(put::routes())
}

async fn show(State(site): State<Arc<Site>>, frame: Frame, Query(said): Query<Said>) -> Response {
    frame.shown(PATH, TITLE, said.unknown(&["from"]), whole(&site, &frame, &said).await)
}

async fn whole(site: &Site, frame: &Frame, said: &Said) -> Result<Markup, Fault> {
    let lists = &site.api.get(API).await?;
    let from = said.number("from").and_then(|from| usize::try_from(from).ok());
    Ok(content(&lists["lists"], from.unwrap_or(0), frame))
}

/// The page of one list.
fn path(list: &str) -> String {
    format!("{PATH}/{}", segment(list))
}

fn content(lists: &Value, from: usize, frame: &Frame) -> Markup {
    let all = rows(lists);
    let lists: Vec<_> = all.iter().skip(from).take(LISTS).collect();
    html! {
        @for list in &lists { (waits(list, frame)) }
        section.card aria-label="All lists" {
            @if all.is_empty() {
                p.hint { "There is no list. Each " code { "[[list]]" } " of the configuration is one." }
            } @else { div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { "List" } th scope="col" { "Class" } th scope="col" { "Action" }
                    th.number scope="col" { "Entries" } th.number scope="col" { "By hand" }
                    th.number scope="col" { "Exceptions" } th scope="col" { "Source" } th scope="col" { "Age" }
                    @if frame.may_change() { th scope="col" { "Change" } } } }
                tbody { @for list in &lists { (line(list, frame)) } }
            } } }
            @if from + lists.len() < all.len() { p { a href={ (PATH) "?from=" (from + lists.len()) } { "More lists" } } }
            @if from > 0 { p { a href=(PATH) { "The first lists" } } }
        }
    }
}

fn line(list: &Value, frame: &Frame) -> Markup {
    let name = text(&list["name"]);
    let sources = rows(&list["sources"]);
    html! {
        tr {
            th scope="row" { a href=(path(name)) { (name) } (state(list)) }
            td { (text(&list["class"])) }
            td { (does(list)) }
            td.number { (count(&list["entries"])) }
            td.number { (count(&list["manual"])) }
            td.number { (count(&list["exceptions"])) }
            td { (text(&list["source"])) @for source in sources { (fetch(&source["fetch"])) } }
            td { (age(sources)) }
            @if frame.may_change() { td { div.actions { (actions(list, frame)) } } }
        }
    }
}

/// What is out of the ordinary, in words.
fn state(list: &Value) -> Markup {
    html! {
        @if list["enabled"] == false { " " (badge("off", "plain")) }
        @if list["enforce"] == false { " " (badge("dry run", "doubtful")) }
        @if !list["fault"].is_null() { " " (badge("fault", "bad")) }
    }
}

/// What daemon and kernel filter do about a match.
fn does(list: &Value) -> Markup {
    html! {
        (action(text(&list["action"])))
        @if list["in_kernel"] == true {
            " " span.hint { "kernel: " (match text(&list["kernel"]) { "off" => "passes", kernel => kernel }) }
        }
    }
}

/// How old the oldest source is.
fn age(sources: &[Value]) -> String {
    let oldest = sources.iter().filter_map(|source| source["age_s"].as_u64()).max();
    oldest.map_or_else(|| "–".to_owned(), duration)
}

/// How fetching goes, beside its source.
fn fetch(fetch: &Value) -> Markup {
    html! {
        @if !fetch.is_null() {
            br; span.hint {
                @if fetch["fetching"] == true { "is being fetched" }
                @else { "fetched " (time(&fetch["last_success"])) ", next " (time(&fetch["next_try"])) }
                @if let Some(fault) = fetch["last_fault"].as_str() {
                    "; " (badge("not fetched", "bad")) " " (fault) " (" (count(&fetch["faults"])) " times)"
                }
            }
        }
    }
}

/// What is wrong with a list, and the copy that waits for somebody.
fn waits(list: &Value, frame: &Frame) -> Markup {
    let name = text(&list["name"]);
    let held_back = rows(&list["sources"]).iter().find(|source| !source["held_back"].is_null());
    html! {
        @if let Some(fault) = list["fault"].as_str() {
            div.notice.bad role="status" {
                p { strong { a href=(path(name)) { (name) } ": " } (fault) }
                @if let Some(held_back) = held_back.map(|source| &source["held_back"]) {
                    p { "A copy of " (octets(held_back["octets"].as_u64().unwrap_or(0))) ", "
                        (time(&held_back["as_of"])) ", is held back: " (text(&held_back["why"])) "." }
                }
                @if list["can_accept"] == true {
                    p { a href=(copies::held_back(name)) {
                        "See what it would change" @if frame.may_change() { ", and accept it" } } }
                }
            }
        }
    }
}

fn actions(list: &Value, frame: &Frame) -> Markup {
    let name = text(&list["name"]);
    let path = path(name);
    let is_fetched = rows(&list["sources"]).iter().any(|source| !source["fetch"].is_null());
    html! {
        @if list["enabled"] == false {
            (frame.button(&format!("{path}/enable"), "Enable", name, None))
        } @else {
            (frame.button(&format!("{path}/disable"), "Disable", name,
                Some(&format!("Switch {name} off? None of its entries counts then."))))
        }
        @if is_fetched { (frame.button(&format!("{path}/fetch"), "Fetch now", name, None)) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Role;

    /// What strangers may write.
    pub(super) const HOSTILE: &str = "<script>\"'\u{1b}&";

    pub(super) fn list(kind: &str) -> Value {
        json!({
            "name": "a/b", "class": "local-bad", "action": "reject", "kernel": "refuse", "in_kernel": true,
            "enforce": true, "enabled": true, "switch": null, "source": HOSTILE, "format": "plain",
            "entries": 1_234, "manual": 2, "exceptions": 3, "rejected": 0, "fault": null, "can_accept": false,
            "sources": [{"kind": kind, "where": HOSTILE, "age_s": 7_200, "fetch": null, "held_back": null}],
        })
    }

    #[test]
    fn each_state_shows_what_can_be_done() {
        let with = |field: &str, value: Value| {
            let mut list = list("url");
            list[field] = value;
            list
        };
        let mut fetched = list("url");
        fetched["sources"][0]["fetch"] =
            json!({"last_fault": HOSTILE, "faults": 3, "next_try": null});
        let mut refused = with("fault", json!(HOSTILE));
        refused["can_accept"] = json!(true);
        refused["sources"][0]["held_back"] = json!({"why": HOSTILE, "octets": 10});
        for (list, expected, absent) in [
            (
                list("file"),
                vec!["/lists/a%2Fb/disable", "2 h", "kernel: refuse"],
                vec!["/enable", "/fetch", "notice"],
            ),
            (with("enabled", json!(false)), vec!["/enable", "badge plain"], vec!["/disable"]),
            (with("enforce", json!(false)), vec!["dry run"], vec![]),
            (fetched, vec!["/fetch", "(3 times)"], vec!["/held-back"]),
            (refused, vec!["/held-back", ", and accept it", "is held back", "10 octets"], vec![]),
        ] {
            let lists = json!([list]);
            let shown = content(&lists, 0, &Frame::of(Role::Operator)).into_string();
            for part in expected {
                assert!(shown.contains(part), "no {part} in {shown}");
            }
            for part in absent.into_iter().chain(["<script"]) {
                assert!(!shown.contains(part), "{part} in {shown}");
            }
            let shown = content(&lists, 0, &Frame::of(Role::Viewer)).into_string();
            assert!(!shown.contains("<form") && !shown.contains("Change"), "{shown}");
        }
    }

    #[test]
    fn many_lists_are_on_several_pages() {
        let lists: Value = (0..250).map(|_number| list("file")).collect();
        for (from, count, more) in [(0, 100, Some("?from=100")), (200, 50, None), (9000, 0, None)] {
            let shown = content(&lists, from, &Frame::of(Role::Operator)).into_string();
            assert_eq!(shown.matches("/lists/a%2Fb/disable").count(), count, "{from}");
            assert_eq!(shown.contains("?from="), more.is_some(), "{from}");
            assert!(shown.contains(more.unwrap_or("The first lists")), "{from}");
            assert!(shown.len() < 130_000, "{} octets", shown.len());
        }
    }

    #[test]
    fn what_is_missing_is_a_dash() {
        let shown = content(&json!([{}, null, 7]), 0, &Frame::of(Role::Viewer)).into_string();
        assert_eq!(shown.matches("<tr>").count(), 4, "{shown}");
    }
}
