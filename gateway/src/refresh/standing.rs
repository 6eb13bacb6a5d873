//! What a list has now, and what it would have with another copy; nothing is changed by looking.

use std::sync::Arc;

use serde::Serialize;

use super::ChangeError;
use super::by_hand::ByHand;
use crate::clock::Timestamp;
use crate::feed::{self, HeldBack, Refused};
use crate::list::{
    Difference, Entries, LineError, List, Loaded, Origin, Parsed, Reading, Source, doubt_entries,
    doubt_text, parse,
};

/// So many prefixes of each side are named, and so many lines that are no entries.
const SHOWN: usize = 50;
/// So many copies that are held back are read.
const COPIES: usize = 20;

/// What a list has now.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its entries as they count when it is on.
    pub loaded: Loaded,
    /// Those of its first source as that has them.
    pub(super) source: Arc<Entries>,
    /// What people said of it.
    pub(super) by_hand: ByHand,
    /// What was refused, and waits for a human.
    pub(super) waiting: Vec<Waiting>,
}

/// Content of one source that was refused.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) origin: Arc<Origin>,
    /// The entries in force.
    pub(super) before: Arc<Entries>,
    pub(super) refused: Refused,
}

/// What a list would have if a copy were put.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    list: Arc<str>,
    #[serde(flatten)]
    change: CopyChange,
    /// Why `put` would refuse the copy, and hold it back for `accept`; `null` where it would not.
    doubt: Option<String>,
}

/// The copies of a list that are held back.
#[derive(Clone, Debug, Serialize)]
pub struct HeldBackCopies {
    list: Arc<str>,
    /// All, of which a folder may have any number.
    count: usize,
    /// The first of them.
    copies: Vec<HeldBackCopy>,
}

#[derive(Clone, Debug, Serialize)]
struct HeldBackCopy {
    /// Where it is from.
    #[serde(rename = "where")]
    place: String,
    #[serde(flatten)]
    held_back: HeldBack,
    #[serde(flatten)]
    change: CopyChange,
}

/// What a copy would change.
#[derive(Clone, Debug, Serialize)]
struct CopyChange {
    /// What the copy was read as.
    format: &'static str,
    /// The entries of the copy.
    entries: usize,
    /// What would come, go and stay of what the source has; what was taken out by hand stays out, what was added by hand stays.
    #[serde(flatten)]
    difference: Difference,
    /// How many lines are no entries.
    rejected: usize,
    /// The first of them.
    rejected_lines: Vec<RejectedLine>,
    /// What a careful reader would notice.
    notices: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct RejectedLine {
    line: u32,
    text: String,
    why: String,
}

impl From<LineError> for RejectedLine {
    fn from(error: LineError) -> Self {
        Self { line: error.line, text: error.text, why: error.fault.to_string() }
    }
}

impl Standing {
    /// What would be if `octets` were put, in any format of lists.
    pub fn preview(&self, octets: Vec<u8>, now: Timestamp) -> Result<Preview, ChangeError> {
        let list = &self.loaded.list;
        let octets = octets_of_put(list, octets)?;
        let reading = Reading { format: list.format, as_of: now, foreign: false };
        let parsed = parse(&octets, reading);
        let doubt = doubt_text(&octets)
            .or_else(|| doubt_entries(&parsed, &self.source, list.guard))
            .map(|doubt| format!("{} {doubt}", list.source));
        let change = self.change(&self.source, parsed);
        Ok(Preview { list: Arc::clone(&list.name), change, doubt })
    }

    /// What the copies that are held back would change, each by itself; `None` where there is none.
    pub fn held_back(&self) -> Option<HeldBackCopies> {
        if self.waiting.is_empty() {
            return None;
        }
        let list = &self.loaded.list;
        let of_one = |Waiting { origin, before, refused }: &Waiting| {
            let content = refused.content();
            let foreign = origin.is_foreign();
            let reading = Reading { format: list.format, as_of: content.as_of, foreign };
            HeldBackCopy {
                place: origin.to_string(),
                held_back: refused.held_back(),
                change: self.change(before, parse(&content.octets, reading)),
            }
        };
        Some(HeldBackCopies {
            list: Arc::clone(&list.name),
            count: self.waiting.len(),
            copies: self.waiting.iter().take(COPIES).map(of_one).collect(),
        })
    }

    /// What was taken out by hand, in the form of a list.
    pub fn exceptions(&self) -> Loaded {
        self.by_hand.as_exceptions_of(&self.loaded.list)
    }

    fn change(&self, before: &Entries, parsed: Parsed) -> CopyChange {
        let holes = &self.by_hand.holes;
        let [before, after] = [before, &parsed.entries].map(|entries| entries.without(holes));
        let rejected_lines = parsed.rejected.first.into_iter().take(SHOWN);
        CopyChange {
            format: parsed.format.name(),
            entries: parsed.entries.len(),
            difference: Difference::new(&before, &after, SHOWN),
            rejected: parsed.rejected.count,
            rejected_lines: rejected_lines.map(RejectedLine::from).collect(),
            notices: parsed.entries.notices(),
        }
    }
}

/// What was put, decompressed, for a list that can be filled so.
pub(super) fn octets_of_put(list: &List, octets: Vec<u8>) -> Result<Vec<u8>, ChangeError> {
    if list.source != Source::Put {
        let (list, source_of) = (list.name.to_string(), list.source.to_string());
        return Err(ChangeError::HasSource { list, source_of });
    }
    feed::decompressed(octets, feed::SIZE_LIMIT).map_err(|error| ChangeError::Refused {
        fault: format!("what was put: {error}"),
        can_accept: false,
    })
}
