//! What thresholds would have done with the scores in the trail.

use std::cmp::Ordering;

use maud::{Markup, html};
use serde_json::Value;

use crate::web::facts::meaning_of_band;
use crate::web::parts::{badge, bar, count, number, rows, text, time};

/// The bands, as they are counted.
const BANDS: [(&str, &str, &str); 3] =
    [("allow", "Allowed", "good"), ("delay", "Delayed", "doubtful"), ("reject", "Rejected", "bad")];
/// The height of the histogram.
const HEIGHT: u64 = 100;
/// The width of one of its bars.
const WIDTH: usize = 48;

/// How many decisions would have been others.
pub(super) fn content(replayed: &Value) -> Markup {
    let scored = replayed["scored"].as_u64().unwrap_or(0);
    if scored == 0 {
        return html! {
            p { "No decision at connect had a score in that time." }
            (bounds(replayed))
        };
    }
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "Band" } th.number scope="col" { "As recorded" }
                th.number scope="col" { "With these thresholds" } th.number scope="col" { "Difference" }
                th scope="col" aria-label="Share with these thresholds" {} } }
            tbody { @for (band, title, meaning) in BANDS {
                @let (before, now) = (of(&replayed["recorded"], band), of(&replayed["now"], band));
                tr {
                    th scope="row" { (badge(title, meaning)) }
                    td.number { (number(before)) }
                    td.number { (number(now)) }
                    td.number { (difference(before, now)) }
                    td { (bar(now, scored, meaning)) }
                }
            } }
        } }
        @let changes = rows(&replayed["changes"]);
        @if changes.is_empty() { p { "Nothing would have been decided otherwise." } }
        @else {
            ul { @for change in changes { li {
                (count(&change["count"])) " from " (band(&change["from"])) " to " (band(&change["to"]))
            } } }
        }
        (histogram(rows(&replayed["histogram"])))
        (bounds(replayed))
    }
}

fn band(name: &Value) -> Markup {
    badge(text(name), meaning_of_band(text(name)))
}

fn of(bands: &Value, band: &str) -> u64 {
    bands[band].as_u64().unwrap_or(0)
}

fn difference(before: u64, now: u64) -> String {
    match now.cmp(&before) {
        Ordering::Less => format!("−{}", number(before - now)),
        Ordering::Equal => "–".to_owned(),
        Ordering::Greater => format!("+{}", number(now - before)),
    }
}

/// How many decisions were looked at, and whether that is all.
fn bounds(replayed: &Value) -> Markup {
    html! {
        p.hint {
            "Since " (time(&replayed["since"])) ", at connect: decided by their score "
            (count(&replayed["scored"])) ", by something else " (count(&replayed["decided_otherwise"]))
            ", without a score " (count(&replayed["not_scored"])) "."
            @if replayed["complete"] == false {
                " " strong { "Not all of that time was counted" } ": this host counts scores since then."
            }
        }
    }
}

/// How many had which score, each bar by the bands.
fn histogram(bars: &[Value]) -> Markup {
    let most = bars.iter().map(|bar| bar["count"].as_u64().unwrap_or(0)).max().unwrap_or(0).max(1);
    let height = |count: u64| {
        let height = count.saturating_mul(HEIGHT).div_ceil(most);
        height.min(HEIGHT)
    };
    html! {
        @if !bars.is_empty() {
            figure.graph {
                svg viewBox={ "0 0 " (bars.len() * (WIDTH + 2)) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                    aria-label={ "How many had which score, in steps of 50: "
                        @for bar in bars.iter().filter(|bar| bar["count"].as_u64().unwrap_or(0) > 0) {
                            (count(&bar["from"])) " to " (count(&bar["to"])) ": " (count(&bar["count"])) "; " } } {
                    @for (index, bar) in bars.iter().enumerate() {
                        @let [allow, delay, reject] = BANDS.map(|(band, ..)| height(of(bar, band)));
                        @let x = index * (WIDTH + 2);
                        @for (meaning, below, height) in [("good", 0, allow), ("doubtful", allow, delay),
                            ("bad", allow + delay, reject)] {
                            rect class=(meaning) x=(x) y=(HEIGHT.saturating_sub(below + height)) width=(WIDTH) height=(height) {}
                        }
                    }
                }
                figcaption { span { "Scores from 0, at the left, to 1000, in steps of 50; the highest bar is "
                    b { (number(most)) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_would_change_is_told() {
        let replayed = json!({
            "scored": 72, "decided_otherwise": 2, "not_scored": 1, "complete": false, "since": "2026-11-20T08:00:00Z",
            "recorded": {"allow": 43, "delay": 19, "reject": 10}, "now": {"allow": 62, "delay": 10, "reject": 0},
            "changes": [{"from": "delay", "to": "allow", "count": 19}, {"from": "reject", "to": "delay", "count": 10}],
            "histogram": [{"from": 0, "to": 49, "count": 40, "allow": 40}, {"from": 50, "to": 99, "count": 20, "delay": 10, "reject": 10}],
        });
        let shown = content(&replayed).into_string();
        for part in [
            "+19",
            "−9",
            "−10",
            "19 from",
            "Not all of that time was counted",
            "y=\"0\" width=\"48\" height=\"100\"",
            "class=\"bad\" x=\"50\" y=\"50\" width=\"48\" height=\"25\"",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let same =
            json!({"scored": 1, "recorded": {"allow": 1}, "now": {"allow": 1}, "changes": []});
        assert!(content(&same).into_string().contains("Nothing would have been decided otherwise"));
        for nothing in [Value::Null, json!({"scored": 0})] {
            assert!(content(&nothing).into_string().contains("No decision at connect"));
        }
    }

    #[test]
    fn numbers_of_any_size_are_drawn() {
        let bars =
            [json!({"count": u64::MAX, "allow": u64::MAX}), json!({"count": "<b>", "reject": 1})];
        let shown = histogram(&bars).into_string();
        assert!(!shown.contains("<b>&"), "{shown}");
        assert_eq!(histogram(&[]).into_string(), "");
    }
}
