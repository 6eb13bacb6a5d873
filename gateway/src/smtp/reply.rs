//! The replies of the next hop: read with a bound, passed on without surprises.

use crate::policy::ReplyText;

/// Lines of one reply that are read before the peer counts as broken.
const MAX_LINES: usize = 100;

/// A complete reply of the next hop (RFC 5321 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHopReply {
    /// 200 to 599.
    pub code: u16,
    lines: Vec<ReplyText>,
}

impl NextHopReply {
    /// Whether the command was taken.
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// The texts, one for each line.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(ReplyText::as_str)
    }

    /// The lines with their CRLF, for a client.
    pub fn wire(&self) -> String {
        let last = self.lines.len().saturating_sub(1);
        let mut wire = String::new();
        for (index, text) in self.texts().enumerate() {
            wire.push_str(&self.code.to_string());
            wire.push(if index == last { ' ' } else { '-' });
            wire.push_str(text);
            wire.push_str("\r\n");
        }
        wire
    }

    /// All of it in one line, for a record.
    pub fn summary(&self) -> String {
        let texts: Vec<_> = self.texts().collect();
        format!("{} {}", self.code, texts.join(" / "))
    }
}

/// Puts the lines of a reply together.
#[derive(Debug, Default)]
pub struct ReplyParser {
    code: u16,
    lines: Vec<ReplyText>,
}

impl ReplyParser {
    /// Whether no reply is half read.
    pub fn is_idle(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes a line without its CRLF; a reply comes out with its last line.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<NextHopReply>, ReplyFault> {
        let (code, rest) = line.split_at_checked(3).ok_or(ReplyFault::Code)?;
        let code = reply_code(code).ok_or(ReplyFault::Code)?;
        if !self.lines.is_empty() && code != self.code {
            return Err(ReplyFault::Codes);
        }
        if self.lines.len() >= MAX_LINES {
            return Err(ReplyFault::TooLong);
        }
        let (is_last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(ReplyFault::Code),
        };
        self.code = code;
        self.lines.push(ReplyText::new(&String::from_utf8_lossy(text)));
        Ok(is_last.then(|| NextHopReply { code, lines: std::mem::take(&mut self.lines) }))
    }
}

fn reply_code(digits: &[u8]) -> Option<u16> {
    let fits = matches!(digits, [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']);
    fits.then(|| str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// Why the next hop's answer is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyFault {
    /// No code at the start of a line.
    #[error("reply without a code, expected three digits from 200 to 599")]
    Code,
    /// Another code in the middle.
    #[error("reply with two codes, expected one on all its lines")]
    Codes,
    /// A line without end, or too many of them.
    #[error("reply too long, expected at most {MAX_LINES} lines")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&[u8]]) -> Result<Option<NextHopReply>, ReplyFault> {
        let mut parser = ReplyParser::default();
        let mut last = Ok(None);
        for line in lines {
            last = parser.line(line);
        }
        last
    }

    #[test]
    fn replies_pass_as_they_are_but_safe() {
        for (lines, expected) in [
            (&[&b"250 2.0.0 Ok: queued as 4F"[..]][..], "250 2.0.0 Ok: queued as 4F\r\n"),
            (&[b"250"], "250 \r\n"),
            (&[b"550-5.1.1 no", b"550 5.1.1 such user"], "550-5.1.1 no\r\n550 5.1.1 such user\r\n"),
            (&[b"550 a\r250 b\0\xff"], "550 a?250 b??\r\n"),
        ] {
            assert_eq!(parse(lines).unwrap().unwrap().wire(), expected);
        }
        assert_eq!(parse(&[b"250-more"]), Ok(None));
        let two = parse(&[b"550-a", b"550 b"]).unwrap().unwrap();
        assert_eq!(two.summary(), "550 a / b");
    }

    #[test]
    fn what_is_no_reply_is_a_fault() {
        for (lines, expected) in [
            (&[&b""[..]][..], ReplyFault::Code),
            (&[b"25"], ReplyFault::Code),
            (&[b"1xx hello"], ReplyFault::Code),
            (&[b"150 hello"], ReplyFault::Code),
            (&[b"600 hello"], ReplyFault::Code),
            (&[b"250_hello"], ReplyFault::Code),
            (&[b"250-a", b"550 b"], ReplyFault::Codes),
        ] {
            assert_eq!(parse(lines), Err(expected));
        }
        assert_eq!(parse(&[&b"250-x"[..]; 101]), Err(ReplyFault::TooLong));
    }
}
