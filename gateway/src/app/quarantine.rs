//! Looks after the quarantine: what has been there for too long goes, what is wrong with it is tried again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tracing::info;

use crate::audit;
use crate::clock::Clock;
use crate::quarantine::{Event, EventKind, Quarantine};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Every so many looks the folders are read again, in which people or another daemon may have changed something.
const LOOK_AGAIN: u32 = 60;

/// Looks after `quarantine` until `stop`.
pub(super) async fn tend_quarantine(
    quarantine: Arc<Quarantine>,
    audit: audit::Writer,
    stop: impl Future<Output = ()>,
) {
    let keep_tending = async {
        for second in 1_u32.. {
            tokio::time::sleep(EVERY).await;
            let (quarantine, audit) = (Arc::clone(&quarantine), audit.clone());
            let tended = spawn_blocking(move || {
                expire(&quarantine, &audit);
                if quarantine.is_ill() {
                    // The alarm says what is wrong, and ends when nothing is.
                    drop(quarantine.check());
                }
                if second.is_multiple_of(LOOK_AGAIN) {
                    drop(quarantine.look_again());
                }
            });
            // One that dies is told by the panic; the next look is another one.
            drop(tended.await);
        }
    };
    tokio::select! {
        () = keep_tending => {}
        () = stop => {}
    }
}

fn expire(quarantine: &Arc<Quarantine>, audit: &audit::Writer) {
    for expired in quarantine.expire() {
        let (id, message) = (&expired.id, expired.message.as_ref());
        info!(target: "quarantine", "expired reference={id}");
        audit.write(&Event::new(Clock::System.now(), EventKind::Expired, id, message));
    }
}
