//! `portcullis feeds`: how fetching the lists that are fetched goes.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{self, Meaning};
use super::{Exit, Failure, daemon, list};
use crate::admin::{self, Method};
use crate::config::Config;

/// What can be done with feeds.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show how fetching each of them goes
    Status(Status),
    /// Fetch one at once, whatever its interval says
    Fetch(Fetch),
}

/// Arguments of `feeds status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `feeds fetch`.
#[derive(Debug, Args)]
pub(super) struct Fetch {
    /// The list
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command, config: &Path) -> Result<Exit, Failure> {
    let socket = Config::admin_socket_of(config);
    match command {
        Command::Status(options) => {
            let answer = daemon::wait_for(admin::get(&socket, "/api/v1/feeds"))?;
            if options.json { output::json(&answer)? } else { show(&answer)? }
        }
        Command::Fetch(options) => {
            let path = format!("/api/v1/feeds/{}/fetch", list::in_path(&options.name)?);
            let wanted = json!({});
            let answer = daemon::wait_for(admin::send(&socket, Method::POST, &path, &wanted))?;
            if options.json {
                output::json(&answer)?;
            } else {
                output::line(format_args!("{}: is being fetched", options.name))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// The answer may come from a daemon of another version, so nothing in it is taken for granted.
fn show(answer: &Value) -> Result<(), Failure> {
    let feeds = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if feeds.is_empty() {
        return output::line("no list is fetched; `url` in a `[[list]]` says where from");
    }
    for feed in feeds {
        let text = |name: &str| feed.get(name).and_then(Value::as_str);
        output::headline(text("list").unwrap_or("-"))?;
        output::field("url", text("url").unwrap_or("-"))?;
        match text("last_fault") {
            Some(fault) => output::field("fault", output::coloured(fault, Meaning::Bad))?,
            None => output::field("fault", output::coloured("none", Meaning::Good))?,
        }
        output::field("last try", text("last_try").unwrap_or("never"))?;
        output::field("last success", text("last_success").unwrap_or("never"))?;
        output::field("next try", text("next_try").unwrap_or("now"))?;
    }
    Ok(())
}
