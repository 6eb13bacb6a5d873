//! A record with its story: what the journal knows of its entry since, and what would be decided about its address now.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::{Now, Trail};
use crate::config::Config;
use crate::list::{Class, List};
use crate::store::Event;
use crate::story::{AddressNow, EntryNow, Since, Story, Told};

/// A record as the trail has it, with its story.
#[derive(Debug, Serialize)]
pub struct ToldRecord {
    #[serde(flatten)]
    record: Value,
    /// When and by what the entry that decided was removed since.
    entry_removed: Option<Event>,
    /// The same for people.
    pub story: Story,
}

/// A record that was found, before it is told.
#[derive(Debug)]
pub(super) struct FoundRecord {
    record: Value,
    told: Told,
    removed: Option<Event>,
}

impl FoundRecord {
    /// The record with what `trail` knows of its entry since.
    pub(super) fn new(record: Value, trail: &mut Trail<'_>) -> Self {
        let told = Told::read(&record);
        Self { removed: trail.removed(&told), told, record }
    }

    /// The address that it is about.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.told.address()
    }

    /// Tells it; `events` are those of messages in quarantine.
    pub(super) fn tell(self, config: &Config, now: &Now, events: &[Told]) -> ToldRecord {
        let Self { record, told, removed } = self;
        let now = told.address().and_then(|address| now.get(&address));
        let own: Vec<_> =
            events.iter().filter(|event| event.reference == told.reference).cloned().collect();
        let story = story(config, &told, &own, removed.as_ref(), now);
        ToldRecord { record, entry_removed: removed, story }
    }
}

/// The story of a record; `events` are what was done with it later, `removed` is its entry's end, `now` what `lookup` says of its
/// address.
pub fn story(
    config: &Config,
    told: &Told,
    events: &[Told],
    removed: Option<&Event>,
    now: Option<&Value>,
) -> Story {
    // The list of this site that lets addresses in.
    let is_good = |list: &&Arc<List>| list.class == Class::LocalGood;
    let good_list = config.lists.iter().find(is_good).map(|list| &*list.name);
    let entry = entry_now(told, removed, now);
    let now = told.address().zip(now).map(|(ip, answer)| address_now(ip, answer));
    Story::new(told, &Since { events, entry, now, good_list })
}

/// What an answer of `lookup` says.
fn address_now(ip: IpAddr, answer: &Value) -> AddressNow {
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let by = |of: &str, name: &str| Some(answer[of].get(0)?[name].as_str()?.to_owned());
    AddressNow {
        ip,
        verdict: text("verdict"),
        code: text("code"),
        action: text("action"),
        enforced: answer["enforced"] != false,
        by: by("matches", "list")
            .map(|list| format!("list {list}"))
            .or_else(|| by("listings", "zone").map(|zone| format!("zone {zone}"))),
    }
}

fn entry_now(told: &Told, removed: Option<&Event>, now: Option<&Value>) -> Option<EntryNow> {
    let (list, entry) = (told.list.as_ref()?, told.entry?.to_string());
    let matches = now?["matches"].as_array()?;
    let is_it = |found: &&Value| found["list"] == **list && found["entry"] == *entry;
    Some(match (matches.iter().find(is_it), removed) {
        (Some(_), _) => EntryNow::There,
        (None, Some(event)) => EntryNow::Removed { at: event.at, by: event.by.to_string() },
        (None, None) => EntryNow::Gone,
    })
}
