//! One list while the daemon runs: its sources, what was added or excepted by hand, whether it is switched on.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tracing::warn;

use super::watched::Watched;
use crate::alarm::Alarms;
use crate::clock::Timestamp;
use crate::feed::{self, Load};
use crate::list::{Changes, Class, Entries, List, Loaded, Origin, Part, Source};

/// One list with all that its entries are made of.
#[derive(Debug)]
pub(super) struct ListState {
    list: Arc<List>,
    sources: Vec<Watched>,
    /// Why its folder cannot be read.
    folder_fault: Option<String>,
    manual: Arc<Entries>,
    exceptions: Entries,
    enabled: bool,
    loaded: Timestamp,
    /// What came and went since it was last asked.
    changes: Vec<(Arc<Origin>, Changes)>,
}

/// One list, for `status`.
#[derive(Clone, Debug, Serialize)]
pub struct ListStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its class.
    pub class: Class,
    /// What is done about a match.
    pub action: &'static str,
    /// What the kernel does.
    pub kernel: &'static str,
    /// False: a dry run.
    pub enforce: bool,
    /// False: switched off by `list disable`.
    pub enabled: bool,
    /// Where its entries come from.
    pub source: String,
    /// The format of the source, `null` before there was any.
    pub format: Option<&'static str>,
    /// The entries in force, those added by hand among them.
    pub entries: usize,
    /// Those added by hand.
    pub manual: usize,
    /// The prefixes that were taken out by hand.
    pub exceptions: usize,
    /// The lines of the source that are no entries.
    pub rejected: usize,
    /// Why the source as it is now is not in force.
    pub fault: Option<String>,
    /// Whether `list accept` puts it in force all the same.
    pub can_accept: bool,
    /// When the entries in force were read.
    pub loaded: Timestamp,
}

/// How a look at the sources of a list went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    /// Whether anything was read.
    pub(super) read: bool,
    /// Whether the entries are others than before.
    pub(super) changed: bool,
}

impl ListState {
    /// The list with nothing read yet.
    pub(super) fn new(list: Arc<List>, now: Timestamp) -> Self {
        let (sources, folder_fault, manual, exceptions, changes) = Default::default();
        Self {
            list,
            sources,
            folder_fault,
            manual,
            exceptions,
            enabled: true,
            loaded: now,
            changes,
        }
    }

    /// The list.
    pub(super) fn list(&self) -> &Arc<List> {
        &self.list
    }

    /// Takes a changed description of the same list.
    pub(super) fn set_list(&mut self, list: Arc<List>) {
        for source in &mut self.sources {
            source.intake.set_list(Arc::clone(&list));
        }
        self.list = list;
    }

    /// Reads all sources.
    pub(super) fn load(&mut self, copies: &Path, alarms: &Alarms, now: Timestamp) -> Looked {
        self.find_sources(copies);
        self.read(|_source| true, alarms, now)
    }

    /// Reads the sources that have changed since the last look.
    pub(super) fn look(&mut self, copies: &Path, alarms: &Alarms, now: Timestamp) -> Looked {
        let found = matches!(self.list.source, Source::Folder(_)) && self.find_sources(copies);
        let looked = self.read(Watched::settled, alarms, now);
        if found && !looked.read {
            self.tell(alarms);
        }
        Looked { changed: looked.changed || found, read: looked.read || found }
    }

    /// Its entries as they count.
    pub(super) fn loaded(&self) -> Loaded {
        let manual = Part { origin: Arc::new(Origin::Manual), entries: Arc::clone(&self.manual) };
        let cut = |part: Part| {
            if self.exceptions.is_empty() {
                return part;
            }
            Part { entries: Arc::new(part.entries.without(&self.exceptions)), ..part }
        };
        let sources = self.sources.iter().map(|source| cut(source.intake.part()));
        let parts = sources.chain([manual]).filter(|part| self.enabled && !part.entries.is_empty());
        Loaded { list: Arc::clone(&self.list), parts: parts.collect() }
    }

    /// What came and went since it was last asked, by source.
    pub(super) fn take_changes(&mut self) -> Vec<(Arc<Origin>, Changes)> {
        std::mem::take(&mut self.changes)
    }

    /// For `status`.
    pub(super) fn status(&self) -> ListStatus {
        let list = &self.list;
        let sources = || self.sources.iter();
        let entries: usize = sources().map(|source| source.intake.entries().len()).sum();
        ListStatus {
            name: Arc::clone(&list.name),
            class: list.class,
            action: list.action.name(),
            kernel: list.kernel.name(),
            enforce: list.enforce,
            enabled: self.enabled,
            source: list.source.to_string(),
            format: sources().find_map(|source| Some(source.intake.format()?.name())),
            entries: entries + self.manual.len(),
            manual: self.manual.len(),
            exceptions: self.exceptions.len(),
            rejected: sources().map(|source| source.last.rejected.count).sum(),
            fault: self.fault(),
            can_accept: sources().any(|source| source.last.can_accept),
            loaded: self.loaded,
        }
    }

    /// Makes the sources those that there are now; says whether some are gone with their entries.
    fn find_sources(&mut self, copies: &Path) -> bool {
        let origins = match feed::origins(&self.list.source) {
            Ok(origins) => origins,
            Err(error) => {
                self.folder_fault = Some(format!(
                    "cannot read {}: {error}; the last good entries stay",
                    self.list.source
                ));
                return false;
            }
        };
        if origins.is_empty()
            && self.sources.iter().any(|source| !source.intake.entries().is_empty())
        {
            self.folder_fault = Some(format!(
                "{} has no files any more; the last good entries stay (a file with a line `# empty` says that this is meant)",
                self.list.source
            ));
            return false;
        }
        self.folder_fault = None;
        let is_there = |source: &Watched| origins.contains(source.intake.origin());
        let gone: Vec<_> = self.sources.extract_if(.., |source| !is_there(source)).collect();
        for origin in origins {
            if !self.sources.iter().any(|source| **source.intake.origin() == origin) {
                self.sources.push(Watched::new(Arc::clone(&self.list), origin, copies));
            }
        }
        for gone in &gone {
            let removed = gone.intake.entries().prefixes().collect();
            let changes = Changes { added: Vec::new(), removed };
            self.changes.push((Arc::clone(gone.intake.origin()), changes));
        }
        gone.iter().any(|gone| !gone.intake.entries().is_empty())
    }

    /// Reads those sources that `is_due`.
    fn read(
        &mut self,
        mut is_due: impl FnMut(&mut Watched) -> bool,
        alarms: &Alarms,
        now: Timestamp,
    ) -> Looked {
        let mut looked = Looked::default();
        for source in &mut self.sources {
            if !is_due(source) {
                continue;
            }
            let load = source.load(now);
            looked.read = true;
            looked.changed |= load.changed;
            note(&self.list, source, load, &mut self.changes);
        }
        if looked.changed {
            self.loaded = now;
        }
        if looked.read {
            self.tell(alarms);
        }
        looked
    }

    /// Why what the sources hold now is not in force.
    fn fault(&self) -> Option<String> {
        let faults = self.sources.iter().filter_map(|source| source.last.fault.as_deref());
        let faults: Vec<_> = self.folder_fault.as_deref().into_iter().chain(faults).collect();
        (!faults.is_empty()).then(|| faults.join("; "))
    }

    /// Says as an alarm what is wrong with the sources.
    fn tell(&self, alarms: &Alarms) {
        let accept = self.sources.iter().any(|source| source.last.can_accept);
        let hint = if accept {
            format!("; `portcullis list accept {}` puts it in force all the same", self.list.name)
        } else {
            String::new()
        };
        let fault = self.fault().map(|fault| format!("{fault}{hint}"));
        let text = fault.or_else(|| {
            let count: usize = self.sources.iter().map(|source| source.last.rejected.count).sum();
            let source = self.sources.iter().find(|source| source.last.rejected.count > 0)?;
            let (origin, first) = (source.intake.origin(), source.last.rejected.first.first()?);
            let name = &self.list.name;
            Some(format!("rejected lines: {count}, the first in {origin} is {first}; see `portcullis list check {name}`"))
        });
        alarms.set(&about(&self.list), text.as_deref());
    }
}

/// Remembers how a reading went, and logs what is new about it.
fn note(
    list: &List,
    source: &mut Watched,
    mut load: Load,
    changes: &mut Vec<(Arc<Origin>, Changes)>,
) {
    let origin = source.intake.origin();
    let what = std::mem::take(&mut load.changes);
    if what != Changes::default() {
        changes.push((Arc::clone(origin), what));
    }
    if load.rejected != source.last.rejected {
        for error in &load.rejected.first {
            warn!(target: "list", "rejected list={} {origin}:{}: `{}`: {}", list.name, error.line, error.text, error.fault);
        }
    }
    source.last = load;
}

/// The subject of a list's alarms.
pub(super) fn about(list: &List) -> String {
    format!("list:{}", list.name)
}
