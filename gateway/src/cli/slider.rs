//! `portcullis slider`: percent to scores, scores to percent, score to band.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::output::{self, Meaning};
use super::{Exit, Failure, offline};
use crate::policy::{Band, Percent, Thresholds};

/// Arguments of `slider`; without any, the thresholds of the configuration are shown, or the default ones.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Percent of the scale above 500 that is allowed
    #[arg(long, value_name = "PERCENT", requires_all = ["delay", "reject"], conflicts_with_all = ["delay_from", "reject_above"])]
    allow: Option<u16>,
    /// Percent that is delayed
    #[arg(long, value_name = "PERCENT", requires_all = ["allow", "reject"])]
    delay: Option<u16>,
    /// Percent that is rejected
    #[arg(long, value_name = "PERCENT", requires_all = ["allow", "delay"])]
    reject: Option<u16>,
    /// The first score that is delayed
    #[arg(long, value_name = "SCORE", requires = "reject_above")]
    delay_from: Option<u16>,
    /// The last score that is delayed
    #[arg(long, value_name = "SCORE", requires = "delay_from")]
    reject_above: Option<u16>,
    /// Say in which band this score lies
    #[arg(long, value_name = "SCORE", value_parser = clap::value_parser!(u16).range(0..=1000))]
    score: Option<u16>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    percent: Parts,
    delay_from: u16,
    reject_above: u16,
    band: Option<Band>,
}

#[derive(Serialize)]
struct Parts {
    allow: Percent,
    delay: Percent,
    reject: Percent,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let thresholds = match options.thresholds()? {
        Some(thresholds) => thresholds,
        None if config.exists() => offline::config(config)?.score.thresholds,
        None => Thresholds::default(),
    };
    let [allow, delay, reject] = thresholds.percent();
    let answer = Answer {
        percent: Parts { allow, delay, reject },
        delay_from: thresholds.delay_from(),
        reject_above: thresholds.reject_above(),
        band: options.score.map(|score| thresholds.band(score)),
    };
    if options.json {
        output::json(&answer)?;
    } else {
        show(&answer, thresholds, options.score)?;
    }
    Ok(Exit::Done)
}

impl Options {
    fn thresholds(&self) -> Result<Option<Thresholds>, Failure> {
        let thresholds =
            match (self.allow, self.delay, self.reject, self.delay_from, self.reject_above) {
                (Some(allow), Some(delay), Some(reject), ..) => {
                    Thresholds::from_percent(allow, delay, reject)
                }
                (.., Some(delay_from), Some(reject_above)) => {
                    Thresholds::from_scores(delay_from, reject_above)
                }
                _ => return Ok(None),
            };
        thresholds.map(Some).map_err(|error| Failure::Usage(error.to_string()))
    }
}

fn show(answer: &Answer, thresholds: Thresholds, score: Option<u16>) -> Result<(), Failure> {
    output::headline("Reputation score, 0 to 1000; percent of what lies above 500")?;
    let bands = [
        (Band::Allow, answer.percent.allow, Meaning::Good),
        (Band::Delay, answer.percent.delay, Meaning::Doubtful),
        (Band::Reject, answer.percent.reject, Meaning::Bad),
    ];
    for (band, percent, meaning) in bands {
        let mut scores = (0..=1000).filter(|&score| thresholds.band(score) == band);
        let first = scores.next();
        let range = match (first, scores.next_back().or(first)) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "no score".to_owned(),
        };
        let share = format!("{percent} %");
        output::line(format_args!(
            "  {}  {share:>7}  {range}",
            output::coloured(format!("{band:<6}"), meaning)
        ))?;
    }
    if let (Some(score), Some(band)) = (score, answer.band) {
        output::line(format_args!("  a score of {score} means: {band}"))?;
    }
    Ok(())
}
