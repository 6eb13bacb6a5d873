//! Graphs of what moved in the last ten minutes: drawn here, kept moving by the script where there is one.

use maud::{Markup, html};
use serde_json::Value;

/// The width of a graph in units: a sample each.
const WIDTH: usize = 300;
/// Its height.
const HEIGHT: f64 = 80.0;

/// One line of a graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) name: &'static str,
    /// The place of its number in a sample, which only grows.
    pub(super) of: &'static str,
    pub(super) meaning: &'static str,
}

/// A graph of `samples`, the rate of each line by the second.
pub(super) fn graph(samples: &Value, id: &str, lines: &[Line]) -> Markup {
    let samples = samples.as_array().map(Vec::as_slice).unwrap_or_default();
    let rates: Vec<_> = lines.iter().map(|line| rates(samples, line.of)).collect();
    let most = rates.iter().flatten().fold(1.0_f64, |most, rate| most.max(*rate));
    let now = |rates: &[f64]| format!("{:.1}", rates.last().unwrap_or(&0.0));
    html! {
        figure.graph data-graph=(id) data-scale=(most) {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-label={ "Ten minutes; " @for (line, rates) in lines.iter().zip(&rates) {
                    (line.name) " now " (now(rates)) " a second; " } } {
                @for (line, rates) in lines.iter().zip(&rates) {
                    polyline class=(line.meaning) data-of=(line.of) points=(points(rates, most)) {}
                }
            }
            figcaption {
                @for (line, rates) in lines.iter().zip(&rates) {
                    span.key { span class={ "swatch " (line.meaning) } {} (line.name) " "
                        b data-rate=(line.of) { (now(rates)) } }
                }
                span.hint { "highest " b data-most { (format!("{most:.0}")) } "/s, ten minutes" }
            }
        }
    }
}

/// A small graph of one number of `samples`, for a cell of a table.
pub(super) fn spark(samples: &Value, of: &str, meaning: &str) -> Markup {
    let samples = samples.as_array().map(Vec::as_slice).unwrap_or_default();
    let rates = rates(samples, of);
    let most = rates.iter().fold(1.0_f64, |most, rate| most.max(*rate));
    html! {
        svg.spark data-graph="list" data-scale=(most) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
            aria-label={ "now " (format!("{:.1}", rates.last().unwrap_or(&0.0))) " a second" } {
            polyline class=(meaning) data-of=(of) points=(points(&rates, most)) {}
        }
    }
}

/// The mean growth of one number for each one of another over all samples; `None` where the other did not grow.
pub(super) fn ratio(samples: &Value, of: &str, for_each: &str) -> Option<f64> {
    let samples = samples.as_array()?;
    let (first, last) = (samples.first()?, samples.last()?);
    let grown = |of| number(last, of) - number(first, of);
    let each = grown(for_each);
    (each > 0.0).then(|| grown(of) / each)
}

/// The growth by the second between each two samples.
fn rates(samples: &[Value], of: &str) -> Vec<f64> {
    let moment = |sample: &Value| sample["time"].as_str()?.parse::<jiff::Timestamp>().ok();
    let pairs = samples.windows(2).filter_map(|pair| match pair {
        [before, after] => Some((before, after)),
        _ => None,
    });
    pairs
        .map(|(before, after)| {
            let grown = number(after, of) - number(before, of);
            let time = moment(after).zip(moment(before));
            let seconds =
                time.map_or(2.0, |(after, before)| after.duration_since(before).as_secs_f64());
            if seconds > 0.0 { grown.max(0.0) / seconds } else { 0.0 }
        })
        .collect()
}

fn number(sample: &Value, of: &str) -> f64 {
    sample.pointer(of).and_then(Value::as_f64).unwrap_or(0.0)
}

/// The newest at the right.
fn points(rates: &[f64], most: f64) -> String {
    let first = WIDTH.saturating_sub(rates.len());
    let points = rates.iter().enumerate().map(|(index, rate)| {
        let height = HEIGHT - rate / most * (HEIGHT - 2.0) - 1.0;
        format!("{},{height:.1}", first + index)
    });
    points.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rate_is_the_growth_by_the_second() {
        let sample = |second: u32, refused: u64| json!({"time": format!("2026-11-30T08:00:{second:02}Z"), "kernel": {"refused": refused}});
        let samples = [sample(0, 10), sample(2, 30), sample(4, 30), sample(6, 5)];
        assert_eq!(rates(&samples, "/kernel/refused"), [10.0, 0.0, 0.0]);
        assert_eq!(rates(&samples, "/kernel/none"), [0.0; 3]);
        let all: Value = samples.to_vec().into();
        assert_eq!(ratio(&all, "/kernel/refused", "/kernel/none"), None);
        assert_eq!(ratio(&all, "/kernel/refused", "/kernel/refused"), None, "it went back");
        assert_eq!(points(&[10.0, 0.0], 10.0), "298,1.0 299,79.0");
        assert_eq!(rates(&[json!(1)], "/x"), [] as [f64; 0]);
    }
}
