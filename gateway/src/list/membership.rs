//! Where an address is listed: every entry of every list, all matches of an address.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use prefix_trie::joint::map::JointPrefixMap;

use super::{Entry, List, Match};
use crate::net::Prefix;

/// A list with its entries.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The list.
    pub list: Arc<List>,
    /// Its entries, in the order of its source.
    pub entries: Vec<Arc<Entry>>,
}

/// Every entry of every list by prefix, with the protected hosts that no list can hit.
#[derive(Default)]
pub struct Membership {
    lists: Vec<Arc<List>>,
    entries: JointPrefixMap<IpNet, Vec<Listing>>,
    protected: JointPrefixMap<IpNet, ()>,
    entry_count: usize,
}

/// One entry with the position of its list.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) list: u16,
    pub(super) entry: Arc<Entry>,
}

impl Membership {
    /// Builds the index; `protected` are holes in every list.
    pub fn new(loaded: &[Loaded], protected: &[Prefix]) -> Self {
        let mut membership = Self {
            lists: loaded.iter().map(|one| Arc::clone(&one.list)).collect(),
            ..Self::default()
        };
        for &prefix in protected {
            membership.protected.insert(prefix.net(), ());
        }
        for (list, one) in (0..u16::MAX).zip(loaded) {
            for entry in &one.entries {
                let listing = Listing { list, entry: Arc::clone(entry) };
                membership.entries.entry(entry.prefix.net()).or_default().push(listing);
            }
            membership.entry_count += one.entries.len();
        }
        membership
    }

    /// The lists, in configuration order.
    pub fn lists(&self) -> &[Arc<List>] {
        &self.lists
    }

    /// The number of entries in all lists.
    pub fn entry_count(&self) -> usize {
        self.entry_count
    }

    /// Whether `address` is one of the protected hosts, whatever the lists say.
    pub fn is_protected(&self, address: IpAddr) -> bool {
        self.protected.get_spm(&Prefix::host(address).net()).is_some()
    }

    /// All entries that cover `address`, the deciding one first: by precedence, then the longest prefix.
    pub fn matches(&self, address: IpAddr) -> Vec<Match> {
        let mut matches: Vec<Match> = self
            .covering(Prefix::host(address))
            .filter_map(|listing| {
                let list = self.lists.get(usize::from(listing.list))?;
                Some(Match { list: Arc::clone(list), entry: Arc::clone(&listing.entry) })
            })
            .collect();
        matches.sort_by(|a, b| {
            let longest_first = b.entry.prefix.length().cmp(&a.entry.prefix.length());
            a.list.precedence().cmp(&b.list.precedence()).then(longest_first)
        });
        matches
    }

    /// All entries whose prefix covers `prefix` or is it, from the shortest to the longest.
    pub(super) fn covering(&self, prefix: Prefix) -> impl Iterator<Item = &Listing> {
        self.entries.cover(&prefix.net()).flat_map(|(_prefix, listings)| listings)
    }

    /// All prefixes that have entries, each followed by the prefixes inside it.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = (Prefix, &[Listing])> {
        self.entries.iter().map(|(net, listings)| (net.into(), listings.as_slice()))
    }

    /// All protected prefixes, each followed by the prefixes inside it.
    pub(super) fn protected(&self) -> impl Iterator<Item = Prefix> {
        self.protected.keys().map(Prefix::from)
    }
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Membership")
            .field("lists", &self.lists.len())
            .field("entries", &self.entry_count)
            .finish_non_exhaustive()
    }
}
