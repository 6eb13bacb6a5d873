//! Tells the service manager how the daemon is doing.

use sd_notify::NotifyState;
use tracing::warn;

/// Tells the service manager, if there is one.
pub(super) fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(target: "start", "the service manager cannot be told: {error}");
    }
}
