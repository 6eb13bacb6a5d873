//! Finds the records of the trail that a name means: in the store, and in the file of JSON lines what the store does not have.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::net::IpAddr;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use memchr::memmem;
use serde_json::Value;

use crate::audit::{Archive, Kind, Query, Terms, Veil};
use crate::config::Config;
use crate::net::Prefix;
use crate::records;
use crate::refresh;
use crate::store::{Event, History};
use crate::story::Told;
use crate::{json, net};

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An address.
    Address(IpAddr),
    /// A Message-ID, with its brackets.
    Message(String),
    /// A reference, or a name in a mail server's queue: which of them, the trail says.
    Name(String),
}

impl What {
    /// What somebody typed.
    pub fn read(typed: &str) -> Self {
        let typed = typed.trim();
        if let Ok(address) = typed.trim_matches(['[', ']']).parse() {
            return Self::Address(net::fold(address));
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

/// Octets of the end of the JSON lines that are read for whoever may ask often: some 60,000 records.
const SHORT: u64 = 64 << 20;

/// How far a record may be from the time that was asked about.
const NEAR: SignedDuration = SignedDuration::from_mins(10);

/// Records of one name that are looked through: what was done with a message in quarantine has its reference, too.
pub(super) const OF_NAME: usize = 500;
/// Records of an address that are looked through for one.
pub(super) const LOOKED_AT: usize = 200;

/// The trail and the journal of this host, with what of them could not be read so far.
#[derive(Debug)]
pub struct Trail<'a> {
    config: &'a Config,
    veil: Veil,
    warnings: Vec<String>,
    /// Octets of the end of the JSON lines that are read where the store has nothing; `None`: all.
    of_lines: Option<u64>,
}

impl<'a> Trail<'a> {
    /// Those that the configuration names.
    pub fn new(config: &'a Config) -> Self {
        let (veil, warning) = records::veil(&config.audit.privacy);
        Self { config, veil, warnings: warning.into_iter().collect(), of_lines: None }
    }

    /// The same, where anybody may ask: of a long file of JSON lines only the end is read.
    #[must_use]
    pub fn in_short(self) -> Self {
        Self { of_lines: Some(SHORT), ..self }
    }

    /// What of them could not be read.
    pub fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// The decision of that name, where the trail has it.
    pub fn decision(&mut self, reference: &str) -> Option<Value> {
        let found = self.find(&What::Name(reference.to_owned()), None, OF_NAME);
        found.into_iter().find(|record| !is_event(record))
    }

    /// The last record in which `client` was turned away.
    pub fn last_refusal(&mut self, client: IpAddr) -> Option<Value> {
        let found = self.find(&What::Address(client), None, LOOKED_AT);
        found.into_iter().rev().find(|record| Told::read(record).is_refused())
    }

    /// When and by what the entry that decided was removed since; `None` while it is there, and where nothing is known of it.
    pub fn removed(&mut self, told: &Told) -> Option<Event> {
        let (entry, time, list) = (told.entry?, told.time?, told.list.as_ref()?);
        let of_entry = self.history(entry.address())?.events.into_iter().filter(|event| {
            *event.list == **list && event.prefix == entry && !event.added && event.at > time
        });
        // The newest comes first.
        of_entry.last()
    }

    /// What came to lists and went from them that covers `address`.
    pub(super) fn history(&mut self, address: IpAddr) -> Option<History> {
        refresh::history(&self.config.state_dir, address).unwrap_or_else(|error| {
            self.warn(format!("the journal of lists cannot be read: {error}"));
            None
        })
    }

    /// The newest `most` records that `what` means, near `at` where a time is given; the oldest of them comes first.
    pub(super) fn find(&mut self, what: &What, at: Option<Timestamp>, most: usize) -> Vec<Value> {
        let queries = what.queries(at, &self.veil);
        let mut in_store = queries.iter().map(|query| self.stored(query, most));
        let found = in_store.find(|found| !found.is_empty());
        found.unwrap_or_else(|| {
            let texts = what.texts(&self.veil);
            in_lines(&self.config.audit.file, self.of_lines, &texts, &queries, most)
        })
    }

    fn stored(&mut self, query: &Query, most: usize) -> Vec<Value> {
        let Some(store) = &self.config.audit.store else { return Vec::new() };
        let found = match Archive::new(&store.folder).search(query, most) {
            Ok(found) => found,
            Err(error) => {
                self.warn(format!("the store of records cannot be read: {error}"));
                return Vec::new();
            }
        };
        for fault in &found.faults {
            self.warn(format!("some records cannot be read: {fault}"));
        }
        found.records.into_iter().rev().map(|found| found.record).collect()
    }

    /// Said once, however many records it is about.
    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// Whether a record is of what was done later, and of no decision.
pub(super) fn is_event(record: &Value) -> bool {
    record["event"].is_string()
}

/// What an earlier version wrote, or one that keeps no store. The file may be long, and is read once.
fn in_lines(
    file: &Path,
    octets: Option<u64>,
    texts: &[String],
    queries: &[Query],
    most: usize,
) -> Vec<Value> {
    let Ok(mut file) = File::open(file) else { return Vec::new() };
    let length = file.metadata().map_or(0, |about| about.len());
    if let Some(start) = octets.and_then(|octets| length.checked_sub(octets))
        && file.seek(SeekFrom::Start(start)).is_err()
    {
        return Vec::new();
    }
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_long_file_the_end_can_be_enough() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let record = |second: u32| {
            json!({"time": format!("2026-11-20T08:00:{second:02}Z"), "reference": "ABC", "client": "192.0.2.1"}).to_string()
        };
        let lines = [1, 2, 3].map(record);
        write!(file, "{}\n{}\n{}\n", lines[0], lines[1], lines[2]).unwrap();
        let what = What::Name("ABC".to_owned());
        let (texts, queries) = (what.texts(&Veil::none()), what.queries(None, &Veil::none()));
        let line = u64::try_from(lines[2].len() + 1).unwrap();
        for (octets, expected) in
            [(None, 3), (Some(line), 1), (Some(line * 2 - 1), 1), (Some(line * 9), 3)]
        {
            let found = in_lines(file.path(), octets, &texts, &queries, 10);
            assert_eq!(found.len(), expected, "{octets:?}");
            assert_eq!(found.last().unwrap()["time"], "2026-11-20T08:00:03Z");
        }
    }
}
