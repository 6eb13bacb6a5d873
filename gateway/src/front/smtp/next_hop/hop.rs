//! What is known of one next hop between connections: what it offers, whether it answers, which connections to it are idle.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{NextHopConnection, NextHopStatus};
use crate::smtp::Capabilities;

/// How long a connection waits for another client: each is a process at some mail servers.
const IDLE: Duration = Duration::from_secs(2);
/// Clients that share a connection one after the other; most servers tire of one that never ends.
const MOST_CLIENTS: u32 = 100;

/// One next hop.
#[derive(Debug)]
pub(in crate::front::smtp) struct Hop {
    pub(super) address: SocketAddr,
    known: Mutex<Known>,
    idle: Mutex<Vec<(Instant, NextHopConnection)>>,
    /// Whether the configuration has other next hops by now: nobody comes for what would wait here.
    is_retired: AtomicBool,
}

#[derive(Debug, Default)]
struct Known {
    capabilities: Option<Capabilities>,
    fault: Option<Fault>,
    /// Whether a client could not be helped since it was last asked.
    doubted: bool,
}

#[derive(Clone, Debug)]
struct Fault {
    text: String,
    at: Instant,
    /// How often in a row.
    times: u32,
}

impl Hop {
    pub(super) fn new(address: SocketAddr) -> Self {
        let (known, idle) = (Mutex::default(), Mutex::default());
        Self { address, known, idle, is_retired: AtomicBool::new(false) }
    }

    /// What it offered when it was last asked, or when a client last came there.
    pub(super) fn capabilities(&self) -> Option<Capabilities> {
        self.known().capabilities.clone()
    }

    /// What was wrong when it was last asked.
    pub(super) fn fault(&self) -> Option<String> {
        self.known().fault.as_ref().map(|fault| fault.text.clone())
    }

    /// Whether it failed at most `ago`.
    pub(super) fn failed_within(&self, ago: Duration) -> bool {
        self.known().fault.as_ref().is_some_and(|fault| fault.at.elapsed() < ago)
    }

    /// How often in a row it gave no answer when it was asked.
    pub(super) fn failures(&self) -> u32 {
        self.known().fault.as_ref().map_or(0, |fault| fault.times)
    }

    /// Whether others are to be tried before it.
    pub(super) fn is_doubtful(&self) -> bool {
        let known = self.known();
        known.doubted || known.fault.is_some()
    }

    /// A client could not be helped.
    pub(super) fn doubt(&self) {
        self.known().doubted = true;
        self.idle().clear();
    }

    /// It was asked, and answered.
    pub(super) fn answered(&self, capabilities: Capabilities) {
        *self.known() = Known { capabilities: Some(capabilities), ..Known::default() };
    }

    /// It was asked, and gave no answer of use. What it offered before is still worth offering: mail is deferred at MAIL then.
    pub(super) fn failed(&self, text: String) {
        let mut known = self.known();
        let times = known.fault.as_ref().map_or(0, |fault| fault.times).saturating_add(1);
        known.fault = Some(Fault { text, at: Instant::now(), times });
    }

    pub(super) fn status(&self) -> NextHopStatus {
        let known = self.known();
        let fault = known.fault.as_ref().map(|fault| fault.text.clone());
        let up = (fault.is_some() || known.capabilities.is_some()).then_some(fault.is_none());
        NextHopStatus { address: self.address, up, fault }
    }

    /// A connection that waits, if there is one that is still there.
    pub(super) fn take_idle(&self) -> Option<NextHopConnection> {
        let mut idle = self.idle();
        while let Some((since, connection)) = idle.pop() {
            if since.elapsed() < IDLE && connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection without a transaction for the next client, where fewer than `most` wait; else gives it back.
    pub(super) fn keep_idle(
        &self,
        connection: NextHopConnection,
        most: usize,
    ) -> Option<NextHopConnection> {
        let mut idle = self.idle();
        if self.is_retired.load(Ordering::Acquire)
            || idle.len() >= most
            || connection.clients >= MOST_CLIENTS
        {
            return Some(connection);
        }
        idle.push((Instant::now(), connection));
        None
    }

    /// Gives up all connections that wait, and those that would.
    pub(super) fn retire(&self) -> Vec<NextHopConnection> {
        let mut idle = self.idle();
        self.is_retired.store(true, Ordering::Release);
        idle.drain(..).map(|(_since, connection)| connection).collect()
    }

    /// The connections that have waited long enough.
    pub(super) fn take_stale(&self) -> Vec<NextHopConnection> {
        let mut idle = self.idle();
        let fresh = idle.iter().position(|(since, _)| since.elapsed() < IDLE).unwrap_or(idle.len());
        idle.drain(..fresh).map(|(_since, connection)| connection).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Instant, NextHopConnection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
