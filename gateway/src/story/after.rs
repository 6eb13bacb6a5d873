//! What happened since a decision: to its message, to the entry that decided, and what would be decided now.

use std::net::IpAddr;

use super::steps::{event, minute};
use super::{Stands, Step, Told};
use crate::clock::Timestamp;
use crate::policy::Action;

/// What is known beside a record.
#[derive(Clone, Debug, Default)]
pub struct Since<'a> {
    /// What was done with its message in quarantine, in the order of time.
    pub events: &'a [Told],
    /// The entry that decided; `None` where no entry did, or nothing is known of it.
    pub entry: Option<EntryNow>,
    /// What would be decided about its address now; `None` where nobody could be asked.
    pub now: Option<AddressNow>,
    /// The list of this site that lets addresses in, where there is one.
    pub good_list: Option<&'a str>,
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryNow {
    /// It is there.
    There,
    /// It was removed.
    Removed {
        /// When.
        at: Timestamp,
        /// By what.
        by: String,
    },
    /// It is not there, and nobody wrote down since when.
    Gone,
}

/// What would be decided about an address that connects now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressNow {
    /// The address.
    pub ip: IpAddr,
    /// The outcome for people.
    pub verdict: String,
    /// The outcome for machines.
    pub code: String,
    /// What would be done.
    pub action: String,
    /// Whether it would be done.
    pub enforced: bool,
    /// The list or zone that would decide.
    pub by: Option<String>,
}

impl Since<'_> {
    /// What happened since, in the order of time.
    pub(super) fn steps(&self, record: &Told) -> Vec<Step> {
        let mut steps: Vec<_> =
            self.events.iter().map(|told| Step { time: told.time, text: event(told) }).collect();
        if let (Some(EntryNow::Removed { at, by }), Some(list), Some(entry)) =
            (&self.entry, &record.list, record.entry)
        {
            let text = format!("{entry} was removed from list {list} by {by}");
            steps.push(Step { time: Some(*at), text });
        }
        steps.sort_by_key(|step| step.time);
        steps
    }

    /// Whether the same would happen now.
    pub(super) fn stands(&self, record: &Told) -> Stands {
        let (list, entry) = (record.list.as_deref(), record.entry);
        let was = match (&self.entry, list, entry) {
            (Some(EntryNow::There), Some(list), Some(entry)) => {
                format!("{entry} is still in list {list}")
            }
            (Some(EntryNow::Removed { at, .. }), Some(list), Some(entry)) => {
                format!("{entry} left list {list} at {}", minute(*at))
            }
            (Some(EntryNow::Gone), Some(list), Some(entry)) => {
                format!("{entry} is no longer in list {list}")
            }
            _ => String::new(),
        };
        let text = |and: String| if was.is_empty() { and } else { format!("{was}; {and}") };
        let anew = if is_in_header(record) {
            Some("a message with the address in its header is judged anew")
        } else if self.entry.is_some() && is_for_messages(&record.action) {
            Some("each message from it is judged anew")
        } else {
            None
        };
        if let Some(anew) = anew {
            // Lists have actions for messages, which an answer about a connection does not tell.
            let stands = self.entry.as_ref().map(|entry| *entry == EntryNow::There);
            return Stands { stands, text: text(anew.to_owned()) };
        }
        match (&self.now, is_about_address(record)) {
            (_, false) => Stands {
                stands: None,
                text: "it was about this one connection, not about the address".to_owned(),
            },
            (None, true) => Stands {
                stands: None,
                text: text("what would be decided now is not known".to_owned()),
            },
            (Some(now), true) => {
                let same = now.is_refused() == record.is_refused_here();
                // What the next hop would say now, only it knows.
                let stands = Some(same).filter(|_same| !record.is_refused_by_next_hop());
                Stands { stands, text: text(now.told()) }
            }
        }
    }
}

impl AddressNow {
    /// Whether it would be told no.
    pub fn is_refused(&self) -> bool {
        self.enforced && Action::word_refuses(&self.action)
    }

    fn told(&self) -> String {
        let Self { ip, verdict, code, .. } = self;
        let by = self.by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
        let dry = if self.enforced { "" } else { ", in a dry run" };
        let what = match (self.is_refused(), self.action.as_str()) {
            (true, "defer") => "would be told to come again",
            (true, _) => "would be refused",
            (false, _) => "would be let in",
        };
        format!("{ip} {what} if it connected now: {verdict} ({code}){by}{dry}")
    }
}

/// Whether the address that decided was in the header of a message.
fn is_in_header(record: &Told) -> bool {
    let hop = record.offending.as_ref().map_or("", |offending| &offending.hop);
    hop.starts_with("received") || hop.starts_with("header")
}

/// Whether a list does that to messages, and lets connections in.
fn is_for_messages(action: &str) -> bool {
    ["reject-message", "tag", "quarantine", "discard"].contains(&action)
}

/// Whether the decision follows from the address, so that asking about it again means something.
fn is_about_address(record: &Told) -> bool {
    let of_connection =
        ["capacity", "next-hop", "early-talker", "protocol", "dns-tempfail", "flood"];
    !of_connection.contains(&record.code.as_str())
}
