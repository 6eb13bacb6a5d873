//! What a client is told: three-digit code, enhanced status code, one line of safe text.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::Verdict;

/// An SMTP reply of one line (RFC 5321 section 4.2, RFC 3463).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 421 to 554.
    pub code: u16,
    /// Class, subject, detail; the class agrees with the code's first digit.
    pub enhanced: (u8, u8, u8),
    /// The words.
    pub text: ReplyText,
}

impl Reply {
    /// Builds a reply; the class of the enhanced code follows from `code`.
    pub fn new(code: u16, subject: u8, detail: u8, text: &str) -> Self {
        let class = if code >= 500 {
            5
        } else if code >= 400 {
            4
        } else {
            2
        };
        Self { code, enhanced: (class, subject, detail), text: ReplyText::new(text) }
    }

    /// Whether a sender may try again later.
    pub const fn is_temporary(&self) -> bool {
        self.code >= 400 && self.code < 500
    }
}

impl fmt::Display for Reply {
    /// The line without its CRLF.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, subject, detail) = self.enhanced;
        write!(f, "{} {class}.{subject}.{detail} {}", self.code, self.text)
    }
}

impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Text that is safe inside an SMTP reply: printable ASCII, no CR or LF, at most 400 octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyText(String);

impl ReplyText {
    /// With code, enhanced code and CRLF the line stays under the 512 octets of RFC 5321 section 4.5.3.1.5.
    const LIMIT: usize = 400;

    /// Makes `text` safe: whatever is not printable ASCII becomes `?`, what is too long is cut.
    pub fn new(text: &str) -> Self {
        let safe = |letter: char| {
            if (' '..='~').contains(&letter) { letter } else { '?' }
        };
        Self(text.chars().take(Self::LIMIT).map(safe).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReplyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of one decision: short enough for a reply, not to be guessed from another.
///
/// Thirteen letters of 64 random bits; the record of the decision has the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference(Box<str>);

impl Reference {
    /// The reference that stands for `bits`.
    pub fn new(bits: u64) -> Self {
        /// Crockford's alphabet: no letter can be misread for another over the telephone.
        const ALPHABET: [u8; 32] = *b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let digit = |index: u32| {
            let five_bits = bits.unbounded_shr(index * 5) & 31;
            usize::try_from(five_bits)
                .ok()
                .and_then(|five| ALPHABET.get(five))
                .copied()
                .unwrap_or(b'0')
        };
        Self((0..13).rev().map(|index| char::from(digit(index))).collect())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What a client is told that has to come again since DNS did not answer, with 4.4.3 (S4.4).
pub const DNS_UNAVAILABLE: &str = "Unable to connect to DNS - try again later";

/// How much a refused client is told beyond the fixed words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyStyle {
    /// The address that was seen.
    pub address: bool,
    /// The verdict, and the label of the list.
    pub label: bool,
    /// The reference of the record.
    pub reference: bool,
}

impl Default for ReplyStyle {
    fn default() -> Self {
        Self { address: true, label: true, reference: true }
    }
}

impl ReplyStyle {
    /// The fixed words, followed by what this style tells.
    pub(super) fn text(
        self,
        words: &str,
        address: IpAddr,
        verdict: Verdict,
        label: Option<&str>,
        reference: &Reference,
    ) -> String {
        let mut parts = vec![words.to_owned()];
        if self.address {
            parts.push(format!("client [{address}]"));
        }
        if self.label {
            parts.push(
                label.map_or_else(|| verdict.to_string(), |label| format!("{verdict}: {label}")),
            );
        }
        if self.reference {
            parts.push(format!("reference {reference}"));
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unsafe_gets_into_a_reply() {
        let text = ReplyText::new("evil\r\n250 ok\0\u{e9}");
        assert_eq!(text.as_str(), "evil??250 ok??");
        assert_eq!(ReplyText::new(&"x".repeat(9000)).as_str().len(), 400);
    }

    #[test]
    fn the_class_follows_the_code() {
        assert_eq!(Reply::new(554, 7, 1, "no").to_string(), "554 5.7.1 no");
        assert_eq!(Reply::new(421, 4, 3, "later").to_string(), "421 4.4.3 later");
        assert_eq!(Reply::new(250, 0, 0, "ok").to_string(), "250 2.0.0 ok");
    }

    #[test]
    fn references_have_one_length_and_do_not_collide() {
        assert_eq!(Reference::new(0).to_string(), "0000000000000");
        assert_eq!(Reference::new(u64::MAX).to_string(), "FZZZZZZZZZZZZ");
        assert_ne!(Reference::new(1), Reference::new(1 << 63));
    }
}
