//! One list while the daemon runs: its sources, what was added or excepted by hand, whether it is switched on.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tracing::warn;

use super::kept::Kept;
use super::watched::Watched;
use crate::alarm::Alarms;
use crate::clock::Timestamp;
use crate::feed::{self, Content, FetchError, Fetched, LastGood, Load};
use crate::list::{Changes, Class, Entries, List, Listed, Loaded, Origin, Part, Remark, Source};
use crate::net::Prefix;
use crate::store::{Additions, Kind, ManualEntry};

/// One list with all that its entries are made of.
#[derive(Debug)]
pub(super) struct ListState {
    list: Arc<List>,
    sources: Vec<Watched>,
    /// Why its folder cannot be read.
    folder_fault: Option<String>,
    /// Why it could not be fetched the last time.
    fetch_fault: Option<String>,
    writes: bool,
    manual: usize,
    exceptions: usize,
    enabled: bool,
    /// The entries as they count: without the exceptions, with those added by hand.
    parts: Vec<Part>,
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
        let (sources, manual, exceptions, parts, changes) = Default::default();
        let (folder_fault, fetch_fault) = Default::default();
        let (writes, enabled) = (true, true);
        Self {
            list,
            sources,
            folder_fault,
            fetch_fault,
            writes,
            manual,
            exceptions,
            enabled,
            parts,
            loaded: now,
            changes,
        }
    }

    /// The same, to look at what is on disk without writing there.
    pub(super) fn reader(list: Arc<List>, now: Timestamp) -> Self {
        Self { writes: false, ..Self::new(list, now) }
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
    pub(super) fn load(&mut self, copies: &Path, kept: &Kept, alarms: &Alarms, now: Timestamp) {
        self.find_sources(copies, kept, now);
        self.read(|_source| true, alarms, now);
        self.settle(kept);
    }

    /// Reads the sources that have changed since the last look.
    pub(super) fn look(
        &mut self,
        copies: &Path,
        kept: &Kept,
        alarms: &Alarms,
        now: Timestamp,
    ) -> Looked {
        let is_folder = matches!(self.list.source, Source::Folder(_));
        let gone = is_folder && self.find_sources(copies, kept, now);
        let looked = self.read(Watched::settled, alarms, now);
        if gone && !looked.read {
            self.tell(alarms);
        }
        if gone || looked.changed {
            self.settle(kept);
        }
        Looked { changed: looked.changed || gone, read: looked.read || gone }
    }

    /// Takes in what was put; says how that went.
    pub(super) fn take(
        &mut self,
        content: Content,
        kept: &Kept,
        alarms: &Alarms,
        now: Timestamp,
    ) -> Load {
        let Some(source) = self.sources.first_mut() else { return Load::default() };
        let load = source.intake.take(content, now);
        self.has_taken(load, kept, alarms, now)
    }

    /// Remembers how taking in what came from outside went.
    fn has_taken(&mut self, load: Load, kept: &Kept, alarms: &Alarms, now: Timestamp) -> Load {
        let Some(source) = self.sources.first_mut() else { return load };
        note(&self.list, source, load.clone(), &mut self.changes);
        if load.changed {
            self.loaded = now;
            self.settle(kept);
        }
        self.tell(alarms);
        load
    }

    /// Takes in what was fetched, or remembers why nothing was; says whether the entries are others than before.
    pub(super) fn deliver(
        &mut self,
        result: Result<Fetched, FetchError>,
        kept: &Kept,
        alarms: &Alarms,
        now: Timestamp,
    ) -> bool {
        self.fetch_fault = result.as_ref().err().map(|error| {
            let (url, count) = (&self.list.source, self.entry_count());
            let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            let stays = match count {
                0 => "there is no earlier copy, the list is empty".to_owned(),
                count => format!("the last good {count} entries stay"),
            };
            format!("cannot fetch {url}: {error}{hint}; {stays}")
        });
        match result {
            Ok(Fetched::Content(content)) => self.take(content, kept, alarms, now).changed,
            Ok(Fetched::NotModified) => {
                let Some(source) = self.sources.first_mut() else { return false };
                let load = source.intake.stay(now);
                self.has_taken(load, kept, alarms, now).changed
            }
            Err(_) => {
                self.tell(alarms);
                false
            }
        }
    }

    /// Puts in force what was refused; `None` when nothing was.
    pub(super) fn accept(&mut self, kept: &Kept, alarms: &Alarms, now: Timestamp) -> Option<()> {
        let mut accepted = None;
        for source in &mut self.sources {
            let Some(load) = source.intake.accept(now) else { continue };
            accepted = Some(());
            note(&self.list, source, load, &mut self.changes);
        }
        accepted?;
        self.loaded = now;
        self.tell(alarms);
        self.settle(kept);
        accepted
    }

    /// The last good copy of what is fetched.
    pub(super) fn copy(&self) -> Option<LastGood> {
        Some(self.sources.first()?.intake.copy().clone())
    }

    /// Its entries as they count.
    pub(super) fn loaded(&self) -> Loaded {
        let parts = if self.enabled { self.parts.clone() } else { Vec::new() };
        Loaded { list: Arc::clone(&self.list), parts }
    }

    /// The number of its entries.
    pub(super) fn entry_count(&self) -> usize {
        self.parts.iter().map(|part| part.entries.len()).sum()
    }

    /// Whether one of them is or covers `prefix`, or is inside it.
    pub(super) fn has_to_do_with(&self, prefix: Prefix) -> bool {
        let mut entries = self.parts.iter().map(|part| &part.entries);
        entries.any(|entries| entries.covers(prefix) || entries.inside(prefix).next().is_some())
    }

    /// What came and went since it was last asked, by source.
    pub(super) fn take_changes(&mut self) -> Vec<(Arc<Origin>, Changes)> {
        std::mem::take(&mut self.changes)
    }

    /// Makes the entries that count from those of the sources and what is kept beside them.
    pub(super) fn settle(&mut self, kept: &Kept) {
        let of_kind = |kind| kept.manual(&self.list.name).filter(move |entry| entry.kind == kind);
        let exceptions = || of_kind(Kind::Excepted);
        let holes: Entries = exceptions().map(|exception| exception.prefix).collect();
        let cut = |source: &Watched| {
            let part = source.intake.part();
            if holes.is_empty() {
                return part;
            }
            Part { entries: Arc::new(part.entries.without(&holes)), ..part }
        };
        let mut parts: Vec<_> = self.sources.iter().map(cut).collect();
        // Of what people said, the last word counts.
        let manual = of_kind(Kind::Listed).map(|entry| {
            let later = exceptions().filter(|exception| exception.added > entry.added);
            let holes: Entries = later.map(|exception| exception.prefix).collect();
            let entries: Entries = std::iter::once(listed(entry)).collect();
            let mut entries = entries.without(&holes);
            entries.set_added(|_prefix| Some(entry.added));
            Part { origin: Arc::new(Origin::Manual), entries: Arc::new(entries) }
        });
        parts.extend(manual);
        parts.retain(|part| !part.entries.is_empty());
        self.manual = of_kind(Kind::Listed).count();
        self.exceptions = exceptions().count();
        self.enabled = kept.is_enabled(&self.list.name);
        self.parts = parts;
    }

    /// For `status`.
    pub(super) fn status(&self) -> ListStatus {
        let list = &self.list;
        let sources = || self.sources.iter();
        ListStatus {
            name: Arc::clone(&list.name),
            class: list.class,
            action: list.action.name(),
            kernel: list.kernel.name(),
            enforce: list.enforce,
            enabled: self.enabled,
            source: list.source.to_string(),
            format: sources().find_map(|source| Some(source.intake.format()?.name())),
            entries: self.entry_count(),
            manual: self.manual,
            exceptions: self.exceptions,
            rejected: sources().map(|source| source.last.rejected.count).sum(),
            fault: self.fault(),
            can_accept: sources().any(|source| source.last.can_accept),
            loaded: self.loaded,
        }
    }

    /// Makes the sources those that there are now; says whether some are gone with their entries.
    fn find_sources(&mut self, copies: &Path, kept: &Kept, now: Timestamp) -> bool {
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
        let mut additions = None;
        for origin in origins {
            if !self.sources.iter().any(|source| **source.intake.origin() == origin) {
                let list = Arc::clone(&self.list);
                let mut source = Watched::new(list, origin, copies, self.writes);
                if source.intake.restore(now) {
                    let additions =
                        additions.get_or_insert_with(|| kept.additions(&self.list.name));
                    source.intake.set_added(|prefix| added(additions, prefix));
                }
                self.sources.push(source);
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
        let own = [self.folder_fault.as_deref(), self.fetch_fault.as_deref()];
        let faults: Vec<_> = own.into_iter().flatten().chain(faults).collect();
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

/// An entry that somebody added, as one of its list.
fn listed(entry: &ManualEntry) -> Listed<'_> {
    let reason = entry.reason.as_deref().unwrap_or_default();
    let remark = Remark { value: None, reason, author: &entry.author };
    Listed { prefix: entry.prefix, line: 0, remark, expires: entry.expires }
}

/// Since when the list has `prefix`: since the journal says so, or since before it begins.
fn added(additions: &Additions, prefix: Prefix) -> Option<Timestamp> {
    let found = additions.since.binary_search_by_key(&prefix, |&(prefix, _since)| prefix);
    let since = found.ok().and_then(|index| additions.since.get(index));
    since.map(|&(_prefix, since)| since).or(additions.baseline)
}

/// The subject of a list's alarms.
pub(super) fn about(list: &List) -> String {
    format!("list:{}", list.name)
}
