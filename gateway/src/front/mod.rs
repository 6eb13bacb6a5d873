//! Fronts: how mail, or a question about mail, reaches the engine.

mod config;
mod counter;
mod files;
pub mod milter;
mod patience;
pub mod postfix_policy;
mod service;
pub mod smtp;
mod socket;
#[cfg(test)]
mod testing;
mod unix_socket;

use std::sync::Arc;

pub use config::{
    BareNewline, Endpoint, HeaderConfig, Listener, ListenerTls, NextHop, NextHopTls,
    NextHopTlsMode, PassClient, Service,
};
pub use counter::{Counted, Counter};
pub use files::files_needed;
use patience::Patience;
pub use patience::{Stop, stopped};
pub use socket::ServiceSocket;
pub use unix_socket::{HandedOver, SocketName, UnixSocket, UnixSocketError};

/// The fronts of one daemon, at least one of them.
#[derive(Clone, Debug, Default)]
pub struct Fronts {
    /// The SMTP proxy.
    pub smtp: Option<Arc<smtp::Front>>,
    /// The milter.
    pub milter: Option<Arc<milter::Milter>>,
    /// The policy service.
    pub postfix_policy: Option<Arc<postfix_policy::PolicyService>>,
}
