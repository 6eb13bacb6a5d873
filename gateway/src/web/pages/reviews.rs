//! Reviews: who asked that an address be looked at again, what hits it now, and what is decided.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::admin::Fault;
use crate::web::frame::{Frame, Trouble, told};
use crate::web::notice::back;
use crate::web::parts::{
    LASTING, action, at, badge, choice, count, field, lookup, rows, segment, text, time,
};
use crate::web::said::{Said, asked};
use crate::web::site::Site;

const PATH: &str = "/reviews";
const API: &str = "/api/v1/reviews";
const TITLE: &str = "Reviews";
/// Reviews on one page.
const SHOWN: &str = "50";
/// How long a page waits for the zones that are asked about an address.
const PATIENCE: Duration = Duration::from_secs(2);

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/reviews", get(show).post(request))
        .route("/reviews/{id}", get(show_one))
        .route("/reviews/{id}/letter", get(letter))
        .route("/reviews/{id}/resolve", post(resolve))
}

async fn show(State(site): State<Arc<Site>>, frame: Frame, Query(said): Query<Said>) -> Response {
    let known = ["state", "before", "about", "reference", "note", "contact"];
    frame.shown(PATH, TITLE, said.unknown(&known), whole(&site, &frame, &said).await)
}

async fn whole(site: &Site, frame: &Frame, said: &Said) -> Result<Markup, Fault> {
    let before = said.number("before").map(|number| number.to_string());
    let of_state = async |state: &str, before: Option<&str>| {
        let query = asked(&[("state", Some(state)), ("limit", Some(SHOWN)), ("before", before)]);
        site.api.get(&format!("{API}{query}")).await
    };
    let mut sections = Vec::new();
    for state in ["open", "resolved"] {
        match said.given("state") {
            Some(wanted @ ("open" | "resolved")) if wanted != state => {}
            wanted => {
                let before = before.as_deref().filter(|_before| wanted == Some(state));
                sections.push((state, of_state(state, before).await?));
            }
        }
    }
    Ok(content(&sections, said, frame))
}

async fn request(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let back = ask(&site, &frame, &said).await.map(|answer| {
        let answer = &answer;
        let joined = if answer["joined"] == true { "joined, it was open already" } else { "open" };
        let done = format!("Review {}: {joined}", at(answer, "/review/id"));
        back(&path(&answer["review"]), &done, answer)
    });
    frame.changed(back, PATH, TITLE, whole(&site, &frame, &said)).await
}

/// Asks for the review that a form says, here or on the page of an address.
pub(super) async fn ask(site: &Site, frame: &Frame, said: &Said) -> Result<Value, Fault> {
    let wanted = json!({
        "about": said.text("about"), "reference": said.given("reference"),
        "note": said.given("note"), "contact": said.given("contact"),
    });
    site.api.send(&frame.author(), Method::POST, API, &wanted).await
}

async fn show_one(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(id): Path<String>,
    Query(said): Query<Said>,
) -> Response {
    let content = whole_one(&site, &frame, &id, &said).await;
    frame.shown(PATH, &title(&id), said.unknown(&[]), content)
}

fn title(id: &str) -> String {
    format!("Review {id}")
}

async fn whole_one(site: &Site, frame: &Frame, id: &str, said: &Said) -> Result<Markup, Fault> {
    let path = format!("{API}/{}", segment(id));
    let (hits, lists) = (format!("{path}/hits"), "/api/v1/status");
    let (review, hits, status) = tokio::join!(
        site.api.get(&path),
        timeout(PATIENCE, site.api.get(&hits)),
        site.api.get(lists),
    );
    let (review, status) = (&review?, &status.unwrap_or_default());
    let hits = hits.ok().and_then(Result::ok);
    Ok(one(review, hits.as_ref(), at(status, "/rules/lists"), said, frame))
}

async fn resolve(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(id): Path<String>,
    Form(said): Form<Said>,
) -> Response {
    // The other results have neither.
    let of_good = |name| said.given(name).filter(|_said| said.text("result") == "good-listed");
    let wanted = json!({
        "result": said.text("result"), "note": said.text("note"), "list": of_good("list"),
        "for_s": of_good("for").and_then(|_said| said.number("for")),
    });
    let path = format!("{API}/{}/resolve", segment(&id));
    let sent = site.api.send(&frame.author(), Method::POST, &path, &wanted).await;
    let back = sent.map(|answer| {
        let review = at(&answer, "/review");
        let done = format!("Review {}: {}", review["id"], text(at(review, "/resolution/result")));
        back(&self::path(review), &done, &answer)
    });
    frame.changed(back, PATH, &title(&id), whole_one(&site, &frame, &id, &said)).await
}

async fn letter(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Path(id): Path<String>,
) -> Result<Response, Trouble> {
    let path = format!("{PATH}/{}", segment(&id));
    let letter = site.api.get(&format!("{API}/{}/letter", segment(&id))).await;
    let to_review = html! { p { a href=(path) { "Back to the review" } } };
    let title = format!("Letter for review {id}");
    Ok(match letter {
        Ok(letter) => {
            frame.page(PATH, &title, html! { (of_letter(&letter)) (to_review) }).into_response()
        }
        Err(fault) if fault.is_of_request() => {
            frame.page(PATH, &title, html! { (told(&fault)) (to_review) }).into_response()
        }
        Err(fault) => return Err(frame.trouble(fault)),
    })
}

/// The page of one review.
fn path(review: &Value) -> String {
    format!("{PATH}/{}", review["id"])
}

fn content(sections: &[(&str, Value)], said: &Said, frame: &Frame) -> Markup {
    let chosen = match said.text("state") {
        state @ ("open" | "resolved") => state,
        _ => "all",
    };
    html! {
        @if !matches!(said.text("state"), "" | "all" | "open" | "resolved") {
            div.notice.doubtful role="status" { p { "There is no such state: all reviews are shown. "
                "A review is open or resolved." } }
        }
        @if said.given("before").is_some() && said.number("before").is_none() {
            div.notice.doubtful role="status" { p { "That is no number of a review: the newest are shown." } }
        }
        ul.chips.parts aria-label="Filter" { @for state in ["all", "open", "resolved"] { li {
            a href={ (PATH) "?state=" (state) } aria-current=[(state == chosen).then_some("true")] { (state) }
        } } }
        @for (state, reviews) in sections { (section(state, reviews, chosen)) }
        @if frame.may_change() { (wish(said, frame)) }
    }
}

fn section(state: &str, reviews: &Value, chosen: &str) -> Markup {
    let found = rows(&reviews["rows"]);
    html! {
        section.card aria-labelledby=(state) {
            h2 id=(state) { @if state == "open" { "Open" } @else { "Resolved" } " – " (count(&reviews[state])) }
            @if found.is_empty() {
                p.hint { @if chosen == "all" { "None." } @else { "No review here." } }
            } @else { div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { "Review" } th scope="col" { "About" } th scope="col" { "Asked" }
                    th.number scope="col" { "Requests" } th scope="col" { "Why" }
                    th scope="col" { "Result" } } }
                tbody { @for review in found {
                    @let ask = at(review, "/asks/0");
                    tr {
                        th scope="row" { a href=(path(review)) { "Review " (review["id"].to_string()) } }
                        td { (lookup(text(&review["prefix"]))) }
                        td { (time(&ask["at"])) " by " (text(&ask["author"])) }
                        td.number { (count(&review["requests"])) }
                        td { (text(&ask["note"])) }
                        td { (result(review)) }
                    }
                } }
            } } }
            @let last = found.last().and_then(|review| review["id"].as_u64());
            @if let Some(last) = last && found.len() as u64 == SHOWN.parse().unwrap_or(0) {
                p { a href={ (PATH) "?state=" (state) "&before=" (last) } { "Earlier ones" } }
            }
        }
    }
}

fn result(review: &Value) -> Markup {
    let resolution = &review["resolution"];
    html! {
        @if resolution.is_null() { (badge("open", "doubtful")) }
        @else {
            @let result = text(&resolution["result"]);
            (badge(result, if result == "refused" { "plain" } else { "good" }))
            " " (time(&resolution["at"])) " by " (text(&resolution["author"]))
        }
    }
}

fn wish(said: &Said, frame: &Frame) -> Markup {
    html! {
        section.card aria-labelledby="request" {
            h2 id="request" { "Request a review" }
            form method="post" action=(PATH) {
                (frame.csrf())
                div.fields {
                    (field("about", "about", "Address, prefix or reference", said.text("about")))
                    (field("reference", "reference", "Reference, beside an address", said.text("reference")))
                    (field("contact", "contact", "Whom to answer", said.text("contact")))
                    (field("note", "note", "Why", said.text("note")))
                    button type="submit" { "Request" }
                }
            }
        }
    }
}

fn one(review: &Value, hits: Option<&Value>, lists: &Value, said: &Said, frame: &Frame) -> Markup {
    let prefix = text(&review["prefix"]);
    let is_open = review["resolution"].is_null();
    html! {
        div.columns {
            section.card aria-labelledby="what" {
                h2 id="what" { (lookup(prefix)) }
                dl {
                    dt { "State" } dd { (result(review)) }
                    dt { "Requests" } dd { (count(&review["requests"])) }
                    dt { "References" }
                    dd { @for reference in rows(&review["references"]) { (lookup(text(reference))) " " }
                        @if rows(&review["references"]).is_empty() { "–" } }
                    @if !is_open {
                        @let resolution = &review["resolution"];
                        dt { "Note" } dd { (text(&resolution["note"])) }
                        dt { "Done" } dd { @for done in rows(&resolution["done"]) { (text(done)) br; }
                            @if rows(&resolution["done"]).is_empty() { "nothing was changed" } }
                        @if resolution["result"] == "good-listed" {
                            dt { "Until" } dd { @if resolution["until"].is_null() { "for ever" }
                                @else { (time(&resolution["until"])) } }
                        }
                    }
                }
                p { a href={ (path(review)) "/letter" } { "Letter to whoever runs an open proxy there" } }
            }
            (against(hits))
        }
        section.card aria-labelledby="asks" {
            h2 id="asks" { "Who asked" }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "Whom to answer" }
                    th scope="col" { "Reference" } th scope="col" { "Why" } } }
                tbody { @for ask in rows(&review["asks"]) { tr {
                    th scope="row" { (time(&ask["at"])) }
                    td { (text(&ask["author"])) }
                    td { (text(&ask["contact"])) }
                    td { (text(&ask["reference"])) }
                    td { (text(&ask["note"])) }
                } } }
            } }
        }
        @if is_open && frame.may_change() { (decision(review, lists, said, frame)) }
        p { a href=(PATH) { "All reviews" } }
    }
}

fn against(hits: Option<&Value>) -> Markup {
    html! {
        section.card aria-labelledby="hits" {
            h2 id="hits" { "What hits it now" }
            @if let Some(hits) = hits {
                @let now = &hits["now"];
                @if !now.is_null() {
                    p { "A connection now: " (action(text(&now["action"]))) " " (text(&now["verdict"]))
                        @if now["enforced"] == false { " " (badge("dry run", "doubtful")) } }
                }
                @let still = rows(&hits["still"]);
                @if still.is_empty() { p { (badge("nothing", "good")) " is against it." } }
                ul.plain { @for hit in still { li {
                    (action(text(&hit["action"]))) " "
                    @match (hit["list"].as_str(), hit["zone"].as_str()) {
                        (Some(list), _) => { "the list " a href={ "/lists/" (segment(list)) } { (list) }
                            " has " (text(&hit["entry"])) ", " (text(&hit["origin"])) }
                        (None, Some(zone)) => { "the zone " (zone) " lists it" }
                        (None, None) => { "its score alone is enough" }
                    }
                    @if hit["enforce"] == false { " " (badge("dry run", "doubtful")) }
                    br; span.hint { "What to do: " (text(&hit["what_to_do"])) }
                } } }
            } @else {
                p.hint { "The zones have not answered in time. Load the page again to ask anew." }
            }
        }
    }
}

/// What can be decided: what is sent, and what is read.
const RESULTS: [(&str, &str, &str); 3] = [
    ("removed", "removed", "what was entered here against it is taken back"),
    ("good-listed", "good-listed", "it passes whatever others say, by an entry of a good list"),
    ("refused", "refused", "nothing changes"),
];

fn decision(review: &Value, lists: &Value, said: &Said, frame: &Frame) -> Markup {
    let good = rows(lists).iter().filter(|list| list["class"] == "local-good");
    let good = good.map(|list| text(&list["name"])).map(|name| (name, name));
    let good: Vec<_> = [("", "the first good list in force")].into_iter().chain(good).collect();
    html! {
        section.card aria-labelledby="resolve" {
            h2 id="resolve" { "Decide" }
            form method="post" action={ (path(review)) "/resolve" } {
                (frame.csrf())
                fieldset {
                    legend { "Result" }
                    @for (result, shown, means) in RESULTS {
                        label.radio { input type="radio" name="result" value=(result) required
                            checked[said.text("result") == result];
                            " " strong { (shown) } ": " (means) }
                    }
                }
                div.fields {
                    (choice("list", "list", "Good list (of good-listed)", &good, said.text("list")))
                    (choice("for", "for", "Until (of good-listed)", &LASTING, said.text("for")))
                }
                label for="note" { "Note" }
                textarea id="note" name="note" rows="2" maxlength="500" required { (said.text("note")) }
                p { button type="submit" data-ask="End this review? It stays as it is then." { "Resolve" } }
            }
        }
    }
}

/// A letter to whoever runs an open proxy, and whom to ask where it goes.
pub(super) fn of_letter(letter: &Value) -> Markup {
    html! {
        section.card {
            h2 { "To whoever runs " (text(&letter["ip"])) }
            pre { (text(&letter["letter"])) }
            h3 { "Whom to ask where it goes" }
            ul { @for line in rows(&letter["whom_to_ask"]) { li { code { (text(line)) } } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;

    const HOSTILE: &str = "<script>\"'\u{1b}&";

    fn review(resolution: &Value) -> Value {
        json!({
            "id": 7, "prefix": "192.0.2.7", "references": ["0Z7K5N3QW8RTA"], "requests": 2,
            "asks": [{"at": "2026-11-30T08:00:00Z", "author": HOSTILE, "note": HOSTILE, "contact": HOSTILE}],
            "resolution": resolution,
        })
    }

    #[test]
    fn open_reviews_come_first_and_only_operators_are_asked_for_more() {
        let resolved =
            review(&json!({"result": "refused", "author": "ann", "at": "2026-11-30T08:00:00Z"}));
        let sections = [
            ("open", json!({"rows": [review(&Value::Null)], "open": 1, "resolved": 1})),
            ("resolved", json!({"rows": [resolved], "open": 1, "resolved": 1})),
        ];
        for (role, has_form) in [(Role::Operator, true), (Role::Viewer, false)] {
            let shown = content(&sections, &Said::default(), &Frame::of(role)).into_string();
            assert!(shown.find("Open – 1") < shown.find("Resolved – 1"), "{shown}");
            assert_eq!(shown.contains("<form"), has_form);
            assert!(!shown.contains("<script") && !shown.contains("Earlier"), "{shown}");
        }
        let many = json!({"rows": vec![review(&Value::Null); 50], "open": 90});
        let shown = section("open", &many, "open").into_string();
        assert!(shown.contains("/reviews?state=open&amp;before=7"), "{shown}");
    }

    #[test]
    fn a_decision_is_asked_for_while_a_review_is_open() {
        let resolved = json!({"result": "good-listed", "note": HOSTILE, "author": HOSTILE, "until": null,
            "at": "2026-11-30T08:00:00Z", "done": ["own: added 192.0.2.7"]});
        let lists = json!([{"name": HOSTILE, "class": "local-good"}, {"name": "bad", "class": "local-bad"}]);
        for (resolution, role, has_form, part) in [
            (&Value::Null, Role::Operator, true, "/reviews/7/resolve"),
            (&Value::Null, Role::Viewer, false, "badge doubtful"),
            (&resolved, Role::Operator, false, "own: added 192.0.2.7"),
        ] {
            let review = review(resolution);
            let shown =
                one(&review, None, &lists, &Said::default(), &Frame::of(role)).into_string();
            assert_eq!(shown.contains("<form"), has_form, "{shown}");
            assert!(shown.contains(part), "{part} in {shown}");
            assert!(!shown.contains("<script") && !shown.contains("value=\"bad\""), "{shown}");
        }
    }

    #[test]
    fn what_hits_an_address_is_told_with_what_to_do() {
        for (hits, part) in [
            (Some(json!({"still": [], "now": null})), "is against it"),
            (
                Some(
                    json!({"still": [{"list": "a/b", "entry": "192.0.2.0/24", "what_to_do": HOSTILE}]}),
                ),
                "/lists/a%2Fb",
            ),
            (Some(json!({"still": [{"zone": HOSTILE}], "now": {"action": "reject"}})), "badge bad"),
            (Some(json!({"still": [{}, null]})), "its score alone"),
            (None, "not answered in time"),
        ] {
            let shown = against(hits.as_ref()).into_string();
            assert!(shown.contains(part) && !shown.contains("<script"), "{part} in {shown}");
        }
        let letter = of_letter(&json!({"letter": HOSTILE, "whom_to_ask": [HOSTILE]})).into_string();
        assert!(!letter.contains("<script"), "{letter}");
    }
}
