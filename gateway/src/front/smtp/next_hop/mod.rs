//! The next hops: which one gets mail now, and over which connection.

mod connection;
mod error;
mod hop;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tracing::debug;

use self::connection::Target;
pub(super) use self::connection::{Hello, Interrupted, NextHopConnection};
pub(super) use self::error::NextHopError;
use self::hop::Hop;
use super::Settings;
use crate::alarm::Alarms;
use crate::engine::Client;
use crate::front::{NextHop, PassClient};
use crate::smtp::Capabilities;

/// The subject of the alarm.
const ALARM: &str = "next-hop";
/// Between two looks at next hops that answer.
const REFRESH: Duration = Duration::from_mins(1);
/// Before the second look at one that does not; twice as long before each that follows.
const RETRY: Duration = Duration::from_secs(5);
/// For so long a failure is believed without another try.
const MEMORY: Duration = Duration::from_secs(1);
/// Between two looks at connections that wait.
const SWEEP: Duration = Duration::from_secs(1);

/// How a next hop is doing, for `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextHopStatus {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it answered when it was last asked; `None` when it was not asked yet.
    pub up: Option<bool>,
    /// What was wrong then.
    pub fault: Option<String>,
}

/// What a next hop answered to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHopAnswer {
    /// Its address.
    pub address: SocketAddr,
    /// What of what matters it offers.
    pub offers: Vec<&'static str>,
    /// Why it is of no use, with what to do about it.
    pub fault: Option<(String, String)>,
}

/// Asks each of the next hops once what it offers.
pub(super) async fn ask_all(
    settings: &Settings,
    connector: Option<TlsConnector>,
) -> Vec<NextHopAnswer> {
    let hops = hops(&settings.next_hop);
    let asked = hops.iter().map(|hop| {
        let connector = connector.clone();
        async move {
            let address = hop.address;
            match ask(hop, settings, connector).await {
                Ok(offered) => {
                    let offers = [
                        ("STARTTLS", offered.starttls),
                        ("XCLIENT", offered.xclient.has_address()),
                        ("AUTH", !offered.auth.is_empty()),
                    ];
                    let offers = offers.into_iter().filter(|(_, is_there)| *is_there);
                    let offers = offers.map(|(name, _)| name).collect();
                    NextHopAnswer { address, offers, fault: None }
                }
                Err(error) => {
                    let fault = Some((error.to_string(), error.remedy(address)));
                    NextHopAnswer { address, offers: Vec::new(), fault }
                }
            }
        }
    });
    futures_util::future::join_all(asked).await
}

/// Asks one of them, for not too long.
async fn ask(
    hop: &Arc<Hop>,
    settings: &Settings,
    connector: Option<TlsConnector>,
) -> Result<Capabilities, NextHopError> {
    let within = settings.limits.next_hop_connect_timeout * 3;
    timeout(within, NextHopConnection::probe(Target { hop, settings, connector })).await?
}

/// All next hops.
#[derive(Debug)]
pub(super) struct NextHops {
    hops: ArcSwap<Vec<Arc<Hop>>>,
    alarms: Alarms,
    /// Held by whoever asks them what they offer, so that a crowd of clients asks once.
    asking: AsyncMutex<()>,
    trouble: Notify,
}

impl NextHops {
    pub(super) fn new(next_hop: &NextHop, alarms: Alarms) -> Self {
        Self {
            hops: ArcSwap::from_pointee(hops(next_hop)),
            alarms,
            asking: AsyncMutex::default(),
            trouble: Notify::new(),
        }
    }

    /// Forgets everything, since they are other hosts now.
    pub(super) fn set(&self, next_hop: &NextHop) {
        let earlier = self.hops.swap(Arc::new(hops(next_hop)));
        for connection in earlier.iter().flat_map(|hop| hop.retire()) {
            tokio::spawn(connection.quit());
        }
        self.trouble.notify_one();
    }

    /// What the next hop offers that would get mail now, as far as known; asks where nothing is known yet.
    pub(super) async fn capabilities(
        &self,
        settings: &Settings,
        connector: Option<TlsConnector>,
    ) -> Option<Capabilities> {
        if let Some(known) = self.known_capabilities() {
            return Some(known);
        }
        let _asking = self.asking.lock().await;
        let failed_lately = |hop: &Arc<Hop>| hop.failed_within(MEMORY);
        if self.known_capabilities().is_none() && !self.hops.load().iter().all(failed_lately) {
            self.probe(settings, connector).await;
        }
        self.known_capabilities()
    }

    fn known_capabilities(&self) -> Option<Capabilities> {
        self.in_order().iter().find_map(|hop| hop.capabilities())
    }

    /// A connection for `client`: to the first next hop that answers, over a connection that waits where there is one.
    pub(super) async fn connect(
        &self,
        settings: &Settings,
        connector: Option<TlsConnector>,
        client: &Client,
        hello: &Hello,
    ) -> Result<NextHopConnection, NextHopError> {
        let mut fault = NextHopError::Closed;
        for hop in &self.in_order() {
            if let Some(mut waiting) = hop.take_idle() {
                match waiting.introduce(settings, client, hello).await {
                    Ok(()) => {
                        tell_begin(hop, client, "over a connection that waited");
                        return Ok(waiting);
                    }
                    Err(error) if error.client_refusal().is_some() => return Err(error),
                    // It tired of waiting.
                    Err(_) => {}
                }
            }
            let target = Target { hop, settings, connector: connector.clone() };
            match NextHopConnection::for_client(target, client, hello).await {
                Ok(connection) => {
                    tell_begin(hop, client, "over a new connection");
                    return Ok(connection);
                }
                Err(error) if error.client_refusal().is_some() => return Err(error),
                Err(error) => {
                    debug!(target: "next-hop", "{}: not for client=[{}]: {error}", hop.address, client.address.ip());
                    hop.doubt();
                    fault = error;
                }
            }
        }
        Err(fault)
    }

    /// Takes back a connection in which nothing is open: another client may have it, or it is left politely.
    pub(super) fn give_back(settings: &Settings, connection: NextHopConnection) {
        // A PROXY header is said once, of one client.
        let is_for_all = matches!(settings.next_hop.client, PassClient::Xclient | PassClient::None);
        let hop = Arc::clone(&connection.hop);
        let left = if is_for_all {
            hop.keep_idle(connection, settings.next_hop.idle_connections)
        } else {
            Some(connection)
        };
        if let Some(connection) = left {
            tokio::spawn(connection.quit());
        }
    }

    /// Asks all next hops, then waits until it is time to ask again.
    pub(super) async fn probe_and_wait(
        &self,
        settings: &Settings,
        connector: Option<TlsConnector>,
    ) {
        {
            let _asking = self.asking.lock().await;
            self.probe(settings, connector).await;
        }
        let until = Instant::now() + self.wait();
        while Instant::now() < until {
            let sweep = until.min(Instant::now() + SWEEP);
            if timeout_at(sweep, self.trouble.notified()).await.is_ok() {
                // Trouble comes in crowds.
                tokio::time::sleep(MEMORY).await;
                return;
            }
            self.sweep();
        }
    }

    /// Has the next hops asked again soon, because one of them failed a client.
    ///
    /// What one client met says nothing for sure: only an answer to ourselves raises or clears the alarm.
    pub(super) fn doubt(&self) {
        self.trouble.notify_one();
    }

    pub(super) fn status(&self) -> Vec<NextHopStatus> {
        self.hops.load().iter().map(|hop| hop.status()).collect()
    }

    /// Those that answer first, each part in the order of the configuration.
    fn in_order(&self) -> Vec<Arc<Hop>> {
        let mut hops = Vec::clone(&self.hops.load());
        hops.sort_by_key(|hop| hop.is_doubtful());
        hops
    }

    /// How long until the next look: the more often one gave no answer, the longer.
    fn wait(&self) -> Duration {
        let failures = self.hops.load().iter().map(|hop| hop.failures()).filter(|&it| it > 0).min();
        failures.map_or(REFRESH, |failures| {
            let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
            RETRY.saturating_mul(doubled).min(REFRESH)
        })
    }

    async fn probe(&self, settings: &Settings, connector: Option<TlsConnector>) {
        let hops = self.hops.load_full();
        let asked = hops.iter().map(|hop| {
            let connector = connector.clone();
            async move {
                match ask(hop, settings, connector).await {
                    Ok(capabilities) => hop.answered(capabilities),
                    Err(error) => hop.failed(error.to_string()),
                }
            }
        });
        futures_util::future::join_all(asked).await;
        self.tell(&hops);
    }

    fn tell(&self, hops: &[Arc<Hop>]) {
        let fault = |hop: &Arc<Hop>| Some(format!("{}: {}", hop.address, hop.fault()?));
        let faults: Vec<_> = hops.iter().filter_map(fault).collect();
        let then =
            if faults.len() == hops.len() { "mail is deferred" } else { "others get its mail" };
        let text = format!("{}; {then}", faults.join("; "));
        self.alarms.set(ALARM, (!faults.is_empty()).then_some(text.as_str()));
    }

    /// Leaves the connections that have waited long enough.
    fn sweep(&self) {
        for hop in self.hops.load().iter() {
            for connection in hop.take_stale() {
                tokio::spawn(connection.quit());
            }
        }
    }
}

fn tell_begin(hop: &Hop, client: &Client, how: &str) {
    debug!(target: "next-hop", "{}: for client=[{}] {how}", hop.address, client.address.ip());
}

fn hops(next_hop: &NextHop) -> Vec<Arc<Hop>> {
    next_hop.addresses.iter().map(|&address| Arc::new(Hop::new(address))).collect()
}
