//! Whether a new copy of a list is believed: what speaks against it, so that a broken or poisoned one replaces nothing.

use super::{Entries, Guard, Parsed};

/// A list with fewer entries may grow as if it had so many, and shrink as it likes.
const SMALL: usize = 100;

/// A list that covers fewer IPv4 addresses may grow as if it covered so many: a /8.
const LITTLE: usize = 1 << 24;

/// What speaks against a new copy of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// It is binary, or text in UTF-16.
    #[error("is binary or UTF-16, expected text in ASCII or UTF-8")]
    NotText,
    /// It is a web page: an error, a login, a captcha.
    #[error("is a web page, no list")]
    Html,
    /// It has fewer records than it says.
    #[error("has {found} records where it says {announced}, so a part is missing")]
    CutOff {
        /// What it says.
        announced: usize,
        /// What it has.
        found: usize,
    },
    /// It has no end, in a format that has one.
    #[error("ends before its last line, so a part is missing")]
    NoEnd,
    /// It has no entries, and does not say that this is meant.
    #[error(
        "has no entries, rejected lines: {rejected} (a line `# empty` says that this is meant)"
    )]
    Empty {
        /// Its lines that are no entries.
        rejected: usize,
    },
    /// It has far more entries than the one before.
    #[error(
        "has {after} entries after {before}, more than the {limit} % growth that `max_growth` allows"
    )]
    Grew {
        /// Entries before.
        before: usize,
        /// Entries now.
        after: usize,
        /// In percent.
        limit: u32,
    },
    /// It names more than a list can have.
    #[error("has more than 10,000,000 entries")]
    TooMany,
    /// It covers far more addresses than the one before.
    #[error(
        "covers {after} IPv4 addresses after {before}, more than the {limit} % growth that `max_growth` allows"
    )]
    Widened {
        /// Addresses before.
        before: usize,
        /// Addresses now.
        after: usize,
        /// In percent.
        limit: u32,
    },
    /// It has far fewer entries than the one before.
    #[error(
        "has {after} entries after {before}, more than the {limit} % loss that `max_shrink` allows"
    )]
    Shrank {
        /// Entries before.
        before: usize,
        /// Entries now.
        after: usize,
        /// In percent.
        limit: u32,
    },
}

/// What speaks against `octets`, which are no list whatever a reader makes of them.
pub fn doubt_text(octets: &[u8]) -> Option<Doubt> {
    let utf16 = octets.starts_with(b"\xff\xfe") || octets.starts_with(b"\xfe\xff");
    if utf16 || octets.contains(&0) {
        return Some(Doubt::NotText);
    }
    let text = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets).trim_ascii_start();
    text.starts_with(b"<").then_some(Doubt::Html)
}

/// What speaks against `parsed`, after a copy with the entries `before`; the first copy can only be judged by itself.
pub fn doubt_entries(parsed: &Parsed, before: &Entries, guard: Guard) -> Option<Doubt> {
    let (after, rejected) = (parsed.entries.len(), parsed.rejected.count);
    if let Some(announced) = parsed.announced
        && announced > parsed.records
    {
        return Some(Doubt::CutOff { announced, found: parsed.records });
    }
    if !parsed.has_room {
        return Some(Doubt::TooMany);
    }
    if !parsed.has_end {
        return Some(Doubt::NoEnd);
    }
    if after == 0 && !parsed.says_empty && (rejected > 0 || !before.is_empty()) {
        return Some(Doubt::Empty { rejected });
    }
    if before.is_empty() {
        return None;
    }
    let growth = guard.max_growth.and_then(|limit| grew(&parsed.entries, before, limit));
    let before = before.len();
    growth.or_else(|| {
        let shrank = |limit: &u32| {
            before >= SMALL && is_beyond(before.saturating_sub(after), before, *limit)
        };
        guard.max_shrink.filter(shrank).map(|limit| Doubt::Shrank { before, after, limit })
    })
}

/// Growth by number, and by what is covered: a list of hosts that has become one of networks is as large as it was.
fn grew(after: &Entries, before: &Entries, limit: u32) -> Option<Doubt> {
    let (many, few) = (after.len(), before.len());
    if is_beyond(many.saturating_sub(few.max(SMALL)), few.max(SMALL), limit) {
        return Some(Doubt::Grew { before: few, after: many, limit });
    }
    let addresses =
        |entries: &Entries| usize::try_from(entries.v4_addresses()).unwrap_or(usize::MAX);
    let (wide, narrow) = (addresses(after), addresses(before));
    is_beyond(wide.saturating_sub(narrow.max(LITTLE)), narrow.max(LITTLE), limit)
        .then_some(Doubt::Widened { before: narrow, after: wide, limit })
}

fn is_beyond(part: usize, whole: usize, percent: u32) -> bool {
    let percent = usize::try_from(percent).unwrap_or(usize::MAX);
    part.saturating_mul(100) > percent.saturating_mul(whole)
}
