//! Makes the changes of lists that people ask for: keeps them, and puts them in force.

use std::sync::Arc;

use tracing::info;

use super::Refresher;
use super::change::{ChangeError, Changed, ListChange, What};
use super::list_state::{ListState, Noted};
use super::standing::{Standing, octets_of_put};
use crate::clock::Timestamp;
use crate::feed::Content;
use crate::list::{Changes, WIDEST_REFUSED, on_one_line};
use crate::net::Prefix;
use crate::store::{Kind, ManualEntry};

/// What a change comes to.
#[derive(Default)]
struct Made {
    done: String,
    rejected: usize,
    warnings: Vec<String>,
    changes: Changes,
}

impl Refresher {
    /// Makes `change`, and answers once it is in force.
    pub(super) fn change(&mut self, change: ListChange) -> Result<Changed, ChangeError> {
        let ListChange { list, author, what } = change;
        let now = self.clock.now();
        let index = self.position(&list)?;
        let said = |kind, prefix, reason: Option<String>, expires| ManualEntry {
            list: list.as_str().into(),
            prefix,
            kind,
            reason: reason.map(|reason| on_one_line(&reason).into()),
            author: on_one_line(&author).into(),
            added: now,
            expires,
        };
        let mut made = Made::default();
        match what {
            What::Add { prefix, reason, expires } => {
                refuse_too_wide(prefix)?;
                made.warnings = self.warnings(index, prefix);
                self.kept.add(said(Kind::Listed, prefix, reason, expires), now)?;
                made.changes.added.push(prefix);
                made.done = format!("added {prefix}");
            }
            What::Remove { prefix, reason, expires } => {
                let exception = said(Kind::Excepted, prefix, reason, expires);
                made.done = self.remove(index, exception, now)?;
                made.changes.removed.push(prefix);
            }
            What::Withdraw { prefix, reason } => {
                let exception = said(Kind::Excepted, prefix, reason, None);
                made.done = self.withdraw(index, exception, now)?;
                if !self.lists.get(index).is_some_and(|state| state.has_in_source(prefix)) {
                    made.changes.removed.push(prefix);
                }
            }
            What::Enable => {
                self.kept.set_enabled(&list, true, &author, now)?;
                "switched on".clone_into(&mut made.done);
            }
            What::Disable => {
                self.kept.set_enabled(&list, false, &author, now)?;
                "switched off".clone_into(&mut made.done);
            }
            What::Restore { prefix } => {
                let counted = self.lists.get(index).is_some_and(|state| state.covers(prefix));
                if !self.kept.remove(&list, prefix, Kind::Excepted, now)? {
                    return Err(ChangeError::NotExcepted { list, prefix });
                }
                made.done = format!("ended the exception of {prefix}");
                if let Some(state) = self.lists.get_mut(index) {
                    state.settle(&self.kept);
                    match (counted, state.covers(prefix)) {
                        (false, true) => made.changes.added.push(prefix),
                        (_, false) => {
                            let text = "not all of it is listed now: another exception takes it out, or the source has it no more";
                            made.warnings.push(text.to_owned());
                        }
                        (true, true) => {}
                    }
                }
            }
            What::Accept { seen } => {
                let by = format!("{author}, list accept");
                let state = self.lists.get_mut(index);
                let accepted = state.and_then(|state| {
                    state.accept(seen.as_deref(), &by, &self.kept, &self.alarms, now)
                });
                accepted.ok_or_else(|| {
                    let list = list.clone();
                    if seen.is_some() {
                        ChangeError::OtherCopy { list }
                    } else {
                        ChangeError::NothingToAccept { list }
                    }
                })?;
                "accepted what was refused".clone_into(&mut made.done);
            }
            What::Put { octets } => {
                let put = self.put(index, octets, &author, now);
                // A refusal is an alarm by now.
                self.tell();
                (made.rejected, made.warnings) = put?;
                "replaced what was put before".clone_into(&mut made.done);
            }
        }
        let Made { done, rejected, mut warnings, changes } = made;
        info!(target: "list", "changed list={list} author={author:?} {done}");
        if let Some(state) = self.lists.get_mut(index) {
            state.settle(&self.kept);
            if changes != Changes::default() {
                state.note(Noted { by: author, at: None, changes });
            }
        }
        if !self.publish() {
            let text = "the kernel has not taken it yet: the alarm `xdp-rules` in `portcullis status` says why; the daemon decides by it";
            warnings.push(text.to_owned());
        }
        let entries = self.lists.get(index).map_or(0, ListState::entry_count);
        Ok(Changed { list, done, entries, rules: self.rules.version, rejected, warnings })
    }

    /// What the list of that name has now.
    pub(super) fn standing(&self, name: &str) -> Result<Standing, ChangeError> {
        let found = self.lists.iter().find(|state| &*state.list().name == name);
        found.map(|state| state.standing(&self.kept)).ok_or_else(|| self.unknown(name))
    }

    fn position(&self, name: &str) -> Result<usize, ChangeError> {
        let found = self.lists.iter().position(|state| &*state.list().name == name);
        found.ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> ChangeError {
        ChangeError::UnknownList {
            name: name.chars().take(120).collect(),
            known: self.lists.iter().map(|state| state.list().name.to_string()).collect(),
        }
    }

    /// Takes a prefix out: the entry of that prefix that somebody added; where there is more of it, an exception.
    fn remove(
        &mut self,
        index: usize,
        exception: ManualEntry,
        now: Timestamp,
    ) -> Result<String, ChangeError> {
        let (list, prefix) = (exception.list.to_string(), exception.prefix);
        let rest = self.lists.get(index).is_some_and(|state| state.has_more_than(prefix));
        // First, since it cuts the entry, too: what fails between the two leaves nothing half done.
        if rest {
            refuse_too_wide(prefix)?;
            self.kept.add(exception, now)?;
        }
        let removed = self.kept.remove(&list, prefix, Kind::Listed, now)?;
        match (removed, rest) {
            (true, false) => Ok(format!("removed {prefix}")),
            (true, true) => {
                Ok(format!("removed {prefix}, and excepted it from the rest of the list"))
            }
            (false, true) => Ok(format!("excepted {prefix} from the list")),
            (false, false) => Err(ChangeError::NotListed { list, prefix }),
        }
    }

    /// The same where the source of the list has to do with the prefix, too: what it says stays, since an exception would cut it.
    fn withdraw(
        &mut self,
        index: usize,
        exception: ManualEntry,
        now: Timestamp,
    ) -> Result<String, ChangeError> {
        let (list, prefix) = (exception.list.to_string(), exception.prefix);
        if !self.lists.get(index).is_some_and(|state| state.has_in_source(prefix)) {
            return self.remove(index, exception, now);
        }
        if self.kept.remove(&list, prefix, Kind::Listed, now)? {
            Ok(format!("removed {prefix} as entered by hand; the source of the list has it, too"))
        } else {
            Err(ChangeError::NotListed { list, prefix })
        }
    }

    /// The number of lines that are no entries, and what else is wrong with what is in force now.
    fn put(
        &mut self,
        index: usize,
        octets: Vec<u8>,
        author: &str,
        now: Timestamp,
    ) -> Result<(usize, Vec<String>), ChangeError> {
        let Some(state) = self.lists.get_mut(index) else { return Ok((0, Vec::new())) };
        let octets = octets_of_put(state.list(), octets)?;
        let (content, by) = (Content::local(octets, now), format!("{author}, list put"));
        let load = state.take(content, Some(&by), &self.kept, &self.alarms, now);
        match load.fault {
            Some(fault) if load.can_accept => Err(ChangeError::Refused { fault, can_accept: true }),
            fault => Ok((load.rejected.count, fault.into_iter().collect())),
        }
    }

    /// What whoever adds `prefix` should know.
    fn warnings(&self, index: usize, prefix: Prefix) -> Vec<String> {
        let Some(state) = self.lists.get(index) else { return Vec::new() };
        let list = state.list();
        let mut warnings = Vec::new();
        if !list.enforce {
            warnings.push(format!("{} is a dry run: nothing is done about its entries", list.name));
        }
        if !state.is_enabled() {
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
                .filter(|other| other.is_good_now() && other.has_to_do_with(prefix));
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
