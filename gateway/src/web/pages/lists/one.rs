//! One list: its sources, its entries a page at a time, what came and went.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde_json::Value;

use super::{API, PATH, SOURCES, actions, age, does, fetch, path, put, state, waits};
use crate::admin::Fault;
use crate::list::ExportFormat;
use crate::web::frame::{Frame, told};
use crate::web::parts::{
    LASTING, badge, choice, count, duration, field, lookup, rows, segment, text, time,
};
use crate::web::said::{Said, asked};
use crate::web::site::Site;

/// Entries on one page.
const ENTRIES: &str = "50";
/// Changes, and prefixes of them, that are shown.
const EVENTS: &str = "40";

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/lists/{list}", get(show))
}

async fn show(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(list): Path<String>,
    Query(said): Query<Said>,
) -> Response {
    let unknown = said.unknown(&["search", "after", "excepted-after", "prefix", "reason"]);
    frame.shown(PATH, &list, unknown, whole(&site, &frame, &list, &said, None).await)
}

/// The whole page; `preview` is what a copy would change.
pub(super) async fn whole(
    site: &Site,
    frame: &Frame,
    name: &str,
    said: &Said,
    preview: Option<&Value>,
) -> Result<Markup, Fault> {
    let path = format!("{API}/{}", segment(name));
    let parameters = [
        ("limit", Some(ENTRIES)),
        ("prefix", said.given("search")),
        ("after", said.given("after")),
    ];
    let entries = format!("{path}/entries{}", asked(&parameters));
    let history = format!("{path}/history?limit={EVENTS}");
    let (lists, entries, history) =
        tokio::join!(site.api.get(API), site.api.get(&entries), site.api.get(&history));
    let lists = &lists?;
    let list = rows(&lists["lists"]).iter().find(|list| list["name"] == name);
    let Some(list) = list else {
        return Err(entries.err().unwrap_or_else(|| {
            Fault::new(StatusCode::NOT_FOUND, "there is no list of that name").detail(name)
        }));
    };
    let has_exceptions = list["exceptions"].as_u64().is_some_and(|exceptions| exceptions > 0);
    let exceptions = if has_exceptions { Some(exceptions(site, name, said).await) } else { None };
    Ok(html! {
        (waits(list, frame))
        (overview(list, frame))
        (of_entries(name, entries.as_ref(), said, frame))
        @if let Some(exceptions) = &exceptions { (of_exceptions(name, exceptions.as_ref(), said, frame)) }
        @if frame.may_change() { (addition(name, said, frame)) }
        @if frame.may_change() && put::is_put(list) { (put::form(name, said, preview, frame)) }
        (of_history(history.as_ref()))
        p { a href=(PATH) { "All lists" } }
    })
}

fn overview(list: &Value, frame: &Frame) -> Markup {
    let sources = rows(&list["sources"]);
    let switch = &list["switch"];
    html! {
        section.card aria-labelledby="list" {
            h2 id="list" { "How it is" (state(list)) }
            dl {
                dt { "Class" } dd { (text(&list["class"])) }
                dt { "Action" } dd { (does(list)) }
                dt { "Entries" } dd { (count(&list["entries"])) ", " (count(&list["manual"])) " of them by hand" }
                dt { "Exceptions" } dd { (count(&list["exceptions"])) }
                dt { "Source" } dd { (text(&list["source"])) }
                dt { "Age" } dd { (age(sources)) }
                @if !switch.is_null() {
                    dt { "Switched" } dd { @if switch["enabled"] == true { "on" } @else { "off" } " by "
                        (text(&switch["author"])) ", " (time(&switch["at"])) }
                }
            }
            @if frame.may_change() { div.actions.apart { (actions(list, frame)) } }
            @if !sources.is_empty() { div.scroll tabindex="0" { table {
                caption { "Sources" }
                thead { tr { th scope="col" { "Where" } th scope="col" { "Format" } th.number scope="col" { "Entries" }
                    th.number scope="col" { "Rejected lines" } th scope="col" { "Age" } th scope="col" { "Fault" } } }
                tbody { @for source in sources.iter().take(SOURCES) { tr {
                    th scope="row" { (text(&source["where"])) (fetch(&source["fetch"])) }
                    td { (text(&source["format"])) }
                    td.number { (count(&source["entries"])) }
                    td.number { (count(&source["rejected"])) }
                    td { (source["age_s"].as_u64().map_or_else(|| "–".to_owned(), duration)) }
                    td { (text(&source["fault"])) }
                } } }
            } } }
            @if sources.len() > SOURCES { p.hint { "and " (sources.len() - SOURCES) " more" } }
        }
    }
}

fn of_entries(name: &str, found: Result<&Value, &Fault>, said: &Said, frame: &Frame) -> Markup {
    let page = path(name);
    html! {
        section.card aria-labelledby="entries" {
            h2 id="entries" { "Entries" }
            form method="get" action=(page) {
                div.fields {
                    (field("search", "search", "Address or prefix", said.text("search")))
                    button type="submit" { "Search" }
                    @if said.given("search").is_some() { a href=(page) { "All entries" } }
                }
            }
            p.actions { "Download all as" @for format in ExportFormat::ALL {
                a href={ (API) "/" (segment(name)) "/export?format=" (format.name()) } { (format.name()) }
            } }
            @match found {
                Err(fault) => (told(fault)),
                Ok(found) => {
                    @let entries = rows(&found["entries"]);
                    p.hint { (in_all(found, said)) }
                    (ENTRY.table(name, entries, frame))
                    @if frame.may_change() && !entries.is_empty() {
                        p.hint { "What a source has stays out by an exception, until that is ended." }
                    }
                    @if let Some(next) = found["next"].as_str() {
                        p { a href={ (page) (asked(&[("search", said.given("search")), ("after", Some(next))])) "#entries" } {
                            "More entries" } }
                    }
                    @if said.given("after").is_some() {
                        p { a href={ (page) (asked(&[("search", said.given("search"))])) "#entries" } { "The first entries" } }
                    }
                }
            }
        }
    }
}

/// Rows of a list, and what can be done with each.
struct Rows {
    /// The last part of the path that does it.
    does: &'static str,
    /// Its name.
    verb: &'static str,
    /// What is asked before it, around the prefix and the name of the list.
    ask: [&'static str; 3],
    /// Who or what they come from, and the field that says so.
    from: (&'static str, &'static str),
}

const ENTRY: Rows = Rows {
    does: "remove",
    verb: "Remove",
    ask: ["Take ", " out of ", "?"],
    from: ("Origin", "origin"),
};

const EXCEPTION: Rows = Rows {
    does: "restore",
    verb: "Restore",
    ask: ["End the exception of ", "? What it took out of ", " counts then."],
    from: ("By", "author"),
};

impl Rows {
    /// A table of `all`, for those who may in a form that does it.
    fn table(&self, name: &str, all: &[Value], frame: &Frame) -> Markup {
        let Self { does, verb, ask: [before, between, after], from: (title, field) } = self;
        let may_change = frame.may_change();
        let table = html! { div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "Prefix" } th scope="col" { "Reason" } th scope="col" { "Since" }
                th scope="col" { "Until" } th scope="col" { (title) }
                @if may_change { th scope="col" { "Change" } } } }
            tbody { @for row in all {
                @let prefix = text(&row["prefix"]);
                tr {
                    th scope="row" { (lookup(prefix)) }
                    td { (text(&row["reason"])) }
                    td { (time(&row["since"])) }
                    td { (time(&row["until"])) }
                    td { (text(&row[*field])) }
                    @if may_change { td {
                        button.quiet type="submit" name="prefix" value=(prefix)
                            data-ask={ (before) (prefix) (between) (name) (after) } {
                            (verb) span.visually-hidden { " " (prefix) } }
                    } }
                }
            } }
        } } };
        html! {
            @if all.is_empty() {}
            @else if may_change {
                form method="post" action={ (path(name)) "/" (does) } { (frame.csrf()) (table) }
            } @else { (table) }
        }
    }
}

/// How many there are that are shown or searched for.
fn in_all(found: &Value, said: &Said) -> Markup {
    html! {
        @if said.given("search").is_some() { "Those that cover it, are it, or lie inside it: " }
        @else { "In all: " } (count(&found["matching"])) "."
    }
}

async fn exceptions(site: &Site, name: &str, said: &Said) -> Result<Value, Fault> {
    let parameters = asked(&[
        ("limit", Some(ENTRIES)),
        ("prefix", said.given("search")),
        ("after", said.given("excepted-after")),
    ]);
    site.api.get(&format!("{API}/{}/exceptions{parameters}", segment(name))).await
}

/// What was taken out by hand of what the source has.
fn of_exceptions(name: &str, found: Result<&Value, &Fault>, said: &Said, frame: &Frame) -> Markup {
    let more = |found: &Value| {
        let next = found["next"].as_str()?;
        Some(asked(&[("search", said.given("search")), ("excepted-after", Some(next))]))
    };
    html! {
        section.card aria-labelledby="exceptions" {
            h2 id="exceptions" { "Exceptions" }
            @match found {
                Err(fault) => (told(fault)),
                Ok(found) => {
                    p.hint { "What the source has of these does not count, nor what was added of them before. "
                        (in_all(found, said)) }
                    (EXCEPTION.table(name, rows(&found["entries"]), frame))
                    @if let Some(more) = more(found) {
                        p { a href={ (path(name)) (more) "#exceptions" } { "More exceptions" } }
                    }
                }
            }
        }
    }
}

fn addition(name: &str, said: &Said, frame: &Frame) -> Markup {
    html! {
        section.card aria-labelledby="add" {
            h2 id="add" { "Add an entry" }
            form method="post" action={ (path(name)) "/add" } {
                (frame.csrf())
                div.fields {
                    (field("prefix", "prefix", "Address or prefix", said.text("prefix")))
                    (field("reason", "reason", "Reason", said.text("reason")))
                    (choice("for", "for", "Until", &LASTING, said.text("for")))
                    button type="submit" { "Add" }
                }
            }
        }
    }
}

fn of_history(history: Result<&Value, &Fault>) -> Markup {
    html! {
        section.card aria-labelledby="history" {
            h2 id="history" { "History" }
            @match history {
                Err(fault) => (told(fault)),
                Ok(history) => {
                    @let (changes, events) = (rows(&history["changes"]), rows(&history["events"]));
                    @if changes.is_empty() { p.hint { "Nothing came or went." } }
                    @else {
                        div.columns { (changes_table(changes)) (events_table(events)) }
                    }
                    @let baseline = &history["baseline"];
                    @if !baseline.is_null() {
                        p.hint { "The journal begins " (time(&baseline["at"])) " with "
                            (count(&baseline["entries"])) " entries: " (text(&baseline["by"])) "." }
                    }
                }
            }
        }
    }
}

fn changes_table(changes: &[Value]) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            caption { "The newest changes" }
            thead { tr { th scope="col" { "When" } th.number scope="col" { "Came" } th.number scope="col" { "Went" }
                th.number scope="col" { "Entries then" } th scope="col" { "By" } } }
            tbody { @for change in changes { tr {
                th scope="row" { (time(&change["at"])) }
                td.number { (count(&change["added"])) }
                td.number { (count(&change["removed"])) }
                td.number { (count(&change["entries"])) }
                td { (text(&change["by"])) }
            } } }
        } }
    }
}

fn events_table(events: &[Value]) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            caption { "The newest prefixes of them" }
            thead { tr { th scope="col" { "Prefix" } th scope="col" { "What" } th scope="col" { "When" } } }
            tbody { @for event in events { tr {
                th scope="row" { (lookup(text(&event["prefix"]))) }
                td { @if event["added"] == true { (badge("came", "plain")) } @else { (badge("went", "doubtful")) } }
                td { (time(&event["at"])) }
            } } }
        } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{HOSTILE, list};
    use super::*;
    use crate::config::Role;

    #[test]
    fn entries_are_paged_and_only_an_operator_takes_one_out() {
        let found = json!({"matching": 3, "next": "192.0.2.7-1", "entries": [
            {"prefix": "192.0.2.7", "reason": HOSTILE, "origin": HOSTILE, "since": HOSTILE}, {}, null]});
        for (role, is_operator) in [(Role::Operator, true), (Role::Viewer, false)] {
            let frame = Frame::of(role);
            let shown = of_entries("a/b", Ok(&found), &Said::default(), &frame).into_string();
            assert_eq!(shown.contains("value=\"192.0.2.7\""), is_operator, "{shown}");
            assert_eq!(shown.contains("/lists/a%2Fb/remove"), is_operator, "{shown}");
            assert!(shown.contains("/lists/a%2Fb?after=192.0.2.7-1#entries"), "{shown}");
            assert!(shown.contains("/api/v1/lists/a%2Fb/export?format=csv"), "{shown}");
            assert!(!shown.contains("<script"), "{shown}");
        }
        let fault = Fault::new(StatusCode::UNPROCESSABLE_ENTITY, HOSTILE);
        let shown = of_entries("a", Err(&fault), &Said::default(), &Frame::of(Role::Viewer));
        assert!(shown.into_string().contains("&lt;script&gt;"));
    }

    #[test]
    fn an_exception_has_who_made_it_and_an_operator_ends_it() {
        let found = json!({"matching": 2, "next": "192.0.2.7-1", "entries": [
            {"prefix": "192.0.2.7", "reason": HOSTILE, "author": HOSTILE, "until": HOSTILE}, null]});
        for (role, is_operator) in [(Role::Operator, true), (Role::Viewer, false)] {
            let said = Said::of("search=192.0.2.0/24");
            let shown = of_exceptions("a/b", Ok(&found), &said, &Frame::of(role)).into_string();
            assert_eq!(shown.contains("/lists/a%2Fb/restore"), is_operator, "{shown}");
            assert!(
                shown.contains("?search=192.0.2.0%2F24&amp;excepted-after=192.0.2.7-1#exceptions"),
                "{shown}"
            );
            assert!(!shown.contains("<script"), "{shown}");
        }
    }

    #[test]
    fn what_came_and_went_is_told() {
        let history = json!({"changes": [{"at": "2026-11-30T08:00:00Z", "by": HOSTILE, "added": 2, "removed": 1}],
            "events": [{"prefix": "192.0.2.7", "added": true}, {"prefix": "192.0.2.8", "added": false}, {}],
            "baseline": {"entries": 7, "by": HOSTILE}});
        let shown = of_history(Ok(&history)).into_string();
        for part in ["came", "went", "The journal begins", "&lt;script&gt;"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(!shown.contains("<script"), "{shown}");
        assert!(of_history(Ok(&json!({}))).into_string().contains("Nothing came or went"));
    }

    #[test]
    fn how_a_list_is_stands_above_its_entries() {
        let mut off = list("file");
        off["switch"] = json!({"enabled": false, "author": HOSTILE, "at": "2026-11-30T08:00:00Z"});
        for (list, part) in
            [(off, "off by"), (list("put"), "1\u{202f}234"), (json!({}), "How it is")]
        {
            let shown = overview(&list, &Frame::of(Role::Operator)).into_string();
            assert!(shown.contains(part) && !shown.contains("<script"), "{part} in {shown}");
        }
    }
}
