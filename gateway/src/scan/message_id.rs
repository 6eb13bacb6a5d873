//! The name that a message gives itself.

use super::header::HeaderBlock;

/// Letters of a name that are kept; a longer one is cut.
const LONGEST: usize = 320;

/// The first Message-ID field without its brackets, lossily decoded; `None` where there is none, or nothing in it.
pub fn message_id(header: &[u8]) -> Option<String> {
    let field = HeaderBlock::new(header).fields().find(|field| field.is("Message-ID"))?;
    let value = field.value.trim_ascii();
    // Comments and what stands behind the name are no part of it.
    let value = match value.strip_prefix(b"<") {
        Some(inner) => inner.split(|octet| *octet == b'>').next().unwrap_or(inner),
        None => value,
    };
    // Four octets are the most that a letter can have.
    let start = value.get(..LONGEST * 4).unwrap_or(value);
    let text: String = String::from_utf8_lossy(start).chars().take(LONGEST).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_stands_between_brackets() {
        for (block, expected) in [
            ("Message-ID: <a@b>\r\n", Some("a@b")),
            ("message-id:\r\n <a@b> (really)\r\n", Some("a@b")),
            ("Message-Id: bare@b \r\nMessage-ID: <other@b>\r\n", Some("bare@b")),
            ("Message-ID: <open\r\n", Some("open")),
            ("Message-ID: <\u{1b}[2J@b>\r\n", Some("\u{1b}[2J@b")),
            ("Message-ID: <>\r\n", None),
            ("Message-ID:\r\n", None),
            ("Subject: x\r\n", None),
        ] {
            assert_eq!(message_id(block.as_bytes()).as_deref(), expected, "{block:?}");
        }
        let odd = b"Message-ID: <\xff@b>\r\n";
        assert_eq!(message_id(odd).as_deref(), Some("\u{fffd}@b"));
        let long = format!("Message-ID: <{}>\r\n", "x".repeat(10_000));
        assert_eq!(message_id(long.as_bytes()).map(|id| id.len()), Some(LONGEST));
    }
}
