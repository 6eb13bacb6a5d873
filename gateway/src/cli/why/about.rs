//! A record with its story: what the journal knows of its entry since, and what would be decided about its address now.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::cli::{Failure, lookup, output};
use crate::config::Config;
use crate::list::{Class, List};
use crate::refresh;
use crate::store::Event;
use crate::story::{AddressNow, EntryNow, Since, Story, Told};

/// A record as the trail has it, with its story.
#[derive(Debug, Serialize)]
pub(super) struct ToldRecord {
    #[serde(flatten)]
    record: Value,
    /// When and by what the entry that decided was removed since.
    entry_removed: Option<Event>,
    /// The same for people.
    pub(super) story: Story,
}

/// Tells records of this host; each address is asked about once, however many records are about it.
pub(super) struct Teller<'a> {
    config: &'a Config,
    now: HashMap<IpAddr, Option<Value>>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        Self { config, now: HashMap::new() }
    }

    /// What `lookup` says of an address now.
    pub(super) fn now(&mut self, address: IpAddr) -> Result<Option<&Value>, Failure> {
        if !self.now.contains_key(&address) {
            let answer = lookup::ask(self.config, &[address])?.into_iter().next();
            self.now.insert(address, answer);
        }
        Ok(self.now.get(&address).and_then(Option::as_ref))
    }

    /// Tells `record`; `events` are those of messages in quarantine.
    pub(super) fn tell(&mut self, record: Value, events: &[Told]) -> Result<ToldRecord, Failure> {
        let told = Told::read(&record);
        let entry_removed = removed(self.config, &told);
        let (config, address) = (self.config, told.address());
        let now = address.map(|address| self.now(address)).transpose()?.flatten();
        let own: Vec<_> =
            events.iter().filter(|event| event.reference == told.reference).cloned().collect();
        let story = story(config, &told, &own, entry_removed.as_ref(), now);
        Ok(ToldRecord { record, entry_removed, story })
    }
}

/// The story of a record; `events` are what was done with it later, `removed` is its entry's end, `now` what `lookup` says of its
/// address.
pub(in super::super) fn story(
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
pub(super) fn address_now(ip: IpAddr, answer: &Value) -> AddressNow {
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

/// When and by what the entry that decided was removed since; `None` while it is there, and where nothing is known of it.
pub(in super::super) fn removed(config: &Config, told: &Told) -> Option<Event> {
    let (entry, time, list) = (told.entry?, told.time?, told.list.as_ref()?);
    let history = refresh::history(&config.state_dir, entry.address()).unwrap_or_else(|error| {
        output::warn(format_args!("the journal of lists cannot be read: {error}"));
        None
    })?;
    let of_entry = history.events.into_iter().filter(|event| {
        *event.list == **list && event.prefix == entry && !event.added && event.at > time
    });
    // The newest comes first.
    of_entry.last()
}
