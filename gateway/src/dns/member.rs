//! One zone at work: as it is configured, how it is, what it was asked.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::counters::Counters;
use super::resolve::{Fault, Records};
use crate::clock::Timestamp;
use crate::zone::{Answer, AnswerFault, Health, Outcome, Silence, State, Zone};

/// A zone at work.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) zone: Arc<Zone>,
    pub(super) is_enabled: bool,
    pub(super) body: Arc<Mutex<Body>>,
    pub(super) counters: Arc<Counters>,
}

/// How a zone is.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) health: Health,
    /// Answers from before that do not count: they came while it answered nonsense.
    pub(super) fresh_from: Option<Instant>,
}

/// Whether a zone is asked about an address.
pub(super) enum Permit {
    /// It is; answers that came before that moment do not count.
    Ask(Option<Instant>),
    /// It is not meant to be.
    Skip,
    /// It is meant to be, but not now.
    Silent(Silence),
}

impl Member {
    /// The zone; how it is comes from `before`, where that is the same zone asked for the same things.
    pub(super) fn new(
        zone: Arc<Zone>,
        is_enabled: bool,
        before: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        let same = before.filter(|before| {
            before.zone.domain == zone.domain
                && before.zone.families == zone.families
                && before.zone.test_points == zone.test_points
        });
        let anew =
            || Arc::new(Mutex::new(Body { health: Health::new(&zone, now), fresh_from: None }));
        let alive = same.filter(|same| same.is_enabled && is_enabled);
        let body = alive.map_or_else(anew, |alive| Arc::clone(&alive.body));
        let counters = same.map(|same| Arc::clone(&same.counters)).unwrap_or_default();
        Self { zone, is_enabled, body, counters }
    }

    pub(super) fn body(&self) -> MutexGuard<'_, Body> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn permit(&self, address: IpAddr) -> Permit {
        if !self.is_enabled {
            return Permit::Skip;
        }
        let body = self.body();
        match body.health.state(address.into()) {
            State::Healthy => Permit::Ask(body.fresh_from),
            State::Excluded | State::NotOffered => Permit::Skip,
            State::Unproven => Permit::Silent(Silence::Unproven),
            State::Ill(illness) => Permit::Silent(Silence::Ill(illness)),
        }
    }

    /// What an answer of DNS means to the zone.
    pub(super) fn read(&self, records: &Result<Arc<Records>, Fault>) -> Answer {
        match records {
            Ok(records) => self.zone.read(codes(records)),
            Err(fault) => Answer::Fault((*fault).into()),
        }
    }

    /// Whether an answer about a test entry says that it is listed.
    pub(super) fn lists(&self, records: Result<&Records, Fault>) -> Result<bool, AnswerFault> {
        let codes = codes(records?);
        match self.zone.read(codes) {
            Answer::Fault(fault) => Err(fault),
            Answer::Listed(_) | Answer::NotListed => Ok(!codes.is_empty()),
        }
    }
}

/// What came of a question, for the health of the zone.
pub(super) const fn outcome(answer: &Answer) -> Outcome {
    match answer {
        Answer::Listed(_) => Outcome::Listed,
        Answer::NotListed => Outcome::NotListed,
        Answer::Fault(fault) => Outcome::Fault(*fault),
    }
}

pub(super) fn codes(records: &Records) -> &[Ipv4Addr] {
    match records {
        Records::A(codes) => codes,
        _ => &[],
    }
}
