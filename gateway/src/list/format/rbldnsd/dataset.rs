//! One dataset of a zone file: its lines, and what they list once all are known.

use std::cmp::Reverse;

use super::super::super::Remark;
use super::super::{Found, LineFault, Sink};
use super::answer::Answer;
use super::exclusions::{Exclusions, Room};
use super::variables::Variables;
use super::{BLANK, COMMENT, Format, item};
use crate::net::Prefix;

/// The types of datasets that list addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Dataset {
    /// Hosts and networks of whole numbers; all that are equally narrow answer.
    Ip4Set,
    /// Prefixes; the longest answers.
    Ip4Trie,
    /// The same for IPv6.
    Ip6Trie,
}

impl Dataset {
    /// The type called `word`, which may have a name after a colon.
    pub(in super::super) fn named(word: &str) -> Option<Self> {
        match word.split(':').next()? {
            "ip4set" => Some(Self::Ip4Set),
            "ip4trie" => Some(Self::Ip4Trie),
            "ip6trie" => Some(Self::Ip6Trie),
            _ => None,
        }
    }

    /// The format of a file that begins with it.
    pub(in super::super) const fn format(self) -> Format {
        match self {
            Self::Ip4Set => Format::RbldnsdIp4Set,
            Self::Ip4Trie => Format::RbldnsdIp4Trie,
            Self::Ip6Trie => Format::RbldnsdIp6Trie,
        }
    }

    /// How narrow a prefix is for rbldnsd: the narrower one answers.
    ///
    /// A set keeps hosts, and networks of one to three numbers; all else it keeps as several of these.
    pub(super) fn narrowness(self, prefix: Prefix) -> u8 {
        match (self, prefix.length()) {
            (Self::Ip4Set, 0) => 8,
            (Self::Ip4Set, length) => length.next_multiple_of(8),
            (Self::Ip4Trie | Self::Ip6Trie, length) => length,
        }
    }

    fn read_item(self, text: &str, most: u32) -> Result<(Vec<Prefix>, &str), LineFault> {
        match self {
            Self::Ip4Set => item::v4_range(text, most),
            Self::Ip4Trie => item::v4_prefix(text, most),
            Self::Ip6Trie => item::v6_prefix(text),
        }
    }
}

/// The lines of a dataset.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    dataset: Dataset,
    default: Answer<'a>,
    pub(super) variables: Variables<'a>,
    all: Vec<Row<'a>>,
}

/// One line.
#[derive(Debug)]
struct Row<'a> {
    line: u32,
    text: &'a str,
    prefixes: Vec<Prefix>,
    /// `None` where it excludes.
    answer: Option<Answer<'a>>,
}

/// What is left of one prefix of a row.
#[derive(Clone, Copy, Debug)]
struct Part {
    prefix: Prefix,
    /// Of the prefix before it was cut.
    narrowness: u8,
    /// The place of the row.
    row: usize,
}

impl Row<'_> {
    fn first(&self) -> Option<Prefix> {
        self.prefixes.first().copied()
    }
}

impl<'a> Rows<'a> {
    pub(super) const fn new(dataset: Dataset, variables: Variables<'a>) -> Self {
        Self { dataset, default: Answer::USUAL, variables, all: Vec::new() }
    }

    /// Reads a default, an exclusion or an entry.
    pub(super) fn read_line(
        &mut self,
        line: u32,
        text: &'a str,
        most: u32,
    ) -> Result<(), LineFault> {
        // No default begins with two colons, but addresses of IPv6 do.
        if text.starts_with(':') && !(self.dataset == Dataset::Ip6Trie && text.starts_with("::")) {
            self.default = Answer::read(text, Answer::USUAL)?;
            return Ok(());
        }
        let (item, excludes) = match text.strip_prefix('!') {
            Some(item) => (item.trim_start_matches(BLANK), true),
            None => (text, false),
        };
        let (prefixes, rest) = self.dataset.read_item(item, most)?;
        let answer = rest.trim_start_matches(BLANK);
        let is_apart = answer.len() < rest.len() || answer.starts_with(':');
        let answer = if answer.is_empty() || answer.starts_with(COMMENT) || excludes {
            self.default
        } else if is_apart {
            Answer::read(answer, self.default)?
        } else {
            return Err(LineFault::found(item, "an address, then a blank or the end of the line"));
        };
        if !excludes {
            Sink::refuse_wide(&prefixes)?;
        }
        self.all.push(Row { line, text, prefixes, answer: (!excludes).then_some(answer) });
        Ok(())
    }

    /// Hands over all that the dataset lists; `room` is for the parts that exclusions leave.
    pub(super) fn list(mut self, room: &mut Room, sink: &mut Sink<'_>) {
        if self.dataset != Dataset::Ip4Set {
            self.leave_first_only(sink);
        }
        let excluded = self.all.iter().filter(|row| row.answer.is_none());
        let excluded = excluded.flat_map(|row| row.prefixes.iter().copied());
        let exclusions = Exclusions::new(self.dataset, excluded, room);
        if exclusions.is_empty() {
            for row in &self.all {
                self.list_row(row, &row.prefixes, sink);
            }
            return;
        }
        let parts = self.parts(exclusions, sink);
        for parts in parts.chunk_by(|a, b| a.row == b.row) {
            let prefixes: Vec<_> = parts.iter().map(|part| part.prefix).collect();
            if let Some(row) = parts.first().and_then(|part| self.all.get(part.row)) {
                self.list_row(row, &prefixes, sink);
            }
        }
    }

    fn list_row(&self, row: &Row<'_>, prefixes: &[Prefix], sink: &mut Sink<'_>) {
        let Some(Answer { value, text }) = row.answer else { return };
        let reason = self.variables.fill_in(text);
        let remark = Remark { value: Some(value), reason: &reason, ..Remark::default() };
        sink.list(&Found { line: row.line, text: row.text, remark, expires: None }, prefixes);
    }

    /// What exclusions leave of all rows, row by row.
    ///
    /// Several may be left with the same prefix: then only the narrowest answer, and the others are not kept.
    fn parts(&self, mut exclusions: Exclusions<'_>, sink: &mut Sink<'_>) -> Vec<Part> {
        let mut parts = Vec::new();
        for (index, row) in self.all.iter().enumerate().filter(|(_, row)| row.answer.is_some()) {
            let start = parts.len();
            for &prefix in &row.prefixes {
                let mut left = Vec::new();
                let narrowness = self.dataset.narrowness(prefix);
                if exclusions.leave(prefix, &mut left).is_none() {
                    parts.truncate(start);
                    sink.reject(row.line, row.text, LineFault::Parts { prefix });
                    break;
                }
                let part = |prefix| Part { prefix, narrowness, row: index };
                parts.extend(left.into_iter().map(part));
            }
        }
        parts.sort_unstable_by_key(|part| (part.prefix, Reverse(part.narrowness), part.row));
        parts.dedup_by(|wider, part| {
            wider.prefix == part.prefix && wider.narrowness < part.narrowness
        });
        parts.sort_unstable_by_key(|part| (part.row, part.prefix));
        parts
    }

    /// In a trie the first line with a prefix counts, whether it lists or excludes.
    fn leave_first_only(&mut self, sink: &mut Sink<'_>) {
        self.all.sort_by_key(Row::first);
        self.all.dedup_by(|later, row| {
            let again = later.first().filter(|prefix| row.first() == Some(*prefix));
            if let Some(prefix) = again {
                let first = row.line;
                sink.reject(later.line, later.text, LineFault::Again { prefix, first });
            }
            again.is_some()
        });
    }
}
