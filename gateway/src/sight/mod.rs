//! What the kernel filter did, watched by the daemon: samples become records and top talkers, counts become records.
//!
//! Its thread looks ten times a second. It decides nothing; without it the filter goes on, and only tells nobody.

mod records;
mod talkers;

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tracing::debug;

pub use talkers::{MOST, Talker, Talkers, Top};
use utoipa::ToSchema;

use self::records::{CountRecords, Told, record};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::xdp::{self, Events, KernelEvent};

/// How often the kernel's events are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The most events that are taken in at one look; the others wait in the ring, or are lost there and counted.
const AT_ONCE: usize = 4096;

/// The most records of single packets in a second. Under a flood there would be no end of them; counts are always kept.
const RECORDS_PER_SECOND: usize = 50;

/// Every so many looks it is a second, and records may be written again.
const LOOKS_PER_SECOND: u32 = 10;

/// Every so many looks the filter's maps are opened anew if they are others than before.
const LOOKS_PER_CHECK: u32 = 50;

/// Every so many looks the counts go to the audit trail.
const LOOKS_PER_COUNTS: u32 = 600;

/// How many talkers of a kind are shown.
const SHOWN: usize = 20;

/// The top talkers, for whoever asks.
#[derive(Clone, Debug)]
pub struct TopTalkers {
    talkers: Arc<Mutex<Talkers>>,
    clock: Clock,
}

/// The top talkers of the last minute and since the start.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TopReport {
    /// In the last minute.
    pub recent: Top,
    /// Since the daemon was started.
    pub all: Top,
}

impl TopTalkers {
    /// Nobody yet.
    pub fn new(clock: Clock) -> Self {
        Self { talkers: Arc::new(Mutex::new(Talkers::new(clock.now()))), clock }
    }

    /// Those of now.
    pub fn report(&self) -> TopReport {
        let now = self.clock.now();
        let mut talkers = self.lock();
        TopReport { recent: talkers.recent(now, SHOWN), all: talkers.all(now, SHOWN) }
    }

    fn lock(&self) -> MutexGuard<'_, Talkers> {
        self.talkers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches the kernel filter.
#[derive(Debug)]
pub struct Sight {
    config: xdp::Config,
    engine: Arc<Engine>,
    top: TopTalkers,
    events: Option<Events>,
    counts: CountRecords,
    records_left: usize,
    clock: Clock,
}

impl Sight {
    /// Watches the filter pinned where `config` says.
    pub fn new(config: xdp::Config, engine: Arc<Engine>, top: TopTalkers, clock: Clock) -> Self {
        Self {
            counts: CountRecords::new(&config, clock.now()),
            events: Events::open(&config).ok(),
            config,
            engine,
            top,
            records_left: RECORDS_PER_SECOND,
            clock,
        }
    }

    /// Looks until the other end of `stop` is gone.
    pub fn run(mut self, stop: &Receiver<()>) {
        let mut looks = 0_u32;
        while stop.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(LOOKS_PER_SECOND) {
                self.records_left = RECORDS_PER_SECOND;
            }
            if looks.is_multiple_of(LOOKS_PER_CHECK) {
                self.check();
            }
            self.look();
            if looks.is_multiple_of(LOOKS_PER_COUNTS) {
                self.counts.write(&self.config, &self.engine, self.clock.now());
            }
        }
        self.look();
        self.counts.write(&self.config, &self.engine, self.clock.now());
    }

    /// Takes in what has happened since the last look.
    fn look(&mut self) {
        let now = self.clock.now();
        let Some(events) = &mut self.events else { return };
        let events = events.read(AT_ONCE, now);
        if events.is_empty() {
            return;
        }
        let clients: Vec<IpAddr> = events.iter().map(|event| event.client.ip()).collect();
        let packets = events.iter().map(|event| u64::from(event.weight)).sum();
        self.top.lock().add(now, &clients, packets);
        for event in &events {
            self.tell(event);
        }
    }

    fn tell(&mut self, event: &KernelEvent) {
        debug!(
            target: "kernel",
            "outcome={} client=[{}]:{} list={} weight={}",
            event.outcome.name(),
            event.client.ip(),
            event.client.port(),
            event.list.as_deref().unwrap_or("-"),
            event.weight
        );
        // Whoever follows an address is told of each event of it, whatever is written down of the rest.
        let client = event.client.ip();
        let told = Told::new(event);
        self.engine.taps().tell(|prefix| prefix.contains(client), "kernel", &told);
        if self.records_left > 0 && record(&self.engine, event) {
            self.records_left -= 1;
        }
    }

    /// The maps may have been made anew, or only now.
    fn check(&mut self) {
        if !self.events.as_ref().is_some_and(|events| events.is_current(&self.config)) {
            self.events = Events::open(&self.config).ok();
        }
    }
}
