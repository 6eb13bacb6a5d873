//! The configuration in force: each key with what holds and where it was said, and what commands set in its place.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use maud::{Markup, html};
use serde_json::Value;

use super::{PATH, pages};
use crate::web::frame::{Frame, Trouble};
use crate::web::parts::{badge, rows, text, time};
use crate::web::said::Said;
use crate::web::site::Site;

const HERE: &str = "/system/config";
/// Tables that are shown: a host may have any number of lists.
const TABLES: usize = 60;
/// Letters of a value.
const VALUE: usize = 300;

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/system/config", get(show))
}

async fn show(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Query(said): Query<Said>,
) -> Result<Markup, Trouble> {
    let config = site.api.get("/api/v1/config").await.map_err(|fault| frame.trouble(fault))?;
    let content = html! {
        (said.unknown(&["all"])) (pages(HERE)) (content(&config, said.text("all") == "1"))
    };
    Ok(frame.page(PATH, "Configuration", content))
}

/// With `all`, the defaults as well.
fn content(config: &Value, all: bool) -> Markup {
    let tables = rows(&config["tables"]);
    let shown: Vec<_> = tables.iter().filter(|table| all || is_said(table)).collect();
    html! {
        (overrides(config))
        p { "Of " code { (text(&config["file"])) } ", as it was last read. "
            @if all { a href=(HERE) { "Only what is said" } }
            @else { a href={ (HERE) "?all=1" } { "With all defaults" } } }
        @for table in shown.iter().take(TABLES) { (one(table, all)) }
        @if shown.len() > TABLES {
            p.hint { "and " (shown.len() - TABLES) " tables more: " code { "portcullis check --show" } " shows all." }
        }
    }
}

fn is_said(table: &Value) -> bool {
    !table["place"].is_null() || rows(&table["keys"]).iter().any(|key| key["said"] == true)
}

fn overrides(config: &Value) -> Markup {
    let overrides = rows(&config["overrides"]);
    html! {
        section.card aria-labelledby="set" {
            h2 id="set" { "Set while the daemon runs" }
            @if let Some(fault) = config["fault"].as_str() {
                div.notice.bad role="alert" { p { "What was set is not known: " (fault) } }
            }
            @if overrides.is_empty() { p.hint { "Nothing: what the file says counts." } }
            @else { div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { "About" } th scope="col" { "The file says" } th scope="col" { "Was set to" }
                    th scope="col" { "By" } th scope="col" { "What counts" } } }
                tbody { @for set in overrides { tr {
                    th scope="row" { (text(&set["about"])) }
                    td { (text(&set["file"])) }
                    td { (text(&set["set"])) }
                    td { (text(&set["author"])) ", " (time(&set["at"])) }
                    td { @if set["wins"] == "set" { (badge("what was set", "doubtful")) }
                        @else { (badge("the file", "plain")) } }
                } } }
            } } }
        }
    }
}

fn one(table: &Value, all: bool) -> Markup {
    let heading = table["heading"].as_str().filter(|heading| !heading.is_empty());
    let keys = rows(&table["keys"]).iter();
    let keys: Vec<_> = keys.filter(|key| all || key["said"] == true).collect();
    html! {
        section.card {
            h2 { code { (heading.unwrap_or("at the top")) } }
            @if let Some(place) = table["place"].as_str() { p.hint { (place) } }
            @if keys.is_empty() { p.hint { "No key of its own is said." } }
            @else { div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { "Key" } th scope="col" { "Value" } th scope="col" { "Said at" } } }
                tbody { @for key in keys { tr {
                    th scope="row" { code { (text(&key["key"])) } }
                    td { (value(key)) @if key["masked"] == true { " " (badge("secret left out", "plain")) } }
                    td { @if key["said"] == true { (text(&key["place"])) } @else { span.hint { "default" } } }
                } } }
            } } }
        }
    }
}

fn value(key: &Value) -> Markup {
    let value = match &key["value"] {
        Value::Null => return html! { span.hint { (text(&key["words"])) } },
        value => value.to_string(),
    };
    let shown: String = value.chars().take(VALUE).collect();
    html! { code { (shown) @if shown.len() < value.len() { "…" } } }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::HOSTILE;
    use super::*;

    #[test]
    fn what_is_said_stands_with_its_place_and_what_counts() {
        let config = json!({
            "file": HOSTILE,
            "tables": [
                {"heading": "", "place": null, "keys": [
                    {"key": "hostname", "value": HOSTILE, "said": true, "place": "p.toml:1"},
                    {"key": "drain", "value": "30s", "said": false}]},
                {"heading": "[xdp]", "place": null, "keys": [{"key": "mode", "words": "what fits", "said": false}]},
                {"heading": "[[list]]", "place": "p.toml:9", "keys": [{"key": "url", "value": "x".repeat(5_000), "said": true, "masked": true}]},
                null,
            ],
            "overrides": [{"about": "list bad", "file": "on", "set": "off", "author": HOSTILE, "wins": "set"},
                {"about": HOSTILE, "wins": "file"}],
            "fault": null,
        });
        for (all, expected, absent) in [
            (
                false,
                vec!["p.toml:1", "p.toml:9", "what was set", "the file", "secret left out", "…"],
                vec!["30s", "[xdp]"],
            ),
            (true, vec!["30s", "[xdp]", "what fits", "default"], vec![]),
        ] {
            let shown = content(&config, all).into_string();
            for part in expected {
                assert!(shown.contains(part), "no {part} in {shown}");
            }
            for part in absent.into_iter().chain(["<script"]) {
                assert!(!shown.contains(part), "{part} in {shown}");
            }
            assert!(shown.len() < 10_000, "{}", shown.len());
        }
        assert!(content(&json!({"fault": HOSTILE}), false).into_string().contains("is not known"));
    }
}
