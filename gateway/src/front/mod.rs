//! Fronts: how mail reaches the engine.

mod config;
pub mod smtp;

pub use config::{BareNewline, Listener, NextHop, PassClient};
