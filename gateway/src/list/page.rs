//! A page of the entries of a list, in the order of prefixes, found without a look at those before it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use super::{Entries, Entry, Loaded, Origin, Part};
use crate::clock::{Expiry, Timestamp};
use crate::net::Prefix;

/// Which entries are wanted.
#[derive(Clone, Copy, Debug)]
pub struct PageOf {
    /// Those that cover this prefix, are it or lie inside it; `None` for all.
    pub prefix: Option<Prefix>,
    /// Those behind this place; `None` for the first.
    pub after: Option<Place>,
    /// At most so many.
    pub limit: usize,
}

/// A place among the entries of a list: behind the first of those with one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    prefix: Prefix,
    seen: usize,
}

/// A page of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntriesPage {
    /// Each with where the list has it from.
    pub entries: Vec<(Arc<Origin>, Entry)>,
    /// Where the next page begins; `None` where there is no more.
    pub next: Option<Place>,
    /// How many are wanted on all pages, those among them whose end has come.
    pub matching: usize,
}

impl Loaded {
    /// A page of the entries that count at `now`. Those with one prefix come in the order of the parts.
    pub fn page(&self, wanted: &PageOf, now: Timestamp) -> EntriesPage {
        let start = wanted.after.map(|place| place.prefix);
        let streams = self.parts.iter().map(|part| Stream::new(part, wanted.prefix, start));
        let mut streams: Vec<_> = streams.collect();
        let matching = streams.iter().map(|stream| stream.matching).sum();
        let mut heads: BinaryHeap<_> = (0..)
            .zip(&streams)
            .filter_map(|(number, stream)| Some(Reverse((stream.head()?.0, number))))
            .collect();
        let mut page = EntriesPage { entries: Vec::new(), next: None, matching };
        let mut seen: Option<Place> = None;
        while let Some(Reverse((prefix, number))) = heads.pop() {
            let number: usize = number;
            let Some(stream) = streams.get_mut(number) else { break };
            let taken = stream.take();
            heads.extend(stream.head().map(|(next, _end)| Reverse((next, number))));
            let Some((_, end)) = taken else { continue };
            if !end.is_none_or(|end| end.is_after(now)) {
                continue;
            }
            let before = seen.filter(|place| place.prefix == prefix).map_or(0, |place| place.seen);
            let place = Place { prefix, seen: before + 1 };
            let is_old = |after: &Place| after.prefix == prefix && before < after.seen;
            if wanted.after.as_ref().is_some_and(is_old) {
                seen = Some(place);
                continue;
            }
            if page.entries.len() == wanted.limit {
                page.next = seen;
                break;
            }
            seen = Some(place);
            page.entries.extend(stream.last());
        }
        page
    }
}

/// What is wanted of one part, in order.
struct Stream<'a> {
    part: &'a Part,
    /// What covers the prefix, the narrowest first; taken from the end.
    covering: Vec<Entry>,
    /// The numbers of those inside it.
    inside: Range<usize>,
    matching: usize,
    last: Last,
}

/// What was taken last.
enum Last {
    Nothing,
    Covering(Entry),
    Inside(usize),
}

impl<'a> Stream<'a> {
    /// Begins with `start`, where one is given.
    fn new(part: &'a Part, prefix: Option<Prefix>, start: Option<Prefix>) -> Self {
        let entries: &Entries = &part.entries;
        let covering = prefix.into_iter().flat_map(|prefix| {
            entries.covering(prefix).filter(move |entry| entry.prefix != prefix)
        });
        let mut covering: Vec<_> = covering.collect();
        let mut inside = prefix.map_or(0..entries.len(), |prefix| entries.range_inside(prefix));
        let matching = covering.len() + inside.len();
        if let Some(start) = start {
            covering.retain(|entry| entry.prefix >= start);
            inside.start = inside.start.max(entries.position(start)).min(inside.end);
        }
        Self { part, covering, inside, matching, last: Last::Nothing }
    }

    /// The next one: its prefix, and when it ends.
    fn head(&self) -> Option<(Prefix, Option<Expiry>)> {
        match self.covering.last() {
            Some(entry) => Some((entry.prefix, entry.expires)),
            None if self.inside.is_empty() => None,
            None => self.part.entries.key(self.inside.start),
        }
    }

    fn take(&mut self) -> Option<(Prefix, Option<Expiry>)> {
        let head = self.head()?;
        self.last = match self.covering.pop() {
            Some(entry) => Last::Covering(entry),
            None => Last::Inside(self.inside.next()?),
        };
        Some(head)
    }

    /// The whole of what was taken last: texts are copied for what is shown alone.
    fn last(&mut self) -> Option<(Arc<Origin>, Entry)> {
        let entry = match std::mem::replace(&mut self.last, Last::Nothing) {
            Last::Nothing => None,
            Last::Covering(entry) => Some(entry),
            Last::Inside(index) => self.part.entries.get(index),
        };
        entry.map(|entry| (Arc::clone(&self.part.origin), entry))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.prefix, self.seen)
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let read = || {
            let (prefix, seen) = text.rsplit_once('-')?;
            Some(Self { prefix: prefix.parse().ok()?, seen: seen.parse().ok()? })
        };
        read().ok_or_else(|| PlaceError { found: text.chars().take(120).collect() })
    }
}

/// A text that is no place among entries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?}, expected the `next` of an earlier answer, such as 192.0.2.0/24-1")]
pub struct PlaceError {
    found: String,
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::Instant;

    use super::*;
    use crate::list::{Class, List, ListAction, Listed, Remark};

    fn loaded(parts: &[&[(&str, Option<i64>)]]) -> Loaded {
        let part = |rows: &&[(&str, Option<i64>)]| {
            let mut entries = Entries::builder();
            for (line, (prefix, end)) in (1..).zip(*rows) {
                let expires = end.map(|end| Expiry::at(Timestamp::from_second(end).unwrap()));
                // What is said differs, or an entry would be the same twice.
                let reason = line.to_string();
                let remark = Remark { reason: &reason, ..Remark::default() };
                entries.push(Listed { prefix: prefix.parse().unwrap(), line, remark, expires });
            }
            Part { origin: Arc::new(Origin::Put), entries: Arc::new(entries.finish()) }
        };
        let list = Arc::new(List::new("x", Class::LocalBad, ListAction::Reject));
        Loaded { list, parts: parts.iter().map(part).collect() }
    }

    /// All pages of `limit` entries, with their lines.
    fn all(loaded: &Loaded, prefix: Option<&str>, limit: usize) -> Vec<String> {
        let prefix = prefix.map(|prefix| prefix.parse().unwrap());
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let wanted = PageOf { prefix, after, limit };
            let page = loaded.page(&wanted, Timestamp::from_second(100).unwrap());
            assert!(page.entries.len() <= limit);
            let shown = page.entries.iter();
            found.extend(shown.map(|(_, entry)| format!("{} {}", entry.prefix, entry.line)));
            let Some(next) = page.next else { return found };
            assert_eq!(next.to_string().parse(), Ok(next));
            after = Some(next);
        }
    }

    #[test]
    fn pages_of_any_length_have_all_that_counts_in_order() {
        let parts = [
            &[
                ("192.0.2.7", None),
                ("192.0.2.0/24", None),
                ("192.0.2.0/24", Some(200)),
                ("192.0.2.9", Some(100)),
                ("2001:db8::/32", None),
            ][..],
            &[("192.0.2.0/24", None), ("10.0.0.0/8", None), ("192.0.2.0/25", Some(101))],
            &[],
        ];
        let loaded = loaded(&parts);
        let whole = [
            "10.0.0.0/8 2",
            "192.0.2.0/24 2",
            "192.0.2.0/24 3",
            "192.0.2.0/24 1",
            "192.0.2.0/25 3",
            "192.0.2.7 1",
            "2001:db8::/32 5",
        ];
        for (prefix, expected) in [
            (None, &whole[..]),
            (Some("0.0.0.0/0"), &whole[..6]),
            (Some("192.0.2.0/25"), &whole[1..6]),
            (Some("192.0.2.7"), &whole[1..6]),
            (Some("192.0.2.200"), &whole[1..4]),
            (Some("192.0.2.0/28"), &whole[1..6]),
            (Some("2001:db8::1"), &whole[6..]),
            (Some("198.51.100.0/24"), &[]),
        ] {
            for limit in 1..=8 {
                assert_eq!(all(&loaded, prefix, limit), expected, "{prefix:?} by {limit}");
            }
        }
    }

    #[test]
    fn a_text_that_is_no_place_is_told() {
        for wrong in ["", "192.0.2.1", "-1", "192.0.2.1-", "192.0.2.1-x", "x-1"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_out_of_a_million_entries_takes_no_longer_than_the_first() {
        let host = |number: u32| Prefix::host(Ipv4Addr::from_bits(0x0a00_0000 + number).into());
        let entries: Entries = (0..1_000_000).map(host).collect();
        let part = Part { origin: Arc::new(Origin::Put), entries: Arc::new(entries) };
        let list = Arc::new(List::new("x", Class::LocalBad, ListAction::Reject));
        let loaded = Loaded { list, parts: vec![part] };
        for (after, first) in [(0, "10.0.0.1"), (500_000, "10.7.161.33"), (999_000, "10.15.62.89")]
        {
            let after = Some(Place { prefix: host(after), seen: 1 });
            let begun = Instant::now();
            let wanted = PageOf { prefix: None, after, limit: 1000 };
            let page = loaded.page(&wanted, Timestamp::UNIX_EPOCH);
            let taken = begun.elapsed();
            assert_eq!(
                (page.matching, page.entries[0].1.prefix.to_string()),
                (1_000_000, first.into())
            );
            assert!(taken.as_millis() < 50, "{taken:?}");
        }
    }
}
