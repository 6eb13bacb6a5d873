//! Cuts what a peer sends into lines that end with CRLF and hold no other CR, LF or NUL.

/// What a peer sent and nobody has read yet, cut into lines on request; holds at most one line over its limit.
#[derive(Debug)]
pub struct LineBuffer {
    octets: Vec<u8>,
    /// Octets at the front that were read already.
    start: usize,
    /// Octets behind `start` in which no LF was found.
    searched: usize,
    limit: usize,
    /// Whether the rest of an over-long line is being thrown away.
    skipping: bool,
}

impl LineBuffer {
    /// An empty buffer for lines of at most `limit` octets, CRLF included.
    pub fn new(limit: usize) -> Self {
        Self { octets: Vec::new(), start: 0, searched: 0, limit, skipping: false }
    }

    /// Room for at least `size` more octets, to be appended by whoever reads from the socket.
    pub fn space(&mut self, size: usize) -> &mut Vec<u8> {
        self.octets.drain(..self.start);
        self.start = 0;
        self.octets.reserve(size);
        &mut self.octets
    }

    /// Gives the memory back where nothing waits in it.
    pub fn release(&mut self) {
        if self.unread().is_empty() {
            (self.octets, self.start) = (Vec::new(), 0);
        }
    }

    /// What nobody has read yet.
    pub fn unread(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }

    /// Marks `count` octets as read.
    pub fn consume(&mut self, count: usize) {
        self.start = self.octets.len().min(self.start + count);
        self.searched = 0;
    }

    /// The next line without its CRLF, or what is wrong with it; `None` when its end is not here yet.
    pub fn next_line(&mut self) -> Option<Result<Vec<u8>, LineFault>> {
        let new = self.unread().get(self.searched..).unwrap_or_default();
        let Some(end) = new.iter().position(|&octet| octet == b'\n') else {
            self.searched = self.unread().len();
            // An over-long line is thrown away as it comes, and reported when it ends, so that replies keep their order.
            if self.skipping || self.searched > self.limit {
                self.skipping = true;
                self.consume(self.searched);
            }
            return None;
        };
        let length = self.searched + end + 1;
        let line = self.unread().get(..length).unwrap_or_default();
        let result = if self.skipping || length > self.limit {
            Err(LineFault::TooLong)
        } else {
            without_line_end(line).map(<[u8]>::to_vec)
        };
        self.skipping = false;
        self.consume(length);
        Some(result)
    }
}

fn without_line_end(line: &[u8]) -> Result<&[u8], LineFault> {
    let text = line.strip_suffix(b"\r\n").ok_or(LineFault::BareLf)?;
    if text.contains(&0) {
        Err(LineFault::Nul)
    } else if text.contains(&b'\r') {
        Err(LineFault::BareCr)
    } else {
        Ok(text)
    }
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// A CR without its LF.
    #[error("bare CR in a line, expected CRLF at its end alone")]
    BareCr,
    /// A LF without its CR.
    #[error("bare LF at the end of a line, expected CRLF")]
    BareLf,
    /// A NUL.
    #[error("NUL in a line, expected text")]
    Nul,
    /// More octets than the limit.
    #[error("line too long")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Lines = Vec<Result<Vec<u8>, LineFault>>;

    fn lines(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> (Lines, Vec<u8>) {
        let mut buffer = LineBuffer::new(16);
        let mut found = Vec::new();
        for piece in pieces {
            buffer.space(1).extend_from_slice(piece.as_ref());
            while let Some(line) = buffer.next_line() {
                found.push(line);
            }
        }
        (found, buffer.unread().to_vec())
    }

    #[test]
    fn each_fault_has_its_name() {
        use LineFault::{BareCr, BareLf, Nul, TooLong};
        for (sent, expected) in [
            (&b"NOOP\r\n"[..], Ok(&b"NOOP"[..])),
            (b"\r\n", Ok(b"")),
            (b"NOOP\n", Err(BareLf)),
            (b"NO\rOP\r\n", Err(BareCr)),
            (b"NOOP\r\r\n", Err(BareCr)),
            (b"NO\0OP\r\n", Err(Nul)),
            (b"14 octets here\r\n", Ok(b"14 octets here")),
            (b"15 octets here!\r\n", Err(TooLong)),
        ] {
            let (found, rest) = lines([sent]);
            assert_eq!(found, [expected.map(<[u8]>::to_vec)], "{}", sent.escape_ascii());
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_megabyte_without_an_end_is_not_kept() {
        let mut buffer = LineBuffer::new(512);
        for _ in 0..1024 {
            buffer.space(1024).extend_from_slice(&[b'x'; 1024]);
            assert_eq!(buffer.next_line(), None);
            assert!(buffer.unread().len() <= 512);
        }
        buffer.space(16).extend_from_slice(b"\r\nQUIT\r\n");
        assert_eq!(buffer.next_line(), Some(Err(LineFault::TooLong)));
        assert_eq!(buffer.next_line(), Some(Ok(b"QUIT".to_vec())));
        assert_eq!(buffer.next_line(), None);
    }

    proptest! {
        #[test]
        fn how_it_arrives_does_not_matter(
            octets in prop::collection::vec(prop::sample::select(b"ab.\r\n\0".to_vec()), 0..80),
            size in 1_usize..9,
        ) {
            let whole = lines([octets.as_slice()]);
            let pieces = lines(octets.chunks(size));
            prop_assert_eq!(&whole.0, &pieces.0);
            // What is thrown away of an unfinished over-long line may differ, its finding may not.
            if whole.1.len() <= 16 {
                prop_assert_eq!(whole.1, pieces.1);
            }
        }
    }
}
