//! What a query or a form says.

use std::collections::HashMap;

use maud::{Markup, html};
use serde::Deserialize;

use super::parts::query;

/// Letters of the name of an unknown parameter that are told.
const UNKNOWN: usize = 40;

/// The token of a form, which every page may have.
const CSRF: &str = "csrf";

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

    /// The parameters that no page of this kind has.
    pub(super) fn unknown(&self, known: &[&str]) -> Markup {
        let mut unknown: Vec<_> = self
            .0
            .keys()
            .filter(|name| !known.contains(&name.as_str()) && *name != CSRF)
            .map(|name| name.chars().take(UNKNOWN).collect::<String>())
            .collect();
        unknown.sort_unstable();
        unknown.truncate(known.len() + 5);
        html! {
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

/// The parameters of a query that are said: `?a=1&b=2`, or nothing.
pub(super) fn asked(parameters: &[(&str, Option<&str>)]) -> String {
    let said = parameters.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    let pairs: Vec<_> = said.map(|(name, value)| format!("{name}={}", query(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_text_and_bounded() {
        let long = "x".repeat(5000);
        for (query, expected, forbidden) in [
            ("%3Cscript%3E=1", "Not looked at: &lt;script&gt;", "<script"),
            ("stat=open", "Not looked at: stat.", "no parameters"),
            ("state=open&csrf=abc", "", "Not looked at"),
            (&*format!("{long}=1"), "Not looked at", &*"x".repeat(41)),
            ("%FF=%FF&state", "Not looked at", "<script"),
        ] {
            let shown = Said::of(query).unknown(&["state"]).into_string();
            assert!(shown.contains(expected) && !shown.contains(forbidden), "{query}: {shown}");
        }
        assert_eq!(Said::of("a=+b+").given("a"), Some("b"));
        assert_eq!((Said::of("a=+").given("a"), Said::of("a=-1").number("a")), (None, None));
    }

    #[test]
    fn a_query_has_what_is_said() {
        assert_eq!(asked(&[("a", Some("1 2")), ("b", None), ("c", Some("&"))]), "?a=1+2&c=%26");
        assert_eq!(asked(&[("a", None)]), "");
    }
}
