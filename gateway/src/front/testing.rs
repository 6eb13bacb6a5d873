//! An engine with a few lists and an audit trail in a file, for the tests of fronts that mail servers ask.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::alarm::Alarms;
use crate::audit::Writer;
use crate::clock::Clock;
use crate::engine::{self, Engine};
use crate::list::{Class, HopScope, List, ListAction, Loaded, Membership, Origin, Part};
use crate::net::Prefix;
use crate::policy::Policy;

/// An engine under test, with its trail.
pub(super) struct Judge {
    pub(super) engine: Arc<Engine>,
    audit: PathBuf,
    _folder: tempfile::TempDir,
}

impl Judge {
    /// One that enforces what it decides, and has no lists yet.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let audit = folder.path().join("audit.jsonl");
        let policy = Policy { enforce: true, ..Policy::default() };
        let settings = engine::Settings { policy, ..engine::Settings::default() };
        let writer = Writer::open(&audit, Alarms::default()).unwrap();
        let engine = Arc::new(Engine::new(settings, writer, Clock::default()));
        Self { engine, audit, _folder: folder }
    }

    /// Puts lists in force that each have one prefix and do one thing about it.
    pub(super) fn set_lists(&self, lists: &[(&str, ListAction)], version: u64) {
        let lists = lists.iter().map(|&(prefix, action)| list(prefix, action)).collect();
        self.engine.set_lists(Arc::new(Membership::new(lists, &[])), version);
    }

    /// All records so far; no more can be written.
    pub(super) fn records(&self) -> Vec<Value> {
        self.engine.audit().close();
        let text = std::fs::read_to_string(&self.audit).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn list(prefix: &str, action: ListAction) -> Loaded {
    let list = List {
        hops: if action.acts_at_connect() { HopScope::Connect } else { HopScope::All },
        ..List::new(action.name(), Class::LocalBad, action)
    };
    let prefix: Prefix = prefix.parse().unwrap();
    let entries = Arc::new([prefix].into_iter().collect());
    Loaded { list: Arc::new(list), parts: vec![Part { origin: Arc::new(Origin::Put), entries }] }
}
