//! `portcullis slider`: which thresholds count, percent to scores, scores to percent, the chart of both, a dry run; set and reset.

mod chart;
mod dry_run;

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::plain_at;
use super::output;
use super::progress::Progress;
use super::safe::safe;
use super::{Exit, Failure, author, daemon, duration, offline};
use crate::admin::{self, Method};
use crate::config::Config;
use crate::policy::{Percent, Thresholds};
use crate::slider::{Meaning, Origin, PHASES, ReplayError, Replaying, Standing, Wanted};

/// Where the daemon is asked.
const PATH: &str = "/api/v1/slider";

/// Arguments of `slider`; without any, the thresholds in force are shown, or the default ones.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    thresholds: ThresholdOptions,
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
    #[arg(long, requires = "dry_run", default_value = "connect", value_parser = phase)]
    phase: &'static str,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put thresholds in force in the place of the configuration's, until they are reset, also after a restart
    Set(Set),
    /// Let the thresholds of the configuration count again
    Reset {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Set {
    #[command(flatten)]
    thresholds: ThresholdOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Thresholds in one of the two ways of writing them.
#[derive(Clone, Copy, Debug, Args)]
struct ThresholdOptions {
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
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    meaning: Meaning,
    /// Absent where the thresholds are those of the command.
    #[serde(flatten)]
    standing: Option<Standing>,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    match &options.command {
        Some(Command::Set(Set { thresholds, json })) => {
            let thresholds = thresholds.read()?.ok_or_else(|| {
                Failure::Usage(
                    "slider set takes --allow, --delay and --reject, or --delay-from and --reject-above"
                        .to_owned(),
                )
            })?;
            let (from, above) = (thresholds.delay_from(), thresholds.reject_above());
            let wanted =
                json!({"author": author::author(), "delay_from": from, "reject_above": above});
            change(config, Method::PUT, &wanted, *json)?;
        }
        Some(Command::Reset { json }) => {
            change(config, Method::DELETE, &json!({"author": author::author()}), *json)?;
        }
        None if options.dry_run => dry_run(options, config)?,
        None => show(options, config)?,
    }
    Ok(Exit::Done)
}

fn show(options: &Options, config: &Path) -> Result<(), Failure> {
    let (thresholds, standing) = match options.thresholds.read()? {
        Some(thresholds) => (thresholds, None),
        None if config.exists() => {
            let standing = standing(&offline::config(config)?);
            (standing.thresholds(), Some(standing))
        }
        None => (Thresholds::default(), None),
    };
    let score = options.score.or_else(|| options.percent.map(Percent::score));
    let answer = Answer { meaning: Meaning::of(thresholds, score), standing };
    output::answer(options.json, &answer, |Answer { meaning, standing }| {
        if let Some(standing) = standing {
            show_standing(standing)?;
        }
        chart::show(meaning)
    })
}

/// What counts, as configuration and store have it: what the daemon has, too.
fn standing(config: &Config) -> Standing {
    Standing::new(&config.score, offline::slider(config))
}

fn show_standing(standing: &Standing) -> Result<(), Failure> {
    let file = standing.configured.thresholds;
    match &standing.set {
        Some(it) => output::line(format_args!(
            "{} set by {} at {:.0}; the configuration says {file}",
            it.set.thresholds,
            safe(&it.set.author),
            it.set.at
        ))?,
        None => output::line(format_args!("{file} by the configuration"))?,
    }
    if !standing.enabled {
        output::warn("there is no score: `enabled = false` in [score]");
    }
    Ok(())
}

/// Asks the daemon, and says what counts now.
fn change(config: &Path, method: Method, wanted: &Value, json: bool) -> Result<(), Failure> {
    let socket = Config::admin_socket_of(config);
    let answer = daemon::wait_for(admin::send(&socket, method, PATH, wanted))?;
    output::answer(json, &answer, |answer| {
        let scores = |of: &str| {
            let text = |key: &str| plain_at(answer, &format!("{of}/{key}"));
            format!("{}/{}", text("delay_from"), text("reject_above"))
        };
        let now = scores("");
        if answer["in_force"] == json!(Origin::Set) {
            let file = scores("/configured");
            output::line(format_args!("{now} from now on; the configuration says {file}"))?;
        } else {
            output::line(format_args!("{now} from now on, by the configuration"))?;
        }
        if answer["enabled"] == false {
            output::warn("there is no score: `enabled = false` in [score]");
        }
        Ok(())
    })
}

/// The trail is where the configuration says, whoever names the thresholds.
fn dry_run(options: &Options, config: &Path) -> Result<(), Failure> {
    let thresholds = options.thresholds.read()?;
    let config = offline::config(config)?;
    let trail = &config.audit.file;
    let thresholds = thresholds.unwrap_or_else(|| standing(&config).thresholds());
    let (last, phase) = (options.last, options.phase);
    let progress = Progress::reading(trail);
    let answer = Replaying { trail, most: u64::MAX, thresholds, last, phase }.run()?;
    drop(progress);
    output::answer(options.json, &answer, dry_run::show)
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        Self::Unavailable { text: error.to_string(), hint: error.hint().to_owned() }
    }
}

impl ThresholdOptions {
    fn read(self) -> Result<Option<Thresholds>, Failure> {
        let Self { allow, delay, reject, delay_from, reject_above } = self;
        let wanted = Wanted { allow, delay, reject, delay_from, reject_above };
        wanted.thresholds().map_err(|error| Failure::Usage(error.to_string()))
    }
}

fn phase(text: &str) -> Result<&'static str, String> {
    let found = PHASES.into_iter().find(|phase| *phase == text);
    found.ok_or_else(|| format!("expected one of {}", PHASES.join(", ")))
}
