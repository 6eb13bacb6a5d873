//! `portcullis doctor`: what is well on this host, what is not, and what to do about it; tried and not guessed.
//!
//! It works without a daemon and without root, and says what it could not see. It changes nothing.

mod check;
mod daemon;
mod dns;
mod features;
mod host;
mod lists;
mod network;
mod next_hop;

use std::fs::File;
use std::io;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use self::check::{Check, State};
use self::daemon::Daemon;
use self::features::{InterfaceAnswer, Shown};
use super::output::{self, Meaning};
use super::{Exit, Failure, daemon as runtime};
use crate::config::Config;
use crate::xdp;
use crate::xdp::probe;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    ok: bool,
    kernel: Option<String>,
    minimum: String,
    features: Vec<Shown>,
    interfaces: Vec<InterfaceAnswer>,
    checks: Vec<Check>,
}

pub(super) fn run(options: &Options, path: &Path) -> Result<Exit, Failure> {
    let (config, of_config) = read_config(path);
    let filter = config.as_ref().map_or_else(xdp::Config::default, |config| config.xdp.clone());
    let daemon = runtime::block_on(Daemon::ask(&Config::admin_socket_of(path)))?;
    let features = features::host(&filter);
    let interfaces = features::interfaces(&filter, &daemon);
    let mut checks = vec![of_config];
    checks.extend(daemon.checks());
    checks.extend(host::checks(config.as_ref(), &daemon));
    if let Some(config) = &config {
        checks.extend(lists::checks(config, &daemon));
        let (mut of_dns, of_hops) = runtime::block_on(async {
            futures_util::future::join(dns::checks(config), next_hop::checks(config)).await
        })?;
        of_dns.extend(of_hops);
        checks.extend(of_dns);
    }
    let is_bad = checks.iter().any(|check| check.state == State::Bad)
        || features.iter().any(Shown::is_bad)
        || interfaces.iter().any(InterfaceAnswer::is_bad);
    let answer = Answer {
        ok: !is_bad,
        kernel: probe::release().ok(),
        minimum: xdp::features::MINIMUM.to_string(),
        features,
        interfaces,
        checks,
    };
    output::answer(options.json, &answer, show)?;
    Ok(if answer.ok { Exit::Done } else { Exit::Missing })
}

/// A host is looked at before it has a configuration, too.
fn read_config(path: &Path) -> (Option<Config>, Check) {
    let name = "configuration";
    if File::open(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        let found =
            format!("{} is closed to this user: the defaults are looked at", path.display());
        return (None, Check::unseen("daemon", name, found, "portcullis doctor, as root"));
    }
    if !path.exists() {
        let found = format!("there is no {}: the defaults are looked at", path.display());
        let remedy = "give one with --config; configuration.md names all keys";
        return (None, Check::doubtful("daemon", name, found, remedy));
    }
    match Config::load(path) {
        Ok((config, notices)) if notices.is_empty() => {
            (Some(config), Check::ok("daemon", name, path.display()))
        }
        Ok((config, notices)) => {
            let found = format!("{} notices", notices.len());
            (Some(config), Check::doubtful("daemon", name, found, "portcullis check"))
        }
        Err(faults) => {
            let faults = faults.to_string().replace('\n', "; ");
            (None, Check::bad("daemon", name, faults, "portcullis check"))
        }
    }
}

fn show(answer: &Answer) -> Result<(), Failure> {
    let kernel = answer.kernel.as_deref().unwrap_or("of unknown version");
    output::headline(format_args!(
        "Linux {kernel} (the filter needs {} or later)",
        answer.minimum
    ))?;
    answer.features.iter().try_for_each(Shown::show)?;
    if answer.interfaces.is_empty() {
        output::headline("No interface to filter on")?;
    }
    for InterfaceAnswer { interface, findings, checks } in &answer.interfaces {
        output::headline(format_args!("Interface {interface}"))?;
        findings.iter().try_for_each(Shown::show)?;
        checks.iter().try_for_each(show_check)?;
    }
    let mut area = "";
    for check in &answer.checks {
        if check.area != area {
            area = check.area;
            output::headline(heading(area))?;
        }
        show_check(check)?;
    }
    Ok(())
}

fn heading(area: &'static str) -> &'static str {
    match area {
        "daemon" => "Daemon",
        "host" => "Host",
        "lists" => "Lists",
        "dns" => "DNS",
        "next-hop" => "Next hop",
        other => other,
    }
}

fn show_check(check: &Check) -> Result<(), Failure> {
    show_line(check.state, &check.name, Some(&check.found))?;
    match &check.remedy {
        Some(remedy) => output::line(format_args!("             what to do: {remedy}")),
        None => Ok(()),
    }
}

/// One line with its state in front.
fn show_line(state: State, name: &str, found: Option<&str>) -> Result<(), Failure> {
    let word = state.word();
    let meaning = match state {
        State::Ok => Meaning::Good,
        State::Doubtful | State::Unseen => Meaning::Doubtful,
        State::Bad => Meaning::Bad,
    };
    // Blanks after the word, not in it: colours have no width.
    let gap = " ".repeat(10_usize.saturating_sub(word.len()));
    let word = output::coloured(word, meaning);
    let found = found.map(|found| format!(": {}", super::safe::safe(found))).unwrap_or_default();
    output::line(format_args!("  {word}{gap}{name}{found}"))
}
