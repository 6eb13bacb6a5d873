//! What the benchmark asks of the program that runs the filter many times on one packet.

/// The words of the packet: room for a SYN with its options, or over IPv6.
pub const FRAME_WORDS: usize = 20;

/// What a run is asked for, and what it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Run {
    /// The packet, in words of the host's order.
    pub frame: [u32; FRAME_WORDS],
    /// How many times.
    pub times: u32,
    /// Whether the filter runs at all, or the packet is only restored: 1 or 0.
    pub filters: u32,
    /// How many octets the answer begins before the packet did.
    pub grown: u32,
    /// How often the verdict was `XDP_TX`.
    pub answered: u64,
    /// How long the run took.
    pub nanoseconds: u64,
}

const _: () = assert!(size_of::<Run>() == 112);
