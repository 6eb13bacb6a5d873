//! Sets up the log on standard error.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// What is never logged, at no level: the library that asks DNS names the question, which may hold the access key of a zone.
const NEVER: &str = "hickory_net=off,hickory_proto=off,hickory_resolver=off";

/// Starts the log; a second call changes nothing.
pub fn start_log(config: &LogConfig) {
    let level = format!("{},{NEVER}", config.level);
    let filter = EnvFilter::try_new(level)
        .unwrap_or_else(|_no_filter| EnvFilter::new(format!("info,{NEVER}")));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Fails only where a log is set up already, which then is used.
    let started = match config.format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    drop(started);
}
