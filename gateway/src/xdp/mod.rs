//! The kernel filter seen from the daemon: load, attach, sync, count.

mod config;

pub use config::{Config, Mode};
