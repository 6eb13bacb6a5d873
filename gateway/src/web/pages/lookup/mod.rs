//! What is known of an address or a network, and what can be done about it.

mod about;
mod address;
mod forms;
mod network;
mod past;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::Value;

use self::about::About;
use self::address::Known;
use super::reviews;
use super::reviews::of_letter;
use crate::admin::Fault;
use crate::web::frame::{Frame, Trouble, told};
use crate::web::notice::back;
use crate::web::parts::{at, lookup, query, record, strange, text};
use crate::web::said::Said;
use crate::web::site::Site;

const PATH: &str = "/lookup";
const TITLE: &str = "Lookup";
/// The parameters of the page.
const PARAMETERS: [&str; 1] = ["about"];

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route(PATH, get(show))
        .route("/lookup/letter", get(letter))
        .route("/lookup/entries", post(add))
        .route("/lookup/entries/remove", post(remove))
        .route("/lookup/review", post(review))
}

async fn show(State(site): State<Arc<Site>>, frame: Frame, Query(said): Query<Said>) -> Response {
    frame.shown(PATH, TITLE, said.unknown(&PARAMETERS), whole(&site, &frame, &said).await)
}

/// The page about what is said, with what else is said in its forms.
async fn whole(site: &Site, frame: &Frame, said: &Said) -> Result<Markup, Fault> {
    let asked = said.text("about");
    let about = About::read(asked);
    let body = match &about {
        About::Nothing => html! {
            p.hint { "An address shows what would be decided about it if it connected now, why, and what is "
                "remembered of it; a network, what has all of it." }
        },
        About::Reference(reference) => html! {
            div.notice.good { p { "That is the reference of a decision: " (record(reference)) } }
        },
        About::Other => html! {
            div.notice.doubtful role="status" {
                p { strong { (strange(asked, about::LETTERS)) } " is no address, no network and no reference." }
                p { "Mailboxes, Message-IDs and names of queues are found in the "
                    a href="/messages" { "messages" } "." }
            }
        },
        About::Address(address) => {
            let known = Known::ask(site, &address.to_string()).await?;
            address::content(&known, said, frame)
        }
        About::Network(network) => network::content(site, *network, said, frame).await?,
    };
    Ok(html! { (search(asked)) (body) })
}

fn search(asked: &str) -> Markup {
    let asked: String = asked.chars().take(about::LETTERS).collect();
    html! {
        form.card method="get" action=(PATH) role="search" {
            label for="about" { "Address, network or reference" }
            div.fields {
                div { input id="about" name="about" value=(asked) size="42" required autocomplete="off"
                    autocapitalize="none" spellcheck="false" autofocus[asked.is_empty()]; }
                button type="submit" { "Look up" }
            }
        }
    }
}

async fn add(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    change(&site, &frame, &said, Method::POST).await
}

async fn remove(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    change(&site, &frame, &said, Method::DELETE).await
}

/// Changes an entry of a list.
async fn change(site: &Site, frame: &Frame, said: &Said, method: Method) -> Response {
    let sent = match forms::entry(said) {
        Ok((path, wanted)) => site.api.send(&frame.author(), method, &path, &wanted).await,
        Err(fault) => Err(fault),
    };
    let done = |answer: &Value| format!("{}: {}", text(&answer["list"]), text(&answer["done"]));
    answered(site, frame, said, sent, done).await
}

async fn review(State(site): State<Arc<Site>>, frame: Frame, Form(said): Form<Said>) -> Response {
    let sent = reviews::ask(&site, &frame, &said).await;
    let done = |answer: &Value| {
        let id = at(answer, "/review/id");
        let was_open = if answer["joined"] == true { ", which was open already" } else { "" };
        format!("asked for: review {id}{was_open}")
    };
    answered(&site, &frame, &said, sent, done).await
}

/// Back to the page, or the page with what went wrong.
async fn answered(
    site: &Site,
    frame: &Frame,
    said: &Said,
    sent: Result<Value, Fault>,
    done: impl FnOnce(&Value) -> String,
) -> Response {
    let back = sent.map(|answer| {
        let path = format!("{PATH}?about={}", query(said.text("about")));
        back(&path, &done(&answer), &answer)
    });
    frame.changed(back, PATH, TITLE, whole(site, frame, said)).await
}

/// The letter to the administrator of an open proxy.
async fn letter(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Query(said): Query<Said>,
) -> Result<Markup, Trouble> {
    let About::Address(address) = About::read(said.text("about")) else {
        let content =
            html! { (search(said.text("about"))) p.hint { "A letter is about one address." } };
        return Ok(frame.page(PATH, "A letter", content));
    };
    let path = format!("/api/v1/lookup/{address}/letter");
    let content = match site.api.get(&path).await {
        Ok(letter) => html! {
            (of_letter(&letter)) p { "Back to " (lookup(&address.to_string())) }
        },
        Err(fault) if fault.is_of_request() => html! {
            (told(&fault)) p { "Back to " (lookup(&address.to_string())) }
        },
        Err(fault) => return Err(frame.trouble(fault)),
    };
    Ok(frame.page(PATH, "A letter", content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_stays_text_in_the_search() {
        let shown = search("\"><script>").into_string();
        assert!(!shown.contains("<script") && !shown.contains("autofocus"), "{shown}");
        assert!(search("").into_string().contains("autofocus"));
        assert!(search(&"x".repeat(10_000)).into_string().len() < 1000);
    }
}
