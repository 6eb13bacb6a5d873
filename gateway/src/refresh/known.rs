//! Which clients completed a handshake, told to the kernel filter by the fronts, who never wait for it.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// How many clients can wait to be made known: those of one look at 50,000 connections a second.
const ROOM: usize = 10_000;

/// Where fronts tell of clients; each may have its own.
///
/// An accepted connection proves that the client's address is not forged. Nothing that is seen of a connection before does,
/// so this is the only way in which a network becomes known.
#[derive(Clone, Debug)]
pub struct Known(SyncSender<IpAddr>);

impl Known {
    /// Tells that `client` completed a handshake. False when that is lost, since too many wait or nobody reads: the next
    /// connection of its network tells it again.
    pub fn tell(&self, client: IpAddr) -> bool {
        self.0.try_send(client).is_ok()
    }
}

impl Default for Known {
    /// One that nobody reads.
    fn default() -> Self {
        known().0
    }
}

/// The clients that wait to be made known.
#[derive(Debug)]
pub(super) struct Waiting(Receiver<IpAddr>);

impl Waiting {
    /// Takes all that were told of until now.
    pub(super) fn take(&self) -> Vec<IpAddr> {
        // Not more: whoever tells without a pause would never let go.
        self.0.try_iter().take(ROOM).collect()
    }
}

/// Both ends.
pub(super) fn known() -> (Known, Waiting) {
    let (sender, receiver) = sync_channel(ROOM);
    (Known(sender), Waiting(receiver))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn what_finds_no_room_is_lost_and_nobody_waits() {
        let (known, waiting) = known();
        let client = |number| IpAddr::from(Ipv4Addr::from_bits(number));
        let room = u32::try_from(ROOM).unwrap();
        let taken = (0..room + 5).filter(|number| known.tell(client(*number))).count();
        assert_eq!(taken, ROOM);
        assert_eq!(waiting.take(), (0..room).map(client).collect::<Vec<_>>());
        assert!(waiting.take().is_empty());
        assert!(known.tell(client(1)), "there is room again");
        drop(waiting);
        assert!(!known.tell(client(1)), "nobody reads");
    }
}
