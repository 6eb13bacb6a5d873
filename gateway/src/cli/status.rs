//! `portcullis status`: what the daemon is doing.

use std::path::Path;

use clap::Args;
use serde_json::Value;

use super::answer::{items_at, plain, plain_at};
use super::output::{self, Meaning};
use super::{Exit, Failure, daemon};
use crate::admin;
use crate::config::Config;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let socket = Config::admin_socket_of(config);
    let status = daemon::wait_for(admin::get(&socket, "/api/v1/status"))?;
    if options.json {
        output::json(&status)?;
    } else {
        show(&status)?;
    }
    Ok(Exit::Done)
}

fn show(status: &Value) -> Result<(), Failure> {
    let text = |pointer: &str| plain_at(status, pointer);
    output::headline(format_args!(
        "portcullis {} on {}, pid {}",
        text("/version"),
        text("/hostname"),
        text("/pid")
    ))?;
    output::field("up", format_args!("{} s", text("/uptime_s")))?;
    output::field("enforce", text("/enforce"))?;
    if status.pointer("/paused").is_some_and(Value::is_object) {
        let paused = format!(
            "everything passes until {}, by {}, reason: {}",
            text("/paused/until"),
            text("/paused/author"),
            text("/paused/reason")
        );
        output::field("paused", output::coloured(paused, Meaning::Bad))?;
    }
    show_log(status)?;
    let mode = text("/xdp/mode");
    let meaning = match mode.as_str() {
        "native" => Meaning::Good,
        "generic" => Meaning::Doubtful,
        _ => Meaning::Bad,
    };
    let reason =
        status.pointer("/xdp/reason").and_then(Value::as_str).map(|why| format!(" ({why})"));
    output::field(
        "kernel filter",
        format_args!("{}{}", output::coloured(mode, meaning), reason.unwrap_or_default()),
    )?;
    for interface in items_at(status, "/xdp/interfaces") {
        let adopted = if interface["adopted"] == Value::Bool(true) { ", adopted" } else { "" };
        output::field(
            "",
            format_args!(
                "{} {}{adopted}",
                plain(&interface["interface"]),
                plain(&interface["mode"])
            ),
        )?;
    }
    if status.pointer("/xdp/counters").is_some_and(Value::is_object) {
        output::field(
            "SYNs",
            format_args!(
                "{} refused, {} dropped, {} reset; {} packets passed",
                text("/xdp/counters/refused/packets"),
                text("/xdp/counters/dropped/packets"),
                text("/xdp/counters/reset/packets"),
                text("/xdp/counters/passed/packets")
            ),
        )?;
    }
    output::field(
        "rules",
        format_args!(
            "version {}, {} bad, {} good",
            text("/rules/version"),
            text("/rules/bad"),
            text("/rules/good")
        ),
    )?;
    show_fronts(status)?;
    output::field(
        "audit",
        format_args!(
            "{} written, {} lost, {} without details, {} sampled out, {} waiting, {} lost by outputs",
            text("/audit/written"),
            text("/audit/lost"),
            text("/audit/without_details"),
            text("/audit/sampled_out"),
            text("/audit/waiting"),
            text("/audit/outputs_lost")
        ),
    )?;
    output::field(
        "senders",
        format_args!("{} waiting, {} passing", text("/senders/waiting"), text("/senders/passed")),
    )?;
    let user = status.pointer("/rights/user").and_then(Value::as_str);
    let uid = text("/rights/uid");
    let user = user.map_or_else(|| format!("user number {uid}"), ToOwned::to_owned);
    let meaning = if uid == "0" { Meaning::Doubtful } else { Meaning::Good };
    output::field(
        "runs as",
        format_args!(
            "{}; files out of reach (Landlock): {}",
            output::coloured(user, meaning),
            text("/rights/landlock")
        ),
    )?;
    output::field(
        "quarantine",
        format_args!(
            "{} messages, {} octets",
            text("/quarantine/messages"),
            text("/quarantine/octets")
        ),
    )?;
    output::headline("Lists")?;
    for list in items_at(status, "/rules/lists") {
        output::line(format_args!(
            "  {:<20} {:<12} {:<15} entries: {:>9}, rejected lines: {}{}",
            plain(&list["name"]),
            plain(&list["class"]),
            plain(&list["action"]),
            plain(&list["entries"]),
            plain(&list["rejected"]),
            if list["enabled"] == false { " (off)" } else { "" },
        ))?;
    }
    if items_at(status, "/zones").next().is_some() {
        output::headline("Zones")?;
    }
    for zone in items_at(status, "/zones") {
        let state = plain(&zone["state"]);
        let meaning = match state.as_str() {
            "healthy" => Meaning::Good,
            "ill" => Meaning::Bad,
            _ => Meaning::Doubtful,
        };
        output::line(format_args!(
            "  {:<20} {:<16} {:<15} {} {}",
            plain(&zone["name"]),
            plain(&zone["class"]),
            plain(&zone["action"]),
            output::coloured(state, meaning),
            zone["reason"].as_str().unwrap_or_default()
        ))?;
    }
    let decisions: Vec<_> = items_at(status, "/decisions").collect();
    if !decisions.is_empty() {
        output::headline("Decisions")?;
    }
    for decision in decisions {
        output::line(format_args!(
            "  {:<24} {:<16} {:<16} {:>9}",
            plain(&decision["verdict"]),
            plain(&decision["code"]),
            plain(&decision["action"]),
            plain(&decision["count"]),
        ))?;
    }
    for alarm in items_at(status, "/alarms") {
        let line = format!(
            "alarm {}: {} (since {})",
            plain(&alarm["about"]),
            plain(&alarm["text"]),
            plain(&alarm["since"])
        );
        output::line(output::coloured(line, Meaning::Bad))?;
    }
    Ok(())
}

/// What the log says, and of what more than usual.
fn show_log(status: &Value) -> Result<(), Failure> {
    let raised: Vec<_> = items_at(status, "/log/raised")
        .map(|it| {
            let left = it.pointer("/raised/seconds_left").map(plain).unwrap_or_default();
            format!("{}={} for {left} s", plain(&it["name"]), plain(&it["level"]))
        })
        .collect();
    if raised.is_empty() {
        output::field("log", plain_at(status, "/log/level"))?;
    } else {
        let raised = output::coloured(raised.join(", "), Meaning::Doubtful);
        output::field("log", format_args!("{}; {raised}", plain_at(status, "/log/level")))?;
    }
    match status.get("taps").and_then(Value::as_u64) {
        None | Some(0) => Ok(()),
        Some(taps) => output::field("taps", format_args!("{taps} follow an address")),
    }
}

/// What comes over each front that there is.
fn show_fronts(status: &Value) -> Result<(), Failure> {
    for (key, name) in
        [("smtp", "connections"), ("milter", "milter"), ("postfix_policy", "policy service")]
    {
        if status.get(key).is_some_and(Value::is_object) {
            let now = plain_at(status, &format!("/{key}/connections_active"));
            let all = plain_at(status, &format!("/{key}/connections"));
            output::field(name, format_args!("{now} now, {all} in all"))?;
        }
    }
    for hop in items_at(status, "/next_hops") {
        let state = match hop.get("up").and_then(Value::as_bool) {
            Some(true) => output::coloured("up", Meaning::Good),
            Some(false) => output::coloured("down", Meaning::Bad),
            None => "not asked yet".to_owned(),
        };
        output::field("next hop", format_args!("{} {state}", plain_at(hop, "/address")))?;
    }
    Ok(())
}
