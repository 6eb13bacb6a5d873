//! Fronts: how mail reaches the engine.

mod config;

pub use config::{BareNewline, Direction, Listener, NextHop, PassClient};
