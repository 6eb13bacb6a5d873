//! What the demo shows: a line per case as it happens, then counters, arrivals and one audit record.

use std::io::{Write, stdout};

use anyhow::Result;
use harness::smtp_server::Transaction;
use harness::stage::Stage;
use owo_colors::{OwoColorize, Stream, Style};
use serde::Serialize;

use super::cases::{Case, DecidedBy};
use super::trial::Outcome;

/// Everything that the demo found out.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) cases: Vec<Outcome>,
    /// Messages that arrived at the next hop.
    pub(super) delivered: usize,
    pub(super) kernel: Kernel,
    pub(super) burst: Burst,
    /// From the first host to the last packet, in seconds.
    pub(super) elapsed_s: f64,
}

/// SYNs by what the kernel did with them.
#[derive(Debug, Serialize)]
pub(super) struct Kernel {
    pub(super) mode: String,
    pub(super) refused: u64,
    pub(super) dropped: u64,
    pub(super) reset: u64,
    pub(super) passed: u64,
}

/// The burst of SYNs from listed sources.
#[derive(Debug, Serialize)]
pub(super) struct Burst {
    pub(super) sent: u64,
    pub(super) dropped: u64,
    /// Dropped per second while one thread sent as fast as it could.
    pub(super) pps: f64,
}

impl Report {
    /// Whether the right party decided every case, and the burst was dropped to the last packet.
    pub(super) fn is_right(&self) -> bool {
        self.cases.iter().all(|case| case.ok) && self.burst.dropped == self.burst.sent
    }
}

/// Shows one case when it has been played.
pub(super) fn show_case(case: &Case, outcome: &Outcome) -> Result<()> {
    let mark = if outcome.ok {
        paint("ok  ", Style::new().green())
    } else {
        paint("FAIL", Style::new().red().bold())
    };
    let by = match outcome.decided_by {
        DecidedBy::Kernel => paint("kernel", Style::new().magenta().bold()),
        DecidedBy::Daemon => paint("daemon", Style::new().cyan().bold()),
    };
    let colour = match outcome.action.as_str() {
        "accept" => Style::new().green(),
        "defer" => Style::new().yellow(),
        _ => Style::new().red(),
    };
    let client = paint(&format!("{:<18}", outcome.client), Style::new().bold());
    if !case.typed.is_empty() {
        let quoted = |word: &&str| {
            if word.contains(' ') { format!("\"{word}\"") } else { (*word).to_owned() }
        };
        let words: Vec<_> = case.typed.iter().map(quoted).collect();
        let typed = format!("$ portcullis {}", words.join(" "));
        line(&format!("     {}", paint(&typed, Style::new().bold())))?;
    }
    line(&format!("{mark} {client} {}", case.story))?;
    let action = paint(&outcome.action, colour);
    line(&format!("     {by}: {} ({}), {action}", outcome.verdict, outcome.code))?;
    let reply = outcome.reply.as_deref().unwrap_or(outcome.seen);
    line(&format!("     {}", paint(&format!("< {reply}"), Style::new().dimmed())))?;
    match &outcome.reference {
        Some(reference) if !reply.contains(reference.as_str()) => line(&format!(
            "     {}",
            paint(&format!("reference {reference}"), Style::new().dimmed())
        )),
        _ => Ok(()),
    }
}

/// Shows the rest.
pub(super) fn show(report: &Report, audit: &str, delivered: &[Transaction]) -> Result<()> {
    headline("Arrived at the next hop")?;
    for message in delivered {
        let client =
            message.client().map_or_else(|| "nobody".to_owned(), |client| client.to_string());
        let text = message.message();
        let subject =
            text.lines().find(|line| line.starts_with("Subject:")).unwrap_or("no subject");
        line(&format!(
            "     {subject}, from client {client} (passed on by XCLIENT), to {}",
            message.recipients.join(", ")
        ))?;
    }
    headline("Kernel counters")?;
    let Kernel { mode, refused, dropped, reset, passed } = &report.kernel;
    line(&format!(
        "     mode {mode}: {refused} SYNs refused without a socket, {dropped} dropped, {reset} reset; {passed} packets passed"
    ))?;
    let Burst { sent, dropped, pps } = &report.burst;
    line(&format!(
        "     {dropped} of those dropped are from a burst of {sent} SYNs from a listed /16, {pps:.0} per second"
    ))?;
    let mut records = audit.lines();
    if let Some(record) = records.find(|record| record.contains("\"code\":\"open-proxy\"")) {
        headline("Audit record of the open proxy")?;
        line(&format!("     {record}"))?;
    }
    let right = report.cases.iter().filter(|case| case.ok).count();
    let all = report.cases.len();
    line(&format!(
        "\n{right} of {all} cases decided by the right party, {dropped} of {sent} SYNs of the burst dropped, in {:.1} s",
        report.elapsed_s
    ))
}

/// Says how to talk to the stage that is left running.
pub(super) fn show_how_to_talk(stage: &Stage) -> Result<()> {
    let binary = harness::daemon::binary()?;
    let config = stage.home.path().join("portcullis.toml");
    let (binary, config) = (binary.display(), config.display());
    let (edge, sender) = (stage.edge.path(), stage.sender.path());
    let (edge, sender) = (edge.display(), sender.display());
    headline("It goes on running; try from another terminal")?;
    for command in [
        format!("nsenter --net={edge} {binary} --config {config} status"),
        format!("nsenter --net={edge} {binary} --config {config} lookup 203.0.113.77"),
        format!("nsenter --net={edge} {binary} --config {config} xdp why 203.0.113.77"),
        format!("nsenter --net={edge} {binary} --config {config} xdp top --once"),
        format!(
            "nsenter --net={sender} swaks --server 192.0.2.1 --local-interface 198.18.1.2 --from a@example.com --to b@example.org"
        ),
        format!(
            "tail -f {}/audit.jsonl {}/daemon.log",
            stage.home.path().display(),
            stage.home.path().display()
        ),
    ] {
        line(&format!("     {command}"))?;
    }
    line("Ctrl-C ends it and removes everything")
}

fn headline(text: &str) -> Result<()> {
    line(&format!("\n{}", paint(text, Style::new().bold())))
}

fn line(text: &str) -> Result<()> {
    Ok(writeln!(stdout().lock(), "{text}")?)
}

fn paint(text: &str, style: Style) -> String {
    text.if_supports_color(Stream::Stdout, |text| text.style(style)).to_string()
}
