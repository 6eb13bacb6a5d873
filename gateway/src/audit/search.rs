//! Finds records in the store, beside a daemon or without one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::Value;

use super::AuditError;
use super::folder::{Folder, Form};
use super::growing::GrowingReader;
use super::query::{Cursor, Query};
use super::sealed::SealedReader;
use super::terms::Terms;
use crate::clock::Timestamp;

/// The store, to be read. Records come in the order in which they were written.
#[derive(Clone, Debug)]
pub struct Archive(Folder);

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// The records.
    pub records: Vec<FoundRecord>,
    /// Whether there are more.
    pub has_more: bool,
    /// What could not be read; records in it are not found.
    pub faults: Vec<AuditError>,
}

impl Found {
    /// Where a search for more begins.
    pub fn next(&self) -> Option<Cursor> {
        self.records.last().filter(|_last| self.has_more).map(|last| last.at)
    }
}

/// One record with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRecord {
    /// Where it is.
    pub at: Cursor,
    /// Its fields.
    pub record: Value,
}

/// A line of the trail with its place.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Where it is.
    pub at: Cursor,
    /// The record as it was written.
    pub line: &'a str,
    /// What it can be found by.
    pub terms: &'a Terms<'a>,
}

/// One segment as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SegmentStatus {
    /// Its number.
    pub segment: u64,
    /// Whether nothing more comes into it.
    pub sealed: bool,
    /// How many records it has.
    pub records: u32,
    /// Octets of its files.
    pub octets: u64,
    /// The time of its first record.
    pub oldest: Option<Timestamp>,
    /// The time of its last one.
    pub newest: Option<Timestamp>,
}

impl Archive {
    /// The store in that folder, which need not be there yet.
    pub fn new(folder: &Path) -> Self {
        Self(Folder::new(folder))
    }

    /// Octets of all its files.
    pub fn octets(&self) -> Result<u64, AuditError> {
        Ok(self.0.octets()?.values().sum())
    }

    /// At most `limit` records that are looked for.
    pub fn search(&self, query: &Query, limit: usize) -> Result<Found, AuditError> {
        let mut found = Found::default();
        let (mut records, mut has_more) = (Vec::new(), false);
        found.faults = self.each(query, |seen| {
            if records.len() == limit {
                has_more = true;
                return ControlFlow::Break(());
            }
            if let Ok(record) = serde_json::from_str(seen.line) {
                records.push(FoundRecord { at: seen.at, record });
            }
            ControlFlow::Continue(())
        })?;
        (found.records, found.has_more) = (records, has_more);
        Ok(found)
    }

    /// Hands each record that is looked for to `each`, until it has enough; what could not be read comes back.
    pub fn each(
        &self,
        query: &Query,
        mut each: impl FnMut(Seen<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<AuditError>, AuditError> {
        let mut faults = Vec::new();
        let mut segments: Vec<_> = self.0.segments()?.into_iter().collect();
        if query.newest_first {
            segments.reverse();
        }
        for (number, form) in segments {
            let at = Cursor { segment: number, record: 0 };
            let is_done = query.after.is_some_and(|after| {
                if query.newest_first { number > after.segment } else { number < after.segment }
            });
            if is_done {
                continue;
            }
            match self.in_segment(at, form, query, &mut each) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(error) if error.is_missing() => {}
                Err(error) => faults.push(error),
            }
        }
        Ok(faults)
    }

    fn in_segment(
        &self,
        at: Cursor,
        form: Form,
        query: &Query,
        each: &mut impl FnMut(Seen<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, AuditError> {
        let mut reader = self.open(at.segment, form)?;
        let after = query.after.filter(|after| after.segment == at.segment);
        let after = after.map(|after| after.record);
        let mut found = reader.candidates(query)?;
        if form == Form::Growing && self.0.sealed(at.segment).exists() {
            // It was sealed meanwhile, and its log may have gone before it was read.
            reader = self.open(at.segment, Form::Sealed)?;
            found = reader.candidates(query)?;
        }
        if let Some(after) = after {
            found.retain(|id| if query.newest_first { *id < after } else { *id > after });
        }
        if query.newest_first {
            found.reverse();
        }
        for record in found {
            let Some(line) = reader.line(record)? else { continue };
            let terms = Terms::of(&line);
            // Two words may have one key.
            if !query.matches(&terms) {
                continue;
            }
            let seen = Seen { at: Cursor { record, ..at }, line: &line, terms: &terms };
            if each(seen).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn open(&self, number: u64, form: Form) -> Result<Reader, AuditError> {
        let sealed = || SealedReader::open(&self.0.sealed(number)).map(Reader::Sealed);
        if form == Form::Sealed {
            return sealed();
        }
        match GrowingReader::open(&self.0.growing(number)) {
            // It was sealed since the folder was read.
            Err(_gone) if self.0.sealed(number).exists() => sealed(),
            other => other.map(Reader::Growing),
        }
    }

    /// What the store has, and what of it cannot be read.
    pub fn segments(&self) -> Result<(Vec<SegmentStatus>, Vec<AuditError>), AuditError> {
        let octets = self.0.octets()?;
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        for (segment, form) in self.0.segments()? {
            match self.open(segment, form).and_then(|reader| reader.extent()) {
                Ok((records, first, last)) => {
                    let time =
                        |time| Timestamp::from_microsecond(time).ok().filter(|_time| records > 0);
                    all.push(SegmentStatus {
                        segment,
                        sealed: form == Form::Sealed,
                        records,
                        octets: octets.get(&segment).copied().unwrap_or(0),
                        oldest: time(first),
                        newest: time(last),
                    });
                }
                Err(error) if error.is_missing() => {}
                Err(error) => faults.push(error),
            }
        }
        Ok((all, faults))
    }

    /// Begins to follow the trail behind what is there now.
    pub fn follow(&self) -> Result<Follower, AuditError> {
        let (segments, _faults) = self.segments()?;
        let read = segments.iter().map(|status| (status.segment, status.records)).collect();
        Ok(Follower { archive: self.clone(), read })
    }
}

/// Who follows the trail. Daemons that hand over write side by side, so that each segment is followed by itself.
#[derive(Debug)]
pub struct Follower {
    archive: Archive,
    /// How much of each segment was seen.
    read: BTreeMap<u64, u32>,
}

impl Follower {
    /// Whether that record was there when the following began: it will not be handed on.
    pub fn has_seen(&self, at: Cursor) -> bool {
        self.read.get(&at.segment).is_some_and(|read| at.record <= *read)
    }

    /// Hands what has come since the last call, and is looked for, to `each`.
    pub fn next(
        &mut self,
        query: &Query,
        mut each: impl FnMut(Seen<'_>),
    ) -> Result<Vec<AuditError>, AuditError> {
        let mut faults = Vec::new();
        let segments = self.archive.0.segments()?;
        self.read.retain(|number, _read| segments.contains_key(number));
        for (number, form) in segments {
            let read = self.read.get(&number).copied().unwrap_or(0);
            if form == Form::Sealed && self.read.contains_key(&number) && read == u32::MAX {
                continue;
            }
            let mut seen = read;
            let followed = self.follow(number, form, &mut seen, query, &mut each);
            // What was handed on is not handed on again, though something behind it could not be read.
            if seen > 0 {
                self.read.insert(number, seen);
            }
            match followed {
                Err(error) if !error.is_missing() => faults.push(error),
                _ => {}
            }
        }
        Ok(faults)
    }

    /// How much of a segment is seen now; of one that is sealed and seen as a whole nothing more is asked.
    fn follow(
        &self,
        number: u64,
        form: Form,
        read: &mut u32,
        query: &Query,
        each: &mut impl FnMut(Seen<'_>),
    ) -> Result<(), AuditError> {
        let mut reader = self.archive.open(number, form)?;
        let (records, ..) = reader.extent()?;
        for record in read.saturating_add(1)..=records {
            let line = reader.line(record)?;
            *read = record;
            let Some(line) = line else { continue };
            let terms = Terms::of(&line);
            if query.matches(&terms) {
                each(Seen { at: Cursor { segment: number, record }, line: &line, terms: &terms });
            }
        }
        if form == Form::Sealed {
            *read = u32::MAX;
        }
        Ok(())
    }
}

/// One segment, however it is stored.
#[derive(Debug)]
enum Reader {
    Growing(GrowingReader),
    Sealed(SealedReader),
}

impl Reader {
    fn extent(&self) -> Result<(u32, i64, i64), AuditError> {
        match self {
            Self::Growing(reader) => reader.extent(),
            Self::Sealed(reader) => Ok(reader.extent()),
        }
    }

    fn candidates(&self, query: &Query) -> Result<Vec<u32>, AuditError> {
        match self {
            Self::Growing(reader) => reader.candidates(query, 0),
            Self::Sealed(reader) => reader.candidates(query),
        }
    }

    fn line(&mut self, id: u32) -> Result<Option<String>, AuditError> {
        match self {
            Self::Growing(reader) => reader.line(id),
            Self::Sealed(reader) => reader.line(id),
        }
    }
}
