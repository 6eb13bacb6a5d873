//! Alarms: what an operator must know now; each is one log line when it comes, one when it goes, and a line in `status`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tracing::{error, info};
use utoipa::ToSchema;

use crate::clock::{Clock, Timestamp};

/// The alarms of this process; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Alarms {
    clock: Clock,
    active: Arc<Mutex<BTreeMap<String, Alarm>>>,
}

/// One alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Alarm {
    /// What it is about, `list:NAME` for one: at most one alarm for each.
    pub about: String,
    /// What is wrong, and what to do.
    pub text: String,
    /// Since when.
    pub since: Timestamp,
}

impl Alarms {
    /// Says that something is wrong with `about`; the same text again says nothing new.
    pub fn raise(&self, about: &str, text: &str) {
        let mut active = self.active();
        if active.get(about).is_some_and(|known| known.text == text) {
            return;
        }
        error!(target: "alarm", "raise about={about} {text}");
        let alarm =
            Alarm { about: about.to_owned(), text: text.to_owned(), since: self.clock.now() };
        active.insert(about.to_owned(), alarm);
    }

    /// Says that `about` is well again, if it was not.
    pub fn clear(&self, about: &str) {
        if self.active().remove(about).is_some() {
            info!(target: "alarm", "clear about={about}");
        }
    }

    /// Raises the alarm for a fault, clears it for none.
    pub fn set(&self, about: &str, fault: Option<&str>) {
        match fault {
            Some(text) => self.raise(about, text),
            None => self.clear(about),
        }
    }

    /// What is wrong now, by subject.
    pub fn list(&self) -> Vec<Alarm> {
        self.active().values().cloned().collect()
    }

    fn active(&self) -> MutexGuard<'_, BTreeMap<String, Alarm>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alarm_for_each_subject() {
        let alarms = Alarms::default();
        alarms.raise("list:a", "file is gone");
        alarms.raise("list:a", "file is empty");
        alarms.raise("xdp", "no rights");
        let texts: Vec<_> = alarms.list().into_iter().map(|alarm| alarm.text).collect();
        assert_eq!(texts, ["file is empty", "no rights"]);
        alarms.set("list:a", None);
        alarms.clear("list:b");
        assert_eq!(alarms.list().len(), 1);
    }
}
