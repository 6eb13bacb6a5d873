//! All that is served at the control centre's address, and the guard before it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use futures_util::{StreamExt as _, stream};
use hyper::body::Body as _;
use serde::Serialize;
use tower::ServiceExt as _;
use url::form_urlencoded;

use super::access::{Access, Session, Token, User};
use super::asked::{self, Asked};
use super::frame::Trouble;
use super::parts::query;
use super::server::Peer;
use super::{assets, headers, login, pages};
use crate::admin::{Author, CSRF_HEADER, Fault, Inside};
use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::config::{Role, WebConfig};
use crate::policy::SCHEMA;

/// The longest form, in octets; a list that is uploaded is no form.
pub(super) const LONGEST_FORM: usize = 4 << 20;

/// The paths where what is sent changes nothing; besides, there are the previews of each list.
const QUESTIONS: [&str; 3] = ["/api/v1/explain", "/api/v1/scan", "/messages/explain"];

/// What stands before the name of a list that is previewed, and after it.
const PREVIEWS: [(&str, &str); 3] =
    [("/api/v1/lists/", "/preview"), ("/lists/", "/preview"), ("/lists/", "/preview/file")];

/// What all pages need.
#[derive(Debug)]
pub struct Site {
    pub(super) api: Inside,
    pub(super) access: Access,
    /// The name of this host, for the title of each page.
    pub(super) hostname: String,
    audit: audit::Writer,
}

impl Site {
    /// The control centre over `api`, which writes into `audit`. Without a token nobody logs in with one.
    pub fn new(
        api: Inside,
        audit: audit::Writer,
        web: WebConfig,
        token: Option<Token>,
        hostname: String,
    ) -> Self {
        Self { api, access: Access::new(web, token), hostname, audit }
    }

    /// Takes up other users and times.
    pub fn set(&self, web: WebConfig) {
        self.access.set(web);
    }

    /// All that is served.
    pub fn router(self: &Arc<Self>) -> Router {
        let (site, api) = (Arc::clone(self), self.api.router());
        let otherwise = move |request: Request| {
            let (site, api) = (Arc::clone(&site), api.clone());
            async move {
                match request.extensions().get::<User>() {
                    Some(user) if !is_for_programs(request.uri().path()) => nowhere(user, &site),
                    _ => api.oneshot(request).await.unwrap_or_else(|never| match never {}),
                }
            }
        };
        Router::new()
            .merge(pages::routes())
            .merge(login::routes())
            .merge(assets::routes())
            .with_state(Arc::clone(self))
            .fallback(otherwise)
            .layer(from_fn_with_state(Arc::clone(self), guard))
    }

    /// Writes down who changed what, or tried to log in.
    pub(super) fn record(&self, event: &WebEvent<'_>) {
        self.audit.write(event);
    }
}

/// Whether everybody may see what is at `path`.
fn is_open(path: &str) -> bool {
    path == "/login" || is_health(path) || path.starts_with("/static/")
}

/// Whether what is sent to `path` is only looked at, so that viewers may send it, and nothing is recorded.
fn is_question(path: &str) -> bool {
    let is_preview = |(before, after): &(&str, &str)| {
        let list = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        list.is_some_and(|list| !list.contains('/'))
    };
    QUESTIONS.contains(&path) || PREVIEWS.iter().any(is_preview)
}

/// One record of phase `web`.
#[derive(Debug, Serialize)]
pub(super) struct WebEvent<'a> {
    schema: u8,
    time: Timestamp,
    phase: &'static str,
    /// `login`, `login-refused`, `logout` or `change`.
    event: &'static str,
    author: &'a str,
    client: std::net::IpAddr,
    method: Option<&'a str>,
    path: Option<&'a str>,
    /// What was asked for; `None` where nothing was let in, or what was sent is no short form or object.
    asked: Option<Asked>,
    status: Option<u16>,
}

impl<'a> WebEvent<'a> {
    pub(super) fn new(event: &'static str, author: &'a str, peer: Peer) -> Self {
        Self {
            schema: SCHEMA,
            time: Clock::System.now(),
            phase: "web",
            event,
            author,
            client: peer.0,
            method: None,
            path: None,
            asked: None,
            status: None,
        }
    }
}

/// Lets through who may, and writes down what was changed.
async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let is_tls = site.access.is_tls();
    headers::add(checked(&site, request, next).await, is_tls)
}

async fn checked(site: &Site, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let Some(peer) = request.extensions().get::<Peer>().copied() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let may_scrape = path == "/metrics" && site.access.may_scrape(peer.0);
    if is_open(&path) || may_scrape {
        return next.run(request).await;
    }
    let Some(user) = site.access.who(request.headers()) else {
        return stranger(&request);
    };
    let method = request.method().clone();
    let name = Arc::clone(&user.name);
    // Logging out has a record of its own.
    let is_recorded = is_change(&method, &path) && path != "/logout";
    let (asked, response) = match let_in(&user, &path, request).await {
        Ok(request) => {
            let (asked, request) =
                if is_recorded { asked::read(request).await } else { (None, request) };
            (asked, answered(user, request, next).await)
        }
        Err(fault) => (None, told(&path, &user, site, fault)),
    };
    if is_recorded {
        site.record(&WebEvent {
            method: Some(method.as_str()),
            path: Some(&path),
            asked,
            status: Some(response.status().as_u16()),
            ..WebEvent::new("change", &name, peer)
        });
    }
    response
}

/// Whether a request changes something.
fn is_change(method: &Method, path: &str) -> bool {
    let asks = method.is_safe() || (*method == Method::POST && is_question(path));
    !asks
}

/// The request of `user`, who is logged in, if he may ask for that.
async fn let_in(user: &User, path: &str, request: Request) -> Result<Request, Fault> {
    let changes = is_change(request.method(), path);
    if changes && path != "/logout" && user.role != Role::Operator {
        return Err(Fault::new(StatusCode::FORBIDDEN, "a viewer changes nothing")
            .detail(format!("{} has the role viewer", user.name))
            .hint("log in as an operator"));
    }
    match &user.session {
        Some(session) if !request.method().is_safe() => with_csrf(request, &session.csrf).await,
        _ => Ok(request),
    }
}

/// What `user`, who may ask for it, is answered.
async fn answered(user: User, mut request: Request, next: Next) -> Response {
    let session = user.session.clone();
    request.extensions_mut().insert(Author(Arc::clone(&user.name)));
    request.extensions_mut().insert(user);
    let response = next.run(request).await;
    match session {
        Some(session) => until_over(response, session),
        None => response,
    }
}

/// An answer that goes on, such as a stream of events, breaks off when the session ends.
fn until_over(response: Response, session: Arc<Session>) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        let over = Box::pin(async move { session.over().await });
        Body::from_stream(stream::try_unfold(
            (body.into_data_stream(), over),
            |(mut body, mut over)| async move {
                tokio::select! {
                    // What would look like the whole answer is none.
                    () = &mut over => Err(axum::Error::new("the session has ended")),
                    piece = body.next() => Ok(piece.transpose()?.map(|piece| (piece, (body, over)))),
                }
            },
        ))
    })
}

/// A fault in the form that whoever asked reads.
fn told(path: &str, user: &User, site: &Site, fault: Fault) -> Response {
    if is_for_programs(path) {
        fault.into_response()
    } else {
        Trouble::new(fault, user, site).into_response()
    }
}

fn is_for_programs(path: &str) -> bool {
    path.starts_with("/api/") || path == "/metrics" || is_health(path)
}

fn is_health(path: &str) -> bool {
    path == "/healthz" || path == "/readyz"
}

/// There is no page of that name.
fn nowhere(user: &User, site: &Site) -> Response {
    let fault = Fault::new(StatusCode::NOT_FOUND, "there is nothing at this path")
        .hint("the navigation has all pages");
    Trouble::new(fault, user, site).into_response()
}

/// Who is not logged in: a program is told so, a browser is shown where to do it.
fn stranger(request: &Request) -> Response {
    let path = request.uri().path();
    if is_for_programs(path) {
        let fault = Fault::new(StatusCode::UNAUTHORIZED, "log in first").hint(
            "send `Authorization: Bearer TOKEN` with the token in `web.token` of `state_dir`",
        );
        let mut response = fault.into_response();
        let bearer = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        return response;
    }
    let wanted = request.uri().path_and_query().map_or(path, |whole| whole.as_str());
    let is_page = request.method() == Method::GET && wanted != "/";
    let login =
        if is_page { format!("/login?next={}", query(wanted)) } else { "/login".to_owned() };
    Redirect::to(&login).into_response()
}

/// The request, if it has what only our own pages know.
async fn with_csrf(request: Request, csrf: &str) -> Result<Request, Fault> {
    let fail = |detail: &str| {
        Fault::new(StatusCode::FORBIDDEN, "this is no request of a page of ours")
            .detail(detail)
            .hint("open the page anew, and try again; the session may have ended meanwhile")
    };
    if is_from_elsewhere(request.headers()) {
        return Err(fail("it comes from a page of another site"));
    }
    if let Some(said) = request.headers().get(CSRF_HEADER) {
        let is_it = said.as_bytes() == csrf.as_bytes();
        return if is_it { Ok(request) } else { Err(fail("its token is an old one")) };
    }
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LONGEST_FORM).await.map_err(|error| fail(&error.to_string()))?;
    let is_it = form_urlencoded::parse(&body).any(|(name, said)| name == "csrf" && said == csrf);
    if is_it {
        Ok(Request::from_parts(head, Body::from(body)))
    } else {
        Err(fail("it has no token, or an old one"))
    }
}

/// What browsers say of where a request comes from.
pub(super) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_nothing_is_a_question() {
        for (path, expected) in [
            ("/api/v1/explain", true),
            ("/api/v1/scan", true),
            ("/messages/explain", true),
            ("/api/v1/lists/bad/preview", true),
            ("/api/v1/lists/bad/entries", false),
            ("/api/v1/lists/bad/put/preview", false),
            ("/api/v1/lists/preview", false),
            ("/api/v1/explain/", false),
            ("/api/v1//explain", false),
            ("/api/v1/pause", false),
            ("/lists/bad/put", false),
            ("/lists/bad/preview", true),
            ("/lists/bad%2Fworse/preview/file", true),
            ("/lists/preview", false),
            ("/lists/bad/put/preview", false),
            ("/lists/bad/put/file", false),
            ("/lists/bad/add", false),
        ] {
            assert_eq!(is_question(path), expected, "{path}");
        }
    }
}
