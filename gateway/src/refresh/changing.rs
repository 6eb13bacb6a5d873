//! Makes the changes of lists that people ask for: keeps them, puts them in force, writes them into the journal.

use std::sync::Arc;

use tracing::info;

use super::Refresher;
use super::change::{ChangeError, Changed, ListChange, What};
use super::list_state::ListState;
use crate::clock::Timestamp;
use crate::feed::Content;
use crate::list::{Changes, Source, WIDEST_REFUSED};
use crate::net::Prefix;
use crate::store::{Kind, ManualEntry};

impl Refresher {
    /// Makes `change`, and answers once it is in force.
    pub(super) fn change(&mut self, change: ListChange) -> Result<Changed, ChangeError> {
        let ListChange { list, author, what } = change;
        let now = self.clock.now();
        let index = self.position(&list)?;
        let mut warnings = Vec::new();
        let mut rejected = 0;
        let done = match what {
            What::Add { prefix, reason, expires } => {
                refuse_too_wide(prefix)?;
                warnings = self.warnings(index, prefix);
                let entry = ManualEntry {
                    list: list.as_str().into(),
                    prefix,
                    kind: Kind::Listed,
                    reason: reason.map(Into::into),
                    author: author.as_str().into(),
                    added: now,
                    expires,
                };
                self.kept.add(&entry, now)?;
                self.note(index, &author, vec![prefix], Vec::new(), now);
                format!("added {prefix}")
            }
            What::Remove { prefix, reason, expires } => {
                let entry = ManualEntry {
                    list: list.as_str().into(),
                    prefix,
                    kind: Kind::Excepted,
                    reason: reason.map(Into::into),
                    author: author.as_str().into(),
                    added: now,
                    expires,
                };
                let done = self.remove(index, &entry, now)?;
                self.note(index, &author, Vec::new(), vec![prefix], now);
                done
            }
            What::Enable => {
                self.kept.set_enabled(&list, true, &author, now)?;
                "switched on".to_owned()
            }
            What::Disable => {
                self.kept.set_enabled(&list, false, &author, now)?;
                "switched off".to_owned()
            }
            What::Accept => {
                let state = self.lists.get_mut(index);
                let accepted = state.and_then(|state| state.accept(&self.kept, &self.alarms, now));
                accepted.ok_or(ChangeError::NothingToAccept { list: list.clone() })?;
                "accepted what was refused".to_owned()
            }
            What::Put { octets } => {
                rejected = self.put(index, octets, now)?;
                "replaced what was put before".to_owned()
            }
        };
        if let Some(state) = self.lists.get_mut(index) {
            state.settle(&self.kept);
        }
        info!(target: "list", "changed list={list} author={author:?} {done}");
        self.publish();
        let entries = self.lists.get(index).map_or(0, ListState::entry_count);
        Ok(Changed { list, done, entries, rules: self.rules.version, rejected, warnings })
    }

    fn position(&self, name: &str) -> Result<usize, ChangeError> {
        let found = self.lists.iter().position(|state| &*state.list().name == name);
        found.ok_or_else(|| ChangeError::UnknownList {
            name: name.chars().take(120).collect(),
            known: self.lists.iter().map(|state| state.list().name.to_string()).collect(),
        })
    }

    /// Takes a prefix out: the entry of that prefix that somebody added; where the source has more of it, an exception.
    fn remove(
        &mut self,
        index: usize,
        exception: &ManualEntry,
        now: Timestamp,
    ) -> Result<String, ChangeError> {
        let (list, prefix) = (&exception.list, exception.prefix);
        let removed = self.kept.remove(list, prefix, Kind::Listed, now)?;
        let Some(state) = self.lists.get_mut(index) else { return Ok(String::new()) };
        state.settle(&self.kept);
        let rest = state.has_to_do_with(prefix);
        if rest {
            refuse_too_wide(prefix)?;
            self.kept.add(exception, now)?;
        }
        match (removed, rest) {
            (true, false) => Ok(format!("removed {prefix}")),
            (true, true) => {
                Ok(format!("removed {prefix}, and excepted it from the rest of the list"))
            }
            (false, true) => Ok(format!("excepted {prefix} from the list")),
            (false, false) => Err(ChangeError::NotListed { list: list.to_string(), prefix }),
        }
    }

    fn put(&mut self, index: usize, octets: Vec<u8>, now: Timestamp) -> Result<usize, ChangeError> {
        let Some(state) = self.lists.get_mut(index) else { return Ok(0) };
        let list = state.list();
        if list.source != Source::Put {
            let (list, source_of) = (list.name.to_string(), list.source.to_string());
            return Err(ChangeError::HasSource { list, source_of });
        }
        let load = state.take(Content::local(octets, now), &self.kept, &self.alarms, now);
        match load.fault.filter(|_fault| load.can_accept) {
            Some(fault) => Err(ChangeError::Refused { fault, can_accept: true }),
            None => Ok(load.rejected.count),
        }
    }

    /// Remembers for the journal what somebody changed.
    fn note(
        &self,
        index: usize,
        author: &str,
        added: Vec<Prefix>,
        removed: Vec<Prefix>,
        now: Timestamp,
    ) {
        let Some(state) = self.lists.get(index) else { return };
        let changes = Changes::new(added, removed);
        self.kept.journal(&state.list().name, author, state.entry_count(), &changes, now);
    }

    /// What whoever adds `prefix` should know.
    fn warnings(&self, index: usize, prefix: Prefix) -> Vec<String> {
        let Some(state) = self.lists.get(index) else { return Vec::new() };
        let list = state.list();
        let mut warnings = Vec::new();
        if !list.enforce {
            warnings.push(format!("{} is a dry run: nothing is done about its entries", list.name));
        }
        if !self.kept.is_enabled(&list.name) {
            warnings.push(format!("{0} is switched off: `portcullis list enable {0}`", list.name));
        }
        if !list.class.is_good() {
            let protected = self.protected().into_iter().filter(|host| prefix.covers(*host));
            let hosts: Vec<_> = protected.map(|host| host.to_string()).collect();
            if !hosts.is_empty() {
                warnings.push(format!("protected hosts in it are not hit: {}", hosts.join(", ")));
            }
            let good = self
                .lists
                .iter()
                .filter(|other| other.list().class.is_good() && other.has_to_do_with(prefix));
            let good: Vec<_> = good.map(|other| Arc::clone(&other.list().name)).collect();
            if !good.is_empty() {
                warnings.push(format!("what is good in it is not hit: {}", good.join(", ")));
            }
        }
        warnings
    }
}

fn refuse_too_wide(prefix: Prefix) -> Result<(), ChangeError> {
    if prefix.length() <= WIDEST_REFUSED { Err(ChangeError::TooWide { prefix }) } else { Ok(()) }
}
