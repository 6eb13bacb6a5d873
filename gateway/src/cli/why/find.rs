//! Finds the records of the trail that a name means.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::cli::Failure;
use crate::config::Config;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Address(IpAddr),
    /// A Message-ID, with its brackets.
    Message(String),
    /// A reference, or a name in a mail server's queue: which of them, the trail says.
    Name(String),
}

impl What {
    /// What somebody typed.
    pub(super) fn read(typed: &str) -> Self {
        let typed = typed.trim();
        if let Ok(address) = typed.trim_matches(['[', ']']).parse() {
            return Self::Address(crate::net::fold(address));
        }
        if typed.contains('@') {
            let bare = typed.trim_start_matches('<').trim_end_matches('>');
            return Self::Message(format!("<{bare}>"));
        }
        Self::Name(typed.to_owned())
    }
}

/// How far a record may be from the time that was asked about.
const NEAR: SignedDuration = SignedDuration::from_mins(10);

/// The trail, as far as it is there.
pub(super) struct Trail<'a> {
    config: &'a Config,
}

impl<'a> Trail<'a> {
    pub(super) fn open(config: &'a Config) -> Self {
        Self { config }
    }

    /// The newest `most` records that `what` means, near `at` where a time is given; the oldest of them comes first.
    pub(super) fn find(
        &self,
        what: &What,
        at: Option<Timestamp>,
        most: usize,
    ) -> Result<Vec<Value>, Failure> {
        let Ok(file) = File::open(&self.config.audit_file) else { return Ok(Vec::new()) };
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        let records = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let mut found: Vec<_> =
            records.filter(|record| means(what, record) && near(at, record)).collect();
        let from = found.len().saturating_sub(most);
        Ok(found.split_off(from))
    }
}

fn means(what: &What, record: &Value) -> bool {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    match what {
        What::Address(address) => {
            let ips = [text("/client"), text("/logical_client"), text("/offending/ip")];
            ips.into_iter().flatten().any(|ip| ip.parse() == Ok(*address))
        }
        What::Message(id) => text("/envelope/message_id") == Some(id),
        What::Name(name) => {
            text("/reference") == Some(&name.to_ascii_uppercase())
                || text("/queue_id") == Some(name)
        }
    }
}

fn near(at: Option<Timestamp>, record: &Value) -> bool {
    let Some(at) = at else { return true };
    let time = record["time"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    time.is_some_and(|time| at.duration_since(time).abs() <= NEAR)
}
