//! How many messages a second come through, and what each costs whoever stands in the middle.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::Plan;
use crate::console::say;
use crate::field::{Field, Way};
use crate::figures::{Spread, now, rounded, text};

/// Octets of a message.
const SIZES: [usize; 3] = [4 << 10, 100 << 10, 5 << 20];
/// Sessions at the same time.
const SESSIONS: [usize; 3] = [1, 20, 200];
/// Octets of a run at the most: memory is not what is measured.
const MOST_OCTETS: usize = 4 << 30;

/// One case.
#[derive(Clone, Copy, Debug)]
struct Case {
    octets: usize,
    sessions: usize,
    /// Whether a session sends all of its messages over one connection.
    reused: bool,
}

pub(crate) fn measure(field: &Field, plan: &Plan) -> Result<Vec<Value>> {
    let mut cases: Vec<_> = SIZES
        .into_iter()
        .flat_map(|octets| {
            SESSIONS.into_iter().map(move |sessions| Case { octets, sessions, reused: false })
        })
        .collect();
    cases.push(Case { octets: SIZES[0], sessions: 20, reused: true });
    let mut rows = Vec::new();
    for case in cases {
        let mut counts = Vec::new();
        for way in Way::RELAYS {
            // A first run says how many messages fill the time.
            let few = case.sessions.max(if case.octets < 1 << 20 { 50 } else { 4 });
            let (rate, _) = run(field, way, case, few)?;
            let most = (MOST_OCTETS / case.octets).max(case.sessions);
            counts.push(((rate * plan.run_seconds) as usize).clamp(few, most.max(few)));
        }
        // One path after the other in each repetition, so that whatever else the machine does meets all of them.
        let mut measured: [(Vec<f64>, Vec<f64>); Way::RELAYS.len()] = Default::default();
        for _ in 0..plan.runs {
            for ((way, count), (rates, costs)) in
                Way::RELAYS.into_iter().zip(&counts).zip(&mut measured)
            {
                let (rate, cost) = run(field, way, case, *count)?;
                rates.push(rounded(rate));
                costs.push(rounded(cost));
            }
        }
        for ((way, count), (rates, costs)) in Way::RELAYS.into_iter().zip(counts).zip(measured) {
            let costs = if way == Way::Direct { Vec::new() } else { costs };
            let row = json!({
                "path": way.name(),
                "octets": case.octets,
                "sessions": case.sessions,
                "reused": case.reused,
                "messages": count,
                "per_second": Spread::of(rates).map(Spread::json),
                "cpu_us_per_message": Spread::of(costs).map(Spread::json),
            });
            say(&line(&row));
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Messages a second, and microseconds of processor time for each.
fn run(field: &Field, way: Way, case: Case, messages: usize) -> Result<(f64, f64)> {
    let mut source = field.source()?;
    source.args(["-s", &case.sessions.to_string(), "-l", &case.octets.to_string()]);
    source.args(["-m", &messages.to_string()]);
    source.args(case.reused.then_some("-d"));
    source.arg(format!("inet:{}", way.address()));
    let (before, started) = (field.spent(way)?, now());
    let status = source.status()?;
    let elapsed = started.elapsed().as_secs_f64();
    ensure!(status.success(), "{}: smtp-source ended with {status}", way.name());
    let spent = field.spent(way)?.since(before);
    Ok((messages as f64 / elapsed, spent * 1e6 / messages as f64))
}

fn line(row: &Value) -> String {
    let text = |pointer: &str| text(row, pointer).trim_end_matches(".0").to_owned();
    format!(
        "{:<10} {:>8} octets, {:>3} sessions{:<8} {:>7}/s ({} to {}), {} us of CPU each ({} to {})",
        text("/path"),
        text("/octets"),
        text("/sessions"),
        if row["reused"] == true { ", reused" } else { "" },
        text("/per_second/median"),
        text("/per_second/min"),
        text("/per_second/max"),
        text("/cpu_us_per_message/median"),
        text("/cpu_us_per_message/min"),
        text("/cpu_us_per_message/max"),
    )
}
