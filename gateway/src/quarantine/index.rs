//! What the quarantine holds and what is on its way in, counted against its bounds; made anew from the folders at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use jiff::SignedDuration;

use super::folder::Folder;
use super::{HeldMessage, Id, QuarantineError, Row, Settings};
use crate::clock::Timestamp;

/// What is in the quarantine.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Whether the folders were read.
    is_known: bool,
    /// Whether the last thing that was tried went wrong.
    is_ill: bool,
    held: BTreeMap<Id, Entry>,
    /// Octets of all that is held.
    octets: u64,
    /// Messages on their way in.
    coming: usize,
    /// Their octets so far.
    coming_octets: u64,
}

/// One message.
#[derive(Clone, Copy, Debug)]
struct Entry {
    since: Timestamp,
    octets: u64,
    /// Whether somebody releases or deletes it.
    is_taken: bool,
}

impl Index {
    pub(super) const fn is_known(&self) -> bool {
        self.is_known
    }

    pub(super) const fn is_ill(&self) -> bool {
        self.is_ill
    }

    pub(super) const fn set_ill(&mut self, is_ill: bool) {
        self.is_ill = is_ill;
    }

    pub(super) fn messages(&self) -> usize {
        self.held.len()
    }

    pub(super) const fn octets(&self) -> u64 {
        self.octets
    }

    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.held.values().map(|entry| entry.since).min()
    }

    /// Takes up what the folders have: messages that another daemon or a person put there or took away.
    pub(super) fn look(&mut self, folder: &Folder) -> io::Result<()> {
        let names: BTreeSet<_> = folder.names()?.into_iter().collect();
        let gone: Vec<_> = self.held.keys().filter(|id| !names.contains(*id)).cloned().collect();
        for id in gone {
            self.remove(&id);
        }
        for id in names {
            if !self.held.contains_key(&id) {
                self.take_up(folder, id);
            }
        }
        self.is_known = true;
        Ok(())
    }

    /// Takes up one message; one that is gone in the meantime is none.
    fn take_up(&mut self, folder: &Folder, id: Id) {
        let Ok(octets) = folder.size(&id) else { return };
        let record = folder.record(&id).ok();
        let record: Option<HeldMessage> =
            record.and_then(|octets| serde_json::from_slice(&octets).ok());
        let modified = || {
            let metadata = std::fs::metadata(folder.message(&id)).ok()?;
            Timestamp::try_from(metadata.modified().ok()?).ok()
        };
        let since = record.map(|record| record.time).or_else(modified);
        self.put(id, since.unwrap_or(Timestamp::UNIX_EPOCH), octets);
    }

    pub(super) fn put(&mut self, id: Id, since: Timestamp, octets: u64) {
        let entry = Entry { since, octets, is_taken: false };
        if let Some(former) = self.held.insert(id, entry) {
            self.octets = self.octets.saturating_sub(former.octets);
        }
        self.octets = self.octets.saturating_add(octets);
    }

    pub(super) fn remove(&mut self, id: &Id) {
        if let Some(entry) = self.held.remove(id) {
            self.octets = self.octets.saturating_sub(entry.octets);
        }
    }

    /// Says that somebody has this message from now on.
    pub(super) fn take(&mut self, folder: &Folder, id: &Id) -> Result<(), QuarantineError> {
        if !self.held.contains_key(id) {
            self.take_up(folder, id.clone());
        }
        match self.held.get_mut(id) {
            None => Err(QuarantineError::Unknown(id.clone())),
            Some(entry) if entry.is_taken => Err(QuarantineError::Taken(id.clone())),
            Some(entry) => {
                entry.is_taken = true;
                Ok(())
            }
        }
    }

    pub(super) fn give_back(&mut self, id: &Id) {
        if let Some(entry) = self.held.get_mut(id) {
            entry.is_taken = false;
        }
    }

    /// Whether one more message would be within the bounds.
    pub(super) fn has_room(&self, settings: &Settings) -> Result<(), QuarantineError> {
        let messages = self.held.len() + self.coming;
        if messages >= settings.max_messages {
            return Err(QuarantineError::Full {
                found: format!("{messages} messages"),
                bound: format!("max_messages = {}", settings.max_messages),
            });
        }
        self.has_octets(1, settings)
    }

    /// Counts a message on its way in.
    pub(super) fn admit(&mut self, settings: &Settings) -> Result<(), QuarantineError> {
        self.has_room(settings)?;
        self.coming += 1;
        Ok(())
    }

    /// Counts octets of a message on its way in.
    pub(super) fn reserve(
        &mut self,
        octets: u64,
        settings: &Settings,
    ) -> Result<(), QuarantineError> {
        self.has_octets(octets, settings)?;
        self.coming_octets += octets;
        Ok(())
    }

    fn has_octets(&self, more: u64, settings: &Settings) -> Result<(), QuarantineError> {
        let octets = self.octets.saturating_add(self.coming_octets).saturating_add(more);
        if octets > settings.max_size {
            return Err(QuarantineError::Full {
                found: format!("{octets} octets"),
                bound: format!("max_size = {}", settings.max_size),
            });
        }
        Ok(())
    }

    /// A message is no longer on its way in.
    pub(super) fn free(&mut self, octets: u64) {
        self.coming = self.coming.saturating_sub(1);
        self.coming_octets = self.coming_octets.saturating_sub(octets);
    }

    /// All of them, without their records.
    pub(super) fn newest_first(&self) -> Vec<Row> {
        let row = |(id, entry): (&Id, &Entry)| Row {
            id: id.clone(),
            since: entry.since,
            octets: entry.octets,
            is_taken: entry.is_taken,
            message: Err(String::new()),
        };
        let mut rows: Vec<_> = self.held.iter().map(row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.since));
        rows
    }

    /// Some of those that have been here for `keep_for`, and belong to nobody.
    pub(super) fn over(&self, now: Timestamp, keep_for: Duration, most: usize) -> Vec<Id> {
        let keep_for = SignedDuration::try_from(keep_for).unwrap_or(SignedDuration::MAX);
        let is_over =
            |entry: &Entry| !entry.is_taken && now.duration_since(entry.since) >= keep_for;
        let over = self.held.iter().filter(|(_id, entry)| is_over(entry));
        over.map(|(id, _entry)| id.clone()).take(most).collect()
    }
}
