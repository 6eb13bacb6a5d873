//! Records counted by verdict, action, list and hour, and what the store holds.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;
use utoipa::ToSchema;

use crate::audit::{Archive, AuditError, Kind, Query, Seen, SegmentStatus};
use crate::clock::Timestamp;

/// Different words that are counted: senders of records with odd fields decide how many there are.
const MOST_WORDS: usize = 10_000;

/// What was counted.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = RecordCounts)]
pub struct Counts {
    /// Not older than that.
    pub since: Timestamp,
    /// Older than that.
    pub until: Timestamp,
    /// How many there are.
    pub records: u64,
    /// By verdict.
    pub codes: BTreeMap<String, u64>,
    /// By what was decided.
    pub actions: BTreeMap<String, u64>,
    /// By the list that decided.
    pub lists: BTreeMap<String, u64>,
    /// By hour.
    pub hours: BTreeMap<String, u64>,
    /// What the store holds.
    pub store: Store,
}

/// What the store holds.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = RecordStore)]
pub struct Store {
    /// Its files.
    pub segments: usize,
    /// How many there are.
    pub records: u64,
    /// Of all of them.
    pub octets: u64,
    /// The time of its first record.
    pub oldest: Option<Timestamp>,
    /// The time of its last one.
    pub newest: Option<Timestamp>,
    /// What of it cannot be read.
    pub damaged: Vec<String>,
}

/// How counting went.
#[derive(Debug)]
pub struct Counted {
    /// What was counted.
    pub counts: Counts,
    /// The record before which nothing was counted any more, as there were too many; `None` where all were.
    pub cut_at: Option<Timestamp>,
    /// What could not be read; records in it are not counted.
    pub faults: Vec<AuditError>,
}

impl Counts {
    /// Counts at most `most` of the records of `query` between two times.
    pub fn of(
        archive: &Archive,
        query: &Query,
        (since, until): (Timestamp, Timestamp),
        most: u64,
    ) -> Result<Counted, AuditError> {
        let query = Query { since: Some(since), until: Some(until), ..query.clone() };
        let mut counts = Self { since, until, ..Self::default() };
        let mut cut_at = None;
        let faults = archive.each(&query, |seen| {
            if counts.records == most {
                cut_at = Some(seen.terms.time);
                return ControlFlow::Break(());
            }
            counts.count(seen);
            ControlFlow::Continue(())
        })?;
        let (segments, unread) = archive.segments()?;
        counts.store = Store::new(&segments, &unread);
        Ok(Counted { counts, cut_at, faults })
    }

    fn count(&mut self, seen: Seen<'_>) {
        self.records += 1;
        let hour = seen.terms.time.strftime("%Y-%m-%dT%HZ").to_string();
        add(&mut self.hours, &hour);
        for word in &seen.terms.words {
            match word.kind() {
                Kind::Code => add(&mut self.codes, word.value()),
                Kind::Action => add(&mut self.actions, word.value()),
                Kind::List => add(&mut self.lists, word.value()),
                _ => {}
            }
        }
    }
}

fn add(counts: &mut BTreeMap<String, u64>, word: &str) {
    if let Some(count) = counts.get_mut(word) {
        *count += 1;
    } else if counts.len() < MOST_WORDS {
        counts.insert(word.to_owned(), 1);
    }
}

impl Store {
    fn new(segments: &[SegmentStatus], unread: &[AuditError]) -> Self {
        Self {
            segments: segments.len(),
            records: segments.iter().map(|segment| u64::from(segment.records)).sum(),
            octets: segments.iter().map(|segment| segment.octets).sum(),
            oldest: segments.iter().filter_map(|segment| segment.oldest).min(),
            newest: segments.iter().filter_map(|segment| segment.newest).max(),
            damaged: unread.iter().map(ToString::to_string).collect(),
        }
    }
}
