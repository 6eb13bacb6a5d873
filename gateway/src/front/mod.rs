//! Fronts: how mail reaches the engine.

mod config;
pub mod smtp;

pub use config::{
    BareNewline, HeaderConfig, Listener, ListenerTls, NextHop, NextHopTls, NextHopTlsMode,
    PassClient,
};
