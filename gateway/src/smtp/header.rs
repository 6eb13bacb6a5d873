//! Where the header block of a message ends, and the fields in it.

use super::Limits;
use crate::policy::Reply;
use crate::scan::count_received;

/// The length of the header block with its empty line; `None` when that line is not in `content` yet.
///
/// Octets before `searched` are known not to hold the end.
pub fn header_end(content: &[u8], searched: usize) -> Option<usize> {
    if content.starts_with(b"\r\n") {
        return Some(2);
    }
    let from = searched.saturating_sub(3);
    let at = content.get(from..)?.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(from + at + 4)
}

/// The fields of a header block, each with its continuation lines and its CRLF; the empty line comes last.
pub fn fields(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let (field, after) = rest.split_at(field_length(rest)?);
        rest = after;
        Some(field)
    })
}

/// Whether `field` is called `name`; blanks before the colon change nothing (RFC 5322 section 4.5).
pub fn is_named(field: &[u8], name: &str) -> bool {
    field
        .iter()
        .position(|&octet| octet == b':')
        .and_then(|colon| field.get(..colon))
        .is_some_and(|found| found.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes()))
}

/// What is wrong with a header block, whoever sent it: too long, a NUL in it, or so many Received fields that it loops.
pub fn header_fault(header: &[u8], limits: &Limits) -> Option<Reply> {
    if header.len() > limits.header {
        return Some(header_too_long());
    }
    if header.contains(&0) {
        return Some(Reply::new(550, 6, 0, "NUL in the header"));
    }
    let received = count_received(header);
    (received > limits.received)
        .then(|| Reply::new(554, 4, 6, &format!("mail loop: {received} Received fields")))
}

/// What the sender of too long a header hears.
pub fn header_too_long() -> Reply {
    Reply::new(552, 3, 4, "header too long")
}

fn field_length(block: &[u8]) -> Option<usize> {
    let mut lines = block.split_inclusive(|&octet| octet == b'\n');
    let first = lines.next()?;
    let folded = lines
        .take_while(|line| matches!(line.first(), Some(b' ' | b'\t')))
        .map(<[u8]>::len)
        .sum::<usize>();
    Some(first.len() + folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_however_far_it_looked() {
        for (content, expected) in [
            (&b""[..], None),
            (b"\r\n", Some(2)),
            (b"\r\nbody", Some(2)),
            (b"A: b\r\n\r\nbody", Some(8)),
            (b"A: b\r\n", None),
            (b"A: b\r\n\r", None),
            (b"A: b\r\n \r\n", None),
        ] {
            for searched in 0..=expected.map_or(content.len(), |end| end - 1) {
                assert_eq!(header_end(content, searched), expected, "{}", content.escape_ascii());
            }
        }
    }

    #[test]
    fn fields_keep_their_folded_lines() {
        let block = b"Received: a\r\n\tb\r\n c\r\nreceived : d\r\nX-Received: e\r\n\r\n";
        let found: Vec<_> = fields(block).collect();
        assert_eq!(found.len(), 4);
        assert_eq!(found[0], b"Received: a\r\n\tb\r\n c\r\n");
        assert_eq!(found.concat(), block);
        let received = fields(block).filter(|field| is_named(field, "Received"));
        assert_eq!(received.count(), 2);
        assert_eq!(fields(b"").count(), 0);
    }
}
