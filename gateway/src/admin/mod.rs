//! The HTTP API over the admin socket: its server in the daemon, its client in the command line.

mod changes;
mod client;
mod config;
mod doctor;
mod fault;
mod letter;
mod levels;
mod lookup;
mod past;
mod quarantine;
mod queried;
mod server;
mod slider;
mod status;
mod tap;

pub use client::{ClientError, Method, Unanswered, copy, follow, get, put, send, send_within};
pub use fault::Fault;
pub use letter::{LetterAnswer, NO_LETTER};
pub use levels::record_levels;
pub use lookup::LookupAnswer;
pub use past::{Memory, Past};
pub use server::{AdminSocket, serve};
pub use status::{Decisions, Sources, Status};
