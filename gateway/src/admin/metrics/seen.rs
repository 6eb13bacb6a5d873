//! What all metrics of one answer are read from: everything is asked once.

use super::super::Sources;
use super::super::status::Status;
use super::process::Process;
use crate::audit::Archive;
use crate::clock::{Clock, Timestamp};
use crate::engine::Took;
use crate::feed::FeedStatus;
use crate::xdp::Mode;

/// The state of the daemon, with what `status` does not show.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: Status,
    pub(super) began: Timestamp,
    pub(super) now: Timestamp,
    pub(super) is_ready: bool,
    /// Whether the configuration asks for a kernel filter.
    pub(super) wants_filter: bool,
    pub(super) feeds: Vec<FeedStatus>,
    pub(super) took: Vec<Took>,
    /// `None` where records cannot be searched.
    pub(super) store: Option<Store>,
    pub(super) process: Process,
}

/// The store of records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store {
    /// Octets of its files; `None` where they cannot be looked at.
    pub(super) octets: Option<u64>,
    /// Octets that it may have.
    pub(super) most: u64,
}

impl Seen {
    /// All of it now. Reads files, and asks the kernel a few thousand times.
    pub(super) fn now(sources: &Sources) -> Self {
        let config = sources.config.load();
        let store = config.audit.store.as_ref().map(|store| Store {
            octets: Archive::new(&store.folder).octets().ok(),
            most: store.retention.max_size,
        });
        Self {
            status: sources.status(),
            began: sources.clock.began(),
            now: Clock::System.now(),
            is_ready: sources.readiness().ready,
            wants_filter: sources.xdp.mode != Mode::Off,
            feeds: sources.fetching.status(),
            took: sources.engine.times().took(),
            store,
            process: Process::now(),
        }
    }

    /// The feed of `list`, where it is fetched.
    pub(super) fn feed(&self, list: &str) -> Option<&FeedStatus> {
        // They are sorted by their lists.
        let found = self.feeds.binary_search_by(|feed| (*feed.list).cmp(list));
        found.ok().and_then(|index| self.feeds.get(index))
    }

    /// The seconds since `then`, of which a clock that was set back makes none.
    pub(super) fn age(&self, then: Timestamp) -> f64 {
        self.now.duration_since(then).as_secs_f64().max(0.0)
    }
}
