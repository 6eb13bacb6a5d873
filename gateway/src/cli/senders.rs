//! `portcullis senders`: who waits on the greylist, who passes.

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::answer::{items, plain, plain_at};
use super::output::{self, Meaning};
use super::{Exit, Failure, author, daemon, duration};
use crate::admin::{self, Method};
use crate::config::Config;

/// Where the daemon is asked.
const PATH: &str = "/api/v1/senders";

/// Arguments of `senders`; without a command it shows the newest.
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
    /// Show who waits and who passes
    Show {
        /// An address, a prefix, `@DOMAIN`, or a part of a sender or recipient
        which: Option<String>,
        /// At most as many of each
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Let a network or a domain pass without a wait
    Pass {
        /// An address or a prefix (its network passes), or `@DOMAIN` (what SPF allows to it)
        pool: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// For how long, such as 30d; for ever without it
        #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
        time: Option<Duration>,
    },
    /// Forget senders, who begin anew
    Forget {
        /// An address, a prefix, `@DOMAIN`, or a part of a sender or recipient
        which: String,
    },
}

/// How an answer is shown to people.
type Show = fn(&Value) -> Result<(), Failure>;

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let socket = Config::admin_socket_of(config);
    let show_some = |which: Option<&str>, limit: usize| {
        let which = which.map(|which| utf8_percent_encode(which, NON_ALPHANUMERIC).to_string());
        let which = which.map(|which| format!("&which={which}")).unwrap_or_default();
        daemon::wait_for(admin::get(&socket, &format!("{PATH}?limit={limit}{which}")))
    };
    let (answer, show): (_, Show) = match &options.command {
        None => (show_some(None, 100)?, show),
        Some(Command::Show { which, limit }) => (show_some(which.as_deref(), *limit)?, show),
        Some(Command::Pass { pool, reason, time }) => {
            let wanted = json!({
                "pool": pool,
                "author": author::author(),
                "reason": reason,
                "for_s": time.map(duration::whole_seconds),
            });
            (daemon::wait_for(admin::send(&socket, Method::POST, PATH, &wanted))?, show_passing)
        }
        Some(Command::Forget { which }) => {
            let wanted = json!({"which": which});
            (daemon::wait_for(admin::send(&socket, Method::DELETE, PATH, &wanted))?, show_forgotten)
        }
    };
    output::answer(options.json, &answer, show)?;
    Ok(Exit::Done)
}

/// The answer may come from a daemon of another version, so nothing in it is taken for granted.
fn show(senders: &Value) -> Result<(), Failure> {
    let count = |pointer: &str| plain_at(senders, pointer);
    output::headline(format_args!("Waiting ({} rows in all)", count("/total/waiting")))?;
    for row in items(&senders["waiting"]) {
        let sender = plain(&row["sender"]);
        output::line(format_args!(
            "  {:<24} <{sender}> to <{}>, tries {}, first {}",
            plain(&row["pool"]),
            plain(&row["recipient"]),
            plain(&row["tries"]),
            plain(&row["first"])
        ))?;
    }
    output::headline(format_args!("Passing ({} rows in all)", count("/total/passed")))?;
    for row in items(&senders["passed"]) {
        let by = match row["author"].as_str() {
            Some(author) => format!(", by {author}"),
            None => String::new(),
        };
        let until = row["until"]
            .as_str()
            .map_or_else(|| ", for ever".to_owned(), |until| format!(", until {until}"));
        output::line(format_args!(
            "  {:<24} since {}, last used {}{until}{by}",
            plain(&row["pool"]),
            plain(&row["since"]),
            plain(&row["used"])
        ))?;
    }
    Ok(())
}

fn show_passing(answer: &Value) -> Result<(), Failure> {
    let until =
        answer["until"].as_str().map_or_else(|| "for ever".to_owned(), |it| format!("until {it}"));
    let passes = output::coloured("passes", Meaning::Good);
    output::line(format_args!("{} {passes} {until}", plain(&answer["pool"])))
}

fn show_forgotten(answer: &Value) -> Result<(), Failure> {
    output::line(format_args!(
        "forgotten: {} rows of tries, {} that passed",
        plain(&answer["waiting"]),
        plain(&answer["passed"])
    ))
}
