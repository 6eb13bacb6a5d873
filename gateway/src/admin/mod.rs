//! The HTTP API over the admin socket: its server in the daemon, its client in the command line.

mod changes;
mod client;
mod fault;
mod lookup;
mod quarantine;
mod server;
mod status;

pub use client::{ClientError, Method, Unanswered, copy, get, put, send, send_within};
pub use fault::Fault;
pub use lookup::LookupAnswer;
pub use server::{AdminError, AdminSocket, serve};
pub use status::{Decisions, Sources, Status};
