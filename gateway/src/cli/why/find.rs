//! Finds the records of the trail that a name means: in the store, and in the file of JSON lines what the store does not have.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use memchr::memmem;
use serde_json::Value;

use crate::audit::{Archive, Kind, Query, Terms, Veil};
use crate::cli::{audit, output};
use crate::config::Config;
use crate::json;
use crate::net::Prefix;

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
        if Veil::hides(typed) {
            return Self::Message(typed.to_owned());
        }
        if typed.contains('@') {
            let bare = typed.trim_start_matches('<').trim_end_matches('>');
            return Self::Message(format!("<{bare}>"));
        }
        Self::Name(typed.to_owned())
    }

    /// What is looked for near `at`, one after the other until something is found.
    fn queries(&self, at: Option<Timestamp>, veil: &Veil) -> Vec<Query> {
        let query = Query {
            since: at.and_then(|at| at.checked_sub(NEAR).ok()),
            until: at.and_then(|at| at.checked_add(NEAR).ok()),
            newest_first: true,
            ..Query::default()
        };
        match self {
            Self::Address(address) => {
                vec![Query { network: Some(Prefix::host(*address)), ..query }]
            }
            Self::Message(id) => {
                let id = veil.word(Kind::MessageId, id);
                vec![query.with(Kind::MessageId, &id)]
            }
            Self::Name(name) => {
                vec![query.clone().with(Kind::Reference, name), query.with(Kind::QueueId, name)]
            }
        }
    }

    /// Texts of which each line that is meant has one: most lines are not taken apart.
    fn texts(&self, veil: &Veil) -> Vec<String> {
        match self {
            Self::Address(address) => vec![address.to_string()],
            Self::Message(id) => {
                vec![in_json(veil.word(Kind::MessageId, id).trim_matches(['<', '>']))]
            }
            Self::Name(name) => vec![in_json(&name.to_ascii_uppercase()), in_json(name)],
        }
    }
}

/// A text as it stands in a line, without its quotes.
fn in_json(text: &str) -> String {
    let quoted = json::to_string(&text).unwrap_or_default();
    quoted.trim_matches('"').to_owned()
}

/// How far a record may be from the time that was asked about.
const NEAR: SignedDuration = SignedDuration::from_mins(10);

/// The newest `most` records that `what` means, near `at` where a time is given; the oldest of them comes first.
pub(super) fn find(config: &Config, what: &What, at: Option<Timestamp>, most: usize) -> Vec<Value> {
    let veil = audit::veil(config);
    let queries = what.queries(at, &veil);
    let mut in_store = queries.iter().map(|query| stored(config, query, most));
    in_store
        .find(|found| !found.is_empty())
        .unwrap_or_else(|| in_lines(config, &what.texts(&veil), &queries, most))
}

fn stored(config: &Config, query: &Query, most: usize) -> Vec<Value> {
    let Some(store) = &config.audit.store else { return Vec::new() };
    let found = match Archive::new(&store.folder).search(query, most) {
        Ok(found) => found,
        Err(error) => {
            output::warn(format_args!("the store of records cannot be read: {error}"));
            return Vec::new();
        }
    };
    for fault in &found.faults {
        output::warn(format_args!("some records cannot be read: {fault}"));
    }
    found.records.into_iter().rev().map(|found| found.record).collect()
}

/// What an earlier version wrote, or one that keeps no store. The file may be long, and is read once.
fn in_lines(config: &Config, texts: &[String], queries: &[Query], most: usize) -> Vec<Value> {
    let Ok(file) = File::open(&config.audit.file) else { return Vec::new() };
    let finders: Vec<_> = texts.iter().map(memmem::Finder::new).collect();
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let lines = lines.filter(|line| finders.iter().any(|finder| finder.find(line).is_some()));
    let meant = lines.filter_map(|line| String::from_utf8(line).ok()).filter(|line| {
        let terms = Terms::of(line);
        queries.iter().any(|query| query.matches(&terms))
    });
    let mut found = VecDeque::new();
    for record in meant.filter_map(|line| serde_json::from_str(&line).ok()) {
        if found.len() == most {
            found.pop_front();
        }
        found.push_back(record);
    }
    found.into()
}
