//! One source of a list, looked at again and again, read when it has changed and stands still.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::feed::{Intake, Load};
use crate::list::{Entries, List, Origin, Part};

/// A file that changes at every look is read all the same after so many.
const LOOKS_BEFORE_IMPATIENCE: u32 = 3;

/// A source with what is known of its last reading.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) intake: Intake,
    pub(super) last: Load,
    /// What its entries are without the holes that people made, so that it is made once.
    cut: Option<Cut>,
    read_mark: Option<Mark>,
    seen_mark: Option<Mark>,
    impatience: u32,
}

/// Entries with and without holes.
#[derive(Debug)]
struct Cut {
    whole: Arc<Entries>,
    holes: Arc<Entries>,
    rest: Arc<Entries>,
}

/// What tells one state of a file from another: inode, length, change time.
type Mark = (u64, u64, i64, i64);

impl Watched {
    /// A source with nothing read yet; it `writes` its last good copy, or does not.
    pub(super) fn new(list: Arc<List>, origin: Origin, copies: &Path, writes: bool) -> Self {
        let open = if writes { Intake::new } else { Intake::reader };
        let intake = open(list, origin, copies);
        let (cut, read_mark, seen_mark, impatience) = Default::default();
        Self { intake, last: Load::default(), cut, read_mark, seen_mark, impatience }
    }

    fn mark(&self) -> Option<Mark> {
        let Origin::File(path) = self.intake.origin().as_ref() else { return None };
        let metadata = fs::metadata(path).ok()?;
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

    /// Its entries without `holes`.
    pub(super) fn part_without(&mut self, holes: &Arc<Entries>) -> Part {
        let part = self.intake.part();
        if holes.is_empty() {
            self.cut = None;
            return part;
        }
        let is_current = |cut: &&Cut| Arc::ptr_eq(&cut.whole, &part.entries) && cut.holes == *holes;
        if let Some(cut) = self.cut.as_ref().filter(is_current) {
            return Part { entries: Arc::clone(&cut.rest), ..part };
        }
        let (whole, holes) = (Arc::clone(&part.entries), Arc::clone(holes));
        let rest = Arc::new(whole.without(&holes));
        self.cut = Some(Cut { whole, holes, rest: Arc::clone(&rest) });
        Part { entries: rest, ..part }
    }

    /// Reads the source; says how that went when it went otherwise than before.
    pub(super) fn load(&mut self, now: Timestamp) -> Load {
        self.read_mark = self.mark();
        self.seen_mark = self.read_mark;
        self.impatience = 0;
        self.intake.load(now)
    }
}
