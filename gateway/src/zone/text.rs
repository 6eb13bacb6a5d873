//! The text that a zone has for an address, made safe for replies and logs.

use std::sync::Arc;

use super::Domain;

/// The most letters that are kept of it.
const MOST_LETTERS: usize = 200;

/// The text of TXT records, on one line; `None` where nothing is left, or where it tells the access key.
pub fn text(records: &[impl AsRef<str>], domain: &Domain) -> Option<Arc<str>> {
    if records.iter().any(|record| domain.is_revealed_by(record.as_ref())) {
        return None;
    }
    let mut text = String::new();
    let words = records.iter().flat_map(|record| record.as_ref().split_ascii_whitespace());
    let mut letters = 0;
    for word in words {
        let gap = (letters > 0).then_some(' ');
        for letter in gap.into_iter().chain(word.chars()).take(MOST_LETTERS - letters) {
            text.push(if letter == ' ' || letter.is_ascii_graphic() { letter } else { '?' });
            letters += 1;
        }
        if letters == MOST_LETTERS {
            break;
        }
    }
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_printable_line_is_kept() {
        let domain = Domain::new("zen.example.org", Some("s3cret")).unwrap();
        let (long, cut) = ("x".repeat(300), "x".repeat(200));
        for (records, expected) in [
            (&[][..], None),
            (&["  "], None),
            (&["https://example.org/q?ip=192.0.2.1"], Some("https://example.org/q?ip=192.0.2.1")),
            (&["a\r\n554 b", "c"], Some("a 554 b c")),
            (&["\u{1b}[31mred\u{202e}"], Some("?[31mred?")),
            (&[&long], Some(&cut)),
            (&["see 2.0.0.127.S3CRET.zen.example.org"], None),
            (&["a", "s3cret"], None),
        ] {
            assert_eq!(text(records, &domain).as_deref(), expected, "{records:?}");
        }
    }
}
