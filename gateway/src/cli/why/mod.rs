//! `portcullis why`: why mail was refused, put off or let in, as a story; from the trail, from a reference alone, or from the lists.

mod about;
mod address;
mod find;
mod kernel;
mod show;

use std::net::IpAddr;
use std::path::Path;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use self::about::Teller;
pub(super) use self::about::{removed, story};
use self::find::{What, find};
pub(super) use self::show::steps as show_steps;
use super::{Exit, Failure, moment, offline, output};
use crate::config::Config;
use crate::story::Told;

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

/// Stories that are told of one name.
const STORIES: usize = 20;
/// Records of one name that are looked through: what was done with a message in quarantine has its reference, too.
const OF_NAME: usize = 500;
/// Records of an address that are looked through for one.
const LOOKED_AT: usize = 200;

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = offline::config(config)?;
    let what = What::read(&options.what);
    if let What::Address(address) = what {
        let answer = address::about(&config, address, options.at)?;
        if options.json {
            output::json(&answer)?;
        } else {
            show::address(&answer)?;
        }
        return Ok(Exit::Done);
    }
    let records = find(&config, &what, options.at, OF_NAME);
    if records.is_empty() {
        return kernel::run(&config, &options.what, options.client, options.json);
    }
    // What was done with a message in quarantine has its reference, too.
    let (events, decisions): (Vec<_>, Vec<_>) = records.into_iter().partition(is_event);
    // The decision may be gone before what was done later.
    let (events, decisions) =
        if decisions.is_empty() { (Vec::new(), events) } else { (events, decisions) };
    let most = decisions.len().saturating_sub(STORIES);
    let events: Vec<_> = events.iter().map(Told::read).collect();
    let mut teller = Teller::new(&config);
    let told = decisions.into_iter().skip(most).map(|record| teller.tell(record, &events));
    let told = told.collect::<Result<Vec<_>, _>>()?;
    if !options.json {
        told.iter().try_for_each(|told| show::story(&told.story))?;
    } else if let ([one], What::Name(_)) = (told.as_slice(), &what) {
        output::json(one)?;
    } else {
        output::json(&told)?;
    }
    Ok(Exit::Done)
}

/// Whether a record is of what was done later, and of no decision.
fn is_event(record: &Value) -> bool {
    record["event"].is_string()
}

/// The decision of that name, where the trail has it.
pub(super) fn record(config: &Config, reference: &str) -> Option<Value> {
    let found = find(config, &What::Name(reference.to_owned()), None, OF_NAME);
    found.into_iter().find(|record| !is_event(record))
}

/// The last record in which `client` was turned away.
pub(super) fn last_refusal(config: &Config, client: IpAddr) -> Option<Value> {
    let found = find(config, &What::Address(client), None, LOOKED_AT);
    found.into_iter().rev().find(|record| Told::read(record).is_refused())
}
