//! What speaks against an address or a prefix now, and who can change that.

use serde::Serialize;

use crate::engine::Engine;
use crate::list::{Match, Origin};
use crate::net::Prefix;
use crate::policy::{Action, Decision, Verdict};
use crate::zone::Listing;

/// One list, zone or score that is against an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Hit {
    /// The list; `null` for a zone or a score.
    list: Option<String>,
    /// The zone; `null` for a list or a score.
    zone: Option<String>,
    /// What it does about it.
    action: &'static str,
    /// False: a dry run.
    enforce: bool,
    /// The entry of the list.
    entry: Option<Prefix>,
    /// Where it was written.
    origin: Option<String>,
    /// How it goes away.
    pub(super) what_to_do: String,
}

/// What would be decided about an address that connects now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Now {
    verdict: Verdict,
    code: &'static str,
    action: Action,
    enforced: bool,
}

impl Hit {
    /// The hit in words.
    pub(super) fn told(&self) -> String {
        let Self { list, zone, action, enforce, entry, origin, .. } = self;
        let dry = if *enforce { "" } else { ", dry run" };
        match (list, zone, entry, origin) {
            (Some(list), _, Some(entry), Some(origin)) => {
                format!("the list {list} ({action}{dry}) has {entry}, {origin}")
            }
            (_, Some(zone), ..) => format!("the zone {zone} ({action}{dry}) lists it"),
            _ => format!("its score alone is enough ({action}{dry})"),
        }
    }
}

/// All that is against `prefix`, as a client that connects now; of more than one address, the lists that cover all of it.
pub(super) async fn hits(engine: &Engine, prefix: Prefix) -> (Vec<Hit>, Option<Now>) {
    let address = prefix.address();
    let is_host = Prefix::host(address) == prefix;
    let decision =
        if is_host { engine.look_up(address).await } else { engine.judge_address(address) };
    let hits = against(&decision, prefix);
    let now = is_host.then(|| Now {
        verdict: decision.verdict,
        code: decision.verdict.code(),
        action: decision.action,
        enforced: decision.enforced,
    });
    (hits, now)
}

fn against(decision: &Decision, prefix: Prefix) -> Vec<Hit> {
    let Some(facts) = decision.addresses.first() else { return Vec::new() };
    let covers_all = |good: &Match| good.entry.prefix.covers(prefix);
    if facts.skipped.is_some() || facts.cleared_by().is_some_and(covers_all) {
        return Vec::new();
    }
    let lists = facts
        .matches
        .iter()
        .filter(|found| !found.class().is_good() && found.entry.prefix.covers(prefix));
    let zones = facts.listings.iter().filter(|found| !found.zone.class.is_good());
    let mut hits: Vec<_> =
        lists.map(|found| of_list(found, prefix)).chain(zones.map(of_zone)).collect();
    if hits.is_empty() && decision.cause.is_none() && decision.action.refuses() {
        hits.push(of_score(decision));
    }
    hits
}

fn of_list(found: &Match, prefix: Prefix) -> Hit {
    let name = &found.list.name;
    let what_to_do = match &*found.origin {
        Origin::File(path) => format!(
            "take it out of line {} of {}, which is read again at once",
            found.entry.line,
            path.display()
        ),
        Origin::Url(url) => {
            format!(
                "ask whoever publishes {url} to take it out; the list follows when it is fetched"
            )
        }
        Origin::Put => format!("`portcullis list put {name}` without it"),
        Origin::Manual => format!("`portcullis list remove {name} {prefix}`"),
    };
    Hit {
        list: Some(name.to_string()),
        zone: None,
        action: found.list.action.name(),
        enforce: found.list.enforce,
        entry: Some(found.entry.prefix),
        origin: Some(found.place()),
        what_to_do,
    }
}

fn of_zone(found: &Listing) -> Hit {
    let zone = &found.zone;
    let says = found.text.as_ref().map(|text| format!(", which says {text:?}")).unwrap_or_default();
    Hit {
        list: None,
        zone: Some(zone.name.to_string()),
        action: zone.action.name(),
        enforce: zone.enforce,
        entry: None,
        origin: None,
        what_to_do: format!("ask the operator of the zone {} to take it out{says}", zone.name),
    }
}

fn of_score(decision: &Decision) -> Hit {
    Hit {
        list: None,
        zone: None,
        action: decision.action.name(),
        enforce: decision.enforced,
        entry: None,
        origin: None,
        what_to_do: "see the evidence in `portcullis lookup`".to_owned(),
    }
}
