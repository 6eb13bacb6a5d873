//! Prints letters to administrators of open proxies; whom to write to goes to standard error, so that a file has the letter alone.

use std::net::IpAddr;

use serde_json::Value;

use super::answer::items;
use super::safe::{safe, safe_lines};
use super::{Exit, Failure, daemon, offline, output};
use crate::admin::{self, ClientError, LetterAnswer, NO_LETTER};
use crate::config::Config;

/// Prints the letter about each address, by what the daemon knows, else from the files.
pub(super) fn of_addresses(
    config: &Config,
    addresses: &[IpAddr],
    is_json: bool,
) -> Result<Exit, Failure> {
    let mut letters = Vec::new();
    for &address in addresses {
        letters.push(of_address(config, address)?);
    }
    if is_json {
        output::json(&letters)?;
    } else {
        letters.iter().try_for_each(show)?;
    }
    Ok(Exit::Done)
}

fn of_address(config: &Config, address: IpAddr) -> Result<Value, Failure> {
    let path = format!("/api/v1/lookup/{address}/letter");
    match daemon::block_on(admin::get(&config.admin_socket, &path))? {
        Ok(answer) => Ok(answer),
        Err(ClientError::Unanswered(_)) => alone(config, address),
        Err(refused) => Err(refused.into()),
    }
}

fn alone(config: &Config, address: IpAddr) -> Result<Value, Failure> {
    let (engine, memory) = (offline::engine(config), offline::memory(config));
    let letter = LetterAnswer::about(&engine, &config.hostname, &memory, address, None);
    daemon::block_on(letter)?.ok_or_else(|| Failure::Asked {
        text: format!("nothing says that {address} is an open proxy"),
        hint: Some(NO_LETTER.to_owned()),
    })
}

/// Prints one letter; the answer may come from a daemon of another version, so nothing in it is taken for granted.
pub(super) fn show(answer: &Value) -> Result<(), Failure> {
    output::line(safe_lines(answer["letter"].as_str().unwrap_or_default()))?;
    output::note("whom to write to, nobody was asked:");
    for words in items(&answer["whom_to_ask"]).filter_map(Value::as_str) {
        output::note(format_args!("  {}", safe(words)));
    }
    Ok(())
}
