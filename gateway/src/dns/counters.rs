//! Counts what a zone is asked, and what it answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::zone::AnswerFault;

/// The counters of one zone.
#[derive(Debug, Default)]
pub(super) struct Counters {
    queries: AtomicU64,
    listed: AtomicU64,
    not_listed: AtomicU64,
    cache_hits: AtomicU64,
    late: AtomicU64,
    microseconds: AtomicU64,
    most_microseconds: AtomicU64,
    faults: Mutex<BTreeMap<&'static str, u64>>,
}

/// What they say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ZoneCounts)]
pub struct Counts {
    /// Questions that were answered, or given up.
    pub queries: u64,
    /// Answers that were listings.
    pub listed: u64,
    /// Answers that were none.
    pub not_listed: u64,
    /// Lookups that needed no question.
    pub cache_hits: u64,
    /// Answers that nobody waited for any more.
    pub late: u64,
    /// What all answers took together, in microseconds.
    pub latency_sum: u64,
    /// What the slowest one took.
    pub latency_most: u64,
    /// What was no answer, by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Counters {
    pub(super) fn hit(&self) {
        self.cache_hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, is_listed: bool) {
        let counter = if is_listed { &self.listed } else { &self.not_listed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn done(&self, took: Duration, was_late: bool) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.late.fetch_add(was_late.into(), Ordering::Relaxed);
        self.microseconds.fetch_add(took, Ordering::Relaxed);
        self.most_microseconds.fetch_max(took, Ordering::Relaxed);
    }

    pub(super) fn fault(&self, fault: AnswerFault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        *faults.entry(fault.name()).or_default() += 1;
    }

    pub(super) fn counts(&self) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            queries: count(&self.queries),
            listed: count(&self.listed),
            not_listed: count(&self.not_listed),
            cache_hits: count(&self.cache_hits),
            late: count(&self.late),
            latency_sum: count(&self.microseconds),
            latency_most: count(&self.most_microseconds),
            faults: self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
