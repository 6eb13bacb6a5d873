//! Searches like those of an operator: one word, the newest hundred records first.

use std::path::Path;

use anyhow::{Result, ensure};
use gateway::audit::{Archive, Kind, Query};
use gateway::clock::Timestamp;
use gateway::net::Prefix;
use serde_json::{Value, json};

use crate::figures::{Spread, milliseconds, now, percentile, rounded, text};
use crate::records;

/// Searches of each kind.
const TRIES: u32 = 200;
/// Records of an answer.
const LIMIT: usize = 100;

/// Measures searches for one of `count` records each.
pub(crate) fn measure(store: &Path, count: u32) -> Result<Vec<Value>> {
    let archive = Archive::new(store);
    let word = |kind, value: &str| Query::default().with(kind, value);
    let mut rows = Vec::new();
    let mut take = |name: &str, query: &dyn Fn(u32) -> Query| -> Result<()> {
        rows.push(times(&archive, count, name, query)?);
        Ok(())
    };
    take("reference", &|number| word(Kind::Reference, &records::reference(number).to_string()))?;
    take("message-id", &|number| word(Kind::MessageId, &records::message_id(message(number))))?;
    take("address", &|number| inside(Prefix::host(records::client(number).into())))?;
    take("network /24", &|number| network(number, 24))?;
    take("network /16", &|number| network(number, 16))?;
    take("sender", &|number| word(Kind::Sender, &records::sender(message(number))))?;
    take("recipient", &|number| word(Kind::Recipient, &records::recipient(message(number))))?;
    take("verdict", &|number| word(Kind::Code, records::verdict(number).code()))?;
    take("verdict and network /24", &|number| {
        network(number, 24).with(Kind::Code, records::verdict(number).code())
    })?;
    take("time, one hour", &|number| hour(number, Query::default()))?;
    take("verdict in one hour", &|number| {
        hour(number, word(Kind::Code, records::verdict(number).code()))
    })?;
    take("what is not there", &|number| {
        word(Kind::MessageId, &format!("{number}@nowhere.example"))
    })?;
    Ok(rows)
}

/// The record of a message near `number`.
const fn message(number: u32) -> u32 {
    number - number % 3
}

fn inside(network: Prefix) -> Query {
    Query { network: Some(network), ..Query::default() }
}

fn network(number: u32, length: u8) -> Query {
    let network = Prefix::new(records::client(number).into(), length);
    network.map_or_else(|_wrong| Query::default(), inside)
}

/// An hour that ends with a record.
fn hour(number: u32, query: Query) -> Query {
    let until = records::time(number);
    let since = Timestamp::from_second(until.as_second() - 3600).ok();
    Query { since, until: Some(until), ..query }
}

fn times(archive: &Archive, count: u32, name: &str, query: &dyn Fn(u32) -> Query) -> Result<Value> {
    let (mut times, mut found) = (Vec::new(), 0);
    for number in 0..TRIES {
        let number = 1 + records::mixed(number) % (count - 1);
        let query = Query { newest_first: true, ..query(number) };
        let started = now();
        let answer = archive.search(&query, LIMIT)?;
        times.push(milliseconds(started.elapsed()));
        ensure!(answer.faults.is_empty(), "{name}: {:?}", answer.faults);
        found += answer.records.len();
    }
    let p99 = percentile(&mut times, 0.99).map(rounded);
    Ok(json!({
        "by": name,
        "ms": Spread::of(times).map(Spread::json),
        "p99_ms": p99,
        "found_on_average": rounded(found as f64 / f64::from(TRIES)),
    }))
}

/// A row for whoever watches.
pub(crate) fn line(row: &Value) -> String {
    format!(
        "{:<26} p50 {:>8} ms, p99 {:>8} ms, most {:>8} ms, {:>6} records",
        text(row, "/by"),
        text(row, "/ms/median"),
        text(row, "/p99_ms"),
        text(row, "/ms/max"),
        text(row, "/found_on_average"),
    )
}
