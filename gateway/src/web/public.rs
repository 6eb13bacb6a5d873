//! The page for blocked senders: what one reference stands for, in plain words, and a request to look again.
//!
//! It has a listener of its own, and nobody logs in. Whoever has the reference of a bounce learns of that decision what the bounce
//! said already, whether it still stands, and nothing else.

mod words;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Form, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use moka::sync::Cache;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::access::network;
use super::frame::{document, icon};
use super::parts::{at, query, segment, text, time};
use super::server::Peer;
use super::site::is_from_elsewhere;
use super::{assets, headers};
use crate::admin::{Author, Fault, Inside};
use crate::net::Prefix;
use crate::review::reference;
use crate::story::Told;

/// Questions of one network in [`WINDOW`].
const QUESTIONS: u32 = 20;
/// Requests to look again of one network in [`WINDOW`].
const REQUESTS: u32 = 3;
/// For how long questions are counted.
const WINDOW: Duration = Duration::from_mins(10);
/// Networks whose questions are counted.
const NETWORKS: u64 = 50_000;
/// Questions that are looked up at the same time.
const AT_ONCE: usize = 4;
/// How long somebody waits for his turn.
const TURN: Duration = Duration::from_secs(5);
/// Letters that are looked through for a reference.
const LONGEST: usize = 4000;
/// Stories of one reference that are shown.
const STORIES: usize = 3;
/// In whose name a review is asked for.
const AUTHOR: &str = "public";

/// What the page needs.
#[derive(Debug)]
pub struct Public {
    api: Inside,
    hostname: String,
    is_tls: bool,
    asked: Cache<(Prefix, &'static str), Asked>,
    places: Arc<Semaphore>,
}

/// How often a network asked, and since when that is counted.
#[derive(Clone, Copy, Debug)]
struct Asked {
    began: Instant,
    times: u32,
}

#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(default)]
    reference: String,
    #[serde(default)]
    client: String,
}

#[derive(Debug, Deserialize)]
struct WantedReview {
    reference: String,
    #[serde(default)]
    client: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    contact: String,
}

impl Public {
    /// The page of the host `hostname` over `api`.
    pub fn new(api: Inside, hostname: String, is_tls: bool) -> Self {
        Self {
            api,
            hostname,
            is_tls,
            asked: Cache::builder().max_capacity(NETWORKS).time_to_live(WINDOW).build(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// All that is served.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/", get(show))
            .route("/review", post(request))
            .merge(assets::routes())
            .fallback(async |State(public): State<Arc<Self>>| {
                (StatusCode::NOT_FOUND, public.page(&Self::form("", "", None)))
            })
            .layer(from_fn_with_state(Arc::clone(&self), with_headers))
            .with_state(self)
    }

    /// Counts one more; false where it is too much.
    fn may(&self, peer: Peer, what: &'static str, most: u32) -> bool {
        let entry = self.asked.entry((network(peer.0), what));
        let counted = entry.and_upsert_with(|known| {
            let known = known.map(moka::Entry::into_value);
            let known = known.filter(|asked| asked.began.elapsed() < WINDOW);
            let Asked { began, times } =
                known.unwrap_or_else(|| Asked { began: Instant::now(), times: 0 });
            Asked { began, times: times.saturating_add(1) }
        });
        counted.into_value().times <= most
    }

    async fn told(&self, reference: &str, client: Option<IpAddr>) -> Result<Value, Fault> {
        let place = timeout(TURN, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(_place)) = place else {
            return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too many ask at once"));
        };
        let client = client.map(|client| format!("?client={}", query(&client.to_string())));
        let path = format!("/api/v1/why/{}{}", segment(reference), client.unwrap_or_default());
        self.api.get(&path).await
    }

    fn page(&self, content: &Markup) -> Markup {
        let body = html! {
            main.public id="main" {
                h1 { (icon()) "Why was my mail refused?" }
                p { "This is the page of the mail host " strong { (self.hostname) } "." }
                (content)
            }
        };
        document(&format!("Refused mail – {}", self.hostname), None, body)
    }

    fn form(typed: &str, client: &str, fault: Option<&str>) -> Markup {
        html! {
            @if let Some(fault) = fault { div.notice.bad role="alert" { p { (fault) } } }
            form.card method="get" action="/" {
                label for="reference" { "The reference, or the whole line, of your bounce" }
                input id="reference" name="reference" required maxlength="2000" value=(typed)
                    autocomplete="off" spellcheck="false" aria-describedby="reference-hint";
                p.hint id="reference-hint" { "13 letters and digits after “ref” or “reference”." }
                label for="client" { "The address of your mail server, if the line has none" }
                input id="client" name="client" maxlength="45" value=(client)
                    autocomplete="off" spellcheck="false";
                p { button type="submit" { "Look it up" } }
            }
        }
    }
}

async fn with_headers(State(public): State<Arc<Public>>, request: Request, next: Next) -> Response {
    headers::add(next.run(request).await, public.is_tls)
}

async fn show(
    State(public): State<Arc<Public>>,
    Extension(peer): Extension<Peer>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let typed = wanted.reference.trim();
    if typed.is_empty() {
        return public.page(&Public::form("", "", None)).into_response();
    }
    let again = |status, fault: &str| {
        let form = Public::form(typed, wanted.client.trim(), Some(fault));
        (status, public.page(&form)).into_response()
    };
    if !public.may(peer, "question", QUESTIONS) {
        return again(StatusCode::TOO_MANY_REQUESTS, TOO_OFTEN);
    }
    let Some(found) = named(typed) else {
        return again(
            StatusCode::NOT_FOUND,
            "There is no reference in that: it has 13 letters and digits.",
        );
    };
    let client =
        wanted.client.trim().trim_matches(['[', ']']).parse().ok().or_else(|| address(typed));
    match public.told(&found, client).await {
        Ok(answer) => match explained(&found, &answer) {
            Some(told) => {
                let review = review_form(&found, client);
                public.page(&html! { (told) (review) }).into_response()
            }
            None => again(
                StatusCode::NOT_FOUND,
                "This host knows nothing of that reference, or it was given to another address: give the address of your mail server, too. References are those of one host, and are kept for a while only.",
            ),
        },
        Err(_fault) => {
            again(StatusCode::SERVICE_UNAVAILABLE, "This cannot be looked up now. Try again later.")
        }
    }
}

const TOO_OFTEN: &str = "That was asked too often from your network. Try again in ten minutes.";

async fn request(
    State(public): State<Arc<Public>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Form(wanted): Form<WantedReview>,
) -> Response {
    let answer = |status, text: &str, meaning: &str| {
        let content = html! {
            div class={ "notice " (meaning) } role="status" { p { (text) } }
            p { a href="/" { "Back" } }
        };
        (status, public.page(&content)).into_response()
    };
    let is_elsewhere = is_from_elsewhere(&headers);
    let Some(found) = named(&wanted.reference).filter(|_reference| !is_elsewhere) else {
        return answer(StatusCode::BAD_REQUEST, "That is no request of this page.", "bad");
    };
    if !public.may(peer, "request", REQUESTS) {
        return answer(StatusCode::TOO_MANY_REQUESTS, TOO_OFTEN, "bad");
    }
    let client: Option<IpAddr> = wanted.client.trim().parse().ok();
    // Only what there is can be looked at again, and what the kernel said must have been said to that address.
    let told = public.told(&found, client).await.unwrap_or_default();
    let mut asked = Map::new();
    let mut set = |name: &str, text: &str| asked.insert(name.to_owned(), text.into());
    set("author", AUTHOR);
    set("about", &found);
    if at(&told, "/kind") == "kernel" {
        let Some(client) = client.filter(|_client| at(&told, "/kernel/client") == true) else {
            return answer(
                StatusCode::BAD_REQUEST,
                "That reference was not given to that address.",
                "bad",
            );
        };
        set("about", &client.to_string());
        set("reference", &found);
    }
    for (name, said) in [("note", &wanted.note), ("contact", &wanted.contact)] {
        let said: String =
            said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(500).collect();
        if !said.is_empty() {
            set(name, &said);
        }
    }
    let author = Author(AUTHOR.into());
    match public.api.send(&author, Method::POST, "/api/v1/reviews", &Value::Object(asked)).await {
        Ok(_review) => answer(StatusCode::OK, "Thank you. Somebody will look at it again.", "good"),
        Err(fault) if fault.is_of_request() => {
            answer(StatusCode::BAD_REQUEST, "That cannot be looked at again.", "bad")
        }
        Err(_fault) => {
            answer(StatusCode::SERVICE_UNAVAILABLE, "That did not work. Try again later.", "bad")
        }
    }
}

/// The reference in a text that somebody pasted.
fn named(typed: &str) -> Option<String> {
    let start: String = typed.chars().take(LONGEST).collect();
    let words = start.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.filter(|word| word.len() == 13).find_map(|word| Some(reference(word)?.to_string()))
}

/// The address in it.
fn address(typed: &str) -> Option<IpAddr> {
    let start: String = typed.chars().take(LONGEST).collect();
    let words = start.split(['[', ']', ' ', ',', ';', '<', '>', '(', ')']);
    words.into_iter().find_map(|word| word.parse().ok())
}

/// What came of it, in plain words; `None` where nothing is known of that reference. What has the same letters as a name in the queue of
/// another mail server is somebody else's.
fn explained(reference: &str, answer: &Value) -> Option<Markup> {
    let stories = answer["stories"].as_array().into_iter().flatten();
    let stories: Vec<_> = stories.filter(|told| told["reference"] == reference).collect();
    let kernel = &answer["kernel"];
    if !stories.is_empty() {
        return Some(
            html! { @for told in stories.iter().rev().take(STORIES) { (decision(told)) } },
        );
    }
    // Of a reference of the kernel's only whoever it was given to learns anything.
    (answer["kind"] == "kernel" && kernel["client"] == true).then(|| {
        html! {
            section.card {
                h2 { "Your mail server was not allowed to connect" }
                dl { dt { "When" } dd { (time(&kernel["time"])) } }
                p { (words::BY_KERNEL) }
            }
        }
    })
}

fn decision(told: &Value) -> Markup {
    let record = Told::read(told);
    let is_ours = record.is_refused_here();
    let headline = match text(&told["action"]) {
        "defer" if is_ours => "Your mail was put off: your mail server is to try again",
        _ if is_ours => "Your mail was refused",
        _ if record.is_refused_by_next_hop() => {
            "The mail server behind this host refused your mail"
        }
        "quarantine" => "Your mail was taken, and is held back for somebody to look at",
        _ => "Your mail was taken",
    };
    // What another mail server said may name others.
    let reply = told["reply"].as_str().filter(|_reply| is_ours);
    let now = match at(told, "/story/stands/stands").as_bool() {
        Some(true) => "The same would happen now.",
        Some(false) => "It would not happen any more: send your mail again.",
        None => "Whether the same would happen now cannot be said.",
    };
    html! {
        section.card {
            h2 { (headline) }
            dl {
                dt { "When" } dd { (time(&told["time"])) }
                dt { "Your mail server" } dd { (text(&told["client"])) }
                dt { "Why" } dd {
                    (text(&told["verdict"]))
                    @if let Some(sentence) = words::of(&record) { br; (sentence) }
                }
                @if let Some(reply) = reply { dt { "What it was told" } dd { code { (reply) } } }
                dt { "Now" } dd { (now) }
            }
        }
    }
}

fn review_form(reference: &str, client: Option<IpAddr>) -> Markup {
    html! {
        form.card method="post" action="/review" {
            h2 { "Is that a mistake?" }
            input type="hidden" name="reference" value=(reference);
            @if let Some(client) = client { input type="hidden" name="client" value=(client); }
            label for="note" { "What has changed, or why it is a mistake" }
            textarea id="note" name="note" rows="4" maxlength="500" {}
            label for="contact" { "How to reach you (optional)" }
            input id="contact" name="contact" maxlength="200" autocomplete="email";
            p { button type="submit" { "Ask to look again" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reference_is_found_in_what_is_pasted() {
        let line = "554 5.7.1 you are not allowed to connect [198.51.100.66] ref 3Y15F2JPVHMW4";
        for (typed, expected, client) in [
            ("3Y15F2JPVHMW4", Some("3Y15F2JPVHMW4"), None),
            ("  3y15f2jpvhmw4 ", Some("3Y15F2JPVHMW4"), None),
            (line, Some("3Y15F2JPVHMW4"), Some("198.51.100.66")),
            (
                "client [2001:db8::1], reference 3Y15F2JPVHMW4.",
                Some("3Y15F2JPVHMW4"),
                Some("2001:db8::1"),
            ),
            ("nothing of the kind", None, None),
            ("<script>", None, None),
        ] {
            assert_eq!(named(typed).as_deref(), expected, "{typed}");
            assert_eq!(address(typed), client.map(|text| text.parse().unwrap()), "{typed}");
        }
        assert_eq!(named(&"x".repeat(1 << 20)), None);
    }

    #[test]
    fn a_decision_is_told_without_anything_else() {
        let told = json!({
            "time": "2026-11-20T08:00:00Z", "client": "198.51.100.66", "verdict": "System denied IP", "code": "sys-deny-ip", "phase": "connect",
            "action": "reject", "enforced": true,
            "reply": "554 5.7.1 <b>no</b>", "list": "secret-list", "entry": "198.51.100.0/24",
            "envelope": {"sender": "a@x", "recipients": ["b@y"]}, "subject": "hello",
            "story": {"stands": {"stands": false, "text": "secret"}, "next": [{"command": "portcullis"}]},
        });
        let shown = decision(&told).into_string();
        for hidden in ["secret", "b@y", "a@x", "hello", "portcullis", "<b>"] {
            assert!(!shown.contains(hidden), "{hidden}: {shown}");
        }
        for part in [
            "Your mail was refused",
            "198.51.100.66",
            "send your mail again",
            "&lt;b&gt;no",
            "System denied IP",
            "Ask whoever runs that server",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let reference = "3Y15F2JPVHMW4";
        let of_another = json!({"kind": "records", "stories": [{"reference": "ANOTHER"}]});
        let of_kernel =
            |client: Value| json!({"kind": "kernel", "stories": [], "kernel": {"client": client}});
        let of_client = explained(reference, &of_kernel(true.into())).unwrap().into_string();
        assert!(of_client.contains(words::BY_KERNEL), "{of_client}");
        let [nobody, wrong] = [of_kernel(Value::Null), of_kernel(false.into())];
        let nothing = json!({"kind": "nothing", "stories": []});
        for answer in [nothing, of_another, nobody, wrong] {
            assert!(explained(reference, &answer).is_none(), "{answer}");
        }
    }
}
