//! SMTP without sockets: lines, commands, replies, the data of a message, and the limits on all of them.

mod limits;

pub use limits::Limits;
