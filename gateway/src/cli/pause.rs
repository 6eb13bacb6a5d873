//! `portcullis pause`: everything passes for a while, in the kernel and in the daemon.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::output::{self, Meaning};
use super::{Exit, Failure, author, daemon, duration};
use crate::admin::{self, Method};
use crate::config::Config;

/// Where the daemon is asked.
const PATH: &str = "/api/v1/pause";

/// Arguments of `pause`; without any it says whether there is one.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// For how long everything passes, such as 10m or 4h; at most 24h
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
    time: Option<Duration>,
    /// Why
    #[arg(long, value_name = "TEXT", requires = "time")]
    reason: Option<String>,
    /// End the pause now
    #[arg(long, conflicts_with = "time")]
    end: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let socket = Config::admin_socket_of(config);
    let answer = daemon::wait_for(async {
        if let Some(time) = options.time {
            let seconds = duration::whole_seconds(time);
            let (reason, author) = (&options.reason, author::author());
            let wanted = json!({"for_s": seconds, "reason": reason, "author": author});
            admin::send(&socket, Method::POST, PATH, &wanted).await
        } else if options.end {
            admin::send(&socket, Method::DELETE, PATH, &Value::Null).await
        } else {
            admin::get(&socket, PATH).await
        }
    })?;
    output::answer(options.json, &answer, show)?;
    Ok(Exit::Done)
}

/// The answer may come from a daemon of another version, so nothing in it is taken for granted.
fn show(answer: &Value) -> Result<(), Failure> {
    let text = |name: &str| answer.pointer(&format!("/paused/{name}")).and_then(Value::as_str);
    let Some(until) = text("until") else {
        return output::line("nothing is paused");
    };
    let paused = output::coloured(format_args!("everything passes until {until}"), Meaning::Bad);
    let author = text("author").unwrap_or("-");
    match text("reason") {
        Some(reason) => output::line(format_args!("{paused}, by {author}: {reason}")),
        None => output::line(format_args!("{paused}, by {author}")),
    }
}
