//! One list file, looked at again and again, read when it has changed and stands still.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use tracing::warn;

use super::ListStatus;
use crate::alarm::Alarms;
use crate::clock::{Clock, Timestamp};
use crate::feed::{FileFeed, Load};
use crate::list::{List, Loaded};

/// A file that changes at every look is read all the same after so many.
const LOOKS_BEFORE_IMPATIENCE: u32 = 3;

/// A list file with what is known of its last reading.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) feed: FileFeed,
    last: Load,
    loaded: Timestamp,
    read_mark: Option<Mark>,
    seen_mark: Option<Mark>,
    impatience: u32,
}

/// What tells one state of a file from another: inode, length, change time.
type Mark = (u64, u64, i64, i64);

impl Watched {
    pub(super) fn new(list: Arc<List>, copies: &Path, now: Timestamp) -> Self {
        let feed = FileFeed::new(list, copies);
        Self {
            feed,
            last: Load::default(),
            loaded: now,
            read_mark: None,
            seen_mark: None,
            impatience: 0,
        }
    }

    fn mark(&self) -> Option<Mark> {
        let metadata = fs::metadata(&self.feed.list().file).ok()?;
        Some((metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
    }

    /// Whether the file has changed since it was read, and stands still: a file that is being written is left alone.
    pub(super) fn settled(&mut self) -> bool {
        let mark = self.mark();
        let still = std::mem::replace(&mut self.seen_mark, mark) == mark;
        if mark == self.read_mark {
            self.impatience = 0;
            return false;
        }
        self.impatience += 1;
        still || self.impatience > LOOKS_BEFORE_IMPATIENCE
    }

    /// Reads the file; says whether the entries are others than before.
    pub(super) fn load(&mut self, alarms: &Alarms, clock: Clock) -> bool {
        self.read_mark = self.mark();
        self.seen_mark = self.read_mark;
        self.impatience = 0;
        let load = self.feed.load();
        if load.changed {
            self.loaded = clock.now();
        }
        let changed = load.changed;
        if load != self.last {
            tell(self.feed.list(), &load, alarms);
        }
        self.last = load;
        changed
    }

    pub(super) fn loaded(&self) -> Loaded {
        Loaded { list: Arc::clone(self.feed.list()), entries: self.feed.entries().to_vec() }
    }

    pub(super) fn status(&self) -> ListStatus {
        let list = self.feed.list();
        ListStatus {
            name: Arc::clone(&list.name),
            class: list.class,
            action: list.action.name(),
            kernel: list.kernel.name(),
            enforce: list.enforce,
            file: list.file.clone(),
            entries: self.feed.entries().len(),
            rejected: self.last.rejected.count,
            fault: self.last.fault.clone(),
            loaded: self.loaded,
        }
    }
}

/// Says in the log and as an alarm how reading a list went.
fn tell(list: &List, load: &Load, alarms: &Alarms) {
    let file = list.file.display();
    for error in &load.rejected.first {
        warn!(target: "list", "rejected list={} {file}:{}: `{}`: {}", list.name, error.line, error.text, error.fault);
    }
    let rejected = load.rejected.first.first().map(|first| {
        let count = load.rejected.count;
        let name = &list.name;
        format!("rejected lines in {file}: {count}, the first is {first}; see `portcullis list check {name}`")
    });
    alarms.set(&about(list), load.fault.as_deref().or(rejected.as_deref()));
}

/// The subject of a list's alarms.
pub(super) fn about(list: &List) -> String {
    format!("list:{}", list.name)
}
