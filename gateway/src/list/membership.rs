//! Where an address is listed: every entry of every list, all matches of an address.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Entries, Entry, List, Match, Origin};
use crate::clock::{Expiry, Timestamp};
use crate::net::Prefix;

/// A list with its entries.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The list.
    pub list: Arc<List>,
    /// Its entries, by where they come from.
    pub parts: Vec<Part>,
}

/// The entries that a list has from one place.
#[derive(Clone, Debug)]
pub struct Part {
    /// The place.
    pub origin: Arc<Origin>,
    /// The entries.
    pub entries: Arc<Entries>,
}

impl Loaded {
    /// The number of its entries.
    pub fn entry_count(&self) -> usize {
        self.parts.iter().map(|part| part.entries.len()).sum()
    }
}

/// Every entry of every list, with the protected hosts that no list can hit.
#[derive(Debug, Default)]
pub struct Membership {
    lists: Vec<Loaded>,
    protected: Entries,
}

impl Membership {
    /// All that is loaded; `protected` are holes in every list.
    pub fn new(lists: Vec<Loaded>, protected: &[Prefix]) -> Self {
        Self { lists, protected: protected.iter().copied().collect() }
    }

    /// The lists, in configuration order.
    pub fn lists(&self) -> impl ExactSizeIterator<Item = &Arc<List>> {
        self.lists.iter().map(|loaded| &loaded.list)
    }

    /// The lists with their entries, in configuration order.
    pub fn loaded(&self) -> &[Loaded] {
        &self.lists
    }

    /// The number of entries in all lists.
    pub fn entry_count(&self) -> usize {
        self.lists.iter().map(Loaded::entry_count).sum()
    }

    /// Whether `address` is one of the protected hosts, whatever the lists say.
    pub fn is_protected(&self, address: IpAddr) -> bool {
        self.protected.covers(Prefix::host(address))
    }

    /// All entries that cover `address` at `now`, the deciding one first: by precedence, then the longest prefix.
    ///
    /// Their texts are those for this address.
    pub fn matches(&self, address: IpAddr, now: Timestamp) -> Vec<Match> {
        let host = Prefix::host(address);
        let mut matches: Vec<Match> = Vec::new();
        for Loaded { list, parts } in &self.lists {
            for Part { origin, entries } in parts {
                let covering = entries.covering(host);
                let current = covering
                    .filter(|entry| entry.expires.is_none_or(|expires| expires.is_after(now)));
                matches.extend(current.map(|entry| Match {
                    list: Arc::clone(list),
                    origin: Arc::clone(origin),
                    entry: Arc::new(Entry {
                        reason: entry.text_for(address).map(Into::into),
                        ..entry
                    }),
                }));
            }
        }
        matches.sort_by_cached_key(|found| {
            (found.list.precedence(), Reverse(found.entry.prefix.length()))
        });
        matches
    }

    /// Calls `visit` with every prefix that is listed at `now` or protected, in order, and with all that list it; protected
    /// hosts have the number after the last list.
    pub(super) fn visit(&self, now: Timestamp, mut visit: impl FnMut(Prefix, &[Listing])) {
        let parts = (0..u16::MAX).zip(&self.lists);
        let parts = parts.flat_map(|(list, one)| {
            one.parts.iter().map(move |part| (list, part.entries.as_ref()))
        });
        let protected = u16::try_from(self.lists.len()).unwrap_or(u16::MAX);
        let mut cursors: Vec<Cursor<'_>> = parts
            .chain([(protected, &self.protected)])
            .map(|(list, entries)| Cursor { list, entries, index: 0 })
            .collect();
        let mut next: BinaryHeap<_> = cursors
            .iter()
            .zip(0..)
            .filter_map(|(cursor, number)| Some(Reverse((cursor.prefix()?, number))))
            .collect();
        let mut listings: Vec<Listing> = Vec::new();
        while let Some(&Reverse((prefix, _number))) = next.peek() {
            listings.clear();
            while let Some(mut least) = next.peek_mut().filter(|least| least.0.0 == prefix) {
                let number: usize = least.0.1;
                let Some(cursor) = cursors.get_mut(number) else { break };
                let following = cursor.take(prefix, now, &mut listings);
                match following {
                    // Changes the place of this one in the heap once, instead of taking it out and putting it in.
                    Some(following) => least.0.0 = following,
                    None => drop(std::collections::binary_heap::PeekMut::pop(least)),
                }
            }
            if !listings.is_empty() {
                visit(prefix, &listings);
            }
        }
    }
}

/// That a list has a prefix, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    /// The position of the list.
    pub(super) list: u16,
    pub(super) expires: Option<Expiry>,
}

/// How far the entries of one part are visited.
struct Cursor<'a> {
    list: u16,
    entries: &'a Entries,
    index: usize,
}

impl Cursor<'_> {
    fn prefix(&self) -> Option<Prefix> {
        Some(self.entries.key(self.index)?.0)
    }

    /// Appends what lists `prefix` at `now`; the prefix after it.
    fn take(
        &mut self,
        prefix: Prefix,
        now: Timestamp,
        listings: &mut Vec<Listing>,
    ) -> Option<Prefix> {
        loop {
            let (next, expires) = self.entries.key(self.index)?;
            if next != prefix {
                return Some(next);
            }
            self.index += 1;
            if expires.is_none_or(|expires| expires.is_after(now)) {
                listings.push(Listing { list: self.list, expires });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{Class, Format, ListAction, Reading, parse};

    #[test]
    fn the_text_of_a_zone_file_is_that_for_the_address() {
        let now = Timestamp::UNIX_EPOCH;
        let format = Some(Format::RbldnsdIp4Set);
        let text = b":127.0.0.2:listed, see https://lists.example.org/$\n192.0.2.0/24\n";
        let parsed = parse(text, Reading { format, as_of: now, foreign: false });
        let part = Part { origin: Arc::new(Origin::Put), entries: Arc::new(parsed.entries) };
        let list = Arc::new(List::new("zone", Class::GlobalBad, ListAction::Reject));
        let membership = Membership::new(vec![Loaded { list, parts: vec![part] }], &[]);
        let found = membership.matches("192.0.2.7".parse().unwrap(), now);
        let reasons: Vec<_> = found.iter().map(|found| found.entry.reason.as_deref()).collect();
        assert_eq!(reasons, [Some("listed, see https://lists.example.org/192.0.2.7")]);
    }
}
