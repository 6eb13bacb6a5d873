//! What is well on this host, what is not, and what to do about it; it takes seconds, so it has a page of its own.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde_json::Value;

use super::{PATH, pages};
use crate::web::frame::{Frame, told};
use crate::web::parts::{badge, rows, text};
use crate::web::said::Said;
use crate::web::site::Site;

const HERE: &str = "/system/doctor";
const TITLE: &str = "Doctor";
/// The states, the worst first, with their headings.
const STATES: [(&str, &str, &str); 4] = [
    ("bad", "Does not work", "bad"),
    ("doubtful", "May be better", "doubtful"),
    ("unseen", "Could not be looked at", "plain"),
    ("ok", "Well", "good"),
];

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/system/doctor", get(show))
}

async fn show(State(site): State<Arc<Site>>, frame: Frame, Query(said): Query<Said>) -> Response {
    let around = html! { (said.unknown(&[])) (pages(HERE)) };
    match site.api.get("/api/v1/doctor").await {
        Ok(found) => frame.page(PATH, TITLE, html! { (around) (content(&found)) }).into_response(),
        Err(fault) => {
            let page = frame.page(PATH, TITLE, html! { (around) (told(&fault)) });
            (fault.status(), page).into_response()
        }
    }
}

/// One thing that was looked at, whatever form the answer has it in.
struct Finding<'a> {
    about: String,
    state: &'a str,
    found: &'a str,
    without: Option<&'a str>,
    remedy: Option<&'a str>,
}

impl<'a> Finding<'a> {
    /// What `value` says of `area`; what is well has nothing to be done.
    fn new(area: &str, value: &'a Value) -> Self {
        let state = text(&value["state"]);
        let is_missing = value["works"] != true && state != "ok";
        let known = STATES.iter().any(|(name, ..)| *name == state);
        Self {
            about: format!("{area}: {}", text(&value["name"])),
            state: if known { state } else { "unseen" },
            found: text(&value["found"]),
            without: value["without"].as_str().filter(|_without| is_missing),
            remedy: value["remedy"].as_str().filter(|_remedy| is_missing),
        }
    }
}

fn content(found: &Value) -> Markup {
    let features = rows(&found["features"]).iter().map(|it| Finding::new("kernel", it));
    let interfaces = rows(&found["interfaces"]).iter().flat_map(|interface| {
        let name = text(&interface["interface"]);
        let both = rows(&interface["findings"]).iter().chain(rows(&interface["checks"]));
        both.map(move |it| Finding::new(name, it))
    });
    let checks = rows(&found["checks"]).iter().map(|it| Finding::new(text(&it["area"]), it));
    let all: Vec<_> = features.chain(interfaces).chain(checks).collect();
    html! {
        p { @if found["ok"] == true { (badge("nothing is bad", "good")) }
            @else { (badge("something does not work", "bad")) }
            " Linux " (text(&found["kernel"])) "; the filter needs " (text(&found["minimum"])) " or later." }
        @for (state, heading, meaning) in STATES {
            @let of_state: Vec<_> = all.iter().filter(|it| it.state == state).collect();
            @if !of_state.is_empty() {
                section.card aria-labelledby=(state) {
                    h2 id=(state) { (heading) " " (badge(&of_state.len().to_string(), meaning)) }
                    @if state == "ok" {
                        details { summary { "All that is well" } (findings(&of_state)) }
                    } @else { (findings(&of_state)) }
                }
            }
        }
    }
}

fn findings(findings: &[&Finding<'_>]) -> Markup {
    html! {
        dl.findings { @for Finding { about, found, without, remedy, .. } in findings {
            dt { (about) }
            dd { (found)
                @if let Some(without) = without { br; "Without it: " (without) }
                @if let Some(remedy) = remedy { br; strong { "What to do: " } (remedy) } }
        } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::HOSTILE;
    use super::*;

    #[test]
    fn the_worst_comes_first_with_what_to_do() {
        let found = json!({
            "ok": false, "kernel": HOSTILE, "minimum": "5.11",
            "features": [{"state": "ok", "name": "BTF", "found": "yes", "works": true, "remedy": "nothing at all"}],
            "interfaces": [{"interface": "eth0", "findings": [{"state": "doubtful", "name": "native", "works": false,
                "without": "it is slower", "remedy": "another driver"}], "checks": [{"state": "unseen", "name": "mtu"}]}],
            "checks": [{"area": "dns", "state": "bad", "name": HOSTILE, "found": HOSTILE, "remedy": "start it"},
                {"state": "of another version"}, null],
        });
        let shown = content(&found).into_string();
        let places = [
            "id=\"bad\"",
            "start it",
            "id=\"doubtful\"",
            "it is slower",
            "id=\"unseen\"",
            "eth0: mtu",
            "id=\"ok\"",
            "BTF",
        ];
        let places =
            places.map(|part| shown.find(part).unwrap_or_else(|| panic!("{part} in {shown}")));
        assert!(places.is_sorted(), "{places:?}");
        assert!(!shown.contains("<script") && !shown.contains("nothing at all"), "{shown}");
    }
}
