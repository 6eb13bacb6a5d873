//! What a list has now, and what it would have with another copy; nothing is changed by looking.

use std::sync::Arc;

use serde::Serialize;

use super::ChangeError;
use crate::clock::Timestamp;
use crate::feed;
use crate::list::{
    Difference, Entries, LineError, List, Loaded, Reading, Source, doubt_entries, doubt_text, parse,
};

/// So many prefixes of each side are named, and so many lines that are no entries.
const SHOWN: usize = 50;

/// What a list has now.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its entries as they count when it is on.
    pub loaded: Loaded,
    /// Those of its first source as that has them.
    pub(super) source: Arc<Entries>,
    /// The prefixes that were taken out by hand.
    pub(super) holes: Arc<Entries>,
}

/// What a list would have if a copy were put.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    list: Arc<str>,
    /// What the copy was read as.
    format: &'static str,
    /// The entries of the copy.
    entries: usize,
    /// What would come, go and stay of what was put; what was taken out by hand stays out, what was added by hand stays.
    #[serde(flatten)]
    difference: Difference,
    /// How many lines are no entries.
    rejected: usize,
    /// The first of them.
    rejected_lines: Vec<RejectedLine>,
    /// Why `put` would refuse the copy, and hold it back for `accept`; `null` where it would not.
    doubt: Option<String>,
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
        let [before, after] = [&*self.source, &parsed.entries];
        let difference =
            Difference::new(&before.without(&self.holes), &after.without(&self.holes), SHOWN);
        let rejected_lines = parsed.rejected.first.into_iter().take(SHOWN);
        Ok(Preview {
            list: Arc::clone(&list.name),
            format: parsed.format.name(),
            entries: parsed.entries.len(),
            difference,
            rejected: parsed.rejected.count,
            rejected_lines: rejected_lines.map(RejectedLine::from).collect(),
            doubt,
            notices: parsed.entries.notices(),
        })
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
