//! `portcullis scan`: what would be decided about a message, and by which hop.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::{Exit, Failure, daemon, input, offline, output};
use crate::config::Config;
use crate::engine::{Client, Engine, MessageHead};
use crate::net::fold;
use crate::policy::{
    Action, AddressRecord, Band, Decision, Envelope, Evidence, Offending, Phase, Reply, Verdict,
};
use crate::smtp;

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

#[derive(Serialize)]
struct Answer<'a> {
    client: IpAddr,
    logical_client: Option<IpAddr>,
    addresses: Vec<AddressRecord<'a>>,
    verdict: Verdict,
    code: &'static str,
    action: Action,
    enforced: bool,
    offending: Option<&'a Offending>,
    score: Option<u16>,
    band: Option<Band>,
    evidence: &'a [Evidence],
    reply: Option<&'a Reply>,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = offline::config(config)?;
    let header = read_header(&options.message, config.limits.header)?;
    let client = fold(options.client);
    let decision = daemon::block_on(async {
        let engine = offline::asking_engine(&config).await;
        judge(&engine, &config, client, &header).await
    })?;
    let score = decision.score.as_ref();
    let answer = Answer {
        client,
        logical_client: decision.logical_client,
        addresses: decision.addresses.iter().map(AddressRecord::new).collect(),
        verdict: decision.verdict,
        code: decision.verdict.code(),
        action: decision.action,
        enforced: decision.enforced,
        offending: decision.offending.as_ref(),
        score: score.map(|score| score.value),
        band: score.map(|score| score.band),
        evidence: score.map_or(&[], |score| &score.evidence),
        reply: decision.reply.as_ref(),
    };
    output::answer(options.json, &answer, show)?;
    Ok(if decision.effective().refuses() { Exit::Refused } else { Exit::Done })
}

/// Reads the header block, and of a message that has none within the limit one octet more than that.
fn read_header(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let hint = "give the file of a message, or - for standard input";
    let mut octets = input::read(path, limit, hint)?;
    let ends = [b"\n\n".as_slice(), b"\n\r\n"].map(|end| {
        octets.windows(end.len()).position(|window| window == end).map(|start| start + end.len())
    });
    if let Some(end) = ends.into_iter().flatten().min() {
        octets.truncate(end);
    }
    Ok(octets)
}

/// Judges as the proxy does: its limits first, then the addresses.
async fn judge(engine: &Engine, config: &Config, ip: IpAddr, header: &[u8]) -> Decision {
    let client = Client::new(SocketAddr::new(ip, 0), SocketAddr::from(([0, 0, 0, 0], 25)));
    if let Some(reply) = smtp::header_fault(header, &config.limits) {
        let (phase, verdict) = (Phase::Message, Verdict::Protocol);
        return engine.own(&client, phase, verdict, Action::RejectMessage, reply);
    }
    let envelope = Envelope::default();
    let (route, proved) = (None, None);
    let head = MessageHead { client: &client, route, envelope: &envelope, header, proved };
    engine.judge_message(head).await.decision
}

fn show(answer: &Answer<'_>) -> Result<(), Failure> {
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
