//! What is kept of lists beside their sources: what people added and took out, what is switched off, the journal.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::ChangeError;
use crate::alarm::Alarms;
use crate::clock::{Expiry, Timestamp};
use crate::list::Changes;
use crate::net::Prefix;
use crate::store::{Additions, Change, Damaged, Kind, ManualEntry, Opened, Store, StoreError};

/// The subject of its alarms.
const STORE: &str = "store";

/// The store, and what it held when it was last asked; lists go on without it.
#[derive(Debug)]
pub(super) struct Kept {
    store: Option<Store>,
    manual: Vec<ManualEntry>,
    switches: BTreeMap<Arc<str>, bool>,
    alarms: Alarms,
}

impl Kept {
    /// Nothing, where nothing can be kept.
    pub(super) fn none(alarms: Alarms) -> Self {
        Self { store: None, manual: Vec::new(), switches: BTreeMap::new(), alarms }
    }

    /// Opens the store in `state_dir`; what is wrong with it is an alarm.
    pub(super) fn open(state_dir: &Path, alarms: Alarms, now: Timestamp) -> Self {
        let mut kept = Self::none(alarms);
        match Store::open(state_dir, now) {
            Ok(Opened { store, damaged }) => {
                kept.store = Some(store);
                if let Some(Damaged { reason, aside }) = damaged {
                    let aside = aside.display();
                    kept.alarms.raise(STORE, &format!("it was damaged: {reason}; it is put aside as {aside}, manual entries, switches and the journal begin anew"));
                }
            }
            Err(error) => kept.tell(&error),
        }
        kept.read(now);
        kept
    }

    /// The same to look at only, `None` where there is no store or it cannot be read.
    pub(super) fn open_read_only(state_dir: &Path, now: Timestamp) -> Result<Self, StoreError> {
        let mut kept = Self::none(Alarms::default());
        kept.store = Store::open_read_only(state_dir)?;
        kept.read(now);
        Ok(kept)
    }

    /// What people added to the list and took out of it.
    pub(super) fn manual(&self, list: &str) -> impl Iterator<Item = &ManualEntry> {
        self.manual.iter().filter(move |entry| &*entry.list == list)
    }

    /// False when the list is switched off.
    pub(super) fn is_enabled(&self, list: &str) -> bool {
        self.switches.get(list).copied().unwrap_or(true)
    }

    /// When the first manual entry ends.
    pub(super) fn first_expiry(&self) -> Option<Expiry> {
        self.manual.iter().filter_map(|entry| entry.expires).min()
    }

    /// Since when the list has what it has, as the journal knows it.
    pub(super) fn additions(&self, list: &str) -> Additions {
        let Some(store) = &self.store else { return Additions::default() };
        store.additions(list).inspect_err(|error| self.tell(error)).unwrap_or_default()
    }

    /// Writes into the journal what came to a list and went from it.
    pub(super) fn journal(
        &self,
        list: &str,
        by: &str,
        entries: usize,
        changes: &Changes,
        at: Timestamp,
    ) {
        let Some(store) = &self.store else { return };
        let Changes { added, removed, untold } = changes;
        let change = Change { list, at, by, entries, added, removed, untold: *untold };
        if let Err(error) = store.record(&change) {
            self.tell(&error);
        }
    }

    /// Keeps an entry. One that lists a prefix ends the exceptions from it.
    pub(super) fn add(&mut self, entry: &ManualEntry, now: Timestamp) -> Result<(), ChangeError> {
        let store = self.store()?;
        store.add(entry)?;
        if entry.kind == Kind::Listed {
            let ended = self
                .manual(&entry.list)
                .filter(|other| other.kind == Kind::Excepted && entry.prefix.covers(other.prefix));
            for exception in ended {
                store.remove(&entry.list, exception.prefix, Kind::Excepted)?;
            }
        }
        self.read(now);
        Ok(())
    }

    /// Takes an entry away; says whether there was one.
    pub(super) fn remove(
        &mut self,
        list: &str,
        prefix: Prefix,
        kind: Kind,
        now: Timestamp,
    ) -> Result<bool, ChangeError> {
        let store = self.store()?;
        let gone = store.remove(list, prefix, kind)?.is_some();
        self.read(now);
        Ok(gone)
    }

    /// Switches a list on or off.
    pub(super) fn set_enabled(
        &mut self,
        list: &str,
        enabled: bool,
        author: &str,
        now: Timestamp,
    ) -> Result<(), ChangeError> {
        let store = self.store()?;
        store.set_enabled(list, enabled, author, now)?;
        self.read(now);
        Ok(())
    }

    /// Takes away what has ended by `now`, and gives it back.
    pub(super) fn forget_expired(&mut self, now: Timestamp) -> Vec<ManualEntry> {
        let Some(store) = &self.store else { return Vec::new() };
        let ended = store.forget_expired(now).inspect_err(|error| self.tell(error));
        let ended = ended.unwrap_or_default();
        // Also where the store cannot be written, what has ended counts no more.
        self.manual.retain(|entry| entry.expires.is_none_or(|expires| expires.is_after(now)));
        ended
    }

    fn store(&self) -> Result<&Store, ChangeError> {
        self.store.as_ref().ok_or(ChangeError::NoStore)
    }

    /// Reads what the store holds now.
    fn read(&mut self, now: Timestamp) {
        let Some(store) = &self.store else { return };
        match store.manual(now) {
            Ok(manual) => self.manual = manual,
            Err(error) => self.tell(&error),
        }
        match store.switches() {
            Ok(switches) => {
                let switches = switches.into_iter();
                self.switches = switches.map(|switch| (switch.list, switch.enabled)).collect();
            }
            Err(error) => self.tell(&error),
        }
    }

    fn tell(&self, error: &StoreError) {
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        self.alarms.raise(STORE, &format!("{error}{hint}"));
    }
}
