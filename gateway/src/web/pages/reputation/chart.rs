//! The slider and the chart of scores, drawn.

use maud::{Markup, html};

use crate::policy::{Band, ChartRow, Thresholds};
use crate::slider::Meaning;
use crate::web::facts::meaning_of_band;

/// The lowest score of the slider.
const FLOOR: u16 = Thresholds::FLOOR;
/// The highest.
const TOP: u16 = Thresholds::TOP;
/// Where the scale of the chart begins, in units of the picture: the names of its rows stand before it.
const LEFT: f64 = 170.0;
/// Units of a score.
const UNIT: f64 = 1.7;

/// The three parts as a bar. The script puts two handles onto it.
pub(super) fn slider(thresholds: Thresholds) -> Markup {
    let (from, above) = (thresholds.delay_from(), thresholds.reject_above());
    let [allow, delay, reject] = thresholds.percent();
    let parts = [
        ("allow", "Allow", "good", FLOOR, from, allow),
        ("delay", "Delay", "doubtful", from, above, delay),
        ("reject", "Reject", "bad", above, TOP, reject),
    ];
    html! {
        div.slide {
            svg.slider viewBox={ (FLOOR) " 0 " (TOP - FLOOR) " 40" } preserveAspectRatio="none" role="img"
                aria-label={ "Allow " (allow) " %, delay " (delay) " %, reject " (reject) " %" } {
                @for (name, _title, meaning, start, end, _percent) in parts {
                    rect class=(meaning) data-part=(name) x=(start) y="0" width=(end - start) height="40" {}
                }
            }
            div.handles hidden {
                @for (name, label, score) in [("delay_from", "Delayed from", from), ("reject_above", "Rejected above", above)] {
                    input data-handle=(name) aria-label=(label) type="range" min=(FLOOR) max=(TOP) value=(score);
                }
            }
        }
        p.keys {
            @for (name, title, meaning, _start, _end, percent) in parts {
                span.key { span class={ "swatch " (meaning) } {} (title) " "
                    b data-percent=(name) { (percent) } " %" } " "
            }
            span.hint { "delayed from " b data-score="delay_from" { (from) } ", rejected above "
                b data-score="reject_above" { (above) } }
        }
    }
}

/// Scores beside what they are on the scale above 500, in scores and in percent, with their bands.
pub(super) fn scores(meaning: &Meaning) -> Markup {
    html! {
        div.scroll tabindex="0" { svg.chart viewBox="0 0 1180 150" role="img"
            aria-label="Scores from 500 to 1000 in steps of 50, with their bands; the table below has the same" {
            @for (y, name) in [(20, "Real score"), (45, "Normalised"), (70, "Percent")] {
                text x="0" y=(y) { (name) }
            }
            (bands(meaning.thresholds))
            @for row in meaning.chart.iter().filter(|row| row.point.score.is_multiple_of(50)) {
                @let x = format!("{:.1}", place(row.point.score));
                text.tick x=(x) y="20" { (row.point.score) }
                text.tick x=(x) y="45" { (row.point.normalised.unwrap_or(0)) }
                text.tick x=(x) y="70" { @if let Some(percent) = row.point.percent { (percent) } }
            }
            (threshold(meaning.thresholds.delay_from(), "delayed from", "before"))
            (threshold(meaning.thresholds.reject_above(), "rejected above", "after"))
        } }
        details {
            summary { "The chart as a table" }
            div.scroll tabindex="0" { table {
                thead { tr { th.number scope="col" { "Real score" } th.number scope="col" { "Normalised (-500)" }
                    th.number scope="col" { "Percent (/5)" } th scope="col" { "Band" } } }
                tbody { @for row in &meaning.chart { (line(row)) } }
            } }
        }
    }
}

fn place(score: u16) -> f64 {
    LEFT + f64::from(score.saturating_sub(FLOOR)) * UNIT
}

fn bands(thresholds: Thresholds) -> Markup {
    let (from, above) = (thresholds.delay_from(), thresholds.reject_above());
    html! {
        @for (meaning, start, end) in [("good", FLOOR, from), ("doubtful", from, above), ("bad", above, TOP)] {
            rect class=(meaning) x=(format!("{:.1}", place(start))) y="85" height="30"
                width=(format!("{:.1}", f64::from(end - start) * UNIT)) {}
        }
    }
}

fn threshold(score: u16, words: &str, side: &str) -> Markup {
    let x = place(score);
    let text = if side == "before" { x - 6.0 } else { x + 6.0 };
    html! {
        rect.mark x=(format!("{:.1}", x - 1.0)) y="80" width="2" height="60" {}
        text class=(side) x=(format!("{text:.1}")) y="140" { (words) " " (score) }
    }
}

fn line(row: &ChartRow) -> Markup {
    let point = row.point;
    let mark = match (row.is_delay_from, row.is_reject_above, point.band) {
        (true, _, Band::Delay) => "from here on",
        (true, _, Band::Reject) => "from here on, none is delayed",
        (_, true, Band::Delay) if point.score < TOP => "up to here",
        _ => "",
    };
    let band = point.band.to_string();
    html! {
        tr {
            th.number scope="row" { (point.score) }
            td.number { (point.normalised.unwrap_or(0)) }
            td.number { @if let Some(percent) = point.percent { (percent) } }
            td { (crate::web::parts::badge(&band, meaning_of_band(&band))) " " (mark) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_as_long_as_their_shares() {
        for (from, above, expected) in [
            (
                500,
                600,
                [
                    "x=\"500\" y=\"0\" width=\"0\"",
                    "x=\"500\" y=\"0\" width=\"100\"",
                    "x=\"600\" y=\"0\" width=\"400\"",
                ],
            ),
            (
                1000,
                1000,
                [
                    "x=\"500\" y=\"0\" width=\"500\"",
                    "x=\"1000\" y=\"0\" width=\"0\"",
                    "x=\"1000\" y=\"0\" width=\"0\"",
                ],
            ),
        ] {
            let shown = slider(Thresholds::from_scores(from, above).unwrap()).into_string();
            for part in expected {
                assert!(shown.contains(part), "{part}: {shown}");
            }
        }
    }

    #[test]
    fn the_chart_has_each_step_and_both_thresholds() {
        let meaning = Meaning::of(Thresholds::from_scores(620, 703).unwrap(), None);
        let shown = scores(&meaning).into_string();
        for part in [
            "delayed from 620",
            "rejected above 703",
            "from here on",
            "up to here",
            "40.6",
            "badge bad",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert_eq!(shown.matches("class=\"tick\"").count(), 33, "{shown}");
        let none =
            scores(&Meaning::of(Thresholds::from_scores(700, 700).unwrap(), None)).into_string();
        assert!(none.contains("none is delayed"), "{none}");
    }
}
