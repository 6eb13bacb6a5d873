//! What is around every page: title, navigation, who is logged in; and the page that says what went wrong.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

#[cfg(test)]
use super::access::Session;
use super::access::User;
use super::assets;
use super::notice::{Back, Notice};
use super::site::Site;
use crate::admin::{Author, Fault};
use crate::config::Role;

/// The pages in the navigation, by path.
const NAVIGATION: [(&str, &str); 9] = [
    ("/", "Overview"),
    ("/lookup", "Lookup"),
    ("/messages", "Messages"),
    ("/lists", "Lists"),
    ("/zones", "Zones"),
    ("/reputation", "Reputation"),
    ("/reviews", "Reviews"),
    ("/quarantine", "Quarantine"),
    ("/system", "System"),
];

/// Who asks for a page, and what is around it.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    user: User,
    hostname: String,
}

impl FromRequestParts<Arc<Site>> for Frame {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, StatusCode> {
        let user = parts.extensions.get::<User>().cloned().ok_or(StatusCode::UNAUTHORIZED)?;
        Ok(Self::new(user, site))
    }
}

impl Frame {
    pub(super) fn new(user: User, site: &Site) -> Self {
        Self { user, hostname: site.hostname.clone() }
    }

    /// In whose name things are changed.
    pub(super) fn author(&self) -> Author {
        Author(Arc::clone(&self.user.name))
    }

    /// Whether whoever asks may change something; who may not is not shown how.
    pub(super) fn may_change(&self) -> bool {
        self.user.role == Role::Operator
    }

    /// The hidden field that each form that changes something has.
    pub(super) fn csrf(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.token()); }
    }

    fn token(&self) -> &str {
        self.user.session.as_ref().map_or("", |session| &session.csrf)
    }

    /// A form of one button, which does `label` to `about`; nothing for those who may not. `ask` is what is asked before.
    pub(super) fn button(&self, to: &str, label: &str, about: &str, ask: Option<&str>) -> Markup {
        let class = if ask.is_some() { "danger" } else { "quiet" };
        html! {
            @if self.may_change() {
                form.inline method="post" action=(to) {
                    (self.csrf())
                    button class=(class) type="submit" data-ask=[ask] {
                        (label) span.visually-hidden { " " (about) }
                    }
                }
            }
        }
    }

    /// A page with the parameters that it does not know and what it has; or why there is none.
    pub(super) fn shown(
        &self,
        path: &str,
        title: &str,
        unknown: Markup,
        content: Result<Markup, Fault>,
    ) -> Response {
        match content {
            Ok(content) => self.page(path, title, html! { (unknown) (content) }).into_response(),
            Err(fault) => self.trouble(fault).into_response(),
        }
    }

    /// What a change is answered: the way `back` with what was done, or why it was not made and, below it, the page as it is.
    pub(super) async fn changed(
        &self,
        back: Result<Back, Fault>,
        path: &str,
        title: &str,
        content: impl Future<Output = Result<Markup, Fault>>,
    ) -> Response {
        let fault = match back {
            Ok(back) => return self.go(back),
            Err(fault) => fault,
        };
        match content.await {
            Ok(content) => self.failed(&fault, path, title, content),
            Err(_gone) => self.trouble(fault).into_response(),
        }
    }

    /// The way back, where the next page tells what was done.
    pub(super) fn go(&self, Back { to, notice }: Back) -> Response {
        self.tell(notice);
        Redirect::to(&to).into_response()
    }

    /// Keeps what the next page tells.
    pub(super) fn tell(&self, notice: Notice) {
        if let Some(session) = &self.user.session {
            session.tell(notice);
        }
    }

    /// The page of a change that was not made: why, then the page as it is with what was said.
    pub(super) fn failed(
        &self,
        fault: &Fault,
        path: &str,
        title: &str,
        content: Markup,
    ) -> Response {
        let content = html! { (told(fault)) (content) };
        (fault.status(), self.page(path, title, content)).into_response()
    }

    /// Whoever has that role.
    #[cfg(test)]
    pub(super) fn of(role: Role) -> Self {
        let session = Some(Arc::new(Session::of("ann")));
        let user = User { name: "ann".into(), role, session, is_looking: true };
        Self { user, hostname: "mx1.example.org".to_owned() }
    }

    /// A whole page, which tells what was done before it, once; `path` is that of its place in the navigation.
    pub(super) fn page(&self, path: &str, title: &str, content: Markup) -> Markup {
        let session = self.user.session.as_ref().filter(|_session| self.user.is_looking);
        let notice = session.and_then(|session| session.take_notice());
        let body = html! {
            header.top {
                a.brand href="/" { (icon()) "Portcullis" span.host { (self.hostname) } }
                nav aria-label="Pages" {
                    ul {
                        @for (to, name) in NAVIGATION {
                            li { a href=(to) aria-current=[(to == path).then_some("page")] { (name) } }
                        }
                    }
                }
                form.who method="post" action="/logout" {
                    (self.csrf())
                    span title=(self.user.role.name()) { (self.user.name) }
                    button.quiet type="submit" { "Log out" }
                }
            }
            main id="main" { h1 { (title) } @if let Some(notice) = notice { (notice) } (content) }
        };
        document(&format!("{title} – {}", self.hostname), Some(self.token()), body)
    }
}

/// A whole document; `csrf` is for the script.
pub(super) fn document(title: &str, csrf: Option<&str>, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="csrf" content=[csrf];
                title { (title) }
                link rel="icon" href=(assets::address("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::address("style.css"));
                script src=(assets::address("script.js")) defer {}
            }
            body {
                a.skip href="#main" { "To the content" }
                (body)
            }
        }
    }
}

/// The picture beside the name.
pub(super) fn icon() -> Markup {
    html! { span.icon aria-hidden="true" { (PreEscaped(include_str!("assets/icon.svg"))) } }
}

/// Why there is no page, as a page.
#[derive(Debug)]
pub(super) struct Trouble {
    fault: Fault,
    frame: Frame,
}

impl Trouble {
    pub(super) fn new(fault: Fault, user: &User, site: &Site) -> Self {
        Self { fault, frame: Frame::new(user.clone(), site) }
    }
}

impl Frame {
    /// The page that says why there is no other.
    pub(super) fn trouble(&self, fault: Fault) -> Trouble {
        Trouble { fault, frame: self.clone() }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let Self { fault, frame } = self;
        let content = html! { (told(&fault)) p { a href="/" { "Back to the overview" } } };
        (fault.status(), frame.page("", "That did not work", content)).into_response()
    }
}

/// A fault for people.
pub(super) fn told(fault: &Fault) -> Markup {
    html! {
        div.notice.bad role="alert" {
            p { strong { (fault.to_string()) } }
            @if let Some(hint) = fault.what_to_do() { p { (hint) } }
        }
    }
}
