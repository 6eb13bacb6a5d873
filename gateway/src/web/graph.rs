//! Graphs of what moved in the last ten minutes: drawn here, kept moving by the script where there is one.

use maud::{Markup, html};
use serde_json::Value;

/// The width of a graph in units: a sample each.
const WIDTH: usize = 300;
/// Its height.
const HEIGHT: f64 = 80.0;
/// Samples of a minute.
const OF_MINUTE: usize = 30;

/// One line of a graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) name: &'static str,
    /// The places of its numbers in a sample, which only grow, with spaces between them: their sum is drawn.
    pub(super) of: &'static str,
    pub(super) meaning: &'static str,
}

/// The time of which rates are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Per {
    Second,
    Minute,
}

impl Per {
    const fn seconds(self) -> f64 {
        match self {
            Self::Second => 1.0,
            Self::Minute => 60.0,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
        }
    }
}

/// A graph of `samples`, the rate of each line by that time.
pub(super) fn graph(samples: &Value, id: &str, per: Per, lines: &[Line]) -> Markup {
    let samples = samples.as_array().map(Vec::as_slice).unwrap_or_default();
    let rates: Vec<_> = lines.iter().map(|line| rates(samples, line.of, per)).collect();
    let most = rates.iter().flatten().fold(1.0_f64, |most, rate| most.max(*rate));
    let now = |rates: &[f64]| format!("{:.1}", rates.last().unwrap_or(&0.0));
    html! {
        figure.graph data-graph=(id) data-scale=(most) data-per=(per.seconds()) {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-label={ "Ten minutes; " @for (line, rates) in lines.iter().zip(&rates) {
                    (line.name) " now " (now(rates)) " a " (per.name()) "; " } } {
                @for (line, rates) in lines.iter().zip(&rates) {
                    polyline class=(line.meaning) data-of=(line.of) points=(points(rates, most)) {}
                }
            }
            figcaption {
                @for (line, rates) in lines.iter().zip(&rates) {
                    span.key { span class={ "swatch " (line.meaning) } {} (line.name) " "
                        b data-rate=(line.of) { (now(rates)) } }
                }
                span.hint { "highest " b data-most { (format!("{most:.0}")) } " a " (per.name()) ", ten minutes" }
            }
        }
    }
}

/// A small graph of one number of `samples`, for a cell of a table.
pub(super) fn spark(samples: &Value, of: &str, meaning: &str) -> Markup {
    let samples = samples.as_array().map(Vec::as_slice).unwrap_or_default();
    let rates = rates(samples, of, Per::Second);
    let most = rates.iter().fold(1.0_f64, |most, rate| most.max(*rate));
    let now = format!("{:.1}", rates.last().unwrap_or(&0.0));
    html! {
        span.spark data-graph="list" data-scale=(most) data-per="1" {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-label={ "now " (now) " a second" } {
                polyline class=(meaning) data-of=(of) points=(points(&rates, most)) {}
            }
            b data-rate=(of) { (now) }
        }
    }
}

/// By how much a number grew within the last minute of samples.
pub(super) fn in_last_minute(samples: &Value, of: &str) -> u64 {
    let samples = samples.as_array().map(Vec::as_slice).unwrap_or_default();
    let count = |sample: &Value| sample.pointer(of).and_then(Value::as_u64).unwrap_or(0);
    let first = samples.len().saturating_sub(OF_MINUTE + 1);
    let grown = samples.get(first).zip(samples.last());
    grown.map_or(0, |(first, last)| count(last).saturating_sub(count(first)))
}

/// The time within which of all decisions of ten minutes that many took, such as 0.99, in seconds; infinite where that is too long to be
/// known, `None` where there were none.
pub(super) fn quantile(samples: &Value, share: f64) -> Option<f64> {
    let samples = samples.as_array()?;
    let (first, last) = (samples.first()?, samples.last()?);
    let all = number(last, "/decided/count") - number(first, "/decided/count");
    if all <= 0.0 {
        return None;
    }
    let pairs = |sample: &Value| -> Vec<(f64, f64)> {
        let pairs =
            sample.pointer("/decided/within").and_then(Value::as_array).into_iter().flatten();
        pairs.filter_map(|pair| Some((pair.get(0)?.as_f64()?, pair.get(1)?.as_f64()?))).collect()
    };
    let before = pairs(first);
    let was = |end: f64| {
        before.iter().find(|(it, _)| it.total_cmp(&end).is_eq()).map_or(0.0, |(_, count)| *count)
    };
    let mut so_far = 0.0;
    for (end, count) in pairs(last) {
        so_far += count - was(end);
        if so_far >= all * share {
            return Some(end);
        }
    }
    Some(f64::INFINITY)
}

/// The mean growth of one number for each one of another over all samples; `None` where the other did not grow.
pub(super) fn ratio(samples: &Value, of: &str, for_each: &str) -> Option<f64> {
    let samples = samples.as_array()?;
    let (first, last) = (samples.first()?, samples.last()?);
    let grown = |of| number(last, of) - number(first, of);
    let each = grown(for_each);
    (each > 0.0).then(|| grown(of) / each)
}

/// The growth by that time between each two samples.
fn rates(samples: &[Value], of: &str, per: Per) -> Vec<f64> {
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
            if seconds > 0.0 { grown.max(0.0) / seconds * per.seconds() } else { 0.0 }
        })
        .collect()
}

fn number(sample: &Value, of: &str) -> f64 {
    let numbers = of.split(' ').filter_map(|of| sample.pointer(of).and_then(Value::as_f64));
    numbers.sum()
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
        let refused = "/kernel/refused";
        assert_eq!(rates(&samples, refused, Per::Second), [10.0, 0.0, 0.0]);
        let twice = "/kernel/refused /kernel/none /kernel/refused";
        assert_eq!(rates(&samples, twice, Per::Minute), [1200.0, 0.0, 0.0]);
        assert_eq!(rates(&samples, "/kernel/none", Per::Second), [0.0; 3]);
        let all: Value = samples.to_vec().into();
        assert_eq!(ratio(&all, "/kernel/refused", "/kernel/none"), None);
        assert_eq!(ratio(&all, "/kernel/refused", "/kernel/refused"), None, "it went back");
        assert_eq!(points(&[10.0, 0.0], 10.0), "298,1.0 299,79.0");
        assert_eq!(rates(&[json!(1)], "/x", Per::Second), [] as [f64; 0]);
    }

    #[test]
    fn the_last_minute_and_the_slow_ones_are_told() {
        let sample = |count: u64| json!({"verdicts": {"accept": {"accept": count}}});
        let samples: Value = (0..100).map(sample).collect();
        assert_eq!(in_last_minute(&samples, "/verdicts/accept/accept"), 30);
        assert_eq!(in_last_minute(&samples, "/verdicts/none/accept"), 0);
        assert_eq!(in_last_minute(&json!([sample(5)]), "/verdicts/accept/accept"), 0);
        let decided =
            |count: u64, within: Value| json!({"decided": {"count": count, "within": within}});
        for (last, expected) in [
            (decided(110, json!([[0.001, 60], [0.01, 50]])), Some(0.01)),
            (decided(110, json!([[0.001, 110]])), Some(0.001)),
            (decided(110, json!([[0.001, 20]])), Some(f64::INFINITY)),
            (decided(10, json!([[0.001, 10]])), None),
        ] {
            let samples = json!([decided(10, json!([[0.001, 10]])), last]);
            assert_eq!(quantile(&samples, 0.99), expected, "{samples}");
        }
        assert_eq!(quantile(&json!([]), 0.99), None);
    }
}
