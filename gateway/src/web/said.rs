//! What a query or a form says, and the way back to a page after a change.

use std::collections::HashMap;

use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::parts::query;

/// Letters of what was done that are told on the next page.
const TOLD: usize = 1000;
/// Letters of the name of an unknown parameter that are told.
const UNKNOWN: usize = 40;

/// The parameters that say what was done, and the token of a form.
const OF_NOTICES: [&str; 3] = ["done", "warned", "csrf"];

/// What a query or a form says, by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Said(HashMap<String, String>);

impl Said {
    /// What a query says.
    #[cfg(test)]
    pub(super) fn of(query: &str) -> Self {
        let uri = format!("/x?{query}").parse().unwrap();
        axum::extract::Query::try_from_uri(&uri).map(|axum::extract::Query(said)| said).unwrap()
    }

    /// What is said of `name`, without spaces around it; empty where nothing is.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(|text| text.trim()).unwrap_or_default()
    }

    /// What is said of `name`, where something is.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// The number that is said.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }

    /// What was done before this page was shown, and the parameters that no page of this kind has.
    pub(super) fn notices(&self, known: &[&str]) -> Markup {
        let mut unknown: Vec<_> = self
            .0
            .keys()
            .filter(|name| !known.contains(&name.as_str()) && !OF_NOTICES.contains(&name.as_str()))
            .map(|name| name.chars().take(UNKNOWN).collect::<String>())
            .collect();
        unknown.sort_unstable();
        unknown.truncate(known.len() + 5);
        html! {
            @if let Some(done) = self.given("done") {
                div.notice.good role="status" { p { strong { (told(done)) } } }
            }
            @if let Some(warnings) = self.given("warned") {
                div.notice.doubtful role="status" {
                    @for line in told(warnings).lines() { p { (line) } }
                }
            }
            @if !unknown.is_empty() {
                div.notice.doubtful role="status" {
                    p { "Not looked at: " (unknown.join(", ")) "." }
                    @if known.is_empty() { p { "This page takes no parameters." } }
                    @else { p { "This page takes: " (known.join(", ")) "." } }
                }
            }
        }
    }
}

fn told(text: &str) -> String {
    text.chars().take(TOLD).collect()
}

/// Back to `path`, which tells what was done, and what the answer warns of.
pub(super) fn back(path: &str, done: &str, answer: &Value) -> Redirect {
    let warnings: Vec<_> =
        answer["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let before = if path.contains('?') { '&' } else { '?' };
    let mut to = format!("{path}{before}done={}", query(&told(done)));
    if !warnings.is_empty() {
        to.push_str("&warned=");
        to.push_str(&query(&told(&warnings.join("\n"))));
    }
    Redirect::to(&to)
}

/// The parameters of a query that are said: `?a=1&b=2`, or nothing.
pub(super) fn asked(parameters: &[(&str, Option<&str>)]) -> String {
    let said = parameters.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    let pairs: Vec<_> = said.map(|(name, value)| format!("{name}={}", query(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

#[cfg(test)]
mod tests {
    use axum::http::header::LOCATION;
    use axum::response::IntoResponse as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_is_text_and_bounded() {
        let long = "x".repeat(5000);
        for (query, expected, forbidden) in [
            ("done=%3Cscript%3E", "&lt;script&gt;", "<script"),
            ("warned=one%0Atwo", "<p>one</p><p>two</p>", "\n"),
            ("stat=open", "Not looked at: stat.", "no parameters"),
            ("state=open&csrf=abc", "", "Not looked at"),
            (&*format!("done={long}"), "xxx", &*"x".repeat(1001)),
            (&*format!("{long}=1"), "Not looked at", &*"x".repeat(41)),
            ("%FF=%FF&state", "Not looked at", "<script"),
        ] {
            let shown = Said::of(query).notices(&["state"]).into_string();
            assert!(shown.contains(expected) && !shown.contains(forbidden), "{query}: {shown}");
        }
        assert_eq!(Said::of("a=+b+").given("a"), Some("b"));
        assert_eq!((Said::of("a=+").given("a"), Said::of("a=-1").number("a")), (None, None));
    }

    #[test]
    fn the_way_back_tells_what_was_done() {
        let answer = json!({"warnings": ["a & b", "c\r\nd"]});
        let response = back("/zones?x=1", "x: off?", &answer).into_response();
        let to = response.headers()[LOCATION].to_str().unwrap();
        assert_eq!(to, "/zones?x=1&done=x%3A+off%3F&warned=a+%26+b%0Ac%0D%0Ad");
        assert_eq!(asked(&[("a", Some("1 2")), ("b", None), ("c", Some("&"))]), "?a=1+2&c=%26");
        assert_eq!(asked(&[("a", None)]), "");
    }
}
