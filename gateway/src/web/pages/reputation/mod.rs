//! The slider of the reputation score: where it stands, who put it there, what another place would have done.

mod chart;
mod replay;
mod tried;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::{Value, json};

use self::tried::Tried;
use crate::admin::Fault;
use crate::slider::Meaning;
use crate::web::frame::{Frame, told};
use crate::web::notice::back;
use crate::web::parts::{badge, strange, text, time};
use crate::web::said::Said;
use crate::web::site::Site;

const PATH: &str = "/reputation";
const TITLE: &str = "Reputation";

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route(PATH, get(show))
        .route("/reputation/set", post(set))
        .route("/reputation/reset", post(reset))
}

async fn show(State(site): State<Arc<Site>>, frame: Frame, Query(said): Query<Said>) -> Response {
    frame.shown(PATH, TITLE, said.unknown(&tried::PARAMETERS), whole(&site, &frame, &said).await)
}

async fn whole(site: &Site, frame: &Frame, said: &Said) -> Result<Markup, Fault> {
    let slider = site.api.get("/api/v1/slider").await?;
    let in_force = tried::in_force(&slider);
    let tried = Tried::read(said, in_force);
    let (from, above) = (tried.thresholds.delay_from(), tried.thresholds.reject_above());
    let path = format!("/api/v1/slider/replay?delay_from={from}&reject_above={above}&hours=24");
    let replayed = match site.api.get(&path).await {
        Ok(replayed) => replay::content(&replayed),
        Err(fault) => told(&fault),
    };
    Ok(content(&slider, &tried, &replayed, said, frame))
}

async fn set(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let number =
        |name| said.number(name).map_or_else(|| json!(said.text(name)), |number| json!(number));
    let wanted =
        json!({"delay_from": number("delay_from"), "reject_above": number("reject_above")});
    let sent = site.api.send(&frame.author(), Method::PUT, "/api/v1/slider", &wanted).await;
    let done = |answer: &Value| {
        let (from, above) = (&answer["delay_from"], &answer["reject_above"]);
        format!("set: delayed from {from}, rejected above {above}")
    };
    answered(&site, &frame, &said, sent, done).await
}

async fn reset(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let sent = site.api.send(&frame.author(), Method::DELETE, "/api/v1/slider", &json!({})).await;
    answered(&site, &frame, &said, sent, |_answer| "reset: the configuration counts".to_owned())
        .await
}

/// Back to the page, or the page with what went wrong.
async fn answered(
    site: &Site,
    frame: &Frame,
    said: &Said,
    sent: Result<Value, Fault>,
    done: impl FnOnce(&Value) -> String,
) -> Response {
    let back = sent.map(|answer| back(PATH, &done(&answer), &answer));
    frame.changed(back, PATH, TITLE, whole(site, frame, said)).await
}

fn content(slider: &Value, tried: &Tried, replayed: &Markup, said: &Said, frame: &Frame) -> Markup {
    let thresholds = tried.thresholds;
    let meaning = Meaning::of(thresholds, None);
    html! {
        @if slider["enabled"] == false {
            div.notice.doubtful role="status" { p { strong { "No score is computed" } ": "
                code { "[score] enabled" } " is false. Where the slider stands does nothing." } }
        }
        @if let Some(fault) = &tried.fault { (told(fault)) }
        (standing(slider, frame))
        section.card aria-labelledby="slider" data-slider {
            h2 id="slider" { "The slider" }
            p.hint { "Below 500 everybody is allowed. The scale above has three parts." }
            (chart::slider(thresholds))
            (tried::forms(&meaning, said))
            (saving(tried, frame))
        }
        div data-replay aria-live="polite" {
            section.card aria-labelledby="replay" {
                h2 id="replay" { "What these thresholds would have done in the last 24 hours" }
                (replayed)
            }
            section.card aria-labelledby="chart" {
                h2 id="chart" { "Chart of scores" }
                (chart::scores(&meaning))
            }
        }
    }
}

/// Which thresholds count, and who said so.
fn standing(slider: &Value, frame: &Frame) -> Markup {
    let (configured, by_hand) = (&slider["configured"], &slider["set"]);
    let is_set = slider["in_force"] == "set";
    let in_force = || badge("in force", "good");
    html! {
        section.card aria-labelledby="standing" {
            h2 id="standing" { "In force" }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { "Where from" } th scope="col" { "Allow, delay, reject" }
                    th.number scope="col" { "Delayed from" } th.number scope="col" { "Rejected above" }
                    th scope="col" { "Said by" } th scope="col" { "Counts" } } }
                tbody {
                    tr {
                        th scope="row" { "Configuration" }
                        td { (percent(&configured["percent"])) }
                        td.number { (plain(&configured["delay_from"])) }
                        td.number { (plain(&configured["reject_above"])) }
                        td { code { "[score]" } }
                        td { @if is_set { "not while set by hand" } @else { (in_force()) } }
                    }
                    @if !by_hand.is_null() { tr {
                        th scope="row" { "Set by hand" }
                        td { (percent(&by_hand["percent"])) }
                        td.number { (plain(&by_hand["delay_from"])) }
                        td.number { (plain(&by_hand["reject_above"])) }
                        td { (strange(text(&by_hand["author"]), 100)) ", " (time(&by_hand["at"])) }
                        td { @if is_set { (in_force()) } }
                    } }
                }
            } }
            p.hint { "What is set by hand counts before the configuration, over restarts, until it is reset." }
            @if is_set {
                (frame.button("/reputation/reset", "Reset", "to the configuration",
                    Some("Go back to what the configuration says?")))
            }
        }
    }
}

fn percent(parts: &Value) -> String {
    let [allow, delay, reject] = ["allow", "delay", "reject"].map(|part| plain(&parts[part]));
    format!("{allow} %, {delay} %, {reject} %")
}

/// A number of an answer, with its fraction.
fn plain(value: &Value) -> String {
    if value.is_number() { value.to_string() } else { "–".to_owned() }
}

/// The form that puts in force what is tried.
fn saving(tried: &Tried, frame: &Frame) -> Markup {
    let Tried { thresholds, in_force, .. } = *tried;
    let is_new = thresholds != in_force;
    let (from, above) = (thresholds.delay_from(), thresholds.reject_above());
    html! {
        @if frame.may_change() {
            form method="post" action="/reputation/set" data-in-force=(in_force)
                data-ask="Put these thresholds in force from the next connection on?" {
                (frame.csrf())
                input type="hidden" name="delay_from" value=(from);
                input type="hidden" name="reject_above" value=(above);
                p {
                    button type="submit" disabled[!is_new] { "Save" } " "
                    span.hint data-new hidden[!is_new] { "not in force yet" }
                    span.hint data-same hidden[is_new] { "these are in force: try others" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;
    use crate::policy::Thresholds;

    fn slider(set: Value) -> Value {
        let in_force = if set.is_null() { "configured" } else { "set" };
        json!({"enabled": true, "in_force": in_force, "set": set, "delay_from": 500, "reject_above": 600,
            "configured": {"delay_from": 500, "reject_above": 600, "percent": {"allow": 0, "delay": 20, "reject": 80}}})
    }

    fn shown(slider: &Value, tried: (u16, u16), role: Role) -> String {
        let thresholds = Thresholds::from_scores(tried.0, tried.1).unwrap();
        let tried = Tried { thresholds, in_force: tried::in_force(slider), fault: None };
        content(slider, &tried, &html! {}, &Said::default(), &Frame::of(role)).into_string()
    }

    #[test]
    fn which_thresholds_count_is_told() {
        let by_hand = json!({"delay_from": 701, "reject_above": 800, "author": "<b>ann", "at": "2026-11-20T08:00:00Z",
            "percent": {"allow": 40.2, "delay": 19.8, "reject": 40}});
        let of_file = shown(&slider(Value::Null), (500, 600), Role::Operator);
        for part in ["0 %, 20 %, 80 %", "in force", " disabled", "data-new hidden", "data-ask"] {
            assert!(of_file.contains(part), "{part}: {of_file}");
        }
        assert!(!of_file.contains("/reputation/reset"));
        let of_hand = shown(&slider(by_hand.clone()), (700, 800), Role::Operator);
        for part in [
            "40.2 %, 19.8 %, 40 %",
            "&lt;b&gt;ann",
            "not while set by hand",
            "/reputation/reset",
            "not in force yet",
        ] {
            assert!(of_hand.contains(part), "{part}: {of_hand}");
        }
        let of_viewer = shown(&slider(by_hand), (700, 800), Role::Viewer);
        assert!(!of_viewer.contains("method=\"post\"") && of_viewer.contains("method=\"get\""));
        let off = shown(&json!({"enabled": false}), (500, 600), Role::Viewer);
        assert!(off.contains("No score is computed"), "{off}");
    }
}
