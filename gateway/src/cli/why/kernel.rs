//! What a reference of the kernel says by itself: which list, in which minute, to whom.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::{Exit, Failure, output};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::xdp::{self, References};

/// What a reference of the kernel says.
#[derive(Serialize)]
struct Answer {
    reference: String,
    decided_by: &'static str,
    action: &'static str,
    /// The host whose filter gave it.
    host: Arc<str>,
    /// The minute in which it was given.
    time: Timestamp,
    /// `null` when the filter is gone, and with it the names of its lists.
    list: Option<Arc<str>>,
    slot: u16,
    /// Whether it was given to the address in question.
    client: Option<bool>,
}

pub(super) fn run(
    config: &Config,
    name: &str,
    client: Option<IpAddr>,
    json: bool,
) -> Result<Exit, Failure> {
    let answer = answer(config, name.to_ascii_uppercase(), client)?;
    if json {
        output::json(&answer)?;
    } else {
        show(&answer, client)?;
    }
    Ok(Exit::Done)
}

fn answer(config: &Config, reference: String, client: Option<IpAddr>) -> Result<Answer, Failure> {
    let unavailable =
        |text: String, hint: &str| Failure::Unavailable { text, hint: hint.to_owned() };
    let references = References::load(config.xdp.references.as_deref()).map_err(|error| {
        unavailable(error.to_string(), "only the owner of the daemon's state may read the keys")
    })?;
    let Some(found) = references.read(&reference) else {
        return Err(unavailable(
            format!("{reference:?} was given neither by this daemon nor by its kernel filter"),
            "look at the letters again; a record may also be older than the trail is kept",
        ));
    };
    Ok(Answer {
        reference,
        decided_by: "kernel",
        action: "refuse",
        host: config.hostname.as_str().into(),
        time: found.at,
        list: xdp::pinned_list(&config.xdp, found.slot).ok().flatten(),
        slot: found.slot,
        client: client.map(|client| found.is_of(client)),
    })
}

fn show(answer: &Answer, client: Option<IpAddr>) -> Result<(), Failure> {
    output::headline(format_args!("{}: refused in the kernel", answer.reference))?;
    output::field("decided by", format_args!("{}, {}", answer.decided_by, answer.action))?;
    output::field("host", &answer.host)?;
    output::field("time", format_args!("{}, in the minute that begins then", answer.time))?;
    match &answer.list {
        Some(list) => output::field("list", list)?,
        None => output::field("list", format_args!("number {}, whose name is gone", answer.slot))?,
    }
    match (answer.client, client) {
        (Some(true), Some(client)) => {
            output::field("client", "given to this address")?;
            output::field("next", format_args!("portcullis why {client} --at '{}'", answer.time))
        }
        (Some(false), _) => output::field("client", "given to another address"),
        _ => output::field(
            "next",
            format_args!(
                "portcullis why {} --client IP, with the address of the sender, says whether it was given to that",
                answer.reference
            ),
        ),
    }
}
