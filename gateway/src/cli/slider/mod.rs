//! `portcullis slider`: percent to scores, scores to percent, the chart of both, a dry run.

mod chart;
mod dry_run;

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{Exit, Failure, duration, offline, output};
use crate::policy::{self, Band, ChartRow, Percent, Point, Thresholds};

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
    /// Say what this score is in percent, and in which band it lies
    #[arg(long, value_name = "SCORE", value_parser = clap::value_parser!(u16).range(0..=1000))]
    score: Option<u16>,
    /// Say which score this is, in percent of the scale above 500, and in which band it lies
    #[arg(long, value_name = "PERCENT", conflicts_with = "score")]
    percent: Option<Percent>,
    /// Say what these thresholds would have done to the scores in the audit trail
    #[arg(long, conflicts_with_all = ["score", "percent"])]
    dry_run: bool,
    /// How far the dry run looks back, such as 90m, 24h or 7d
    #[arg(long, value_name = "TIME", requires = "dry_run", default_value = "24h", value_parser = duration::parse)]
    last: Duration,
    /// The decisions that the dry run judges: those about connections, recipients or messages
    #[arg(long, requires = "dry_run", default_value = "connect", value_parser = dry_run::PHASES)]
    phase: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    percent: Parts,
    delay_from: u16,
    reject_above: u16,
    /// The band of the score in question.
    band: Option<Band>,
    /// The score in question.
    point: Option<Point>,
    chart: Vec<ChartRow>,
}

#[derive(Serialize)]
struct Parts {
    allow: Percent,
    delay: Percent,
    reject: Percent,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    if options.dry_run {
        dry_run(options, config)?;
        return Ok(Exit::Done);
    }
    let thresholds = match options.thresholds()? {
        Some(thresholds) => thresholds,
        None if config.exists() => offline::config(config)?.score.thresholds,
        None => Thresholds::default(),
    };
    let [allow, delay, reject] = thresholds.percent();
    let score = options.score.or_else(|| options.percent.map(Percent::score));
    let point = score.map(|score| Point::new(score, thresholds));
    let answer = Answer {
        percent: Parts { allow, delay, reject },
        delay_from: thresholds.delay_from(),
        reject_above: thresholds.reject_above(),
        band: point.map(|point| point.band),
        point,
        chart: policy::chart(thresholds),
    };
    if options.json {
        output::json(&answer)?;
    } else {
        chart::show(&answer, thresholds)?;
    }
    Ok(Exit::Done)
}

/// The trail is where the configuration says, whoever names the thresholds.
fn dry_run(options: &Options, config: &Path) -> Result<(), Failure> {
    let thresholds = options.thresholds()?;
    let config = offline::config(config)?;
    let thresholds = thresholds.unwrap_or(config.score.thresholds);
    let answer = dry_run::replay(&config.audit.file, thresholds, options.last, &options.phase)?;
    if options.json { output::json(&answer) } else { dry_run::show(&answer) }
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
