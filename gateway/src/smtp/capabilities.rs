//! What a next hop offers with EHLO, and what of it clients are offered.

use super::{NextHopReply, XclientAttributes};

/// An SMTP extension that passes through this front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// RFC 6152.
    EightBitMime,
    /// RFC 3461.
    Dsn,
    /// RFC 2034.
    EnhancedStatusCodes,
    /// RFC 1870.
    Size,
    /// RFC 6531.
    SmtpUtf8,
}

/// What a next hop offers with EHLO, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    extensions: Vec<Extension>,
    /// Octets of a message that it takes; `None` without a limit.
    size: Option<u64>,
    /// What it lets us say about a client with XCLIENT; never shown to clients.
    pub xclient: XclientAttributes,
}

impl Capabilities {
    /// Reads the reply to EHLO; its first line is a greeting.
    pub fn from_reply(reply: &NextHopReply) -> Self {
        Self::parse(reply.texts().skip(1))
    }

    /// Reads the lines of the reply to EHLO behind the first, without their codes.
    pub fn parse(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut capabilities = Self::default();
        for line in lines {
            let mut words = line.as_ref().split_ascii_whitespace();
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            let extension = match keyword.as_str() {
                "8BITMIME" => Extension::EightBitMime,
                "DSN" => Extension::Dsn,
                "ENHANCEDSTATUSCODES" => Extension::EnhancedStatusCodes,
                "SIZE" => {
                    // Zero says that there is no limit (RFC 1870 section 4).
                    let size = words.next().and_then(|size| size.parse().ok());
                    capabilities.size = size.filter(|&size| size != 0);
                    Extension::Size
                }
                "SMTPUTF8" => Extension::SmtpUtf8,
                "XCLIENT" => {
                    capabilities.xclient = words.collect();
                    continue;
                }
                _ => continue,
            };
            capabilities.extensions.push(extension);
        }
        capabilities
    }

    /// Whether it offers `extension`.
    pub fn has(&self, extension: Extension) -> bool {
        self.extensions.contains(&extension)
    }

    /// Octets of a message that both it and we take.
    pub fn size(&self, ours: u64) -> u64 {
        self.size.map_or(ours, |theirs| theirs.min(ours))
    }

    /// What a client is offered: PIPELINING and SIZE are ours to keep, the rest needs the next hop.
    pub fn offered(&self, our_size: u64) -> Vec<String> {
        let through = [
            (Extension::EightBitMime, "8BITMIME"),
            (Extension::SmtpUtf8, "SMTPUTF8"),
            (Extension::Dsn, "DSN"),
            (Extension::EnhancedStatusCodes, "ENHANCEDSTATUSCODES"),
        ];
        let ours = ["PIPELINING".to_owned(), format!("SIZE {}", self.size(our_size))];
        let through = through.into_iter().filter(|&(extension, _)| self.has(extension));
        ours.into_iter().chain(through.map(|(_, keyword)| keyword.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_offered_what_both_can_do() {
        for (lines, expected) in [
            (&[][..], &["PIPELINING", "SIZE 1000"][..]),
            (&["SIZE"], &["PIPELINING", "SIZE 1000"]),
            (&["SIZE 0"], &["PIPELINING", "SIZE 1000"]),
            (&["SIZE 10"], &["PIPELINING", "SIZE 10"]),
            (&["size 9999999", "Dsn"], &["PIPELINING", "SIZE 1000", "DSN"]),
            (
                &["STARTTLS", "AUTH PLAIN", "CHUNKING", "VRFY", "XCLIENT ADDR", "8BITMIME"],
                &["PIPELINING", "SIZE 1000", "8BITMIME"],
            ),
            (
                &["SMTPUTF8", "ENHANCEDSTATUSCODES"],
                &["PIPELINING", "SIZE 1000", "SMTPUTF8", "ENHANCEDSTATUSCODES"],
            ),
        ] {
            let capabilities = Capabilities::parse(lines.iter().copied());
            assert_eq!(capabilities.offered(1000), expected, "{lines:?}");
        }
    }
}
