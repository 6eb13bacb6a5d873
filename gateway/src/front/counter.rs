//! What happened at a front, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Serialize, Serializer};

/// One number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Clone for Counter {
    fn clone(&self) -> Self {
        Self(self.get().into())
    }
}

impl Serialize for Counter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.get())
    }
}

/// The counters of a front at one moment, for `status`.
#[derive(Clone, Debug, Serialize)]
pub struct Counted<C> {
    /// Connections of now.
    pub connections_active: usize,
    /// What happened since it began.
    #[serde(flatten)]
    pub counts: C,
}
