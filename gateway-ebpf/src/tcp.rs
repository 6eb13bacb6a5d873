//! TCP's number in an IP header, and the flags of its own header (RFC 9293).

/// TCP among the protocols of IP.
pub const PROTOCOL: u32 = 6;

/// No more data.
pub const FIN: u32 = 0x01;
/// Opens a connection.
pub const SYN: u32 = 0x02;
/// Ends a connection at once.
pub const RST: u32 = 0x04;
/// Deliver at once.
pub const PSH: u32 = 0x08;
/// The acknowledgement number means something.
pub const ACK: u32 = 0x10;
