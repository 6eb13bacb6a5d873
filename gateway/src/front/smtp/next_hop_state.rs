//! What is known of the next hop between connections: what it offers, whether it answers.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::{Instant, timeout};

use super::Settings;
use super::next_hop::NextHopConnection;
use crate::alarm::Alarms;
use crate::smtp::Capabilities;

/// The subject of the alarm.
const ALARM: &str = "next-hop";
/// Between two looks at a next hop that answers.
const REFRESH: Duration = Duration::from_mins(1);
/// Between two looks at one that does not.
const RETRY: Duration = Duration::from_secs(5);
/// For so long a failure is believed without another try.
const MEMORY: Duration = Duration::from_secs(1);

/// How the next hop is doing, for `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextHopStatus {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it answered when it was last asked; `None` when it was not asked yet.
    pub up: Option<bool>,
    /// What was wrong then.
    pub fault: Option<String>,
}

/// What is known of the next hop.
#[derive(Debug)]
pub(super) struct NextHopState {
    known: Mutex<Known>,
    alarms: Alarms,
    /// Held by whoever asks the next hop, so that a crowd of clients asks once.
    asking: AsyncMutex<()>,
    trouble: Notify,
}

#[derive(Debug, Default)]
struct Known {
    capabilities: Option<Capabilities>,
    fault: Option<(String, Instant)>,
}

impl NextHopState {
    pub(super) fn new(alarms: Alarms) -> Self {
        Self {
            known: Mutex::default(),
            alarms,
            asking: AsyncMutex::default(),
            trouble: Notify::new(),
        }
    }

    /// Forgets everything, since it is another host now.
    pub(super) fn forget(&self) {
        *self.known() = Known::default();
        self.trouble.notify_one();
    }

    /// What the next hop offers, as far as known; asks it where nothing is known yet.
    pub(super) async fn capabilities(&self, settings: &Settings) -> Option<Capabilities> {
        let known = self.known().capabilities.clone();
        if known.is_some() {
            return known;
        }
        let _asking = self.asking.lock().await;
        let recently = |fault: &(String, Instant)| fault.1.elapsed() < MEMORY;
        {
            let known = self.known();
            if known.capabilities.is_some() || known.fault.as_ref().is_some_and(recently) {
                return known.capabilities.clone();
            }
        }
        self.probe(settings).await;
        self.known().capabilities.clone()
    }

    /// Asks the next hop, then waits until it is time to ask again.
    pub(super) async fn probe_and_wait(&self, settings: &Settings) {
        {
            let _asking = self.asking.lock().await;
            self.probe(settings).await;
        }
        let wait = if self.known().fault.is_some() { RETRY } else { REFRESH };
        if timeout(wait, self.trouble.notified()).await.is_ok() {
            // Trouble comes in crowds.
            tokio::time::sleep(MEMORY).await;
        }
    }

    /// Has the next hop asked again soon, because a connection to it failed.
    ///
    /// What one client met says nothing for sure: only an answer to ourselves raises or clears the alarm. What was
    /// offered before is still worth offering, since mail is deferred at MAIL then.
    pub(super) fn doubt(&self) {
        self.trouble.notify_one();
    }

    pub(super) fn status(&self, address: SocketAddr) -> NextHopStatus {
        let known = self.known();
        let fault = known.fault.as_ref().map(|(text, _at)| text.clone());
        let up = (fault.is_some() || known.capabilities.is_some()).then_some(fault.is_none());
        NextHopStatus { address, up, fault }
    }

    async fn probe(&self, settings: &Settings) {
        match NextHopConnection::probe(settings).await {
            Ok(capabilities) => {
                *self.known() = Known { capabilities: Some(capabilities), fault: None };
                self.alarms.clear(ALARM);
            }
            Err(error) => {
                self.known().fault = Some((error.to_string(), Instant::now()));
                let address = settings.next_hop.address;
                self.alarms.raise(ALARM, &format!("{address}: {error}; mail is deferred"));
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
