//! `portcullis log`: what each component says in the daemon's log, its last lines, and more of them for a while.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::answer::{items, plain, plain_at};
use super::output::{self, Meaning};
use super::safe::safe;
use super::{Exit, Failure, author, daemon, duration};
use crate::admin::{self, Method};
use crate::config::Config;

/// Where the daemon is asked.
const PATH: &str = "/api/v1/log";

/// Arguments of `log`; without a command it says what is so.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the last lines of the log, which the daemon keeps of each component, the newest at the end
    Lines {
        /// Of one component
        #[arg(long)]
        component: Option<String>,
        /// Of this level and graver ones: error, warn, info, debug, trace
        #[arg(long)]
        level: Option<String>,
        /// At most as many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Let components say more, for a while
    Set {
        /// A component and its level: debug or trace, where all say info
        #[arg(required = true, value_name = "COMPONENT=LEVEL", value_parser = pair)]
        levels: Vec<(String, String)>,
        /// For how long, such as 10m or 4h; at most 24h
        #[arg(long = "for", value_name = "TIME", value_parser = duration::parse, default_value = "10m")]
        time: Duration,
    },
    /// Let components fall back now
    Reset {
        /// Which; all where none is named
        #[arg(value_name = "COMPONENT")]
        components: Vec<String>,
    },
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let socket = Config::admin_socket_of(config);
    let author = author::author();
    let answer = daemon::wait_for(async {
        match &options.command {
            Some(Command::Set { levels, time }) => {
                let levels: BTreeMap<_, _> = levels.iter().cloned().collect();
                let seconds = duration::whole_seconds(*time);
                let wanted = json!({"levels": levels, "for_s": seconds, "author": author});
                admin::send(&socket, Method::POST, PATH, &wanted).await
            }
            Some(Command::Reset { components }) => {
                let back = json!({"components": components, "author": author});
                admin::send(&socket, Method::DELETE, PATH, &back).await
            }
            Some(Command::Lines { component, level, limit }) => {
                let said = [("component", component.clone()), ("level", level.clone())];
                let asked = daemon::parameters(&said);
                admin::get(&socket, &format!("{PATH}/lines?limit={limit}{asked}")).await
            }
            None => admin::get(&socket, PATH).await,
        }
    })?;
    let of_lines = matches!(options.command, Some(Command::Lines { .. }));
    output::answer(options.json, &answer, if of_lines { show_lines } else { show })?;
    Ok(Exit::Done)
}

/// As `tail` has them.
fn show_lines(answer: &Value) -> Result<(), Failure> {
    let mut lines: Vec<_> = items(&answer["lines"]).collect();
    lines.reverse();
    for line in lines {
        let [time, level, component, text] =
            ["time", "level", "component", "text"].map(|name| safe(&plain(&line[name])));
        let level = match &*level {
            "error" => output::coloured(level, Meaning::Bad),
            "warn" => output::coloured(level, Meaning::Doubtful),
            _ => level,
        };
        output::line(format_args!("{time} {level} {component}: {text}"))?;
    }
    Ok(())
}

/// `smtp=debug`.
fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, level)| !name.is_empty() && !level.is_empty());
    let pair = pair.map(|(name, level)| (name.to_owned(), level.to_owned()));
    pair.ok_or_else(|| format!("`{text}`, expected a component and its level, such as smtp=debug"))
}

/// The answer may come from a daemon of another version, so nothing in it is taken for granted.
fn show(answer: &Value) -> Result<(), Failure> {
    output::headline(format_args!("all components say {}", plain_at(answer, "/level")))?;
    for component in items(&answer["components"]) {
        let name = plain(&component["name"]);
        let about = plain(&component["about"]);
        let level = plain(&component["level"]);
        if component["raised"].is_object() {
            let text = |field: &str| plain_at(component, &format!("/raised/{field}"));
            let left = format!(
                "{level} for {} s, until {}, by {}",
                text("seconds_left"),
                text("until"),
                text("author")
            );
            output::field(&name, output::coloured(left, Meaning::Doubtful))?;
        } else {
            output::field(&name, format_args!("{level:<6} {about}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_has_its_level() {
        for (text, expected) in [
            ("smtp=debug", Some(("smtp", "debug"))),
            ("next-hop=trace", Some(("next-hop", "trace"))),
            ("smtp", None),
            ("smtp=", None),
            ("=debug", None),
            ("", None),
        ] {
            let found = pair(text).ok();
            let found = found.as_ref().map(|(name, level)| (name.as_str(), level.as_str()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
