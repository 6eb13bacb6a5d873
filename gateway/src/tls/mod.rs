//! TLS: who this host is to others, and whom it believes.

mod authorities;
mod client;
mod error;
mod identity;
mod pem;
mod server;

pub use authorities::authorities;
pub use client::{Trust, client_config};
pub use error::TlsError;
pub use identity::Identity;
pub use server::{Certificate, TlsVersion, server_config};
