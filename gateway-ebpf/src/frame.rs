//! Reads and writes a packet by offset, never outside its bounds.

/// A packet that can be read. Numbers come in host order.
pub trait Frame {
    /// How many bytes there are.
    fn length(&self) -> usize;

    /// The 16-bit number at `at`, if it lies within the packet.
    fn short(&self, at: usize) -> Option<u16>;

    /// The `N` 32-bit numbers at `at`, if all lie within the packet.
    fn words<const N: usize>(&self, at: usize) -> Option<[u32; N]>;
}

/// A packet that can be written.
pub trait FrameMut: Frame {
    /// Writes the numbers at `at`; `None`, and nothing is written, unless all lie within the packet.
    fn put_words<const N: usize>(&mut self, at: usize, words: &[u32; N]) -> Option<()>;
}

impl Frame for [u8] {
    fn length(&self) -> usize {
        self.len()
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = self.get(at..)?.first_chunk::<2>()?;
        Some(u16::from_be_bytes(*bytes))
    }

    fn words<const N: usize>(&self, at: usize) -> Option<[u32; N]> {
        let bytes = self.get(at..)?.get(..4 * N)?;
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        Some(words)
    }
}

impl FrameMut for [u8] {
    fn put_words<const N: usize>(&mut self, at: usize, words: &[u32; N]) -> Option<()> {
        let bytes = self.get_mut(at..)?.get_mut(..4 * N)?;
        for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *bytes = word.to_be_bytes();
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_touched() {
        let mut bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let frame = bytes.as_mut_slice();
        assert_eq!(frame.short(7), Some(0x0809));
        assert_eq!(frame.short(8), None);
        assert_eq!(frame.short(usize::MAX), None);
        assert_eq!(frame.words(1), Some([0x0203_0405, 0x0607_0809]));
        assert_eq!(frame.words::<2>(2), None);
        assert_eq!(frame.words::<1>(usize::MAX), None);
        assert_eq!(frame.put_words(2, &[0, 0]), None);
        assert_eq!(frame.put_words(5, &[0xaabb_ccdd]), Some(()));
        assert_eq!(bytes, [1, 2, 3, 4, 5, 0xaa, 0xbb, 0xcc, 0xdd]);
    }
}
