//! `portcullis scan`: what would be decided about a message, and by which hop.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Exit, Failure, daemon, input, offline, output};
use crate::admin::{ScanAnswer, Scanned};

/// Arguments of `scan`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The message, `-` for standard input
    #[arg(value_name = "FILE")]
    message: PathBuf,
    /// The address that hands the message over
    #[arg(long, value_name = "IP")]
    client: IpAddr,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = offline::config(config)?;
    let hint = "give the file of a message, or - for standard input";
    let message = input::read(&options.message, config.limits.header, hint)?;
    let scanned = daemon::block_on(async {
        let engine = offline::asking_engine(&config).await;
        Scanned::of(&engine, &config.limits, options.client, &message).await
    })?;
    output::answer(options.json, &scanned.answer(), show)?;
    Ok(if scanned.refuses() { Exit::Refused } else { Exit::Done })
}

fn show(answer: &ScanAnswer<'_>) -> Result<(), Failure> {
    let meaning = output::meaning(answer.action);
    let dry = if answer.enforced { "" } else { ", dry run" };
    let verdict = output::coloured(answer.verdict, meaning);
    output::headline(format_args!("message from {}", answer.client))?;
    output::field("verdict", format_args!("{verdict} ({}), {}{dry}", answer.code, answer.action))?;
    if let Some(logical) = answer.logical_client.filter(|logical| *logical != answer.client) {
        output::field("logical client", logical)?;
    }
    if let Some(offending) = answer.offending {
        output::field("offending", format_args!("{} in {}", offending.ip, offending.hop))?;
    }
    if let (Some(score), Some(band)) = (answer.score, answer.band) {
        output::field("score", format_args!("{score}, {band}"))?;
    }
    if let Some(reply) = answer.reply {
        output::field("reply", reply)?;
    }
    output::headline("addresses")?;
    for address in &answer.addresses {
        let skipped = address.skipped.map(|why| format!("skipped: {why}")).unwrap_or_default();
        let line = format!("  {:<20} {:<39} {skipped}", address.hop.to_string(), address.ip);
        output::line(line.trim_end())?;
        for found in &address.matches {
            output::line(format_args!(
                "  {:<20} listed by {} ({}, {}{}): {} at {}",
                "",
                found.list,
                found.class.name(),
                found.action,
                if found.enforce { "" } else { ", dry run" },
                found.entry,
                found.origin
            ))?;
        }
    }
    Ok(())
}
