//! What to type to look further into a decision, or to change it.

use serde::Serialize;

use super::{AddressNow, EntryNow, Since, Stands, Told};

/// One command, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// What it does.
    pub what: String,
    /// What to type, or to do where no command does it.
    pub command: String,
}

/// The commands that help with `record`, the most useful first.
pub(super) fn of(record: &Told, since: &Since<'_>, stands: &Stands) -> Vec<Remedy> {
    let mut next = Vec::new();
    let mut say = |what: &str, command: String| {
        next.push(Remedy { what: what.to_owned(), command });
    };
    let address = record.address();
    if record.quarantine.is_some() && since.events.is_empty() {
        let reference = &record.reference;
        say("to let the message go on", format!("portcullis quarantine release {reference}"));
    }
    let is_there = since.entry == Some(EntryNow::There);
    if let (Some(list), Some(entry), true) = (&record.list, record.entry, is_there) {
        // What comes from a file or a feed is excepted from the list, and stays out whatever that says later.
        say("to take the entry out", format!("portcullis list remove {list} {entry}"));
    }
    let is_refused_now =
        since.now.as_ref().map_or_else(|| record.is_refused(), AddressNow::is_refused);
    if let (Some(address), true) = (address, is_refused_now && stands.stands != Some(false)) {
        say(
            "to let the address in whatever lists say",
            match since.good_list {
                Some(list) => {
                    format!("portcullis list add {list} {address} --reason WHY --for 30d")
                }
                None => {
                    "add a [[list]] with class = \"local-good\" to the configuration".to_owned()
                }
            },
        );
    }
    match record.code.as_str() {
        "dns-deny" | "dns-tempfail" if record.zone.is_some() => {
            let zone = record.zone.as_deref().unwrap_or_default();
            say("to see how the zone is", format!("portcullis zones test {zone}"));
        }
        "iprep-delay" | "iprep-reject" => {
            say(
                "to see what other thresholds would do",
                "portcullis slider --dry-run --last 24h --allow A --delay D --reject R".to_owned(),
            );
        }
        "greylist" => say(
            "to let the sender pass now",
            format!(
                "portcullis senders pass {}",
                record.greylist_pool.as_deref().unwrap_or("NETWORK")
            ),
        ),
        "next-hop" => say("to see how the next hop is", "portcullis status".to_owned()),
        _ => {}
    }
    if let Some(address) = address {
        say("to see all that is known of the address", format!("portcullis lookup {address}"));
    }
    next
}
