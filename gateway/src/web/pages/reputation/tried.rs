//! The thresholds that a page is asked to try, and the forms that ask.

use axum::http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use crate::admin::Fault;
use crate::policy::{Percent, Thresholds};
use crate::slider::{Meaning, Wanted};
use crate::web::said::Said;

/// The parameters of the page.
pub(super) const PARAMETERS: [&str; 5] = ["allow", "delay", "reject", "delay_from", "reject_above"];

/// What is tried.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) thresholds: Thresholds,
    /// Those that count now.
    pub(super) in_force: Thresholds,
    /// Why what was said is not tried.
    pub(super) fault: Option<Fault>,
}

impl Tried {
    /// What is said; what is in force where nothing is, or nothing that fits.
    pub(super) fn read(said: &Said, in_force: Thresholds) -> Self {
        match wanted(said) {
            Ok(wanted) => Self { thresholds: wanted.unwrap_or(in_force), in_force, fault: None },
            Err(detail) => {
                let fault =
                    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "the slider cannot stand there")
                        .detail(detail)
                        .hint("below are the thresholds that are in force");
                Self { thresholds: in_force, in_force, fault: Some(fault) }
            }
        }
    }
}

fn wanted(said: &Said) -> Result<Option<Thresholds>, String> {
    let number = |name: &str| -> Result<Option<u16>, String> {
        let Some(text) = said.given(name) else { return Ok(None) };
        let start: String = text.chars().take(20).collect();
        text.parse()
            .map(Some)
            .map_err(|_no_number| format!("{name} is `{start}`, expected a whole number"))
    };
    let wanted = Wanted {
        allow: number("allow")?,
        delay: number("delay")?,
        reject: number("reject")?,
        delay_from: number("delay_from")?,
        reject_above: number("reject_above")?,
    };
    wanted.thresholds().map_err(|error| error.to_string())
}

/// The thresholds that count now.
pub(super) fn in_force(slider: &Value) -> Thresholds {
    let score = |name: &str| slider[name].as_u64().and_then(|score| u16::try_from(score).ok());
    let scores = score("delay_from").zip(score("reject_above"));
    scores.and_then(|(from, above)| Thresholds::from_scores(from, above).ok()).unwrap_or_default()
}

/// Two forms that try: percent, or raw scores.
pub(super) fn forms(meaning: &Meaning, said: &Said) -> Markup {
    let (percent, thresholds) = (&meaning.percent, meaning.thresholds);
    let parts = [
        ("allow", "Allow", percent.allow),
        ("delay", "Delay", percent.delay),
        ("reject", "Reject", percent.reject),
    ];
    let scores = [
        ("delay_from", "Delayed from", thresholds.delay_from()),
        ("reject_above", "Rejected above", thresholds.reject_above()),
    ];
    html! {
        div.columns {
            form method="get" action="/reputation" {
                fieldset {
                    legend { "In percent of the scale above 500" }
                    div.fields {
                        @for (name, label, percent) in parts {
                            div { label for=(name) { (label) ", %" }
                                input.short id=(name) name=(name) type="number" min="0" max="100" required
                                    value=[whole(percent, said.given(name))] placeholder=(percent); }
                        }
                        div { button.quiet type="submit" { "Try" } }
                    }
                }
            }
            form method="get" action="/reputation" {
                fieldset {
                    legend { "As scores" }
                    div.fields {
                        @for (name, label, score) in scores {
                            div { label for=(name) { (label) }
                                input.short id=(name) name=(name) type="number" min="500" max="1000" required
                                    value=(score); }
                        }
                        div { button.quiet type="submit" { "Try" } }
                    }
                }
            }
        }
    }
}

/// A share as a field takes it: scores between whole percents have no such number.
fn whole(percent: Percent, said: Option<&str>) -> Option<String> {
    let shown = percent.to_string();
    let is_whole = shown.parse::<u16>().is_ok();
    is_whole.then_some(shown).or_else(|| said.map(|said| said.chars().take(20).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_tried_is_percent_or_scores() {
        let in_force = Thresholds::from_scores(500, 600).unwrap();
        for (query, expected, is_new, fault) in [
            ("", (500, 600), false, None),
            ("delay_from=&reject_above=+", (500, 600), false, None),
            ("delay_from=500&reject_above=600", (500, 600), false, None),
            ("delay_from=701&reject_above=1000", (701, 1000), true, None),
            ("allow=50&delay=10&reject=40", (750, 800), true, None),
            ("allow=50&delay=10", (500, 600), false, Some("allow, delay alone")),
            ("allow=50&delay=10&reject=50", (500, 600), false, Some("110 percent")),
            ("delay_from=900&reject_above=600", (500, 600), false, Some("do not fit")),
            ("delay_from=%3Cb%3E&reject_above=600", (500, 600), false, Some("delay_from is `<b>`")),
            ("delay_from=70000&reject_above=600", (500, 600), false, Some("70000")),
        ] {
            let tried = Tried::read(&Said::of(query), in_force);
            let found = (tried.thresholds.delay_from(), tried.thresholds.reject_above());
            let is_tried_new = tried.thresholds != tried.in_force;
            assert_eq!((found, is_tried_new), (expected, is_new), "{query}");
            let told = tried.fault.map(|fault| fault.to_string());
            assert_eq!(told.is_some(), fault.is_some(), "{query}: {told:?}");
            assert!(told.unwrap_or_default().contains(fault.unwrap_or_default()), "{query}");
        }
        assert_eq!(in_force_of(json!({"delay_from": 700, "reject_above": 800})), (700, 800));
        for odd in
            [json!({}), json!({"delay_from": 900, "reject_above": 1}), json!({"delay_from": -1})]
        {
            assert_eq!(in_force_of(odd), (500, 600));
        }
    }

    fn in_force_of(slider: Value) -> (u16, u16) {
        let thresholds = in_force(&slider);
        (thresholds.delay_from(), thresholds.reject_above())
    }

    #[test]
    fn a_score_between_percents_leaves_the_field_of_percent_empty() {
        for (scores, allow) in [((750, 800), "value=\"50\""), ((751, 800), "placeholder=\"50.2\"")]
        {
            let thresholds = Thresholds::from_scores(scores.0, scores.1).unwrap();
            let shown = forms(&Meaning::of(thresholds, None), &Said::default()).into_string();
            assert!(shown.contains(allow), "{shown}");
        }
        let thresholds = Thresholds::from_scores(751, 800).unwrap();
        let shown = forms(&Meaning::of(thresholds, None), &Said::default()).into_string();
        assert!(!shown.contains("value=\"50"), "{shown}");
    }
}
