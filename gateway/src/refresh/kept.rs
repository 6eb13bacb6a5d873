//! What is kept of lists beside their sources: what people added and took out, what is switched off, the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::SignedDuration;

use super::ChangeError;
use crate::alarm::Alarms;
use crate::clock::{Expiry, Timestamp};
use crate::list::Changes;
use crate::net::Prefix;
use crate::policy::SetThresholds;
use crate::store::{
    Additions, Change, Damaged, KeptZone, Kind, ManualEntry, Opened, Store, StoreError, Switch,
};

/// The most entries and exceptions that people can make in one list: whoever has more has a source.
const MOST_MANUAL: usize = 100_000;

/// The subject of its alarms.
const STORE: &str = "store";

/// The store, and what it held when it was last asked; lists go on without it.
#[derive(Debug)]
pub(super) struct Kept {
    store: Option<Store>,
    manual: Vec<ManualEntry>,
    switches: BTreeMap<Arc<str>, Switch>,
    zones: BTreeMap<Arc<str>, KeptZone>,
    slider: Option<SetThresholds>,
    /// False: what it holds is looked at, by a command.
    writes: bool,
    was_damaged: bool,
    alarms: Alarms,
}

impl Kept {
    /// Nothing, where nothing can be kept.
    pub(super) fn none(alarms: Alarms) -> Self {
        let (manual, switches, zones, slider) = Default::default();
        let (writes, was_damaged) = (true, false);
        Self { store: None, manual, switches, zones, slider, writes, was_damaged, alarms }
    }

    /// Opens the store in `state_dir`; what is wrong with it is an alarm.
    pub(super) fn open(state_dir: &Path, alarms: Alarms, now: Timestamp) -> Self {
        let mut kept = Self::none(alarms);
        match Store::open(state_dir, now) {
            Ok(Opened { store, damaged }) => {
                kept.store = Some(store);
                if let Some(Damaged { reason, aside }) = damaged {
                    kept.was_damaged = true;
                    let aside = aside.display();
                    kept.alarms.raise(STORE, &format!("it was damaged: {reason}; it is put aside as {aside}, manual entries, switches and the journal begin anew"));
                }
            }
            Err(error) => kept.tell(&error),
        }
        kept.read(now);
        kept
    }

    /// The same to look at only; nothing is kept where there is no store yet.
    pub(super) fn open_read_only(state_dir: &Path, now: Timestamp) -> Result<Self, StoreError> {
        let mut kept = Self::none(Alarms::default());
        kept.store = Store::open_read_only(state_dir)?;
        kept.writes = false;
        kept.read(now);
        Ok(kept)
    }

    /// What people added to the list and took out of it.
    pub(super) fn manual(&self, list: &str) -> impl Iterator<Item = &ManualEntry> {
        self.manual.iter().filter(move |entry| &*entry.list == list)
    }

    /// The last word on whether the list counts.
    pub(super) fn switch(&self, list: &str) -> Option<&Switch> {
        self.switches.get(list)
    }

    /// The last word on a zone.
    pub(super) fn zone(&self, name: &str) -> Option<&KeptZone> {
        self.zones.get(name)
    }

    /// The thresholds that were set by hand.
    pub(super) fn slider(&self) -> Option<&SetThresholds> {
        self.slider.as_ref()
    }

    /// The names of all lists of which something is kept that counts.
    pub(super) fn lists(&self) -> BTreeSet<&str> {
        let off = self.switches.values().filter(|switch| !switch.enabled);
        let manual = self.manual.iter().map(|entry| &*entry.list);
        manual.chain(off.map(|switch| &*switch.list)).collect()
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
        match store.record(&change) {
            Ok(()) => self.is_well(),
            Err(error) => self.tell(&error),
        }
    }

    /// Keeps an entry; it counts as the last word, also where the clock was set back.
    pub(super) fn add(
        &mut self,
        mut entry: ManualEntry,
        now: Timestamp,
    ) -> Result<(), ChangeError> {
        let store = self.store()?;
        if self.manual(&entry.list).count() >= MOST_MANUAL {
            return Err(ChangeError::TooMany { list: entry.list.to_string(), most: MOST_MANUAL });
        }
        let newest = self.manual(&entry.list).map(|other| other.added).max();
        let next =
            newest.and_then(|newest| newest.checked_add(SignedDuration::from_micros(1)).ok());
        entry.added = next.map_or(entry.added, |next| entry.added.max(next));
        store.add(&entry)?;
        self.is_well();
        self.read(now);
        Ok(())
    }

    /// Keeps entries of one list that replace no other, all of them or none of those that come after a fault.
    pub(super) fn add_all(
        &mut self,
        entries: Vec<ManualEntry>,
        now: Timestamp,
    ) -> Result<(), ChangeError> {
        let store = self.store()?;
        let added = entries.iter().try_for_each(|entry| store.add(entry).map(drop));
        self.read(now);
        Ok(added?)
    }

    /// Keeps what is said of a zone.
    pub(super) fn keep_zone(&mut self, zone: &KeptZone, now: Timestamp) -> Result<(), ChangeError> {
        self.store()?.keep_zone(zone)?;
        self.read(now);
        Ok(())
    }

    /// Forgets what was said of a zone.
    pub(super) fn forget_zone(&mut self, name: &str, now: Timestamp) -> Result<(), ChangeError> {
        self.store()?.forget_zone(name)?;
        self.read(now);
        Ok(())
    }

    /// Keeps thresholds in the place of those of the configuration.
    pub(super) fn keep_slider(&mut self, set: SetThresholds) -> Result<(), ChangeError> {
        self.store()?.keep_slider(&set)?;
        self.slider = Some(set);
        Ok(())
    }

    /// Forgets them.
    pub(super) fn forget_slider(&mut self) -> Result<(), ChangeError> {
        self.store()?.forget_slider()?;
        self.slider = None;
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

    /// The store, for what is kept there beside lists.
    pub(super) fn store(&self) -> Result<&Store, ChangeError> {
        self.store.as_ref().ok_or(ChangeError::NoStore)
    }

    /// Reads what the store holds now.
    fn read(&mut self, now: Timestamp) {
        let Some(store) = &self.store else { return };
        // The daemon takes away itself what has ended, so that it is written down; whoever only looks must not see it.
        let after = if self.writes { Timestamp::MIN } else { now };
        match store.manual(after) {
            Ok(manual) => self.manual = manual,
            Err(error) => self.tell(&error),
        }
        match store.switches() {
            Ok(switches) => {
                let switches = switches.into_iter();
                let named = switches.map(|switch| (Arc::clone(&switch.list), switch));
                self.switches = named.collect();
            }
            Err(error) => self.tell(&error),
        }
        match store.zones() {
            Ok(zones) => {
                let named = zones.into_iter().map(|zone| (Arc::clone(&zone.name), zone));
                self.zones = named.collect();
            }
            Err(error) => self.tell(&error),
        }
        match store.slider() {
            Ok(slider) => self.slider = slider,
            Err(error) => self.tell(&error),
        }
    }

    fn is_well(&self) {
        if !self.was_damaged {
            self.alarms.clear(STORE);
        }
    }

    fn tell(&self, error: &StoreError) {
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        self.alarms.raise(STORE, &format!("{error}{hint}"));
    }
}
