//! `portcullis xdp top`: which lists, sources and networks the kernel filter has most to do with.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use tokio::time::sleep;

use super::{Exit, Failure, output, unavailable};
use crate::admin;
use crate::config::Config;
use crate::xdp::{self, Counters};

/// How long rates are measured.
const LOOK: Duration = Duration::from_secs(1);

/// Clears the screen and goes to its beginning.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Arguments of `xdp top`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Print JSON, an object a second
    #[arg(long)]
    json: bool,
    /// Look once, for a second
    #[arg(long)]
    once: bool,
}

/// What was seen.
#[derive(Serialize)]
struct Seen {
    /// From the kernel's counters, exact.
    lists: Vec<ListRate>,
    /// From the daemon's samples; `null` where no daemon could be asked.
    recent: Option<Value>,
    /// The same since the daemon was started.
    all: Option<Value>,
    /// Why no daemon could be asked.
    daemon_fault: Option<String>,
}

#[derive(Serialize)]
struct ListRate {
    list: String,
    family: &'static str,
    action: &'static str,
    packets_per_second: u64,
    bytes_per_second: u64,
    packets: u64,
}

pub(super) fn run(options: &Options, config: &Config) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut before = read(config)?;
        loop {
            sleep(LOOK).await;
            let now = read(config)?;
            let seen = Seen::new(&before, &now, &config.admin_socket).await;
            before = now;
            if options.json {
                output::json_line(&seen)?;
            } else {
                show(&seen, !options.once)?;
            }
            if options.once {
                return Ok(Exit::Done);
            }
        }
    })
}

fn read(config: &Config) -> Result<Counters, Failure> {
    xdp::read_counters(&config.xdp).map_err(|error| unavailable(&error))
}

impl Seen {
    async fn new(before: &Counters, now: &Counters, socket: &Path) -> Self {
        let (answer, daemon_fault) = match admin::get(socket, "/api/v1/xdp/top").await {
            Ok(answer) => (Some(answer), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let part = |name: &str| answer.as_ref().and_then(|answer| answer.get(name)).cloned();
        Self { lists: rates(before, now), recent: part("recent"), all: part("all"), daemon_fault }
    }
}

/// The lists that did something, the busiest first.
fn rates(before: &Counters, now: &Counters) -> Vec<ListRate> {
    let since = now.since(before);
    let mut rates = Vec::new();
    for (list, families) in &now.families {
        for (family, actions) in families {
            for (action, count) in actions.iter().filter(|(_, count)| count.packets > 0) {
                let rate = since.families.get(list).and_then(|list| list.get(family)?.get(action));
                let rate = rate.copied().unwrap_or_default();
                rates.push(ListRate {
                    list: list.to_string(),
                    family,
                    action,
                    packets_per_second: rate.packets,
                    bytes_per_second: rate.bytes,
                    packets: count.packets,
                });
            }
        }
    }
    rates.sort_by_key(|rate| std::cmp::Reverse((rate.packets_per_second, rate.packets)));
    rates
}

fn show(seen: &Seen, again: bool) -> Result<(), Failure> {
    if again {
        output::line(CLEAR)?;
    }
    output::headline(format_args!(
        "{:<28} {:<6} {:<8} {:>12} {:>14} {:>14}",
        "Lists", "family", "action", "packets/s", "bytes/s", "packets"
    ))?;
    for rate in &seen.lists {
        output::line(format_args!(
            "  {:<26} {:<6} {:<8} {:>12} {:>14} {:>14}",
            rate.list,
            rate.family,
            rate.action,
            rate.packets_per_second,
            rate.bytes_per_second,
            rate.packets
        ))?;
    }
    if let Some(recent) = &seen.recent {
        return show_talkers(recent);
    }
    let fault = seen.daemon_fault.as_deref().unwrap_or_default();
    output::line(format_args!("sources and networks are the daemon's to tell: {fault}"))
}

/// The answer may come from a daemon of another version, so nothing in it is taken for granted.
fn show_talkers(recent: &Value) -> Result<(), Failure> {
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64).unwrap_or(0);
    let estimated = recent.get("estimated").and_then(Value::as_bool).unwrap_or(false);
    let about = if estimated { ", estimated from samples" } else { "" };
    for (headline, kind) in [("Sources", "sources"), ("Networks", "networks")] {
        output::headline(format_args!(
            "{headline} of the last {} s{about}",
            number(recent, "seconds")
        ))?;
        for talker in recent.get(kind).and_then(Value::as_array).into_iter().flatten() {
            let prefix = talker.get("prefix").and_then(Value::as_str).unwrap_or("-");
            let error = match number(talker, "error") {
                0 => String::new(),
                error => format!(" (at most {error} too many)"),
            };
            let samples = match number(talker, "events") {
                1 => "1 sample".to_owned(),
                events => format!("{events} samples"),
            };
            output::line(format_args!(
                "  {prefix:<44} {:>12} packets, {samples}{error}",
                number(talker, "packets")
            ))?;
        }
    }
    Ok(())
}
