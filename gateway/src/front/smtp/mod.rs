//! The SMTP proxy: speaks with clients, has them judged, relays what may pass to the next hop.

mod client;
mod connections;
mod counters;
mod header;
mod keeping;
mod login;
mod majority;
mod message;
mod next_hop;
mod opening;
mod pieces;
mod release;
mod session;
mod stream;
mod tarpit;
#[cfg(test)]
mod tests;
mod tls;
mod transaction;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use moka::sync::Cache;
use rustix::net::sockopt::set_tcp_nodelay;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use self::connections::{Connections, Full};
pub use self::counters::Counters;
use self::majority::{Majority, Shown};
use self::next_hop::NextHops;
pub use self::next_hop::{NextHopAnswer, NextHopStatus};
pub use self::release::{RecipientOutcome, ReleaseError, Released};
use self::session::{Entry, Session};
use self::tarpit::Tarpit;
use self::tls::Tls;
use super::service::serve;
use super::{Counted, HeaderConfig, Listener, NextHop, PassClient, Stop, stopped};
use crate::alarm::Alarms;
use crate::direction::{Route, RouteReason};
use crate::engine::{Client, Engine};
use crate::net::fold;
use crate::policy::{Action, Outcome, Phase, Verdict};
use crate::quarantine::Quarantine;
use crate::refresh::Known;
use crate::smtp::{Limits, Mailbox, RecipientDomains};
use crate::tls::{Certificate, TlsError};

/// Clients of which it is remembered that they can wait for a greeting.
const MOST_PATIENT: u64 = 100_000;
/// How long that is remembered.
const PATIENT_FOR: Duration = Duration::from_hours(24);

/// What the proxy is told by the configuration; a session keeps those that it began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Our name in greetings.
    pub hostname: String,
    /// Where accepted mail goes.
    pub next_hop: NextHop,
    /// The certificate of this host, where it has one.
    pub certificate: Option<Certificate>,
    /// What is written into the header of mail that goes on.
    pub header: HeaderConfig,
    /// The domains for which mail is taken; `None` leaves that to the next hop, which then must know the client.
    pub recipient_domains: Option<RecipientDomains>,
    /// How much of everything a peer may use.
    pub limits: Limits,
}

impl Settings {
    /// Whether mail for `recipient` may be taken. Clients of our own may send to everybody. Without a way to pass the client
    /// on, only those that an acceptance list names may, and others to listed domains alone (B0).
    fn accept_recipient(&self, recipient: &Mailbox, route: Option<&Route>) -> bool {
        let passes_on = self.next_hop.client != PassClient::None;
        let is_named = |route: &Route| {
            matches!(route.reason, RouteReason::Acceptance { .. } | RouteReason::Authenticated)
        };
        if route.is_some_and(|route| route.may_relay() && (passes_on || is_named(route))) {
            return true;
        }
        match &self.recipient_domains {
            Some(domains) => domains.accept(recipient),
            None => passes_on,
        }
    }
}

/// The proxy; all listeners share one, with its limits and what it knows of the next hop.
#[derive(Debug)]
pub struct Front {
    settings: ArcSwap<Settings>,
    engine: Arc<Engine>,
    alarms: Alarms,
    connections: Arc<Connections>,
    known: Known,
    next_hops: NextHops,
    tls: Tls,
    tarpit: Tarpit,
    majority: Mutex<Majority>,
    /// Who has waited for a greeting of late, and need not do so again.
    patient: Cache<IpAddr, ()>,
    quarantine: Arc<Quarantine>,
    /// Room for messages that are held until their signature is verified.
    proving: Arc<Semaphore>,
    counters: Counters,
}

impl Front {
    /// A proxy that serves nobody yet; it reads the files that TLS needs.
    pub fn new(
        settings: Settings,
        engine: Arc<Engine>,
        known: Known,
        quarantine: Arc<Quarantine>,
        alarms: Alarms,
    ) -> Result<Self, TlsError> {
        let patient = Cache::builder().max_capacity(MOST_PATIENT).time_to_live(PATIENT_FOR).build();
        Ok(Self {
            engine,
            next_hops: NextHops::new(&settings.next_hop, alarms.clone()),
            tls: Tls::load(&settings, alarms.clone())?,
            settings: ArcSwap::from_pointee(settings),
            alarms,
            connections: Arc::default(),
            known,
            tarpit: Tarpit::default(),
            majority: Mutex::default(),
            patient,
            quarantine,
            proving: Arc::new(Semaphore::new(message::MOST_PROVING)),
            counters: Counters::default(),
        })
    }

    /// What is wrong with the files that TLS needs.
    pub fn look_at_tls(settings: &Settings) -> Result<(), TlsError> {
        Tls::load(settings, Alarms::default()).map(drop)
    }

    /// Asks each next hop once what it offers, for who has no daemon.
    pub async fn ask_next_hops(settings: &Settings) -> Result<Vec<NextHopAnswer>, TlsError> {
        let tls = Tls::load(settings, Alarms::default())?;
        Ok(next_hop::ask_all(settings, tls.connector()).await)
    }

    /// Puts other settings in force, for connections from now on; where the files that TLS needs cannot be read, none of them.
    pub fn set_settings(&self, settings: Settings) -> Result<(), TlsError> {
        self.tls.set(&settings)?;
        let previous = self.settings.swap(Arc::new(settings));
        let settings = self.settings.load();
        if previous.next_hop != settings.next_hop {
            self.next_hops.set(&settings.next_hop);
        }
        Ok(())
    }

    /// What happened so far.
    pub fn counters(&self) -> Counted<Counters> {
        Counted { connections_active: self.connections.total(), counts: self.counters.clone() }
    }

    /// How the next hops are doing.
    pub fn next_hops(&self) -> Vec<NextHopStatus> {
        self.next_hops.status()
    }

    /// Asks the next hops every minute what they offer, sooner after trouble, until `stop`; one task for all listeners.
    pub async fn watch_next_hops(self: Arc<Self>, mut stop: Stop) {
        loop {
            let settings = self.settings.load_full();
            tokio::select! {
                () = self.next_hops.probe_and_wait(&settings, self.tls.connector()) => {}
                _deadline = stopped(&mut stop) => return,
            }
        }
    }

    /// Takes up a new certificate whenever its files change, until `stop`.
    pub async fn watch_certificate(self: Arc<Self>, stop: Stop) {
        self.tls.watch(stop).await;
    }

    /// Says, each minute until `stop`, when one address makes most of the connections: then it is hardly that of a client.
    pub async fn watch_majority(self: Arc<Self>, mut stop: Stop) {
        const WINDOW: Duration = Duration::from_mins(1);
        loop {
            tokio::select! {
                () = sleep(WINDOW) => self.tell_majority(),
                _deadline = stopped(&mut stop) => return,
            }
        }
    }

    fn tell_majority(&self) {
        const ALARM: &str = "one-address";
        let shown = self.majority.lock().unwrap_or_else(PoisonError::into_inner).turn();
        match shown {
            Shown::Majority { address, count, total } => {
                tracing::debug!(target: "smtp", "one-address address={address} count={count} total={total}");
                // The same words each minute, so that they are told once.
                let text = format!(
                    "{address} makes most connections: is there NAT or a load balancer before this host? Lists, limits and score then judge it in the place of the senders: let it name the clients (`proxy_from`), or put it into `trusted_relays`"
                );
                self.alarms.raise(ALARM, &text);
            }
            Shown::None => self.alarms.clear(ALARM),
            Shown::Unknown => {}
        }
    }

    /// Serves the connections of one listening socket until `stop`, then until all are finished or its deadline is over.
    pub async fn serve(self: Arc<Self>, socket: TcpListener, listener: Listener, stop: Stop) {
        let name = format!("listener:{}", listener.address);
        let listener = Arc::new(listener);
        // Replies are small, and waited for. Connections have this from their listener.
        if let Err(error) = set_tcp_nodelay(&socket, true) {
            tracing::warn!(target: "smtp", "{name}: replies may wait for each other: {error}");
        }
        // Only a socket for all addresses leaves it open which of them the client has reached.
        let local = socket.local_addr().ok().filter(|local| !local.ip().is_unspecified());
        let admit = |(stream, peer): (TcpStream, SocketAddr)| {
            let local = local.or_else(|| stream.local_addr().ok())?;
            let client = Client::new(folded(peer), folded(local));
            self.admit(stream, client, &listener, &stop).map(Session::run)
        };
        serve(socket, &name, &self.alarms, stop.clone(), admit).await;
    }

    /// A session for a new connection, if there is room for it.
    fn admit(
        self: &Arc<Self>,
        stream: TcpStream,
        client: Client,
        listener: &Arc<Listener>,
        stop: &Stop,
    ) -> Option<Session> {
        let peer = client.address.ip();
        let settings = self.settings.load_full();
        self.counters.connections.add();
        if !self.known.tell(peer) {
            self.counters.known_lost.add();
        }
        let is_proxied = listener.proxy_from.iter().any(|known| known.contains(peer));
        if !is_proxied && !peer.is_loopback() && !self.engine.is_trusted_relay(peer) {
            self.majority.lock().unwrap_or_else(PoisonError::into_inner).note(peer);
        }
        let place = self.connections.admit(&settings.limits).and_then(|mut place| {
            // Behind a load balancer the client is not known yet.
            if !is_proxied {
                place.claim(peer, self.engine.is_known_good(peer), &settings.limits)?;
            }
            Ok(place)
        });
        match place {
            Ok(place) => {
                let (listener, stop) = (Arc::clone(listener), stop.clone());
                let entry = Entry { settings, listener, client, is_proxied, stop, place };
                Some(Session::new(Arc::clone(self), stream, entry))
            }
            Err(full) => {
                self.turn_away(&stream, &client, full);
                None
            }
        }
    }

    /// Says that there is no room, and closes; costs no task, and never waits.
    fn turn_away(&self, stream: &TcpStream, client: &Client, full: Full) {
        let reply = full.reply();
        self.counters.capacity.add();
        let decision = self.engine.own(
            client,
            Phase::Connect,
            Verdict::Capacity,
            Action::Defer,
            reply.clone(),
        );
        // Nothing was sent before: the line fits into the socket's empty buffer, or the client is gone.
        let line = format!("{reply}\r\n");
        let sent = rustix::net::send(stream, line.as_bytes(), rustix::net::SendFlags::DONTWAIT);
        let reply = sent.is_ok().then(|| reply.to_string());
        self.engine.record(client, None, &decision, Outcome { reply, ..Outcome::default() });
    }
}

/// The same with an IPv4-mapped address as the IPv4 one.
fn folded(mut address: SocketAddr) -> SocketAddr {
    address.set_ip(fold(address.ip()));
    address
}
