//! Sets up the log on standard error.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Starts the log; a second call changes nothing.
pub fn start_log(config: &LogConfig) {
    let filter =
        EnvFilter::try_new(&config.level).unwrap_or_else(|_no_filter| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Fails only where a log is set up already, which then is used.
    let started = match config.format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    drop(started);
}
