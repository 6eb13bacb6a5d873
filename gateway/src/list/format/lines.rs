//! The lines of a list with their numbers.

use std::borrow::Cow;

use memchr::memchr;

/// Octets of a line that are read: no format needs more, and what is shown and kept of a line is shorter by far.
const LINE_LIMIT: usize = 1 << 16;

/// A comment that says that its list is empty on purpose.
const EMPTY: &str = "empty";

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    /// Its number, from 1.
    pub(super) number: u32,
    /// Its text without blanks around it; what is no UTF-8 in it is replaced.
    pub(super) text: Cow<'a, str>,
}

/// All lines of a list, those that are empty among them.
pub(super) fn lines<'a>(octets: &'a [u8]) -> impl Iterator<Item = Line<'a>> {
    let mut rest = Some(octets);
    let lines = std::iter::from_fn(move || {
        let octets = rest?;
        let end = memchr(b'\n', octets);
        let (line, after) = match end.and_then(|end| octets.split_at_checked(end)) {
            Some((line, after)) => (line, after.get(1..)),
            None => (octets, None),
        };
        rest = after;
        Some(line)
    });
    let text = |line: &'a [u8]| {
        let line = line.get(..LINE_LIMIT).unwrap_or(line);
        String::from_utf8_lossy(line.trim_ascii())
    };
    (1..).zip(lines.map(text)).map(|(number, text)| Line { number, text })
}

/// Whether `line`, a comment, says that its list is empty on purpose.
pub(super) fn says_empty(line: &str) -> bool {
    line.starts_with(['#', ';'])
        && line.trim_start_matches(['#', ';']).trim().eq_ignore_ascii_case(EMPTY)
}
