//! TLS: who this host is to others, and whom it believes.

mod authorities;
mod client;
mod error;
mod pem;
mod server;

pub use authorities::authorities;
pub use client::{Trust, client_config};
pub use error::TlsError;
pub use server::{Certificate, TlsVersion, server_config};
