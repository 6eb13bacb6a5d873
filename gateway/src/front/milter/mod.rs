//! The milter: a mail server tells of clients and messages, and hears what to do about them.

mod client;
mod counters;
mod message;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

pub use self::counters::Counters;
use self::session::Session;
use super::service::{Place, Places, serve};
use super::{Counted, HeaderConfig, ServiceSocket, Stop};
use crate::alarm::Alarms;
use crate::direction::Direction;
use crate::engine::Engine;
use crate::smtp::Limits;

/// What the milter is told by the configuration; a session keeps those that it began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which way all mail goes; `None` is told from the client, and from whether its user has logged in.
    pub direction: Option<Direction>,
    /// Connections of mail servers at the same time.
    pub connections: usize,
    /// Our name in results.
    pub hostname: String,
    /// What is written into the header of mail that goes on; the Received field is the mail server's.
    pub header: HeaderConfig,
    /// How much of everything a sender may use.
    pub limits: Limits,
    /// Whether the signature of some messages may matter, for which their bodies are needed.
    pub needs_body: bool,
}

/// The milter.
#[derive(Debug)]
pub struct Milter {
    settings: ArcSwap<Settings>,
    engine: Arc<Engine>,
    alarms: Alarms,
    places: Arc<Places>,
    /// Room for messages that are held until their signature is verified.
    proving: Arc<Semaphore>,
    counters: Counters,
}

impl Milter {
    /// A milter that serves nobody yet.
    pub fn new(settings: Settings, engine: Arc<Engine>, alarms: Alarms) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            engine,
            alarms,
            places: Arc::default(),
            proving: Arc::new(Semaphore::new(message::MOST_PROVING)),
            counters: Counters::default(),
        }
    }

    /// Puts other settings in force, for connections from now on.
    pub fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// What happened so far.
    pub fn counters(&self) -> Counted<Counters> {
        Counted { connections_active: self.places.taken(), counts: self.counters.clone() }
    }

    /// Serves `socket` until `stop`, then until all messages in hand are finished or its deadline is over.
    pub async fn serve(self: Arc<Self>, socket: ServiceSocket, stop: Stop) {
        let admit = |stream| {
            let place = self.admit();
            place.map(|place| Session::new(&self, stream, stop.clone(), place).run())
        };
        serve(socket, "milter", &self.alarms, stop.clone(), admit).await;
    }

    /// A place for a new connection. Where there is none, the connection is closed at once: the mail server then does what it
    /// was told to do without a milter, which is a 4xx unless it was told otherwise.
    fn admit(&self) -> Option<Place> {
        self.counters.connections.add();
        let place = self.places.take(self.settings.load().connections);
        if place.is_none() {
            self.counters.capacity.add();
        }
        place
    }
}
