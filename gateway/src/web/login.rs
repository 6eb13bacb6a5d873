//! Logging in and out.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;

use super::access::{BY_TOKEN, Refused, User};
use super::frame::{document, icon};
use super::server::Peer;
use super::site::{Site, WebEvent, is_from_elsewhere};

/// Letters of a name that are recorded.
const NAME: usize = 100;

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/login", get(show).post(log_in)).route("/logout", post(log_out))
}

#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

async fn show(State(site): State<Arc<Site>>, Query(wanted): Query<Wanted>) -> Markup {
    form(&site, &wanted.next, None)
}

async fn log_in(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Form(Said { name, password, next }): Form<Said>,
) -> Response {
    // A page of another site must not log somebody in as somebody else.
    if is_from_elsewhere(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let name: String = name.trim().chars().take(NAME).collect();
    let author = if name.is_empty() { BY_TOKEN } else { &name };
    match site.access.log_in(&name, password, peer.0).await {
        Ok(cookie) => {
            site.record(&WebEvent::new("login", author, peer));
            ([(header::SET_COOKIE, cookie)], Redirect::to(inside(&next))).into_response()
        }
        Err(refused) => {
            // Of what costs nothing there may be any number.
            if refused == Refused::Wrong {
                site.record(&WebEvent::new("login-refused", author, peer));
            }
            let (status, text) = match refused {
                Refused::Wrong => {
                    (StatusCode::FORBIDDEN, "Name and password do not belong together.".to_owned())
                }
                Refused::TooOften(seconds) => (
                    StatusCode::TOO_MANY_REQUESTS,
                    format!("That was tried too often from here. Try again in {seconds} s."),
                ),
                Refused::Busy => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Too many log in at once. Try again.".to_owned(),
                ),
            };
            (status, form(&site, &next, Some(&text))).into_response()
        }
    }
}

async fn log_out(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    Extension(user): Extension<User>,
    headers: HeaderMap,
) -> Response {
    let cookie = site.access.log_out(&headers);
    site.record(&WebEvent::new("logout", &user.name, peer));
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

/// Where to go on: a path of this site, never another site.
fn inside(next: &str) -> &str {
    let mut octets = next.bytes();
    let is_path = octets.next() == Some(b'/') && !matches!(octets.next(), Some(b'/' | b'\\'));
    let is_plain = next.bytes().all(|octet| octet.is_ascii_graphic());
    if is_path && is_plain { next } else { "/" }
}

fn form(site: &Site, next: &str, fault: Option<&str>) -> Markup {
    let body = html! {
        main.login id="main" {
            h1 { (icon()) "Portcullis" span.host { (site.hostname) } }
            @if let Some(fault) = fault { div.notice.bad role="alert" { p { (fault) } } }
            form.card method="post" action="/login" {
                input type="hidden" name="next" value=(inside(next));
                label for="name" { "Name" }
                input id="name" name="name" autocomplete="username" autocapitalize="none"
                    spellcheck="false" aria-describedby="how";
                label for="password" { "Password or token" }
                input id="password" name="password" type="password" required
                    autocomplete="current-password" aria-describedby="how";
                button type="submit" { "Log in" }
                p.hint id="how" {
                    "Without a name of your own, leave it empty and give the token in "
                    code { "web.token" } " of the state folder ("
                    code { "portcullis web token" } " shows it)."
                }
            }
        }
    };
    document(&format!("Log in – {}", site.hostname), None, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for (next, expected) in [
            ("/lists", "/lists"),
            ("/messages?address=192.0.2.1&x=%20", "/messages?address=192.0.2.1&x=%20"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/x\r\nSet-Cookie: a=b", "/"),
        ] {
            assert_eq!(inside(next), expected, "{next}");
        }
    }
}
