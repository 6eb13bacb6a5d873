//! `portcullis why`: why mail was refused, put off or let in, as a story; from the trail, from a reference alone, or from the lists.

mod kernel;
mod show;

use std::net::IpAddr;
use std::path::Path;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

pub(super) use self::show::steps as show_steps;
use super::{Exit, Failure, lookup, moment, offline, output};
use crate::config::Config;
use crate::why::{AddressAnswer, Answer, Found, Kind, Now, Question, ToldRecord, Trail, What};

/// Arguments of `why`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The reference from a reply, an address, a Message-ID, or the name that the mail server's queue gave to the message
    #[arg(value_name = "REFERENCE|IP|MESSAGE-ID|QUEUE-ID")]
    what: String,
    /// What was so at this time: `2026-11-29 22:10` (UTC), `2026-11-29T22:10:00Z`, or so long ago, such as 2d
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    at: Option<Timestamp>,
    /// Say whether it was given to this address; only the kernel's references are asked
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is known of an address.
#[derive(Serialize)]
struct OfAddress<'a> {
    #[serde(flatten)]
    address: &'a AddressAnswer,
    stories: &'a [ToldRecord],
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = offline::config(config)?;
    let Options { what, at, client, json } = options;
    let question = Question { what: what.clone(), at: *at, client: *client };
    let found = Found::find(&config, Trail::new(&config), question);
    if let Some(fault) = found.keys_fault() {
        let hint = "only the owner of the daemon's state may read the keys";
        return Err(unavailable(fault.to_owned(), hint));
    }
    let now = now(&config, &found.addresses())?;
    let Answer { kind, stories, address, kernel, warnings, .. } = found.tell(&config, &now);
    warnings.iter().for_each(output::warn);
    match (address, kernel) {
        (Some(address), _) if *json => {
            output::json(&OfAddress { address: &address, stories: &stories })?;
        }
        (Some(address), _) => show::address(&address, &stories)?,
        (None, Some(kernel)) if *json => output::json(&kernel)?,
        (None, Some(kernel)) => kernel::show(&kernel, *client)?,
        (None, None) if kind == Kind::Nothing => {
            let name = what.to_ascii_uppercase();
            return Err(unavailable(
                format!("{name:?} was given neither by this daemon nor by its kernel filter"),
                "look at the letters again; a record may also be older than the trail is kept",
            ));
        }
        (None, None) => match (stories.as_slice(), What::read(what)) {
            (all, _) if !json => all.iter().try_for_each(|told| show::story(&told.story))?,
            ([one], What::Name(_)) => output::json(one)?,
            (all, _) => output::json(&all)?,
        },
    }
    Ok(Exit::Done)
}

/// What would be decided about each of `addresses` now.
fn now(config: &Config, addresses: &[IpAddr]) -> Result<Now, Failure> {
    if addresses.is_empty() {
        return Ok(Now::new());
    }
    Ok(addresses.iter().copied().zip(lookup::ask(config, addresses)?).collect())
}

fn unavailable(text: String, hint: &str) -> Failure {
    Failure::Unavailable { text, hint: hint.to_owned() }
}
