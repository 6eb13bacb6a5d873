//! Cuts what a mail server sends into frames: four octets of length, one that says what it is, its data.

/// Octets of the length.
const LENGTH: usize = 4;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is; `None` where its length is 0, which no frame may have.
    pub code: Option<u8>,
    /// Its data; empty where it is cut.
    pub data: Vec<u8>,
    /// Whether it is longer than the limit, so that its data was thrown away.
    pub is_cut: bool,
}

/// What a mail server sent and nobody has read yet, cut into frames on request; holds at most one frame of the limit, and
/// whatever was read from the socket beyond it.
#[derive(Debug)]
pub struct FrameBuffer {
    octets: Vec<u8>,
    /// Octets at the front that were read already.
    start: usize,
    limit: usize,
    /// The frame that is being thrown away, with how much of it is still to come.
    skipping: Option<(u8, usize)>,
}

impl FrameBuffer {
    /// An empty buffer for frames of at most `limit` octets behind their length.
    pub const fn new(limit: usize) -> Self {
        Self { octets: Vec::new(), start: 0, limit, skipping: None }
    }

    /// Room for at least `size` more octets, to be appended by whoever reads from the socket.
    pub fn space(&mut self, size: usize) -> &mut Vec<u8> {
        self.octets.drain(..self.start);
        self.start = 0;
        self.octets.reserve(size);
        &mut self.octets
    }

    /// Octets that wait to be read.
    pub fn waiting(&self) -> usize {
        self.unread().len()
    }

    /// The next frame; `None` when it is not all here.
    pub fn next_frame(&mut self) -> Option<Frame> {
        if self.skipping.is_none() {
            let length: [u8; LENGTH] = *self.unread().first_chunk()?;
            // An address space of 32 bits may not hold it, but then the limit is smaller as well.
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if length == 0 {
                self.consume(LENGTH);
                return Some(Frame { code: None, data: Vec::new(), is_cut: false });
            }
            let code = *self.unread().get(LENGTH)?;
            if length <= self.limit {
                let end = LENGTH.checked_add(length)?;
                let data = self.unread().get(LENGTH + 1..end)?.to_vec();
                self.consume(end);
                return Some(Frame { code: Some(code), data, is_cut: false });
            }
            self.consume(LENGTH + 1);
            self.skipping = Some((code, length - 1));
        }
        self.skip()
    }

    /// Throws away what came of a frame that is too long; tells of it when it ends, so that answers keep their order.
    fn skip(&mut self) -> Option<Frame> {
        let (code, left) = self.skipping?;
        let here = left.min(self.waiting());
        self.consume(here);
        self.skipping = Some((code, left - here)).filter(|(_code, left)| *left > 0);
        let is_over = self.skipping.is_none();
        is_over.then_some(Frame { code: Some(code), data: Vec::new(), is_cut: true })
    }

    fn unread(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.start = self.octets.len().min(self.start + count);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> (Vec<Frame>, usize) {
        let mut buffer = FrameBuffer::new(8);
        let mut found = Vec::new();
        for piece in pieces {
            buffer.space(1).extend_from_slice(piece.as_ref());
            while let Some(frame) = buffer.next_frame() {
                found.push(frame);
            }
            assert!(buffer.waiting() <= LENGTH + 8);
        }
        (found, buffer.waiting())
    }

    fn whole(code: u8, data: &[u8]) -> Frame {
        Frame { code: Some(code), data: data.to_vec(), is_cut: false }
    }

    #[test]
    fn frames_whole_cut_and_empty() {
        for (sent, expected, left) in [
            (&b""[..], vec![], 0),
            (b"\0\0\0\x01Q", vec![whole(b'Q', b"")], 0),
            (b"\0\0\0\x03Hab\0\0\0\x01Q\0\0", vec![whole(b'H', b"ab"), whole(b'Q', b"")], 2),
            (b"\0\0\0\x08H1234567", vec![whole(b'H', b"1234567")], 0),
            (b"\0\0\0\x08H123456", vec![], 11),
            (
                b"\0\0\0\x09L12345678\0\0\0\x01Q",
                vec![Frame { code: Some(b'L'), data: Vec::new(), is_cut: true }, whole(b'Q', b"")],
                0,
            ),
            (b"\xff\xff\xff\xffL12345678", vec![], 0),
            (
                b"\0\0\0\0\0\0\0\x01Q",
                vec![Frame { code: None, data: Vec::new(), is_cut: false }, whole(b'Q', b"")],
                0,
            ),
        ] {
            assert_eq!(frames([sent]), (expected, left), "{}", sent.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(
            sent in proptest::collection::vec((0_u8..12, any::<u8>(), proptest::collection::vec(any::<u8>(), 12)), 0..6),
            size in 1_usize..20,
        ) {
            let octets: Vec<u8> = sent
                .iter()
                .flat_map(|(length, code, data)| {
                    let length = usize::from(*length);
                    let data = std::iter::once(*code).chain(data.iter().copied()).take(length);
                    u32::try_from(length).unwrap().to_be_bytes().into_iter().chain(data)
                })
                .collect();
            prop_assert_eq!(frames(octets.chunks(size)), frames([&octets]));
        }
    }
}
