//! The policy service: Postfix asks about clients and recipients, and is told what to do.

mod counters;
mod judging;
mod known;
mod session;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use self::counters::Counters;
use self::known::KnownClients;
use super::service::{Place, Places, serve};
use super::{Counted, ServiceSocket, Stop};
use crate::alarm::Alarms;
use crate::direction::Direction;
use crate::engine::Engine;
use crate::smtp::Limits;

/// What the policy service is told by the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which way all mail goes; `None` is told from the client, and from whether its user has logged in.
    pub direction: Option<Direction>,
    /// Connections of Postfix at the same time.
    pub connections: usize,
    /// How long connections may stand idle.
    pub limits: Limits,
}

/// The policy service.
#[derive(Debug)]
pub struct PolicyService {
    settings: ArcSwap<Settings>,
    engine: Arc<Engine>,
    alarms: Alarms,
    places: Arc<Places>,
    /// What was decided about clients that are in the middle of a session with Postfix.
    known: KnownClients,
    counters: Counters,
}

impl PolicyService {
    /// A service that serves nobody yet.
    pub fn new(settings: Settings, engine: Arc<Engine>, alarms: Alarms) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            engine,
            alarms,
            places: Arc::default(),
            known: KnownClients::default(),
            counters: Counters::default(),
        }
    }

    /// Puts other settings in force.
    pub fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// What happened so far.
    pub fn counters(&self) -> Counted<Counters> {
        Counted { connections_active: self.places.taken(), counts: self.counters.clone() }
    }

    /// Serves `socket` until `stop`, then until the requests in hand are answered or its deadline is over.
    pub async fn serve(self: Arc<Self>, socket: ServiceSocket, stop: Stop) {
        let admit = |stream| {
            let place = self.admit();
            place.map(|place| session::run(Arc::clone(&self), stream, stop.clone(), place))
        };
        serve(socket, "postfix_policy", &self.alarms, stop.clone(), admit).await;
    }

    /// A place for a new connection. Where there is none, the connection is closed at once: Postfix then answers its client
    /// with a 451.
    fn admit(&self) -> Option<Place> {
        self.counters.connections.add();
        let place = self.places.take(self.settings.load().connections);
        if place.is_none() {
            self.counters.capacity.add();
        }
        place
    }
}
