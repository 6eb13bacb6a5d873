//! The packet as the kernel hands it to the program.

use core::arch::asm;
use core::hint::black_box;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::{bpf_xdp_adjust_head, bpf_xdp_adjust_tail};
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
        // The compiler would rather hand the two numbers of 32 bits to a function than the context that they come from,
        // and the verifier forbids that, as they are pointers.
        let context = opaque(context.as_ptr() as usize) as *mut xdp_md;
        let context = XdpContext::new(context);
        Self { start: context.data(), end: context.data_end() }
    }

    /// How many bytes it has, for a counter.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> u64 {
        self.length() as u64
    }

    /// The address of `length` bytes at `at`, if they lie within the packet.
    #[inline(always)]
    pub(crate) fn at(&self, at: usize, length: usize) -> Option<usize> {
        let address = self.start + at;
        (address + length <= opaque(self.end)).then_some(address)
    }

    /// The byte at `at`, if it lies within the packet.
    #[inline(always)]
    pub(crate) fn byte(&self, at: usize) -> Option<u8> {
        let address = self.start + at;
        // The compiler would rather ask whether its address lies before the end, from which the verifier concludes nothing.
        let behind = opaque(address + 1);
        // SAFETY: the byte lies within the packet, as was just checked.
        (behind <= opaque(self.end)).then(|| unsafe { (address as *const u8).read() })
    }
}

/// The same value, of which the compiler knows nothing any more.
///
/// It would leave out checks that follow from earlier ones, by a path that the verifier does not see.
#[inline(always)]
fn opaque(mut value: usize) -> usize {
    // SAFETY: there is no instruction in it.
    unsafe { asm!("", inout("r1") value, options(nomem, nostack)) };
    value
}

/// Numbers are read and written as the kernel's own programs do it, wherever VLAN tags put them: the verifier refuses the
/// program on a machine that cannot, and byte by byte it would be twice as long.
impl Frame for Packet {
    #[inline(always)]
    fn length(&self) -> usize {
        self.end - self.start
    }

    #[inline(always)]
    fn short(&self, at: usize) -> Option<u16> {
        let address = self.at(at, 2)? as *const u16;
        // SAFETY: the two bytes lie within the packet, as was just checked.
        Some(u16::from_be(unsafe { address.read() }))
    }

    #[inline(always)]
    fn words<const N: usize>(&self, at: usize) -> Option<[u32; N]> {
        let address = self.at(at, 4 * N)? as *const u32;
        let mut words = [0; N];
        for (index, word) in words.iter_mut().enumerate() {
            // SAFETY: the `N` words lie within the packet, as was just checked.
            *word = u32::from_be(unsafe { address.add(index).read() });
        }
        Some(words)
    }
}

impl FrameMut for Packet {
    #[inline(always)]
    fn put_words<const N: usize>(&mut self, at: usize, words: &[u32; N]) -> Option<()> {
        let address = self.at(at, 4 * N)? as *mut u32;
        for (index, word) in words.iter().enumerate() {
            // SAFETY: the `N` words lie within the packet, as was just checked.
            unsafe { address.add(index).write(word.to_be()) };
        }
        Some(())
    }
}

/// The number of the interface that received the packet.
#[inline(always)]
pub(crate) fn interface(context: &XdpContext) -> u32 {
    // SAFETY: the context is the one that the kernel passed to the program.
    unsafe { (*context.as_ptr().cast::<xdp_md>()).ingress_ifindex }
}

/// Makes room for `bytes` before the packet. Behind it there may be none: native veth loses frames that grew there.
#[inline(always)]
pub(crate) fn grow(context: &XdpContext, bytes: u32) -> Option<()> {
    // SAFETY: the context is the one that the kernel passed to the program.
    let result = unsafe { bpf_xdp_adjust_head(context.as_ptr().cast(), -(bytes as i32)) };
    (result == 0).then_some(())
}

/// Cuts the packet off after `length` bytes.
#[inline(always)]
pub(crate) fn cut(context: &XdpContext, length: usize) -> Option<()> {
    // The compiler would compute the difference with 32 bits of each pointer, which the verifier forbids.
    let now = black_box(Packet::new(context).length());
    let change = length as i64 - now as i64;
    // SAFETY: the context is the one that the kernel passed to the program.
    let result = unsafe { bpf_xdp_adjust_tail(context.as_ptr().cast(), change as i32) };
    (result == 0).then_some(())
}
