//! What a next hop offers with EHLO, and what of it clients are offered.

use super::{NextHopReply, Xclient, XclientAttributes};

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
    /// Whether it offers STARTTLS to us.
    pub starttls: bool,
    /// The mechanisms of AUTH, as it writes them; empty without.
    pub auth: String,
    /// Recipients of one message that it takes (RFC 9422); `None` where it does not say.
    recipients: Option<usize>,
}

/// What clients are offered that is ours to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Octets of a message.
    pub size: u64,
    /// Recipients of a message.
    pub recipients: usize,
    /// STARTTLS.
    pub starttls: bool,
    /// AUTH as the next hop has it.
    pub auth: bool,
    /// XCLIENT.
    pub xclient: bool,
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
                "AUTH" => {
                    let words: Vec<_> = words.filter(|word| is_mechanism(word)).collect();
                    capabilities.auth = words.join(" ");
                    continue;
                }
                "LIMITS" => {
                    let most = words.find_map(|word| {
                        let (name, most) = word.split_once('=')?;
                        name.eq_ignore_ascii_case("RCPTMAX").then(|| most.parse().ok())?
                    });
                    capabilities.recipients = most.filter(|&most| most != 0);
                    continue;
                }
                "STARTTLS" => {
                    capabilities.starttls = true;
                    continue;
                }
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

    /// Recipients of a message that both it and we take.
    pub fn recipients(&self, ours: usize) -> usize {
        self.recipients.map_or(ours, |theirs| theirs.min(ours))
    }

    /// What a client is offered: what is in `ours`, the rest as far as the next hop has it.
    ///
    /// CHUNKING needs none of it: what comes in pieces goes on as one.
    pub fn offered(&self, ours: Offer) -> Vec<String> {
        let through = [
            (Extension::EightBitMime, "8BITMIME"),
            (Extension::SmtpUtf8, "SMTPUTF8"),
            (Extension::Dsn, "DSN"),
            (Extension::EnhancedStatusCodes, "ENHANCEDSTATUSCODES"),
        ];
        let auth = (ours.auth && !self.auth.is_empty()).then(|| format!("AUTH {}", self.auth));
        let through = through.into_iter().filter(|&(extension, _)| self.has(extension));
        let always = [
            "PIPELINING".to_owned(),
            format!("SIZE {}", self.size(ours.size)),
            "CHUNKING".to_owned(),
            format!("LIMITS RCPTMAX={}", self.recipients(ours.recipients)),
        ];
        always
            .into_iter()
            .chain(ours.starttls.then(|| "STARTTLS".to_owned()))
            .chain(ours.xclient.then(|| Xclient::OFFERED.to_owned()))
            .chain(auth)
            .chain(through.map(|(_, keyword)| keyword.to_owned()))
            .collect()
    }
}

/// RFC 4422 section 3.1: what does not look like a mechanism is not shown to clients.
fn is_mechanism(word: &str) -> bool {
    let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    (1..=20).contains(&word.len()) && word.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Offer =
        Offer { size: 1000, recipients: 100, starttls: false, auth: false, xclient: false };

    #[test]
    fn clients_are_offered_what_both_can_do() {
        let all = Offer { starttls: true, auth: true, xclient: true, ..PLAIN };
        for (lines, ours, expected) in [
            (&[][..], PLAIN, "PIPELINING|SIZE 1000|CHUNKING|LIMITS RCPTMAX=100"),
            (&["SIZE"], PLAIN, "PIPELINING|SIZE 1000|CHUNKING|LIMITS RCPTMAX=100"),
            (&["SIZE 0"], PLAIN, "PIPELINING|SIZE 1000|CHUNKING|LIMITS RCPTMAX=100"),
            (&["SIZE 10"], PLAIN, "PIPELINING|SIZE 10|CHUNKING|LIMITS RCPTMAX=100"),
            (
                &["size 9999999", "Dsn", "LIMITS MAILMAX=1 rcptmax=20"],
                PLAIN,
                "PIPELINING|SIZE 1000|CHUNKING|LIMITS RCPTMAX=20|DSN",
            ),
            (
                &["STARTTLS", "AUTH PLAIN", "CHUNKING", "VRFY", "XCLIENT ADDR", "8BITMIME"],
                PLAIN,
                "PIPELINING|SIZE 1000|CHUNKING|LIMITS RCPTMAX=100|8BITMIME",
            ),
            (
                &["AUTH PLAIN SCRAM-SHA-256 ev=il", "SMTPUTF8", "ENHANCEDSTATUSCODES"],
                all,
                "PIPELINING|SIZE 1000|CHUNKING|LIMITS RCPTMAX=100|STARTTLS|XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT|AUTH PLAIN SCRAM-SHA-256|SMTPUTF8|ENHANCEDSTATUSCODES",
            ),
        ] {
            let capabilities = Capabilities::parse(lines.iter().copied());
            assert_eq!(capabilities.offered(ours).join("|"), expected, "{lines:?}");
        }
    }
}
