//! One message as a mail server tells it: its envelope, its header put together again.

use crate::policy::Envelope;

/// One message, as far as the mail server told it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What the dialogue said.
    pub envelope: Envelope,
    /// The name in the mail server's queue.
    pub queue_id: Option<String>,
    header: Vec<u8>,
    is_too_long: bool,
}

impl Message {
    pub(super) fn new(helo: String, sender: String, queue_id: Option<String>) -> Self {
        let envelope = Envelope { helo, sender, recipients: Vec::new() };
        Self { envelope, queue_id, ..Self::default() }
    }

    /// The header block, its lines ended by CRLF, without the empty line; empty where it is too long.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Whether the header is longer than the limit.
    pub const fn is_header_too_long(&self) -> bool {
        self.is_too_long
    }

    /// Adds a field; `has_space` tells whether what stood between colon and text is part of the value.
    pub(super) fn add_field(&mut self, name: &[u8], value: &[u8], has_space: bool, limit: usize) {
        if self.is_too_long {
            return;
        }
        // A name that could end its field is one of no mail server.
        let plain = |&octet: &u8| if octet.is_ascii_control() { b'?' } else { octet };
        self.header.extend(name.iter().map(plain));
        self.header.extend_from_slice(if has_space { b":" } else { b": " });
        for (index, line) in value.split(|&octet| octet == b'\n').enumerate() {
            if index > 0 {
                self.header.extend_from_slice(b"\r\n");
            }
            self.header.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        }
        self.header.extend_from_slice(b"\r\n");
        if self.header.len() > limit {
            self.overflow();
        }
    }

    /// The header is too long: it is refused, so nothing of it is needed any more.
    pub(super) fn overflow(&mut self) {
        self.is_too_long = true;
        self.header = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_put_together_again() {
        let mut message = Message::default();
        message.add_field(b"Subject", b" a\n b\r\n\tc", true, 1000);
        message.add_field(b"X-A ", b"b", false, 1000);
        message.add_field(b"X\n\rB", b"c", false, 1000);
        assert_eq!(
            message.header().escape_ascii().to_string(),
            "Subject: a\\r\\n b\\r\\n\\tc\\r\\nX-A : b\\r\\nX??B: c\\r\\n"
        );
        assert!(!message.is_header_too_long());
    }

    #[test]
    fn a_header_over_the_limit_is_never_looked_at_in_part() {
        let mut message = Message::default();
        for number in 0..100 {
            message.add_field(b"A", b"12345", false, 20);
            assert_eq!(message.is_header_too_long(), number >= 2);
            assert!(message.header().len() <= 20);
        }
        assert!(message.header().is_empty());
    }
}
