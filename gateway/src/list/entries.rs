//! The entries of one source: sorted and compact, each knowing the next wider one, so that one search finds all that cover an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Entry;
use crate::clock::{Expiry, Timestamp};
use crate::net::Prefix;

/// The entries of one source. A million of IPv4 take 28 MB, and their reasons.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    v4: Vec<Row<u32>>,
    v6: Vec<Row<u128>>,
    remarks: Remarks,
}

/// What a source says about one prefix.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// The prefix.
    pub prefix: Prefix,
    /// The line of the source, from 1; 0 where it has no lines.
    pub line: u32,
    /// What is said about it.
    pub remark: Remark<'a>,
    /// When it ends by itself.
    pub expires: Option<Expiry>,
}

/// What is said about a prefix beside that it is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remark<'a> {
    /// What a DNS list made of the source would answer.
    pub value: Option<Ipv4Addr>,
    /// The text beside the prefix; an empty one is none.
    pub reason: &'a str,
    /// Who added it by hand; an empty one is nobody.
    pub author: &'a str,
}

/// What became of a source since it was read before, each prefix once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Prefixes that were not there before.
    pub added: Vec<Prefix>,
    /// Prefixes that are there no more.
    pub removed: Vec<Prefix>,
}

impl Entries {
    /// Entries in the making.
    pub fn builder() -> EntriesBuilder {
        EntriesBuilder(Self::default())
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of entries for IPv4.
    pub fn v4_len(&self) -> usize {
        self.v4.len()
    }

    /// The number of entries for IPv6.
    pub fn v6_len(&self) -> usize {
        self.v6.len()
    }

    /// Entry number `index`, in order of prefix, IPv4 first, each followed by those inside it.
    pub fn get(&self, index: usize) -> Option<Entry> {
        match index.checked_sub(self.v4.len()) {
            None => self.v4.get(index).map(|row| self.entry(row)),
            Some(index) => self.v6.get(index).map(|row| self.entry(row)),
        }
    }

    /// The prefix of entry number `index`, and when it ends.
    pub fn key(&self, index: usize) -> Option<(Prefix, Option<Expiry>)> {
        match index.checked_sub(self.v4.len()) {
            None => self.v4.get(index).map(Row::key),
            Some(index) => self.v6.get(index).map(Row::key),
        }
    }

    /// All entries, in that order.
    pub fn iter(&self) -> impl Iterator<Item = Entry> {
        let v4 = self.v4.iter().map(|row| self.entry(row));
        v4.chain(self.v6.iter().map(|row| self.entry(row)))
    }

    /// All prefixes, in that order.
    pub fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        let v4 = self.v4.iter().map(|row| row.key().0);
        v4.chain(self.v6.iter().map(|row| row.key().0))
    }

    /// All entries that cover `prefix` or are it, the longest first.
    pub fn covering(&self, prefix: Prefix) -> impl Iterator<Item = Entry> {
        let length = prefix.length();
        let (v4, v6) = match prefix.address() {
            IpAddr::V4(address) => (Some(covering(&self.v4, address.to_bits(), length)), None),
            IpAddr::V6(address) => (None, Some(covering(&self.v6, address.to_bits(), length))),
        };
        let v4 = v4.into_iter().flatten().map(|row| self.entry(row));
        v4.chain(v6.into_iter().flatten().map(|row| self.entry(row)))
    }

    /// Whether an entry covers `prefix` or is it.
    pub fn covers(&self, prefix: Prefix) -> bool {
        self.covering(prefix).next().is_some()
    }

    /// All entries inside `prefix`, itself among them, in order.
    pub fn inside(&self, prefix: Prefix) -> impl Iterator<Item = Entry> {
        let length = prefix.length();
        let (v4, v6) = match prefix.address() {
            IpAddr::V4(address) => (inside(&self.v4, address.to_bits(), length), [].as_slice()),
            IpAddr::V6(address) => ([].as_slice(), inside(&self.v6, address.to_bits(), length)),
        };
        let v4 = v4.iter().map(|row| self.entry(row));
        v4.chain(v6.iter().map(|row| self.entry(row)))
    }

    /// The same entries with `holes` cut out of them: what covers a hole becomes the fewest prefixes round it.
    pub fn without(&self, holes: &Self) -> Self {
        if holes.is_empty() {
            return self.clone();
        }
        let mut rest = Self { remarks: self.remarks.clone(), ..Self::default() };
        let mut parts = Vec::new();
        for row in &self.v4 {
            cut(row.key().0, holes, &mut parts);
            rest.v4.extend(parts.drain(..).filter_map(|part| row.narrowed(part)));
        }
        for row in &self.v6 {
            cut(row.key().0, holes, &mut parts);
            rest.v6.extend(parts.drain(..).filter_map(|part| row.narrowed(part)));
        }
        rest.arrange();
        rest
    }

    /// Makes these entries the successor of `earlier`: what was there keeps its time, what is new came at `now`.
    pub fn succeed(&mut self, earlier: &Self, now: Timestamp) -> Changes {
        let mut changes = Changes::default();
        succeed(&mut self.v4, &earlier.v4, seconds(now), &mut changes);
        succeed(&mut self.v6, &earlier.v6, seconds(now), &mut changes);
        changes
    }

    /// Sets since when every entry is known to be listed.
    pub fn set_since(&mut self, mut since: impl FnMut(Prefix) -> Timestamp) {
        for row in &mut self.v4 {
            row.since = seconds(since(row.key().0));
        }
        for row in &mut self.v6 {
            row.since = seconds(since(row.key().0));
        }
    }

    /// Sorts, and tells every row which is the next wider one.
    fn arrange(&mut self) {
        arrange(&mut self.v4);
        arrange(&mut self.v6);
    }

    fn entry<A: Address>(&self, row: &Row<A>) -> Entry {
        let remark = self.remarks.get(row.remark);
        let text = |text: &str| (!text.is_empty()).then(|| text.into());
        let (prefix, expires) = row.key();
        Entry {
            prefix,
            line: row.line,
            value: remark.value,
            reason: text(remark.reason),
            author: text(remark.author),
            since: (row.since > 0)
                .then(|| Timestamp::from_second(row.since.into()).ok())
                .flatten(),
            expires,
        }
    }
}

impl PartialEq for Entries {
    /// Since when they are listed does not make two sets of entries different.
    fn eq(&self, other: &Self) -> bool {
        let timeless = |entry: Entry| Entry { since: None, ..entry };
        self.len() == other.len() && self.iter().map(timeless).eq(other.iter().map(timeless))
    }
}

/// Takes entries in any order.
#[derive(Debug)]
pub struct EntriesBuilder(Entries);

impl EntriesBuilder {
    /// Adds one.
    pub fn push(&mut self, listed: Listed<'_>) {
        let remark = self.0.remarks.push(listed.remark);
        let length = listed.prefix.length();
        match listed.prefix.address() {
            IpAddr::V4(v4) => self.0.v4.push(Row::new(v4.to_bits(), length, remark, &listed)),
            IpAddr::V6(v6) => self.0.v6.push(Row::new(v6.to_bits(), length, remark, &listed)),
        }
    }

    /// The number of entries so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in order.
    pub fn finish(mut self) -> Entries {
        self.0.arrange();
        self.0.v4.shrink_to_fit();
        self.0.v6.shrink_to_fit();
        self.0.remarks.shrink();
        self.0
    }
}

impl<'a> FromIterator<Listed<'a>> for Entries {
    fn from_iter<I: IntoIterator<Item = Listed<'a>>>(all: I) -> Self {
        let mut builder = Self::builder();
        all.into_iter().for_each(|listed| builder.push(listed));
        builder.finish()
    }
}

impl FromIterator<Prefix> for Entries {
    /// Bare prefixes, for holes and protected hosts.
    fn from_iter<I: IntoIterator<Item = Prefix>>(all: I) -> Self {
        let bare = |prefix| Listed { prefix, line: 0, remark: Remark::default(), expires: None };
        all.into_iter().map(bare).collect()
    }
}

/// No row: there is no wider one.
const NO_ROW: u32 = u32::MAX;

/// One entry of one family.
#[derive(Clone, Copy, Debug)]
struct Row<A> {
    address: A,
    /// The row of the next wider prefix, or of the same one; [`NO_ROW`] when there is none.
    wider: u32,
    line: u32,
    /// Its place in [`Remarks`].
    remark: u32,
    /// In seconds since 1970; 0 is not known.
    since: u32,
    expires: Option<Expiry>,
    length: u8,
}

impl<A: Address> Row<A> {
    fn new(address: A, length: u8, remark: u32, listed: &Listed<'_>) -> Self {
        let Listed { line, expires, .. } = *listed;
        Self { address, wider: NO_ROW, line, remark, since: 0, expires, length }
    }

    fn key(&self) -> (Prefix, Option<Expiry>) {
        (Prefix::clear(self.address.ip(), self.length), self.expires)
    }

    fn covers(&self, address: A, length: u8) -> bool {
        self.length <= length && address.head(self.length) == self.address
    }

    fn sort_key(&self) -> (A, u8) {
        (self.address, self.length)
    }

    /// The same row for a part of its prefix.
    fn narrowed(&self, part: Prefix) -> Option<Self> {
        Some(Self { address: A::of(part.address())?, length: part.length(), ..*self })
    }
}

/// An address of one family as a number.
trait Address: Copy + Ord {
    fn of(address: IpAddr) -> Option<Self>;
    fn ip(self) -> IpAddr;
    /// The first `length` bits, the others clear.
    fn head(self, length: u8) -> Self;
}

impl Address for u32 {
    fn of(address: IpAddr) -> Option<Self> {
        if let IpAddr::V4(v4) = address { Some(v4.to_bits()) } else { None }
    }

    fn ip(self) -> IpAddr {
        Ipv4Addr::from_bits(self).into()
    }

    fn head(self, length: u8) -> Self {
        self & Self::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
    }
}

impl Address for u128 {
    fn of(address: IpAddr) -> Option<Self> {
        if let IpAddr::V6(v6) = address { Some(v6.to_bits()) } else { None }
    }

    fn ip(self) -> IpAddr {
        Ipv6Addr::from_bits(self).into()
    }

    fn head(self, length: u8) -> Self {
        self & Self::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
    }
}

fn arrange<A: Address>(rows: &mut [Row<A>]) {
    if !rows.is_sorted_by_key(Row::sort_key) {
        // Stable: of entries with one prefix the first of the source stays the first.
        rows.sort_by_key(Row::sort_key);
    }
    let mut open: Vec<(A, u8, u32)> = Vec::new();
    for (index, row) in (0..).zip(rows) {
        let outside = |&mut (address, length, _): &mut (A, u8, u32)| {
            length > row.length || row.address.head(length) != address
        };
        while open.pop_if(outside).is_some() {}
        row.wider = open.last().map_or(NO_ROW, |&(_address, _length, wider)| wider);
        open.push((row.address, row.length, index));
    }
}

/// All rows that cover the prefix, the longest first.
///
/// They lie, one inside the other, round the last row that is not beyond the prefix, so that row's chain has them all.
fn covering<A: Address>(
    rows: &[Row<A>],
    address: A,
    length: u8,
) -> impl Iterator<Item = &Row<A>> {
    let beyond = rows.partition_point(|row| row.sort_key() <= (address, length));
    let row = move |index: usize| rows.get(index);
    let last = beyond.checked_sub(1).and_then(row);
    let wider = move |row: &&Row<A>| usize::try_from(row.wider).ok().and_then(|wider| rows.get(wider));
    std::iter::successors(last, wider).filter(move |row| row.covers(address, length))
}

/// All rows inside the prefix.
fn inside<A: Address>(rows: &[Row<A>], address: A, length: u8) -> &[Row<A>] {
    let first = rows.partition_point(|row| row.sort_key() < (address, length));
    let rest = rows.get(first..).unwrap_or_default();
    let count = rest.partition_point(|row| row.address.head(length) == address);
    rest.get(..count).unwrap_or_default()
}

/// Appends the fewest prefixes that cover `prefix` without `holes`.
fn cut(prefix: Prefix, holes: &Entries, parts: &mut Vec<Prefix>) {
    if holes.covers(prefix) {
        return;
    }
    match prefix.halves().filter(|_halves| holes.inside(prefix).next().is_some()) {
        Some(halves) => halves.into_iter().for_each(|half| cut(half, holes, parts)),
        None => parts.push(prefix),
    }
}

fn succeed<A: Address>(
    rows: &mut [Row<A>],
    earlier: &[Row<A>],
    now: u32,
    changes: &mut Changes,
) {
    let mut earlier = earlier.chunk_by(|a, b| a.sort_key() == b.sort_key()).peekable();
    for same in rows.chunk_by_mut(|a, b| a.sort_key() == b.sort_key()) {
        let Some(key) = same.first().map(Row::sort_key) else { continue };
        let first = |before: &[Row<A>]| before.first().copied();
        while let Some(gone) = earlier.next_if(|before| first(before).is_some_and(|row| row.sort_key() < key)) {
            changes.removed.extend(first(gone).map(|row| row.key().0));
        }
        let before = earlier.next_if(|before| first(before).is_some_and(|row| row.sort_key() == key));
        let before = before.and_then(first);
        if before.is_none() {
            changes.added.extend(same.first().map(|row| row.key().0));
        }
        for row in same {
            row.since = before.map_or(now, |before| before.since);
        }
    }
    changes.removed.extend(earlier.filter_map(|gone| Some(gone.first()?.key().0)));
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_second()).unwrap_or(0)
}

/// What is said about prefixes; what is said of several in turn is kept once.
#[derive(Clone, Debug, Default)]
struct Remarks {
    rows: Vec<RemarkRow>,
    /// All texts, one after the other.
    texts: String,
}

#[derive(Clone, Copy, Debug)]
struct RemarkRow {
    value: Option<Ipv4Addr>,
    /// Where its texts begin: the reason, then the author.
    start: u32,
    reason: u16,
    author: u16,
}

impl Remarks {
    fn push(&mut self, remark: Remark<'_>) -> u32 {
        let last = u32::try_from(self.rows.len()).unwrap_or(0);
        if last > 0 && self.get(last - 1) == remark {
            return last - 1;
        }
        let start = u32::try_from(self.texts.len());
        let lengths = (u16::try_from(remark.reason.len()), u16::try_from(remark.author.len()));
        // Where there is no room for more texts, entries go on without.
        let (Ok(start), (Ok(reason), Ok(author))) = (start, lengths) else {
            self.rows.push(RemarkRow { value: remark.value, start: 0, reason: 0, author: 0 });
            return last;
        };
        self.texts.push_str(remark.reason);
        self.texts.push_str(remark.author);
        self.rows.push(RemarkRow { value: remark.value, start, reason, author });
        last
    }

    fn get(&self, index: u32) -> Remark<'_> {
        let row = usize::try_from(index).ok().and_then(|index| self.rows.get(index));
        let Some(row) = row else { return Remark::default() };
        let start = usize::try_from(row.start).unwrap_or(usize::MAX);
        let middle = start.saturating_add(row.reason.into());
        let text = |range| self.texts.get(range).unwrap_or_default();
        Remark {
            value: row.value,
            reason: text(start..middle),
            author: text(middle..middle.saturating_add(row.author.into())),
        }
    }

    fn shrink(&mut self) {
        self.rows.shrink_to_fit();
        self.texts.shrink_to_fit();
    }
}
