//! What the generator of floods is told through its maps, and what it answers there.

/// The bytes of a frame, the least that Ethernet carries, without its check sum.
pub const FRAME: usize = 60;
/// The same in the words in which it lies in the map `FRAME`, in the order of the wire.
pub const FRAME_WORDS: usize = FRAME / 4;

/// Where a frame says what is in it.
pub const KIND_AT: usize = 12;
/// Where the destination address is.
pub const TARGET_AT: usize = 30;
/// Where the source address is in a frame.
pub const SOURCE_AT: usize = 26;
/// Where the source port is.
pub const PORT_AT: usize = 34;
/// Where TCP's sequence number is.
pub const SEQUENCE_AT: usize = 38;
/// Where the check sum of the IPv4 header is.
pub const IP_SUM_AT: usize = 24;
/// Where TCP's check sum is.
pub const TCP_SUM_AT: usize = 50;

/// Places in the map `STATE`. The index of the device that frames leave by.
pub const DEVICE: usize = 0;
/// How many sources there are in the map `SOURCES`; 0 ends the flood.
pub const ENTRIES: usize = 1;
/// The nanoseconds from one frame to the next; 0 is as fast as can be.
pub const GAP: usize = 2;
/// The sum over the IPv4 header without its source.
pub const IP_SUM: usize = 3;
/// The sum over the TCP header without the source's address and port and without the sequence number.
pub const TCP_SUM: usize = 4;
/// The number of the next source.
pub const NEXT: usize = 5;
/// When the next frame is due, by the kernel's clock.
pub const DUE: usize = 6;
/// How many frames were sent.
pub const SENT: usize = 7;
