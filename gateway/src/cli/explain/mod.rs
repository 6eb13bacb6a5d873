//! `portcullis explain`: what a bounce or a pasted error means, whether it was this host, and what to do about it.

mod behind;
mod origin;
mod show;
mod steps;
mod whose;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::{Exit, Failure, daemon, input, lookup, offline, output};
use crate::admin::LookupAnswer;
use crate::bounce::{Bounce, Form, Place};
use crate::config::Config;
use crate::host;
use crate::net::reserved;
use crate::story::Story;
use crate::why;
use behind::{Behind, behind};
use origin::{Origin, Resolvers};
use steps::{Known, Step, steps};
use whose::{Belief, Us, Whose, belief};

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

/// What a text means.
#[derive(Serialize)]
struct Answer<'a> {
    /// Whether it was longer than what is read.
    cut: bool,
    bounce: &'a Bounce,
    whose: Whose,
    because: &'a str,
    /// The decision behind it; `null` where this host knows of none.
    decision: Option<&'a Behind>,
    /// The same as `why` tells it; `null` where no record of it is left.
    story: Option<&'a Story>,
    /// The address that decided, as far as it can be told.
    address: Option<IpAddr>,
    /// What `lookup` says about it now.
    now: Option<&'a Value>,
    /// What DNS says of the address that sent it; `null` where it was not asked.
    origin: Option<&'a Origin>,
    next: &'a [Step],
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
    let bounce = Bounce::read(&octets);
    let own = host::own_addresses().unwrap_or_default();
    let mut decision = behind(&config, &bounce);
    let us = Us { hostname: &config.hostname, addresses: &own };
    let Belief { whose, because } = belief(&bounce, decision.as_ref(), us);
    if whose == Whose::SomebodyElse {
        // That this host turned the address away as well, some other time, would only mislead.
        decision = None;
    }
    let (mut sent_from, origin) = if options.no_dns {
        (sender_address(&config, &bounce, decision.as_ref(), &own), None)
    } else {
        asked(&config, &bounce, decision.as_ref(), &own)?
    };
    if whose == Whose::SomebodyElse {
        // What others refuse says nothing about this host's lists.
        sent_from = None;
    }
    let address = bounce
        .client
        .filter(|_| whose != Whose::SomebodyElse)
        .or_else(|| decision.as_ref().and_then(|behind| behind.offending.or(behind.client)))
        .or(sent_from);
    let now = address.and_then(|address| now(&config, address, options.no_dns));
    let known = Known {
        config: &config,
        bounce: &bounce,
        whose,
        behind: decision.as_ref(),
        address,
        now: now.as_ref(),
        origin: origin.as_ref(),
    };
    let next = steps(&known);
    let story = decision.as_ref().and_then(|behind| {
        let told = behind.told.as_ref()?;
        let now = now.as_ref().filter(|_now| told.address() == address);
        Some(why::story(&config, told, &[], behind.entry_removed.as_ref(), now))
    });
    let answer = Answer {
        cut,
        bounce: &bounce,
        whose,
        because: &because,
        decision: decision.as_ref(),
        story: story.as_ref(),
        address,
        now: now.as_ref(),
        origin: origin.as_ref(),
        next: &next,
    };
    output::answer(options.json, &answer, show::show)?;
    let turns_away = |now: &Value| steps::turns_away(now, bounce.is_about_header());
    let is_refused = whose == Whose::Us && now.as_ref().is_some_and(turns_away);
    Ok(if is_refused { Exit::Refused } else { Exit::Done })
}

/// The text, and whether there is more of it.
fn read(path: &Path) -> Result<(Vec<u8>, bool), Failure> {
    let hint = "give the file of a bounce, or - and paste what the sender was told";
    let mut octets = input::read(path, MOST, hint)?;
    let cut = octets.len() > MOST;
    octets.truncate(MOST);
    Ok((octets, cut))
}

/// The address from which the mail came, as far as text and record tell; not that of a hop further back.
fn sender_address(
    config: &Config,
    bounce: &Bounce,
    behind: Option<&Behind>,
    own: &[IpAddr],
) -> Option<IpAddr> {
    let is_stranger = |ip: IpAddr| {
        let is_relay = config.trusted_relays.iter().any(|relay| relay.contains(ip));
        reserved(ip).is_none() && !own.contains(&ip) && !is_relay
    };
    let is_hop = bounce.is_about_header();
    let named = bounce.client.filter(|_| !is_hop);
    let by_record = behind.and_then(|behind| behind.client);
    // The last host that is none of ours handed a message over; of a bounce, the header tells only what came before that.
    let handed_over = || {
        let peers = bounce.addresses.iter().filter(|seen| seen.peer && seen.place != Place::Text);
        let mut peers = peers.map(|seen| seen.ip).filter(|ip| is_stranger(*ip));
        peers.next().filter(|_| bounce.form == Form::Message)
    };
    let only_one = || {
        let mut free = bounce.addresses.iter().filter(|seen| seen.place == Place::Text);
        let (first, None) = (free.next()?, free.next()) else { return None };
        Some(first.ip).filter(|ip| is_stranger(*ip) && !is_hop)
    };
    by_record.or(named).or_else(handed_over).or_else(only_one)
}

/// The same with the help of DNS, which may know the address of the host that wrote the bounce; and what DNS says of it.
fn asked(
    config: &Config,
    bounce: &Bounce,
    behind: Option<&Behind>,
    own: &[IpAddr],
) -> Result<(Option<IpAddr>, Option<Origin>), Failure> {
    daemon::block_on(async {
        let known = sender_address(config, bounce, behind, own);
        let resolvers = match Resolvers::new(config) {
            Ok(resolvers) => resolvers,
            Err(fault) => {
                output::warn(fault);
                return (known, None);
            }
        };
        let helo = bounce.reporter.as_deref().unwrap_or_default();
        let by_name = async { resolvers.address(helo).await };
        let is_report = matches!(bounce.form, Form::Report | Form::Bounce);
        let address = match known {
            None if is_report && !helo.is_empty() => by_name.await,
            known => known,
        };
        let by_record = behind.and_then(|behind| behind.sender.as_ref());
        let sender = bounce.sender.as_ref().or(by_record).filter(|sender| sender.contains('@'));
        let origin = match (address, sender) {
            (Some(address), Some(sender)) => {
                Some(resolvers.origin(config, address, helo, sender).await)
            }
            _ => None,
        };
        (address, origin)
    })
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
