//! What was decided about clients that are in the middle of a session with Postfix, each judged and recorded once.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use crate::policy::{Decision, Reply};
use crate::postfix_policy::Request;

/// Sessions that are known at the same time; those that were asked about longest ago make room.
const MOST: u64 = 10_000;
/// How long a session is known after the last request about it.
const KEPT: Duration = Duration::from_mins(5);

/// One client in the middle of a session.
#[derive(Debug)]
pub(super) struct KnownClient {
    /// What was decided when it connected, or when it had logged in.
    pub(super) decision: Decision,
    /// The message that was judged last, by what all requests about it have in common.
    judged: Mutex<(String, Fate)>,
}

/// What was decided about a message.
#[derive(Clone, Debug, Default)]
pub(super) enum Fate {
    /// Nothing yet.
    #[default]
    Open,
    /// It may pass, or its only answer was given.
    Settled,
    /// It is refused, whichever recipient is asked about.
    Refused(Reply),
}

impl KnownClient {
    /// One about whom `decision` is; of a message in hand it stays what `former` knows of it.
    pub(super) fn new(decision: Decision, former: Option<&Self>) -> Self {
        let judged = former.map(|former| former.judged().clone()).unwrap_or_default();
        Self { decision, judged: Mutex::new(judged) }
    }

    fn judged(&self) -> MutexGuard<'_, (String, Fate)> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was decided about this message.
    pub(super) fn fate(&self, instance: &str) -> Fate {
        let (known, fate) = &*self.judged();
        if known == instance { fate.clone() } else { Fate::Open }
    }

    /// Notes what was decided about this message.
    pub(super) fn settle(&self, instance: &str, refusal: Option<Reply>) {
        let fate = refusal.map_or(Fate::Settled, Fate::Refused);
        *self.judged() = (instance.to_owned(), fate);
    }
}

/// The session that a request is about: by the client's port, which only one session has at a time; where Postfix does not tell
/// it, by what the requests of one message have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key(IpAddr, u16, Box<str>);

impl Key {
    fn of(client: IpAddr, request: &Request) -> Self {
        let instance = if request.client_port == 0 { &*request.instance } else { "" };
        Self(client, request.client_port, instance.into())
    }
}

/// All clients in the middle of a session.
#[derive(Debug)]
pub(super) struct KnownClients(Cache<Key, Arc<KnownClient>>);

impl Default for KnownClients {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_idle(KEPT).build())
    }
}

impl KnownClients {
    /// The one that `request` is about, if it was asked about before.
    pub(super) fn get(&self, client: IpAddr, request: &Request) -> Option<Arc<KnownClient>> {
        self.0.get(&Key::of(client, request))
    }

    /// Remembers what was decided about it.
    pub(super) fn put(&self, client: IpAddr, request: &Request, known: &Arc<KnownClient>) {
        self.0.insert(Key::of(client, request), Arc::clone(known));
    }
}
