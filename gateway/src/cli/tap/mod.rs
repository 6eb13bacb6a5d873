//! `portcullis tap`: follows an address through kernel filter, connection and message, while it happens.

mod lines;

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::answer::plain_at;
use super::{Exit, Failure, author, daemon, duration, output};
use crate::admin;
use crate::config::Config;
use crate::net::Prefix;

/// Where the daemon is asked.
const PATH: &str = "/api/v1/tap";

/// Arguments of `tap`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The address or prefix
    #[arg(value_name = "IP|PREFIX")]
    prefix: Prefix,
    /// For how long, such as 5m; at most 24h; Ctrl-C ends it as well
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse, default_value = "5m")]
    time: Duration,
    /// Print JSON, an object on each line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let socket = Config::admin_socket_of(config);
    let wanted = json!({
        "prefix": options.prefix,
        "for_s": duration::whole_seconds(options.time),
        "author": author::author(),
    });
    let mut is_over = false;
    daemon::block_on(admin::follow(&socket, PATH, &wanted, |line| {
        let Ok(told) = serde_json::from_slice::<Value>(line) else { return Ok(()) };
        is_over |= told.get("event").is_some_and(|event| event == "end");
        if options.json { output::json_line(&told) } else { show(&told) }
    }))??;
    if is_over {
        return Ok(Exit::Done);
    }
    Err(Failure::Unavailable {
        text: "the daemon ended before the time was over".to_owned(),
        hint: "type it again when a daemon runs; `portcullis status` says so".to_owned(),
    })
}

/// The answer may come from a daemon of another version, so nothing in it is taken for granted.
fn show(told: &Value) -> Result<(), Failure> {
    let text = |pointer: &str| plain_at(told, pointer);
    match told["event"].as_str().unwrap_or_default() {
        "begin" => {
            let (prefix, seconds) = (text("/prefix"), text("/for_s"));
            output::note(format_args!("following {prefix} for {seconds} s, Ctrl-C ends it"));
            output::note(of_kernel(told));
            Ok(())
        }
        "lost" => {
            let lines = text("/lines");
            output::warn(format_args!(
                "{lines} lines were lost: they came faster than they were read"
            ));
            Ok(())
        }
        "end" => {
            output::note(format_args!(
                "the time is over: {} lines, {} lost",
                text("/lines"),
                text("/lost")
            ));
            Ok(())
        }
        "kernel" => output::line(lines::kernel(&told["record"])),
        _ => lines::decision(&told["record"]).iter().try_for_each(output::line),
    }
}

/// How far the kernel filter tells of single packets.
fn of_kernel(told: &Value) -> String {
    let filter = told.pointer("/kernel/filter");
    let events = told.pointer("/kernel/events_per_second").and_then(Value::as_u64).unwrap_or(0);
    if filter == Some(&Value::Bool(false)) {
        "there is no kernel filter: the daemon decides everything".to_owned()
    } else if events == 0 {
        "the kernel filter tells of no single packet (`[xdp] events_per_second` is 0): what it drops or refuses is not seen here".to_owned()
    } else {
        format!(
            "the kernel filter tells of at most {events} packets a second on each processor, of all senders; each line says for how many it stands"
        )
    }
}
