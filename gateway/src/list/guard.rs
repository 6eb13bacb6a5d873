//! Whether a new copy of a list is believed: what speaks against it, so that a broken or poisoned one replaces nothing.

use super::{Guard, Parsed};

/// Lists with fewer entries than this may grow and shrink as they like.
const SMALL: usize = 100;

/// What speaks against a new copy of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// It is no text in ASCII or UTF-8.
    #[error("is no text in ASCII or UTF-8")]
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

/// What speaks against `parsed`, after a copy of `before` entries.
pub fn doubt_entries(parsed: &Parsed, before: usize, guard: Guard) -> Option<Doubt> {
    let (after, rejected) = (parsed.entries.len(), parsed.rejected.count);
    if let Some(announced) = parsed.announced
        && announced > parsed.records
    {
        return Some(Doubt::CutOff { announced, found: parsed.records });
    }
    if !parsed.has_end {
        return Some(Doubt::NoEnd);
    }
    if after == 0 && !parsed.says_empty && (rejected > 0 || before > 0) {
        return Some(Doubt::Empty { rejected });
    }
    if before < SMALL {
        return None;
    }
    let beyond = |part: usize, limit: &u32| {
        let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
        part.saturating_mul(100) > limit.saturating_mul(before)
    };
    let grown = guard.max_growth.filter(|limit| beyond(after.saturating_sub(before), limit));
    let shrunk = guard.max_shrink.filter(|limit| beyond(before.saturating_sub(after), limit));
    let grew = grown.map(|limit| Doubt::Grew { before, after, limit });
    grew.or_else(|| shrunk.map(|limit| Doubt::Shrank { before, after, limit }))
}
