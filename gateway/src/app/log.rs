//! Sets up the log on standard error, and lets what was raised in it fall back.

use std::io;
use std::time::Duration;

use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::admin::record_levels;
use crate::audit;
use crate::clock::Clock;
use crate::config::{LogConfig, LogFormat};
use crate::levels::{Level, Levels};

/// The longest sleep between two looks at what is over; a raise may end sooner than the one that was waited for.
const LOOK: Duration = Duration::from_secs(1);

/// Starts the log; a second call changes nothing.
pub fn start_log(config: &LogConfig) -> Levels {
    let (levels, filter) = Levels::new(level(config));
    let log = tracing_subscriber::registry().with(filter).with(levels.lines().clone());
    let lines = fmt::layer().with_writer(io::stderr);
    // Fails only where a log is set up already, which then is used.
    let started = match config.format {
        LogFormat::Text => log.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => log.with(lines.json()).try_init(),
    };
    drop(started);
    levels
}

/// What all components say by the configuration, which knows no other words.
pub(super) fn level(config: &LogConfig) -> Level {
    config.level.parse().unwrap_or(Level::Info)
}

/// Lets what was raised fall back when its time is over, until `stop`.
pub(super) async fn tend_levels(
    levels: Levels,
    audit: audit::Writer,
    stop: impl Future<Output = ()>,
) {
    let keep_tending = async {
        loop {
            let sleep = levels.next_end().map_or(LOOK, |left| left.min(LOOK));
            tokio::time::sleep(sleep.max(Duration::from_millis(10))).await;
            record_levels(&audit, &levels.fall_back(Clock::System.now()));
        }
    };
    tokio::select! {
        () = keep_tending => {}
        () = stop => {}
    }
}
