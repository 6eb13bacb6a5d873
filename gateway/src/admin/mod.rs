//! The HTTP API over the admin socket: its server in the daemon, its client in the command line.

mod audit;
mod author;
mod changes;
mod client;
mod config;
mod copies;
mod doctor;
mod explain;
mod export;
mod fault;
mod filter;
mod inside;
mod letter;
mod levels;
mod lists;
mod live;
#[expect(single_use_lifetimes, reason = "in what is derived for its document")]
mod lookup;
mod metrics;
mod openapi;
mod past;
mod quarantine;
mod queried;
mod scan;
mod server;
mod shapes;
mod slider;
mod status;
mod tap;
#[cfg(test)]
mod testing;
mod why;

pub use author::Author;
pub use client::{
    ClientError, Method, Unanswered, copy, follow, get, get_slowly, send, send_octets, send_within,
};
pub use fault::Fault;
pub use inside::Inside;
pub use letter::{LetterAnswer, NO_LETTER};
pub use levels::record_levels;
pub use live::{Live, take_samples};
pub use lookup::LookupAnswer;
pub use openapi::{CSRF_HEADER, SESSION_COOKIE};
pub use past::{Memory, Past};
pub use scan::{ScanAnswer, Scanned};
pub use server::{AdminSocket, api, serve};
pub use status::{Decisions, Sources, Status};
