//! One list while the daemon runs: its sources, what was added or excepted by hand, whether it is switched on.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tracing::warn;
use utoipa::ToSchema;

use super::by_hand::ByHand;
use super::kept::Kept;
use super::standing::{Standing, Waiting};
use super::watched::Watched;
use crate::alarm::Alarms;
use crate::clock::Timestamp;
use crate::feed::{self, Content, FetchError, Fetched, HeldBack, LastGood, Load, Refused};
use crate::list::{Changes, Class, Entry, Format, List, Loaded, Origin, Part, Source};
use crate::net::Prefix;
use crate::store::{Additions, Switch};

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
    /// The last word on whether it counts; without any it does.
    switch: Option<Switch>,
    /// Whether the journal has its beginning.
    is_journalled: bool,
    /// The entries as they count: without the exceptions, with those added by hand.
    parts: Vec<Part>,
    loaded: Timestamp,
    /// What came and went since it was last asked.
    noted: Vec<Noted>,
}

/// What came to a list or went from it, for the journal.
#[derive(Debug)]
pub(super) struct Noted {
    /// Its source, a person, or its end.
    pub(super) by: String,
    /// When; `None` for now.
    pub(super) at: Option<Timestamp>,
    pub(super) changes: Changes,
}

/// One list, for `status`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ListStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its class.
    #[schema(value_type = String)]
    pub class: Class,
    /// What is done about a match.
    pub action: &'static str,
    /// What the kernel does.
    pub kernel: &'static str,
    /// False: a dry run.
    pub enforce: bool,
    /// False: switched off by `list disable`.
    pub enabled: bool,
    /// Who switched it last, and when; `null` where nobody did.
    #[schema(value_type = Option<Object>)]
    pub switch: Option<Switch>,
    /// Where its entries come from.
    pub source: String,
    /// The format of the source, `null` before there was any.
    pub format: Option<&'static str>,
    /// Its entries, those added by hand among them; while it is switched off none of them counts.
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
    /// Each of its sources; of a folder the first [`MOST_SOURCES`] files.
    #[serde(skip)]
    pub sources: Vec<SourceStatus>,
}

/// The most sources of one list that are told: a folder may have any number of files.
const MOST_SOURCES: usize = 200;

/// One source of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SourceStatus {
    /// What it is: `file`, `url`, `put`.
    pub kind: &'static str,
    /// Where it is.
    #[serde(rename = "where")]
    pub place: String,
    /// Its format, `null` before there was any.
    pub format: Option<&'static str>,
    /// The entries that it has, exceptions among them.
    pub entries: usize,
    /// Its lines that are no entries.
    pub rejected: usize,
    /// When what is in force was written or fetched; `null` where nothing is.
    pub as_of: Option<Timestamp>,
    /// Why the source as it is now is not in force.
    pub fault: Option<String>,
    /// The copy that `list accept` puts in force; `null` where there is none.
    #[schema(value_type = Option<Object>)]
    pub held_back: Option<HeldBack>,
}

impl SourceStatus {
    fn new(source: &Watched) -> Self {
        let Watched { intake, last, .. } = source;
        Self {
            kind: intake.origin().kind(),
            place: intake.origin().to_string(),
            format: intake.format().map(Format::name),
            entries: intake.entries().len(),
            rejected: last.rejected.count,
            as_of: intake.as_of(),
            fault: last.fault.clone(),
            held_back: intake.refused().map(Refused::held_back),
        }
    }
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
        let (sources, manual, exceptions, parts, noted) = Default::default();
        let (folder_fault, fetch_fault) = Default::default();
        let (switch, is_journalled) = Default::default();
        Self {
            list,
            sources,
            folder_fault,
            fetch_fault,
            writes: true,
            manual,
            exceptions,
            switch,
            is_journalled,
            parts,
            loaded: now,
            noted,
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
        let others = is_folder && self.find_sources(copies, kept, now);
        let looked = self.read(Watched::settled, alarms, now);
        if is_folder {
            self.tell(alarms);
        }
        if others || looked.changed {
            self.settle(kept);
        }
        Looked { changed: looked.changed || others, read: looked.read || others }
    }

    /// Takes in what was put or fetched, `by` somebody or the source itself; says how that went.
    pub(super) fn take(
        &mut self,
        content: Content,
        by: Option<&str>,
        kept: &Kept,
        alarms: &Alarms,
        now: Timestamp,
    ) -> Load {
        let Some(source) = self.sources.first_mut() else { return Load::default() };
        let load = source.intake.take(content, now);
        self.has_taken(load, by, kept, alarms, now)
    }

    /// Remembers how taking in what came from outside went.
    fn has_taken(
        &mut self,
        load: Load,
        by: Option<&str>,
        kept: &Kept,
        alarms: &Alarms,
        now: Timestamp,
    ) -> Load {
        let Some(source) = self.sources.first_mut() else { return load };
        note(&self.list, source, load.clone(), by, &mut self.noted);
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
                0 => "the list is empty".to_owned(),
                count => format!("the last good {count} entries stay"),
            };
            format!("cannot fetch {url}: {error}{hint}; {stays}")
        });
        match result {
            Ok(Fetched::Content(content)) => self.take(content, None, kept, alarms, now).changed,
            Ok(Fetched::NotModified) => {
                let Some(source) = self.sources.first_mut() else { return false };
                let load = source.intake.stay(now);
                self.has_taken(load, None, kept, alarms, now).changed
            }
            Err(_) => {
                self.tell(alarms);
                false
            }
        }
    }

    /// Puts in force what was refused, or of it what has the hash that was `seen`; `None` when nothing was.
    pub(super) fn accept(
        &mut self,
        seen: Option<&str>,
        by: &str,
        kept: &Kept,
        alarms: &Alarms,
        now: Timestamp,
    ) -> Option<()> {
        let mut accepted = None;
        for source in &mut self.sources {
            let Some(load) = source.intake.accept(seen, now) else { continue };
            accepted = Some(());
            note(&self.list, source, load, Some(by), &mut self.noted);
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
        let parts = if self.is_enabled() { self.parts.clone() } else { Vec::new() };
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

    /// Remembers for the journal what came and went otherwise than by reading a source.
    pub(super) fn note(&mut self, noted: Noted) {
        self.noted.push(noted);
    }

    /// What came and went since it was last asked. The first time that is the beginning of its journal, without single prefixes.
    pub(super) fn take_noted(&mut self) -> Vec<Noted> {
        let mut noted = std::mem::take(&mut self.noted);
        if !self.is_journalled {
            self.is_journalled = true;
            let (by, at, changes) = (self.list.source.to_string(), None, Changes::default());
            noted.retain(|noted| noted.at.is_some());
            noted.insert(0, Noted { by, at, changes });
        }
        noted
    }

    /// Whether anything but an entry made by hand for `prefix` alone has to do with it.
    pub(super) fn has_more_than(&self, prefix: Prefix) -> bool {
        let own =
            |part: &Part, entry: &Entry| *part.origin == Origin::Manual && entry.prefix == prefix;
        self.parts.iter().any(|part| {
            let entries = &part.entries;
            let mut found = entries.covering(prefix).chain(entries.inside(prefix));
            found.any(|entry| !own(part, &entry))
        })
    }

    /// Whether its source has an entry that covers `prefix` or lies in it.
    pub(super) fn has_in_source(&self, prefix: Prefix) -> bool {
        let parts = self.parts.iter().filter(|part| *part.origin != Origin::Manual);
        parts
            .map(|part| &part.entries)
            .any(|entries| entries.covers(prefix) || entries.inside(prefix).next().is_some())
    }

    /// Whether one of its entries covers all of `prefix`.
    pub(super) fn covers(&self, prefix: Prefix) -> bool {
        self.parts.iter().any(|part| part.entries.covers(prefix))
    }

    /// Makes the entries that count from those of the sources and what is kept beside them.
    pub(super) fn settle(&mut self, kept: &Kept) {
        let said: Vec<_> = kept.manual(&self.list.name).collect();
        let ByHand { added, holes } = ByHand::new(&said);
        (self.manual, self.exceptions) = (added.len(), holes.len());
        let mut parts: Vec<_> =
            self.sources.iter_mut().map(|source| source.part_without(&holes)).collect();
        parts.push(Part { origin: Arc::new(Origin::Manual), entries: added });
        parts.retain(|part| !part.entries.is_empty());
        self.parts = parts;
        self.switch = kept.switch(&self.list.name).cloned();
    }

    /// Whether it is a good list that is in force.
    pub(super) fn is_good_now(&self) -> bool {
        self.list.class.is_good() && self.list.enforce && self.is_enabled()
    }

    /// False when it is switched off.
    pub(super) fn is_enabled(&self) -> bool {
        self.switch.as_ref().is_none_or(|switch| switch.enabled)
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
            enabled: self.is_enabled(),
            switch: self.switch.clone(),
            source: list.source.to_string(),
            format: sources().find_map(|source| Some(source.intake.format()?.name())),
            entries: self.entry_count(),
            manual: self.manual,
            exceptions: self.exceptions,
            rejected: sources().map(|source| source.last.rejected.count).sum(),
            fault: self.fault(),
            can_accept: sources().any(|source| source.last.can_accept),
            loaded: self.loaded,
            sources: sources().take(MOST_SOURCES).map(SourceStatus::new).collect(),
        }
    }

    /// What it has now, switched on or off.
    pub(super) fn standing(&self, kept: &Kept) -> Standing {
        let said: Vec<_> = kept.manual(&self.list.name).collect();
        let source = self.sources.first().map(|source| Arc::clone(source.intake.entries()));
        let waiting = |source: &Watched| {
            let intake = &source.intake;
            let (origin, before) = (Arc::clone(intake.origin()), Arc::clone(intake.entries()));
            intake.refused().cloned().map(|refused| Waiting { origin, before, refused })
        };
        Standing {
            loaded: Loaded { list: Arc::clone(&self.list), parts: self.parts.clone() },
            source: source.unwrap_or_default(),
            by_hand: ByHand::new(&said),
            waiting: self.sources.iter().filter_map(waiting).collect(),
        }
    }

    /// Makes the sources those that there are now; says whether the entries are others by that.
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
        let mut others = !gone.is_empty();
        let mut additions = None;
        for origin in origins {
            if !self.sources.iter().any(|source| **source.intake.origin() == origin) {
                let additions = additions.get_or_insert_with(|| kept.additions(&self.list.name));
                self.is_journalled |= additions.baseline.is_some();
                let list = Arc::clone(&self.list);
                let mut source = Watched::new(list, origin, copies, self.writes);
                if source.intake.restore(now) {
                    source.intake.set_added(|prefix| added(additions, prefix));
                    others = true;
                }
                self.sources.push(source);
            }
        }
        for gone in &gone {
            let removed = gone.intake.entries().prefixes().collect();
            let (by, changes) =
                (gone.intake.origin().to_string(), Changes::new(Vec::new(), removed));
            self.noted.push(Noted { by, at: None, changes });
            gone.intake.forget_copy();
        }
        others
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
            note(&self.list, source, load, None, &mut self.noted);
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
            format!(
                "; `portcullis list held-back {0}` shows what it would change, `portcullis list accept {0}` puts it in force all the same",
                self.list.name
            )
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

/// Remembers how a reading went, and logs what is new about it; `by` somebody, or the source itself.
fn note(
    list: &List,
    source: &mut Watched,
    mut load: Load,
    by: Option<&str>,
    noted: &mut Vec<Noted>,
) {
    let origin = source.intake.origin();
    let changes = std::mem::take(&mut load.changes);
    if changes != Changes::default() {
        let by = by.map_or_else(|| origin.to_string(), ToOwned::to_owned);
        noted.push(Noted { by, at: None, changes });
    }
    if load.rejected != source.last.rejected {
        for error in &load.rejected.first {
            warn!(target: "list", "rejected list={} {origin}:{}: `{}`: {}", list.name, error.line, error.text, error.fault);
        }
    }
    source.last = load;
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
