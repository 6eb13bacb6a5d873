//! One address: what would be decided about it now, why, what is remembered of it, and what can be done.

use maud::{Markup, html};
use serde_json::Value;

use super::{forms, past};
use crate::admin::Fault;
use crate::web::facts;
use crate::web::frame::Frame;
use crate::web::parts::{action_of, badge, query, rows, strange, text, time};
use crate::web::said::Said;
use crate::web::site::Site;

/// The class of lists and zones of which an administrator is written a letter.
const OPEN_PROXY: &str = "open-proxy";

/// What the API says of an address.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) about: String,
    /// What would be decided, and the past.
    pub(super) answer: Value,
    /// Who waits on the greylist or passes.
    pub(super) senders: Value,
    /// The lists that there are.
    pub(super) lists: Value,
}

impl Known {
    /// Asks for all of it.
    pub(super) async fn ask(site: &Site, address: &str) -> Result<Self, Fault> {
        let path = format!("/api/v1/lookup/{address}");
        let of_senders = format!("/api/v1/senders?which={}&limit=20", query(address));
        let (answer, senders, status) = tokio::join!(
            site.api.get(&path),
            site.api.get(&of_senders),
            site.api.get("/api/v1/status"),
        );
        let [senders, status] = [senders, status].map(Result::unwrap_or_default);
        let lists = status.pointer("/rules/lists").cloned().unwrap_or_default();
        let answer = answer?;
        let about = answer.get("ip").and_then(Value::as_str).unwrap_or(address).to_owned();
        Ok(Self { about, answer, senders, lists })
    }
}

/// The page about an address.
pub(super) fn content(known: &Known, said: &Said, frame: &Frame) -> Markup {
    let Known { about, answer, senders, lists } = known;
    let paused = &answer["paused"];
    html! {
        @if !paused.is_null() {
            div.notice.doubtful role="status" { p { strong { "Everything passes" } " until "
                (text(&paused["until"])) ", says " (text(&paused["author"])) "." } }
        }
        div.columns {
            (verdict(answer))
            section.card aria-labelledby="score" {
                h2 id="score" { "Score" }
                @if answer["score"].is_null() { p.hint { "It has no score." } } @else { (facts::score(answer)) }
            }
        }
        (listed(answer, about, frame))
        @if frame.may_change() { (forms::all(about, lists, said, frame)) }
        (past::content(answer, senders, about))
    }
}

fn verdict(answer: &Value) -> Markup {
    let (kernel, route) = (&answer["kernel"], &answer["route"]);
    html! {
        section.card aria-labelledby="verdict" {
            h2 id="verdict" { bdi { (text(&answer["ip"])) } }
            dl {
                dt { "Verdict" } dd { strong { (text(&answer["verdict"])) } " (" (text(&answer["code"])) ")" }
                dt { "Action" } dd { (action_of(answer)) }
                dt { "Enforced" }
                dd { @if answer["enforced"] == false { "no, a dry run: nothing would be done" } @else { "yes" } }
                @if let Some(skipped) = answer["skipped"].as_str() { dt { "Not judged" } dd { (skipped) } }
                @if !route.is_null() {
                    dt { "Direction" }
                    dd { (text(&route["direction"])) ", " (text(&route["reason"])) ", reverse name "
                        (strange(&plain(&route["ptr"]), 300)) }
                }
                dt { "Kernel" }
                dd {
                    @if !kernel.is_null() {
                        (action_of(kernel)) " by list " (text(&kernel["list"]))
                    } @else if let Some(fault) = answer["kernel_fault"].as_str() {
                        (badge("unknown", "plain")) " " (fault)
                    } @else { "no rule" }
                }
                @if is_open_proxy(answer) {
                    dt { "Open proxy" }
                    dd { a href={ "/lookup/letter?about=" (query(text(&answer["ip"]))) } {
                        "A letter to its administrator" } }
                }
            }
        }
    }
}

/// A word as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn is_open_proxy(answer: &Value) -> bool {
    let listed = [&answer["matches"], &answer["listings"]];
    let is_listed = listed.into_iter().flat_map(rows).any(|found| found["class"] == OPEN_PROXY);
    is_listed
        || rows(&answer["decisions"])
            .iter()
            .any(|seen| seen["code"] == OPEN_PROXY && seen["decided"] == true)
}

fn listed(answer: &Value, about: &str, frame: &Frame) -> Markup {
    let matches = rows(&answer["matches"]);
    let (listings, unanswered) = (rows(&answer["listings"]), rows(&answer["unanswered"]));
    let undo = |found: &Value| forms::undo(found, about, frame);
    let undo: Option<&dyn Fn(&Value) -> Markup> =
        if frame.may_change() { Some(&undo) } else { None };
    html! {
        section.card aria-labelledby="listed" {
            h2 id="listed" { "Lists and zones" }
            @if matches.is_empty() && listings.is_empty() { p.hint { "No list and no zone has it." } }
            @if !matches.is_empty() { (facts::matches(matches, undo)) }
            (facts::listings(listings, unanswered))
        }
    }
}

/// The time when something ends, or that it does not.
pub(super) fn until(value: &Value) -> Markup {
    html! { @if value.is_null() { "for ever" } @else { "until " (time(value)) } }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Role;

    fn shown(answer: Value, role: Role) -> String {
        let known = Known { about: "192.0.2.1".to_owned(), answer, ..Known::default() };
        content(&known, &Said::default(), &Frame::of(role)).into_string()
    }

    #[test]
    fn each_state_of_an_address_is_told() {
        for (answer, expected) in [
            (json!({"enforced": false, "action": "reject"}), "a dry run: nothing would be done"),
            (json!({"paused": {"until": "soon", "author": "ann"}}), "Everything passes"),
            (json!({"skipped": "own-relay"}), "own-relay"),
            (json!({"kernel": {"list": "bad", "action": "refuse"}}), "by list bad"),
            (json!({"kernel_fault": "nothing is pinned"}), "nothing is pinned"),
            (json!({"kernel": null}), "no rule"),
            (json!({"score": 550, "band": "delay"}), "badge doubtful"),
            (json!({"unanswered": [{"zone": "zen", "reason": "timeout"}]}), "no answer"),
            (
                json!({"ip": "192.0.2.1", "matches": [{"class": "open-proxy"}]}),
                "/lookup/letter?about=192.0.2.1",
            ),
            (json!({"decisions": [{"code": "open-proxy", "decided": true}]}), "A letter"),
            (json!({}), "No list and no zone has it."),
            (Value::Null, "It has no score."),
        ] {
            let page = shown(answer.clone(), Role::Viewer);
            assert!(page.contains(expected), "{answer}: {page}");
            assert!(!page.contains("<form"), "a viewer changes nothing");
        }
        assert!(shown(json!({}), Role::Operator).contains("<form"));
    }

    #[test]
    fn what_strangers_wrote_stays_text() {
        let hostile = "\"><script>alert(1)</script>";
        let answer = json!({
            "ip": hostile, "verdict": hostile, "code": hostile, "action": hostile, "route": {"ptr": {"name": hostile}},
            "matches": [{"list": hostile, "entry": hostile, "origin": hostile, "reason": hostile.repeat(1000)}],
            "decisions": [{"reference": hostile, "helo": hostile, "hop": hostile, "list": hostile}],
            "reviews": [{"id": 1, "prefix": hostile, "asks": [{"note": hostile}]}],
            "history": {"events": [{"list": hostile, "prefix": hostile, "by": hostile}]},
        });
        let page = shown(answer, Role::Operator);
        assert!(!page.contains("<script") && page.len() < 40_000, "{page}");
    }
}
