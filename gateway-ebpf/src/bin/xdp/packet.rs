//! The packet as the kernel hands it to the program.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::bpf_xdp_adjust_tail;
use aya_ebpf::programs::XdpContext;
use gateway_ebpf::frame::{Frame, FrameMut};

/// The packet between two pointers; both are void once the packet's length was changed.
pub(crate) struct Packet {
    start: usize,
    end: usize,
}

impl Packet {
    #[inline(always)]
    pub(crate) fn new(context: &XdpContext) -> Self {
        Self { start: context.data(), end: context.data_end() }
    }

    /// How many bytes it has, for a counter.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> u64 {
        self.length() as u64
    }

    /// The address of `length` bytes at `at`, if they lie within the packet.
    #[inline(always)]
    fn at(&self, at: usize, length: usize) -> Option<usize> {
        let address = self.start + at;
        (address + length <= self.end).then_some(address)
    }
}

impl Frame for Packet {
    #[inline(always)]
    fn length(&self) -> usize {
        self.end - self.start
    }

    #[inline(always)]
    fn short(&self, at: usize) -> Option<u16> {
        let address = self.at(at, 2)? as *const u16;
        // SAFETY: the two bytes lie within the packet, as was just checked; they are read unaligned.
        Some(u16::from_be(unsafe { address.read_unaligned() }))
    }

    #[inline(always)]
    fn words<const N: usize>(&self, at: usize) -> Option<[u32; N]> {
        let address = self.at(at, 4 * N)? as *const [u32; N];
        // SAFETY: the bytes lie within the packet, as was just checked; they are read unaligned.
        Some(unsafe { address.read_unaligned() }.map(u32::from_be))
    }
}

impl FrameMut for Packet {
    #[inline(always)]
    fn put_words<const N: usize>(&mut self, at: usize, words: [u32; N]) -> Option<()> {
        let address = self.at(at, 4 * N)? as *mut [u32; N];
        // SAFETY: the bytes lie within the packet, as was just checked; they are written unaligned.
        unsafe { address.write_unaligned(words.map(u32::to_be)) };
        Some(())
    }
}

/// Cuts the packet off after `length` bytes.
#[inline(always)]
pub(crate) fn cut(context: &XdpContext, length: usize) -> Option<()> {
    let change = length as i64 - Packet::new(context).length() as i64;
    // SAFETY: the context is the one that the kernel passed to the program.
    let result = unsafe { bpf_xdp_adjust_tail(context.as_ptr().cast(), change as i32) };
    (result == 0).then_some(())
}
