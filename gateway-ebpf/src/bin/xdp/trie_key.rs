//! What a trie of the kernel is asked with.

use core::ptr;

use aya_ebpf::maps::lpm_trie::Key;

/// A key of a trie, placed so that its address is aligned for any access.
#[repr(C, align(8))]
pub(crate) struct TrieKey<const N: usize> {
    unused: u32,
    length: u32,
    address: [u32; N],
}

impl<const N: usize> TrieKey<N> {
    /// The key that asks for the longest prefix of at most `length` bits that covers `address`.
    #[inline(always)]
    pub(crate) fn new(address: [u32; N], length: u32) -> Self {
        Self { unused: 0, length, address }
    }

    #[inline(always)]
    pub(crate) fn key(&self) -> &Key<[u32; N]> {
        let start = ptr::from_ref(self).cast::<u32>();
        // SAFETY: behind the first word come the length and the address, without gaps, as in a `Key`, which is packed and
        // so is aligned anywhere.
        unsafe { &*start.add(1).cast() }
    }
}
