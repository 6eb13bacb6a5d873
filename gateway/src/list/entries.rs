//! The entries of one source: sorted and compact, each knowing the next wider one, so that one search finds all that cover an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::Entry;
use crate::clock::{Expiry, Timestamp};
use crate::net::{Prefix, reserved_prefix};

/// The entries of one source. A million of IPv4 take 28 MB, and their reasons.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    v4: Vec<Row<u32>>,
    v6: Vec<Row<u128>>,
    remarks: Remarks,
    /// Entries that were left out since others say the same.
    repeated: usize,
}

/// Of entries with the same prefix the first ones count, one of those that say the same and at most so many.
///
/// A list could have one prefix a million times, and every question about an address in it would look at all of them.
const SAME_PREFIX: usize = 16;

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

impl Remark<'_> {
    /// Whether it is the same as another one.
    ///
    /// Where there is no text its address is no real one, and some processors take long to compare nothing there.
    fn is_same(self, other: Remark<'_>) -> bool {
        let is_same = |a: &str, b: &str| a.len() == b.len() && (a.is_empty() || a == b);
        self.value == other.value
            && is_same(self.reason, other.reason)
            && is_same(self.author, other.author)
    }
}

/// What became of a source since it was read before, each prefix once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Prefixes that were not there before.
    pub added: Vec<Prefix>,
    /// Prefixes that are there no more.
    pub removed: Vec<Prefix>,
    /// How many came and went, where they are more than [`Changes::MOST_TOLD`]; then none of them is told.
    pub untold: usize,
}

impl Changes {
    /// The most prefixes that are told: of a list that is replaced by another one they would take as much memory as the list.
    pub const MOST_TOLD: usize = 1_000_000;

    /// So many at once are told.
    pub fn new(added: Vec<Prefix>, removed: Vec<Prefix>) -> Self {
        Self { added, removed, untold: 0 }.bounded()
    }

    fn add(&mut self, prefix: Prefix) {
        self.tell(prefix, |changes| &mut changes.added);
    }

    fn remove(&mut self, prefix: Prefix) {
        self.tell(prefix, |changes| &mut changes.removed);
    }

    fn tell(&mut self, prefix: Prefix, among: impl FnOnce(&mut Self) -> &mut Vec<Prefix>) {
        if self.untold > 0 {
            self.untold += 1;
            return;
        }
        among(self).push(prefix);
        if self.added.len() + self.removed.len() > Self::MOST_TOLD {
            *self = std::mem::take(self).bounded();
        }
    }

    fn bounded(self) -> Self {
        match self.added.len() + self.removed.len() {
            told if told > Self::MOST_TOLD => Self { untold: told, ..Self::default() },
            _ => self,
        }
    }
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

    /// The number of IPv4 addresses that entries cover.
    pub fn v4_addresses(&self) -> u64 {
        let outermost = self.v4.iter().filter(|row| row.wider == NO_ROW);
        outermost.map(|row| 1_u64 << 32_u32.saturating_sub(row.length.into())).sum()
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

    /// How many entries come before `prefix` in order, whether or not it is listed itself.
    pub fn position(&self, prefix: Prefix) -> usize {
        let length = prefix.length();
        match prefix.address() {
            IpAddr::V4(address) => first(&self.v4, address.to_bits(), length),
            IpAddr::V6(address) => self.v4.len() + first(&self.v6, address.to_bits(), length),
        }
    }

    /// The numbers of all entries inside `prefix`, itself among them.
    pub fn range_inside(&self, prefix: Prefix) -> Range<usize> {
        let (start, length) = (self.position(prefix), prefix.length());
        let count = match prefix.address() {
            IpAddr::V4(address) => inside(&self.v4, address.to_bits(), length).len(),
            IpAddr::V6(address) => inside(&self.v6, address.to_bits(), length).len(),
        };
        start..start + count
    }

    /// What a careful reader would notice about them: entries twice, entries inside others, addresses of no public sender.
    pub fn notices(&self) -> Vec<String> {
        let (mut inside, mut reserved) = (0_usize, 0_usize);
        let mut wider: Option<Prefix> = None;
        for prefix in self.prefixes() {
            reserved += usize::from(reserved_prefix(prefix).is_some());
            match wider {
                Some(wider) if wider == prefix => {}
                Some(wider) if wider.covers(prefix) => inside += 1,
                _ => wider = Some(prefix),
            }
        }
        let notices = [
            (self.repeated, "listed twice, left out"),
            (inside, "inside another entry"),
            (reserved, "private, loopback or otherwise of no public sender"),
        ];
        let notices = notices.into_iter().filter(|(count, _what)| *count > 0);
        notices.map(|(count, what)| format!("entries {what}: {count}")).collect()
    }

    /// The same entries with `holes` cut out of them: what covers a hole becomes the fewest prefixes round it.
    #[must_use]
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
    pub fn set_added(&mut self, mut added: impl FnMut(Prefix) -> Option<Timestamp>) {
        for row in &mut self.v4 {
            row.added = added(row.key().0).map_or(0, seconds);
        }
        for row in &mut self.v6 {
            row.added = added(row.key().0).map_or(0, seconds);
        }
    }

    /// Sorts, and tells every row which is the next wider one.
    fn arrange(&mut self) {
        self.repeated += arrange(&mut self.v4, &self.remarks);
        self.repeated += arrange(&mut self.v6, &self.remarks);
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
            added: (row.added > 0).then(|| Timestamp::from_second(row.added.into()).ok()).flatten(),
            expires,
        }
    }
}

impl PartialEq for Entries {
    /// Since when they are listed does not make two sets of entries different.
    fn eq(&self, other: &Self) -> bool {
        is_same(self, &self.v4, other, &other.v4) && is_same(self, &self.v6, other, &other.v6)
    }
}

fn is_same<A: Address>(
    all: &Entries,
    rows: &[Row<A>],
    others: &Entries,
    other_rows: &[Row<A>],
) -> bool {
    let says = |row: &Row<A>| (row.sort_key(), row.line, row.expires);
    rows.len() == other_rows.len()
        && rows.iter().zip(other_rows).all(|(row, other)| {
            says(row) == says(other)
                && all.remarks.get(row.remark).is_same(others.remarks.get(other.remark))
        })
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

    /// Adds one that has been listed since `added`.
    pub fn push_since(&mut self, listed: Listed<'_>, added: Timestamp) {
        self.push(listed);
        let v4 = listed.prefix.address().is_ipv4();
        let last = if v4 {
            self.0.v4.last_mut().map(|row| &mut row.added)
        } else {
            self.0.v6.last_mut().map(|row| &mut row.added)
        };
        if let Some(last) = last {
            *last = seconds(added);
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
    added: u32,
    expires: Option<Expiry>,
    length: u8,
}

impl<A: Address> Row<A> {
    fn new(address: A, length: u8, remark: u32, listed: &Listed<'_>) -> Self {
        let Listed { line, expires, .. } = *listed;
        Self { address, wider: NO_ROW, line, remark, added: 0, expires, length }
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
        self & Self::MAX.checked_shl(32 - Self::from(length)).unwrap_or(0)
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

/// Sorts `rows`, leaves out those that say nothing new, and links the others; how many were left out.
fn arrange<A: Address>(rows: &mut Vec<Row<A>>, remarks: &Remarks) -> usize {
    if !rows.is_sorted_by_key(Row::sort_key) {
        // In place; of entries with one prefix the first of the source stays the first, since what is said of it came first.
        rows.sort_unstable_by_key(|row| (row.sort_key(), row.remark, row.line));
    }
    let before = rows.len();
    drop_repeated(rows, remarks);
    let mut open: Vec<(A, u8, u32)> = Vec::new();
    for (index, row) in (0..).zip(rows.iter_mut()) {
        let outside = |&mut (address, length, _): &mut (A, u8, u32)| {
            length > row.length || row.address.head(length) != address
        };
        while open.pop_if(outside).is_some() {}
        row.wider = open.last().map_or(NO_ROW, |&(_address, _length, wider)| wider);
        open.push((row.address, row.length, index));
    }
    before - rows.len()
}

fn drop_repeated<A: Address>(rows: &mut Vec<Row<A>>, remarks: &Remarks) {
    let mut prefix = None;
    let mut said: Vec<(Option<Expiry>, u32)> = Vec::new();
    rows.retain(|row| {
        if prefix != Some(row.sort_key()) {
            prefix = Some(row.sort_key());
            said.clear();
        }
        let says_so = |&(expires, remark): &(Option<Expiry>, u32)| {
            expires == row.expires
                && (remark == row.remark || remarks.get(remark).is_same(remarks.get(row.remark)))
        };
        let is_new = said.len() < SAME_PREFIX && !said.iter().any(says_so);
        if is_new {
            said.push((row.expires, row.remark));
        }
        is_new
    });
}

/// All rows that cover the prefix, the longest first.
///
/// They lie, one inside the other, round the last row that is not beyond the prefix, so that row's chain has them all.
fn covering<A: Address>(rows: &[Row<A>], address: A, length: u8) -> impl Iterator<Item = &Row<A>> {
    let beyond = rows.partition_point(|row| row.sort_key() <= (address, length));
    let row = move |index: usize| rows.get(index);
    let last = beyond.checked_sub(1).and_then(row);
    let wider =
        move |row: &&Row<A>| usize::try_from(row.wider).ok().and_then(|wider| rows.get(wider));
    std::iter::successors(last, wider).filter(move |row| row.covers(address, length))
}

/// How many rows come before the prefix.
fn first<A: Address>(rows: &[Row<A>], address: A, length: u8) -> usize {
    rows.partition_point(|row| row.sort_key() < (address, length))
}

/// All rows inside the prefix.
fn inside<A: Address>(rows: &[Row<A>], address: A, length: u8) -> &[Row<A>] {
    let rest = rows.get(first(rows, address, length)..).unwrap_or_default();
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

fn succeed<A: Address>(rows: &mut [Row<A>], earlier: &[Row<A>], now: u32, changes: &mut Changes) {
    let mut earlier = earlier.chunk_by(|a, b| a.sort_key() == b.sort_key()).peekable();
    for same in rows.chunk_by_mut(|a, b| a.sort_key() == b.sort_key()) {
        let Some(key) = same.first().map(Row::sort_key) else { continue };
        let first = |before: &[Row<A>]| before.first().copied();
        while let Some(gone) =
            earlier.next_if(|before| first(before).is_some_and(|row| row.sort_key() < key))
        {
            if let Some(row) = first(gone) {
                changes.remove(row.key().0);
            }
        }
        let before =
            earlier.next_if(|before| first(before).is_some_and(|row| row.sort_key() == key));
        let before = before.and_then(first);
        if let (None, Some(row)) = (before, same.first()) {
            changes.add(row.key().0);
        }
        for row in same {
            row.added = before.map_or(now, |before| before.added);
        }
    }
    earlier.filter_map(<[_]>::first).for_each(|row| changes.remove(row.key().0));
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
        if last > 0 && self.get(last - 1).is_same(remark) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// IPv4 hosts and networks in 192.0.2.0/26, and the same inside `2001:db8::/122`.
    fn any_prefix() -> impl Strategy<Value = Prefix> {
        (any::<bool>(), 0_u8..64, 0_u8..=6).prop_map(|(v4, host, wider)| {
            let address = address(v4, host);
            let longest = if v4 { 32 } else { 128 };
            Prefix::new(address, longest - wider).unwrap()
        })
    }

    fn address(v4: bool, host: u8) -> IpAddr {
        if v4 {
            Ipv4Addr::new(192, 0, 2, host).into()
        } else {
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()).into()
        }
    }

    fn addresses() -> impl Iterator<Item = IpAddr> {
        (0..64).flat_map(|host| [address(true, host), address(false, host)])
    }

    /// Each prefix once: what is repeated is left out.
    fn some_prefixes() -> impl Strategy<Value = Vec<Prefix>> {
        prop::collection::btree_set(any_prefix(), 0..24).prop_map(Vec::from_iter).prop_shuffle()
    }

    fn entries(prefixes: &[Prefix]) -> Entries {
        prefixes.iter().copied().collect()
    }

    #[test]
    fn what_is_said_of_entries_stays_with_them() {
        let mut builder = Entries::builder();
        for (line, prefix, reason, author) in [
            (1, "192.0.2.7", "spam", "alice"),
            (2, "192.0.2.0/24", "spam", "alice"),
            (3, "2001:db8::1", "", "bob"),
            (4, "192.0.2.1", "", ""),
        ] {
            let remark = Remark { value: None, reason, author };
            builder.push(Listed { prefix: prefix.parse().unwrap(), line, remark, expires: None });
        }
        let entries = builder.finish();
        let text = |text: Option<Box<str>>| text.unwrap_or_default();
        let shown = |entry: Entry| {
            format!("{} {} {}:{}", entry.line, entry.prefix, text(entry.author), text(entry.reason))
        };
        assert_eq!(
            entries.iter().map(shown).collect::<Vec<_>>(),
            [
                "2 192.0.2.0/24 alice:spam",
                "4 192.0.2.1 :",
                "1 192.0.2.7 alice:spam",
                "3 2001:db8::1 bob:"
            ]
        );
        assert_eq!((entries.v4_len(), entries.v6_len()), (3, 1));
    }

    #[test]
    fn a_prefix_that_is_repeated_costs_nothing() {
        let prefix: Prefix = "192.0.2.0/24".parse().unwrap();
        let other: Prefix = "192.0.2.9".parse().unwrap();
        let reasons: Vec<_> = (0..100_000).map(|number| number.to_string()).collect();
        for (name, reasons, kept) in [
            ("the same", vec!["same"; 100_000], 1),
            ("others", reasons.iter().map(String::as_str).collect(), SAME_PREFIX),
        ] {
            let mut builder = Entries::builder();
            for (line, reason) in (1..).zip(&reasons) {
                let remark = Remark { reason, ..Remark::default() };
                builder.push(Listed { prefix, line, remark, expires: None });
                builder.push(Listed {
                    prefix: other,
                    line,
                    remark: Remark::default(),
                    expires: None,
                });
            }
            let entries = builder.finish();
            assert_eq!(entries.len(), kept + 1, "{name}");
            assert_eq!(entries.get(0).unwrap().line, 1, "{name}");
            assert_eq!(entries.covering(other).count(), kept + 1, "{name}");
            assert_eq!(
                entries.notices()[0],
                format!("entries listed twice, left out: {}", 199_999 - kept),
                "{name}"
            );
        }
    }

    #[test]
    fn a_careful_reader_notices() {
        let all = ["192.0.2.0/24", "192.0.2.7", "192.0.2.0/24", "10.1.2.3"]
            .map(|text| text.parse().unwrap());
        assert_eq!(
            entries(&all).notices(),
            [
                "entries listed twice, left out: 1",
                "entries inside another entry: 1",
                "entries private, loopback or otherwise of no public sender: 1"
            ]
        );
        assert!(Entries::default().notices().is_empty());
    }

    #[test]
    fn of_too_many_changes_only_the_number_is_told() {
        let hosts = |from: u32, count: u32| -> Entries {
            let host = |host| Prefix::host(Ipv4Addr::from_bits(host).into());
            (from..from + count).map(host).collect()
        };
        let earlier = hosts(0, 600_000);
        for (from, told, untold) in [(400_000, 800_000, 0), (600_000, 0, 1_200_000)] {
            let changes = hosts(from, 600_000).succeed(&earlier, Timestamp::UNIX_EPOCH);
            assert_eq!(changes.added.len() + changes.removed.len(), told);
            assert_eq!(changes.untold, untold);
        }
    }

    proptest! {
        #[test]
        fn all_that_cover_an_address_are_found_the_longest_first(prefixes in some_prefixes()) {
            let entries = entries(&prefixes);
            for address in addresses() {
                let mut expected: Vec<_> = prefixes.iter().filter(|prefix| prefix.contains(address)).map(|prefix| prefix.length()).collect();
                expected.sort_by(|a, b| b.cmp(a));
                let found: Vec<_> = entries.covering(Prefix::host(address)).map(|entry| entry.prefix.length()).collect();
                prop_assert_eq!(found, expected, "{}", address);
            }
        }

        #[test]
        fn all_inside_a_prefix_are_found(prefixes in some_prefixes(), outer in any_prefix()) {
            let expected = prefixes.iter().filter(|prefix| outer.covers(**prefix)).count();
            prop_assert_eq!(entries(&prefixes).inside(outer).count(), expected);
        }

        #[test]
        fn holes_are_cut_out_and_nothing_else(prefixes in some_prefixes(), holes in some_prefixes()) {
            let (entries, holes) = (entries(&prefixes), entries(&holes));
            let rest = entries.without(&holes);
            for address in addresses().map(Prefix::host) {
                let expected = entries.covers(address) && !holes.covers(address);
                prop_assert_eq!(rest.covers(address), expected, "{}", address);
            }
        }

        #[test]
        fn what_came_and_went_leads_from_one_to_the_other(before in some_prefixes(), after in some_prefixes()) {
            let set = |prefixes: &[Prefix]| prefixes.iter().copied().collect::<std::collections::BTreeSet<_>>();
            let [then, now] = [100, 200].map(|second| Timestamp::from_second(second).unwrap());
            let mut earlier = entries(&before);
            earlier.succeed(&Entries::default(), then);
            let mut later = entries(&after);
            let changes = later.succeed(&earlier, now);
            let (before, after) = (set(&before), set(&after));
            prop_assert_eq!(changes.added, after.difference(&before).copied().collect::<Vec<_>>());
            prop_assert_eq!(changes.removed, before.difference(&after).copied().collect::<Vec<_>>());
            for entry in later.iter() {
                let added = if before.contains(&entry.prefix) { then } else { now };
                prop_assert_eq!(entry.added, Some(added));
            }
        }
    }
}
