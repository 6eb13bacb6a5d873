//! `portcullis lookup`: what would be decided about an address that connects now, and why.

use std::net::IpAddr;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::output::{self, Meaning};
use super::{Exit, Failure, matches, offline};
use crate::net::fold;
use crate::pause::PauseReport;
use crate::policy::{Action, Band, Decision, Evidence, MatchRecord, Skipped, Verdict};
use crate::xdp;

/// Arguments of `lookup`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The addresses
    #[arg(required = true, value_name = "IP")]
    addresses: Vec<IpAddr>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    ip: IpAddr,
    verdict: Verdict,
    code: &'static str,
    action: Action,
    enforced: bool,
    /// Until when everything passes; `null` where nothing is paused.
    paused: Option<&'a PauseReport>,
    skipped: Option<Skipped>,
    score: Option<u16>,
    band: Option<Band>,
    evidence: &'a [Evidence],
    matches: Vec<MatchRecord<'a>>,
    /// The rule in the kernel, `null` where there is none.
    kernel: Option<xdp::KernelRule>,
    /// Why nothing is known of the kernel; `null` where it could be asked.
    kernel_fault: Option<String>,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = offline::config(config)?;
    let engine = offline::engine(&config);
    let addresses = options.addresses.iter().map(|&address| fold(address));
    let decisions: Vec<_> =
        addresses.map(|address| (address, engine.judge_address(address))).collect();
    let paused = engine.pause().as_deref().map(PauseReport::from);
    let answers: Vec<_> = decisions
        .iter()
        .map(|(address, decision)| {
            let kernel = xdp::read_pinned(&config.xdp, *address);
            Answer { paused: paused.as_ref(), ..Answer::new(*address, decision, kernel) }
        })
        .collect();
    if options.json {
        output::json(&answers)?;
    } else {
        answers.iter().try_for_each(show)?;
    }
    let refused = decisions.iter().any(|(_address, decision)| decision.effective().refuses());
    Ok(if refused { Exit::Refused } else { Exit::Done })
}

impl<'a> Answer<'a> {
    fn new(
        ip: IpAddr,
        decision: &'a Decision,
        kernel: Result<Option<xdp::KernelRule>, xdp::XdpError>,
    ) -> Self {
        let facts = decision.addresses.first();
        let score = decision.score.as_ref();
        Self {
            ip,
            verdict: decision.verdict,
            code: decision.verdict.code(),
            action: decision.action,
            enforced: decision.enforced,
            paused: None,
            skipped: facts.and_then(|facts| facts.skipped),
            score: score.map(|score| score.value),
            band: score.map(|score| score.band),
            evidence: score.map_or(&[], |score| &score.evidence),
            matches: facts
                .map(|facts| facts.matches.iter().map(MatchRecord::new).collect())
                .unwrap_or_default(),
            kernel_fault: kernel.as_ref().err().map(ToString::to_string),
            kernel: kernel.ok().flatten(),
        }
    }
}

fn show(answer: &Answer<'_>) -> Result<(), Failure> {
    output::headline(answer.ip)?;
    let meaning = output::meaning(answer.action);
    let dry = if answer.enforced { "" } else { ", dry run" };
    let verdict = output::coloured(answer.verdict, meaning);
    output::field("verdict", format_args!("{verdict} ({}), {}{dry}", answer.code, answer.action))?;
    if let Some(paused) = answer.paused {
        let paused = format_args!("everything passes until {}, by {}", paused.until, paused.author);
        output::field("paused", output::coloured(paused, Meaning::Bad))?;
    }
    if let Some(skipped) = answer.skipped {
        output::field("skipped", skipped)?;
    }
    if let (Some(score), Some(band)) = (answer.score, answer.band) {
        output::field("score", format_args!("{score}, {band}"))?;
    }
    for item in answer.evidence {
        output::field("evidence", format_args!("{} {:+}", item.name, item.weight))?;
    }
    answer.matches.iter().try_for_each(matches::show)?;
    match &answer.kernel {
        Some(rule) => {
            output::field("kernel", format_args!("{} by list {}", rule.action.name(), rule.list))
        }
        None => output::field("kernel", answer.kernel_fault.as_deref().unwrap_or("no rule")),
    }
}
