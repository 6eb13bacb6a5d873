//! The HTTP API over the admin socket: its server in the daemon, its client in the command line.

mod client;
mod server;
mod status;

pub use client::{ClientError, get};
pub use server::{AdminError, AdminSocket, serve};
pub use status::{Decisions, Sources, Status};
