//! `portcullis list find`: where addresses are listed, and where they were.

use std::net::IpAddr;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::super::offline::{self, Lists};
use super::super::output::{self, Meaning};
use super::super::{Exit, Failure, matches};
use crate::clock::Clock;
use crate::list::Membership;
use crate::net::fold;
use crate::policy::MatchRecord;
use crate::refresh;
use crate::store::History;

/// Arguments of `list find`.
#[derive(Debug, Args)]
pub(in super::super) struct Options {
    /// The addresses
    #[arg(required = true, value_name = "IP")]
    addresses: Vec<IpAddr>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Found<'a> {
    ip: IpAddr,
    /// Every entry that covers it, the deciding one first.
    matches: Vec<MatchRecord<'a>>,
    /// What came and went; `null` where nothing is kept of it.
    history: Option<History>,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = offline::config(config)?;
    let membership = Membership::new(Lists::open(&config).load_all_aloud(), &[]);
    let now = Clock::System.now();
    let mut all = Vec::new();
    for &address in &options.addresses {
        let ip = fold(address);
        let matches = membership.matches(ip, now);
        let history = refresh::history(&config.state_dir, ip).unwrap_or_else(|error| {
            output::warn(format_args!("the journal cannot be read: {error}"));
            None
        });
        all.push((ip, matches, history));
    }
    let all: Vec<_> = all
        .iter()
        .map(|(ip, matches, history)| Found {
            ip: *ip,
            matches: matches.iter().map(MatchRecord::new).collect(),
            history: history.clone(),
        })
        .collect();
    if options.json {
        output::json(&all)?;
    } else {
        all.iter().try_for_each(show)?;
    }
    Ok(Exit::Done)
}

fn show(found: &Found<'_>) -> Result<(), Failure> {
    output::headline(found.ip)?;
    if found.matches.is_empty() {
        output::field("listed", output::coloured("nowhere", Meaning::Good))?;
    }
    for found in &found.matches {
        matches::show(&serde_json::to_value(found)?)?;
    }
    for event in found.history.iter().flat_map(|history| &history.events) {
        let what = if event.added { "added" } else { "removed" };
        output::field(
            what,
            format_args!("{} {}: {} by {}", event.at, event.list, event.prefix, event.by),
        )?;
    }
    Ok(())
}
