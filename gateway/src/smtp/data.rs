//! The data of a message: from the wire to content, from content to the wire, with one possible end.

use memchr::{memchr3, memmem};

/// Turns what a client sends after DATA into content, in pieces of any size.
///
/// Only CRLF, dot, CRLF ends the data; only behind a CRLF does a dot mean anything (RFC 5321 section 4.5.2).
/// Whatever else a sender hopes will pass for the end at one of two mailers (SMTP smuggling) is content here.
/// What comes in pieces of a known length (BDAT) has no end of its own, and its dots are dots.
#[derive(Debug)]
pub struct DataDecoder {
    state: State,
    has_dots: bool,
    normalise: bool,
    line_limit: usize,
    line: usize,
    fault: Option<DataFault>,
}

/// What one piece brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed {
    /// Octets that belonged to the data.
    pub consumed: usize,
    /// Whether the data is over; what was not consumed are commands.
    pub end: bool,
}

/// What is wrong with the data of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataFault {
    /// A CR without its LF.
    #[error("bare CR in the message, expected CRLF")]
    BareCr,
    /// A LF without its CR.
    #[error("bare LF in the message, expected CRLF")]
    BareLf,
    /// A line with more octets than the limit.
    #[error("line too long in the message")]
    LongLine,
    /// A NUL.
    #[error("NUL in the message, expected text")]
    Nul,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Behind a CRLF, or at the very start.
    LineStart,
    /// In a line, or behind a newline that was no CRLF.
    Text,
    /// Behind a CR.
    Cr,
    /// Behind a dot at the start of a line.
    Dot,
    /// Behind such a dot and a CR.
    DotCr,
    /// Behind the end.
    Over,
}

impl DataDecoder {
    /// A decoder at the start of a message; a bare CR or LF becomes CRLF and a NUL nothing, or without `normalise` a fault.
    pub fn new(normalise: bool, line_limit: usize) -> Self {
        let state = State::LineStart;
        Self { state, has_dots: true, normalise, line_limit, line: 0, fault: None }
    }

    /// The same for a message that comes in pieces, with an end that is said elsewhere.
    pub fn in_pieces(normalise: bool, line_limit: usize) -> Self {
        Self { has_dots: false, ..Self::new(normalise, line_limit) }
    }

    /// Ends a message that came in pieces.
    pub fn finish(&mut self, content: &mut Vec<u8>) {
        if self.state == State::Cr {
            self.bare(DataFault::BareCr, content);
        }
        self.state = State::Over;
    }

    /// The first fault found.
    pub fn fault(&self) -> Option<DataFault> {
        self.fault
    }

    /// Takes a piece in; its content, in which every newline is CRLF, is appended to `content`.
    pub fn feed(&mut self, piece: &[u8], content: &mut Vec<u8>) -> Fed {
        let mut rest = piece;
        while self.state != State::Over {
            let text = match self.state {
                State::Text => text_length(rest),
                _ => 0,
            };
            let (run, after) = rest.split_at(text);
            self.text(run, content);
            let Some((&octet, after)) = after.split_first() else {
                rest = after;
                break;
            };
            self.octet(octet, content);
            rest = after;
        }
        Fed { consumed: piece.len() - rest.len(), end: self.state == State::Over }
    }

    fn octet(&mut self, octet: u8, content: &mut Vec<u8>) {
        self.state = match (self.state, octet) {
            (State::Cr, b'\n') => {
                self.newline(content);
                State::LineStart
            }
            (State::DotCr, b'\n') => State::Over,
            (State::Cr | State::DotCr, _) => {
                self.bare(DataFault::BareCr, content);
                self.state = State::Text;
                return self.octet(octet, content);
            }
            (State::LineStart, b'.') if self.has_dots => State::Dot,
            (State::Dot, b'\r') => State::DotCr,
            (_, b'\r') => State::Cr,
            (_, b'\n') => {
                self.bare(DataFault::BareLf, content);
                State::Text
            }
            (_, 0) => {
                if !self.normalise {
                    self.fault.get_or_insert(DataFault::Nul);
                }
                State::Text
            }
            _ => {
                self.text(&[octet], content);
                State::Text
            }
        };
    }

    fn text(&mut self, run: &[u8], content: &mut Vec<u8>) {
        self.line += run.len();
        if self.line > self.line_limit {
            self.fault.get_or_insert(DataFault::LongLine);
        }
        content.extend_from_slice(run);
    }

    fn bare(&mut self, fault: DataFault, content: &mut Vec<u8>) {
        if !self.normalise {
            self.fault.get_or_insert(fault);
        }
        self.newline(content);
    }

    fn newline(&mut self, content: &mut Vec<u8>) {
        self.line = 0;
        content.extend_from_slice(b"\r\n");
    }
}

fn text_length(octets: &[u8]) -> usize {
    memchr3(b'\r', b'\n', 0, octets).unwrap_or(octets.len())
}

/// Turns content back into what goes over the wire: a dot in front of every line that begins with one.
#[derive(Debug)]
pub struct DataEncoder {
    line_start: bool,
}

impl Default for DataEncoder {
    fn default() -> Self {
        Self { line_start: true }
    }
}

impl DataEncoder {
    /// Appends a piece of content to `wire`.
    pub fn encode(&mut self, content: &[u8], wire: &mut Vec<u8>) {
        let Some(last) = content.last() else { return };
        if self.line_start && content.starts_with(b".") {
            wire.push(b'.');
        }
        let mut from = 0;
        for at in memmem::find_iter(content, b"\n.") {
            let (line, next) = (content.get(from..=at).unwrap_or_default(), at + 1);
            wire.extend_from_slice(line);
            wire.push(b'.');
            from = next;
        }
        wire.extend_from_slice(content.get(from..).unwrap_or_default());
        self.line_start = *last == b'\n';
    }

    /// Appends the end of the data.
    pub fn finish(self, wire: &mut Vec<u8>) {
        if !self.line_start {
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b".\r\n");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Decoded {
        content: Vec<u8>,
        rest: Vec<u8>,
        end: bool,
        fault: Option<DataFault>,
    }

    fn decode(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>, normalise: bool) -> Decoded {
        let mut decoder = DataDecoder::new(normalise, 40);
        let (mut content, mut rest, mut end) = (Vec::new(), Vec::new(), false);
        for piece in pieces {
            let fed = decoder.feed(piece.as_ref(), &mut content);
            rest.extend_from_slice(&piece.as_ref()[fed.consumed..]);
            end = fed.end;
        }
        Decoded { content, rest, end, fault: decoder.fault() }
    }

    #[test]
    fn only_one_thing_ends_the_data() {
        for (wire, content, rest) in [
            (&b".\r\nQUIT\r\n"[..], &b""[..], &b"QUIT\r\n"[..]),
            (b"a\r\n.\r\n", b"a\r\n", b""),
            (b"a\r\n..\r\n.\r\n", b"a\r\n.\r\n", b""),
            (b"a\r\n.b\r\n.\r\n", b"a\r\nb\r\n", b""),
            (b"\r\n.\r\nX", b"\r\n", b"X"),
        ] {
            let found = decode([wire], false);
            assert_eq!(
                (found.content.as_slice(), found.rest.as_slice(), found.end, found.fault),
                (content, rest, true, None),
                "{}",
                wire.escape_ascii()
            );
        }
    }

    #[test]
    fn smuggling_is_seen() {
        use DataFault::{BareCr, BareLf};
        for (wire, content, fault) in [
            (&b"a\n.\nb"[..], &b"a\r\n.\r\nb"[..], BareLf),
            (b"a\n.\r\nb", b"a\r\n.\r\nb", BareLf),
            (b"a\r\n.\nb", b"a\r\n\r\nb", BareLf),
            (b"a\r.\r\nb", b"a\r\n.\r\nb", BareCr),
            (b"a\r\n.\rb", b"a\r\n\r\nb", BareCr),
            (b"a\r.\rb", b"a\r\n.\r\nb", BareCr),
            (b"a\r\n.\r\r\nb", b"a\r\n\r\n\r\nb", BareCr),
            (b"a\r\r\n.\n", b"a\r\n\r\n\r\n", BareCr),
        ] {
            let strict = decode([wire], false);
            assert_eq!((strict.end, strict.fault), (false, Some(fault)), "{}", wire.escape_ascii());
            let normalised = decode([wire], true);
            assert_eq!(
                (normalised.end, normalised.fault, normalised.content.as_slice()),
                (false, None, content),
                "{}",
                wire.escape_ascii()
            );
        }
    }

    #[test]
    fn a_long_line_is_a_fault_in_both_modes() {
        for normalise in [false, true] {
            let wire = [&[b'x'; 41][..], b"\r\n.\r\n"].concat();
            assert_eq!(decode([wire.as_slice()], normalise).fault, Some(DataFault::LongLine));
            assert_eq!(decode([&wire[1..]], normalise).fault, None);
        }
    }

    #[test]
    fn a_nul_is_no_text() {
        for (wire, content, end) in [
            (&b"a\0b\r\n.\r\n"[..], &b"ab\r\n"[..], true),
            (b"a\r\n\0.\r\n", b"a\r\n.\r\n", false),
            (b"a\r\n.\0\r\n", b"a\r\n\r\n", false),
        ] {
            let strict = decode([wire], false);
            assert_eq!(strict.fault, Some(DataFault::Nul), "{}", wire.escape_ascii());
            let normalised = decode([wire], true);
            assert_eq!(
                (normalised.end, normalised.fault, normalised.content.as_slice()),
                (end, None, content),
                "{}",
                wire.escape_ascii()
            );
        }
    }

    #[test]
    fn what_comes_in_pieces_keeps_its_dots() {
        for (pieces, content, fault) in [
            (&[&b".\r\n.."[..], b"\r\n.\r", b"\n"][..], &b".\r\n..\r\n.\r\n"[..], None),
            (&[b"a\r"], b"a\r\n", Some(DataFault::BareCr)),
            (&[b"a\n"], b"a\r\n", Some(DataFault::BareLf)),
            (&[b"a"], b"a", None),
        ] {
            let mut decoder = DataDecoder::in_pieces(false, 40);
            let mut found = Vec::new();
            for piece in pieces {
                let fed = decoder.feed(piece, &mut found);
                assert_eq!(fed, Fed { consumed: piece.len(), end: false });
            }
            decoder.finish(&mut found);
            assert_eq!((found.as_slice(), decoder.fault()), (content, fault));
        }
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"a.\r\n\r\n..\0\xff".to_vec()), 0..60)
    }

    proptest! {
        #[test]
        fn how_it_arrives_does_not_matter(wire in hostile(), size in 1_usize..7, normalise: bool) {
            let whole = decode([wire.as_slice()], normalise);
            let pieces = decode(wire.chunks(size), normalise);
            prop_assert_eq!(whole.content, pieces.content);
            prop_assert_eq!(whole.rest, pieces.rest);
            prop_assert_eq!(whole.fault, pieces.fault);
            prop_assert_eq!(whole.end, pieces.end);
        }

        #[test]
        fn what_goes_out_ends_once_whoever_reads_it(wire in hostile(), size in 1_usize..7) {
            let content = decode([wire.as_slice()], true).content;
            let mut encoder = DataEncoder::default();
            let mut out = Vec::new();
            for piece in content.chunks(size) {
                encoder.encode(piece, &mut out);
            }
            encoder.finish(&mut out);

            let read = decode([out.as_slice()], false);
            prop_assert!(read.end && read.rest.is_empty());
            prop_assert_eq!(read.fault, None);
            let mut expected = content;
            if !expected.is_empty() && !expected.ends_with(b"\r\n") {
                expected.extend_from_slice(b"\r\n");
            }
            prop_assert_eq!(read.content, expected);

            // A lenient reader, for which any CR or LF is a newline, finds no line with a lone dot before the last.
            let body = out.strip_suffix(b".\r\n").unwrap();
            prop_assert!(body.split(|&octet| octet == b'\r' || octet == b'\n').all(|line| line != b"."));
        }
    }
}
