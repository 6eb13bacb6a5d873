//! The slider as people see it: its three parts, the bar, the chart.

use super::super::bar::{self, Ink};
use super::super::{Failure, output};
use crate::policy::{Band, ChartRow, Thresholds};
use crate::slider::Meaning;

/// Cells of the bar: ten scores each.
const WIDTH: usize = 50;

/// Prints all of it.
pub(super) fn show(answer: &Meaning) -> Result<(), Failure> {
    let thresholds = answer.thresholds;
    output::headline("Reputation score, 0 to 1000; percent of what lies above 500")?;
    let percent = &answer.percent;
    let bands = [
        (Band::Allow, percent.allow),
        (Band::Delay, percent.delay),
        (Band::Reject, percent.reject),
    ];
    for (band, percent) in bands {
        let mut scores = (0..=Thresholds::TOP).filter(|&score| thresholds.band(score) == band);
        let first = scores.next();
        let range = match (first, scores.next_back().or(first)) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "no score".to_owned(),
        };
        let share = format!("{percent} %");
        let name = output::coloured(format!("{band:<6}"), bar::meaning(band));
        output::line(format_args!("  {name}  {share:>7}  {range}"))?;
    }
    output::line("")?;
    show_bar(answer)?;
    output::line("")?;
    output::headline("  Real score | Normalised (-500) | Percent (/5) | Band")?;
    for row in &answer.chart {
        show_row(row)?;
    }
    show_point(answer)
}

/// The scale from 500 to 1000, with a mark at the score in question.
fn show_bar(answer: &Meaning) -> Result<(), Failure> {
    let thresholds = answer.thresholds;
    let (delay_from, reject_above) = (thresholds.delay_from(), thresholds.reject_above());
    let parts =
        [delay_from - Thresholds::FLOOR, reject_above - delay_from, Thresholds::TOP - reject_above];
    let width = u64::try_from(WIDTH).unwrap_or(u64::MAX);
    output::line(format_args!("  {}", Ink::of_output().bar(parts.map(u64::from), width)))?;
    if let Some(point) = answer.point.filter(|point| point.normalised.is_some()) {
        let cell = bar::cell(point.score, WIDTH);
        output::line(format_args!("  {:cell$}^", ""))?;
    }
    output::line(format_args!("  {}", bar::scale(thresholds, WIDTH)))
}

fn show_row(row: &ChartRow) -> Result<(), Failure> {
    let point = row.point;
    let percent = point.percent.map(|percent| percent.to_string()).unwrap_or_default();
    let band = output::coloured(point.band, bar::meaning(point.band));
    let mark = match (row.is_delay_from, row.is_reject_above, point.band) {
        (true, _, Band::Delay) => ", from here on",
        (true, _, Band::Reject) => ", from here on (none is delayed)",
        (_, true, Band::Delay) if point.score < Thresholds::TOP => ", up to here",
        _ => "",
    };
    output::line(format_args!(
        "  {:>10} | {:>17} | {percent:>12} | {band}{mark}",
        point.score,
        point.normalised.unwrap_or(0),
    ))
}

/// The score in question in all three ways.
fn show_point(answer: &Meaning) -> Result<(), Failure> {
    let Some(point) = answer.point else { return Ok(()) };
    let band = output::coloured(point.band, bar::meaning(point.band));
    output::line("")?;
    match (point.normalised, point.percent) {
        (Some(normalised), Some(percent)) => output::line(format_args!(
            "  a score of {} is {normalised} normalised, {percent} %, and means: {band}",
            point.score
        )),
        _ => output::line(format_args!(
            "  a score of {} lies below the slider, and means: {band}",
            point.score
        )),
    }
}
