//! What speaks against an address or a prefix now, and who can change that.

use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::Engine;
use crate::list::{Match, Origin};
use crate::net::Prefix;
use crate::policy::{Action, Decision, Verdict};
use crate::zone::Listing;

/// One list, zone or score that is against an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
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
    #[schema(value_type = Option<String>)]
    entry: Option<Prefix>,
    /// Where it was written.
    origin: Option<String>,
    /// How it goes away.
    pub(super) what_to_do: String,
}

/// What would be decided about an address that connects now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DecidedNow)]
pub(super) struct Now {
    /// The verdict for people.
    #[schema(value_type = String)]
    verdict: Verdict,
    /// The verdict for machines.
    code: &'static str,
    /// What would be done.
    #[schema(value_type = String)]
    action: Action,
    /// False: a dry run.
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
        // What was taken out hits nothing.
        Origin::Manual | Origin::Exception => format!("`portcullis list remove {name} {prefix}`"),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::audit::Writer;
    use crate::clock::Clock;
    use crate::engine::Settings;
    use crate::list::{Class, List, ListAction, Loaded, Membership, Part};
    use crate::policy::Policy;

    /// An engine with a bad list of entries in a file, one of entries made by hand, and a good one.
    fn engine(by_file: &str, by_hand: &str, good: &str) -> Engine {
        let policy = Policy { enforce: true, ..Policy::default() };
        let settings = Settings { policy, ..Settings::default() };
        let engine = Engine::new(settings, Writer::none(), Clock::System);
        let list = |name: &str, class, action, origin, prefixes: &str| Loaded {
            list: Arc::new(List::new(name, class, action)),
            parts: vec![Part {
                origin: Arc::new(origin),
                entries: Arc::new(
                    prefixes
                        .split_whitespace()
                        .map(|text| text.parse::<Prefix>().unwrap())
                        .collect(),
                ),
            }],
        };
        let file = Origin::File("/lists/bad.txt".into());
        let reject = ListAction::Reject;
        let lists = vec![
            list("bad", Class::GlobalBad, reject, file, by_file),
            list("given", Class::LocalBad, reject, Origin::Manual, by_hand),
            list("good", Class::LocalGood, ListAction::Accept, Origin::Put, good),
        ];
        engine.set_lists(Arc::new(Membership::new(lists, &[])), 1);
        engine
    }

    #[tokio::test]
    async fn who_is_against_an_address_is_told_with_what_to_do() {
        let (host, net) = ("198.51.100.7", "198.51.100.0/24");
        let take_out = "take it out of line 0 of /lists/bad.txt, which is read again at once";
        let remove = format!("`portcullis list remove given {host}`");
        for (by_file, by_hand, good, about, expected, action) in [
            ("", "", "", host, vec![], Some(Action::Accept)),
            (host, "", "", host, vec![take_out], Some(Action::Reject)),
            (net, net, "", host, vec![&*remove, take_out], Some(Action::Reject)),
            (net, net, host, host, vec![], Some(Action::Accept)),
            // A part of a network says nothing of all of it, neither good nor bad.
            (host, "", "", net, vec![], None),
            (net, "", "198.51.100.0/32", net, vec![take_out], None),
        ] {
            let engine = engine(by_file, by_hand, good);
            let (hits, now) = hits(&engine, about.parse().unwrap()).await;
            let found: Vec<_> = hits.iter().map(|hit| &*hit.what_to_do).collect();
            assert_eq!(found, expected, "{by_file} {by_hand} {good} {about}");
            assert_eq!(now.map(|now| now.action), action, "{about}");
        }
        let (hits, _) = hits(&engine(net, "", ""), host.parse().unwrap()).await;
        let told = format!("the list bad (reject) has {net}, /lists/bad.txt:0");
        assert_eq!(hits[0].told(), told);
    }
}
