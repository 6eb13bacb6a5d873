//! `portcullis explain`: what a bounce or a pasted error means, whether it was this host, and what to do about it.

mod show;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::{Exit, Failure, daemon, input, lookup, offline, output};
use crate::admin::LookupAnswer;
use crate::config::Config;
use crate::explain::Found;
use crate::why::Trail;

/// The most octets that are read: a bounce may have a whole message in it.
const MOST: usize = 10 << 20;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// A bounce, an error as somebody pasted it, a log line, or a message with its header; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Ask no DNS: neither zones nor the mail exchangers and the SPF record of the sender's domain
    #[arg(long)]
    no_dns: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, file: &Path) -> Result<Exit, Failure> {
    let config = offline::config(file)?;
    let (octets, cut) = read(&options.file)?;
    if cut {
        output::warn(format_args!(
            "the text is longer than {} MiB; what comes after that is not read",
            MOST >> 20
        ));
    }
    let mut found = Found::find(&config, Trail::new(&config), &octets, cut);
    if !options.no_dns {
        daemon::block_on(found.ask_dns(&config))?;
    }
    found.warnings().iter().for_each(output::warn);
    let now = found.address().and_then(|address| now(&config, address, options.no_dns));
    let answer = found.tell(&config, now);
    output::answer(options.json, &answer, show::show)?;
    Ok(if answer.is_refused() { Exit::Refused } else { Exit::Done })
}

/// The text, and whether there is more of it.
fn read(path: &Path) -> Result<(Vec<u8>, bool), Failure> {
    let hint = "give the file of a bounce, or - and paste what the sender was told";
    let mut octets = input::read(path, MOST, hint)?;
    let cut = octets.len() > MOST;
    octets.truncate(MOST);
    Ok((octets, cut))
}

/// What would be decided about `address` now; a daemon that refuses to say it is no reason to say nothing else.
fn now(config: &Config, address: IpAddr, no_dns: bool) -> Option<Value> {
    let answer = if no_dns {
        let engine = offline::engine(config);
        let memory = offline::memory(config);
        daemon::block_on(async {
            LookupAnswer::about(&engine, &config.xdp, &memory, address).await
        })
    } else {
        lookup::ask(config, &[address])
            .map(|answers| answers.into_iter().next().unwrap_or_default())
    };
    match answer {
        Ok(answer) => Some(answer).filter(|answer| !answer.is_null()),
        Err(failure) => {
            output::warn(format_args!("what would be decided now is not known: {failure}"));
            None
        }
    }
}
