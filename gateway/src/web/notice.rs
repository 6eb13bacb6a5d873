//! What a change did, told once on the page that comes next.

use maud::{Markup, Render, html};
use serde_json::Value;

/// Letters of what was done, and of all warnings, that are told.
const TOLD: usize = 1000;

/// What a change did, and what it warns of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    done: String,
    warnings: String,
}

/// The page after a change, and what it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Back {
    pub(super) to: String,
    pub(super) notice: Notice,
}

impl Notice {
    /// With one warning to a line.
    pub(super) fn new(done: &str, warnings: &[&str]) -> Self {
        Self { done: short(done), warnings: short(&warnings.join("\n")) }
    }

    /// With what an `answer` of the API warns of.
    pub(super) fn of_answer(done: &str, answer: &Value) -> Self {
        let warnings = answer["warnings"].as_array().into_iter().flatten();
        Self::new(done, &warnings.filter_map(Value::as_str).collect::<Vec<_>>())
    }
}

impl Render for Notice {
    fn render(&self) -> Markup {
        html! {
            @if !self.done.is_empty() {
                div.notice.good role="status" { p { strong { (self.done) } } }
            }
            @if !self.warnings.is_empty() {
                div.notice.doubtful role="status" {
                    @for line in self.warnings.lines() { p { (line) } }
                }
            }
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(TOLD).collect()
}

/// Back to `to`, which tells what was done, and what the `answer` warns of.
pub(super) fn back(to: &str, done: &str, answer: &Value) -> Back {
    Back { to: to.to_owned(), notice: Notice::of_answer(done, answer) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_notice_is_text_and_bounded() {
        let long = "x".repeat(5000);
        for (done, warnings, expected, forbidden) in [
            ("<script>", json!([]), "&lt;script&gt;", "<script"),
            ("a", json!(["one", 7, "two"]), "<p>one</p><p>two</p>", "7"),
            (&*long, json!(null), "xxx", &*"x".repeat(1001)),
            ("", json!([long]), "notice doubtful", &*"x".repeat(1001)),
        ] {
            let answer = json!({"warnings": warnings});
            let shown = back("/", done, &answer).notice.render().into_string();
            assert!(shown.contains(expected) && !shown.contains(forbidden), "{shown}");
        }
    }
}
