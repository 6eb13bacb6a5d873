//! The subject of a message, as people read it.

use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;

use super::header::HeaderBlock;

/// Letters of a subject; a longer one is cut.
const LONGEST: usize = 200;

/// The first Subject field, decoded (RFC 2047), on one line; `None` where there is none.
pub fn subject(header: &[u8]) -> Option<String> {
    let field = HeaderBlock::new(header).fields().find(|field| field.is("Subject"))?;
    // What is cut would have to be decoded first, and nobody reads it.
    let value: Vec<u8> = field.value.iter().copied().take(LONGEST * 8).collect();
    let value = [value.as_slice(), b"\r\n"].concat();
    let HeaderValue::Text(text) = MessageStream::new(&value).parse_unstructured() else {
        return Some(String::new());
    };
    let on_one_line = |letter: char| if letter.is_control() { ' ' } else { letter };
    Some(text.chars().take(LONGEST).map(on_one_line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_read() {
        for (block, expected) in [
            ("Subject: hello\r\n", Some("hello")),
            ("X: y\r\nsubject:hello\r\n there\r\nSubject: other\r\n", Some("hello there")),
            ("Subject: =?utf-8?q?caf=C3=A9?=\r\n", Some("caf\u{e9}")),
            ("Subject: =?utf-8?b?GxtbMm0=?=\r\n", Some("  [2m")),
            ("Subject:\r\n", Some("")),
            ("Subject: a\u{1b}[2J\r\n", Some("a [2J")),
            ("From: a@example.org\r\n\r\nSubject: body\r\n", None),
        ] {
            let found = subject(block.as_bytes());
            assert_eq!(found.as_deref(), expected, "{block:?}");
        }
        let long = format!("Subject: {}\r\n", "x".repeat(10_000));
        assert_eq!(subject(long.as_bytes()).unwrap().len(), LONGEST);
    }
}
