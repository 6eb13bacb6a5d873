//! SMTP without sockets: lines, commands, replies, the data of a message, and the limits on all of them.

mod capabilities;
mod command;
mod data;
mod header;
mod limits;
mod line;
mod path;
mod proxy_protocol;
mod recipient_domains;
mod reply;
mod trace;
mod xclient;

pub use capabilities::{Capabilities, Extension, Offer};
pub use command::{Bdat, Command, CommandError, HelloName, Mail, Rcpt};
pub use data::{DataDecoder, DataEncoder, DataFault, Fed};
pub use header::{fields, header_end, header_fault, header_too_long, is_named};
pub use limits::Limits;
pub use line::{LineBuffer, LineFault};
pub use path::{Mailbox, PathError};
pub use proxy_protocol::{
    MAX_PROXY_HEADER, Proxied, ProxyFault, is_proxy_header, proxy_header, proxy_header_v2,
    read_proxy_header,
};
pub use recipient_domains::RecipientDomains;
pub use reply::{NextHopReply, ReplyFault, ReplyParser};
pub use trace::{Protocol, Trace, is_results_of, received_field, results_field, with_prefix};
pub use xclient::{Named, Xclient, XclientAttributes, xclient_command};
