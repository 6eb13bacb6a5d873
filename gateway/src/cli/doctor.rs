//! `portcullis doctor`: shows what is well on this host, what is not, and what to do about it.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::output::{self, Meaning};
use super::{Exit, Failure, daemon as runtime};
use crate::admin;
use crate::config::Config;
use crate::doctor::{Answer, Check, Daemon, InterfaceAnswer, Shown, State, Subject};

/// How long all of it may take: lists with millions of entries are read.
const PATIENCE: Duration = Duration::from_mins(2);

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, path: &Path) -> Result<Exit, Failure> {
    let answer = runtime::block_on(async {
        let daemon = ask(&Config::admin_socket_of(path)).await;
        Subject::of_file(path, daemon).look(PATIENCE, ()).await
    })?;
    output::answer(options.json, &answer, show)?;
    Ok(if answer.ok { Exit::Done } else { Exit::Missing })
}

/// Asks the daemon behind `socket`.
async fn ask(socket: &Path) -> Daemon {
    match admin::get(socket, "/api/v1/status").await {
        Ok(status) => {
            Daemon::other(status, admin::get(socket, "/api/v1/feeds").await.unwrap_or_default())
        }
        Err(error) => Daemon::silent(error.to_string(), error.hint().to_owned()),
    }
}

fn show(answer: &Answer) -> Result<(), Failure> {
    let kernel = answer.kernel.as_deref().unwrap_or("of unknown version");
    output::headline(format_args!(
        "Linux {kernel} (the filter needs {} or later)",
        answer.minimum
    ))?;
    answer.features.iter().try_for_each(show_feature)?;
    if answer.interfaces.is_empty() {
        output::headline("No interface to filter on")?;
    }
    for InterfaceAnswer { interface, findings, checks } in &answer.interfaces {
        output::headline(format_args!("Interface {interface}"))?;
        findings.iter().try_for_each(show_feature)?;
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

/// For people; what works without it and what to do is said where it is missing.
fn show_feature(shown: &Shown) -> Result<(), Failure> {
    let Shown { state, finding } = shown;
    let since = finding.since.as_ref().map(|since| format!(", Linux {since}"));
    let name = format!("{}{}", finding.name, since.unwrap_or_default());
    show_line(*state, &name, finding.found.as_deref())?;
    if *state == State::Unseen && finding.remedy.starts_with("portcullis doctor") {
        output::line(format_args!("             what to do: {}", finding.remedy))?;
    }
    if finding.works == Some(false) {
        output::line(format_args!("             without it: {}", finding.without))?;
        output::line(format_args!("             what to do: {}", finding.remedy))?;
    }
    Ok(())
}
