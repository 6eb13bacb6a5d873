//! Says which other hops of recent messages are hit although one of their addresses is good now.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::audit::{Recent, SeenMessage};
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::net::Prefix;
use crate::policy::{Action, Cause, Decision};

/// Hits that are told one by one; the others are counted.
const TOLD: usize = 5;

/// What whoever made `prefix` good should know: an entry clears its own hop, and messages have others.
pub(super) fn warnings(engine: &Engine, prefix: Prefix) -> Vec<String> {
    let Some(path) = engine.audit().path() else { return Vec::new() };
    match Recent::read(path) {
        Ok(recent) => still_hit(engine, prefix, recent.messages()),
        Err(error) => vec![format!(
            "whether other hops of recent messages are still hit is not known: cannot read {}: {error}",
            path.display()
        )],
    }
}

/// The same for `messages`, the newest first. Each address that is hit is told once, with the newest message.
fn still_hit(
    engine: &Engine,
    prefix: Prefix,
    messages: impl Iterator<Item = SeenMessage>,
) -> Vec<String> {
    let mut hits: Vec<Hit> = Vec::new();
    let mut known: HashMap<(IpAddr, Option<Arc<str>>), usize> = HashMap::new();
    for message in messages {
        let Some(good) = message.addresses.iter().find(|seen| prefix.contains(seen.ip)) else {
            continue;
        };
        let decision = engine.judge_again(&message);
        let Some(does) = would_be(decision.effective()) else { continue };
        let Some(offending) = &decision.offending else { continue };
        let list = decision.cause.as_ref().map(|cause| Arc::clone(cause.name()));
        let index = *known.entry((offending.ip, list)).or_insert(hits.len());
        match hits.get_mut(index) {
            Some(hit) => hit.others += 1,
            None => hits.push(Hit {
                text: format!(
                    "message {} of {}, with {} as {}, would still be {does}: {}",
                    message.reference,
                    Timestamp::from_second(message.time.as_second()).unwrap_or(message.time),
                    good.ip,
                    good.hop,
                    because(&decision)
                ),
                others: 0,
            }),
        }
    }
    let more = hits.len().saturating_sub(TOLD);
    let told = hits.iter().take(TOLD).map(|Hit { text, others }| match others {
        0 => text.clone(),
        others => format!("{text}; and messages before it: {others}"),
    });
    let counted = format!("other addresses that are still hit in recent messages: {more}");
    told.chain((more > 0).then_some(counted)).collect()
}

/// One address that is hit.
struct Hit {
    /// The newest message with it.
    text: String,
    /// The messages before that one.
    others: usize,
}

/// What is done, as it is said of a message; `None` where nothing comes of it.
const fn would_be(action: Action) -> Option<&'static str> {
    match action {
        Action::Accept | Action::Observe => None,
        Action::Tag => Some("tagged"),
        Action::Quarantine => Some("quarantined"),
        Action::Discard => Some("discarded"),
        Action::Defer => Some("deferred"),
        Action::RejectMessage | Action::Reject => Some("refused"),
    }
}

fn because(decision: &Decision) -> String {
    let Some(offending) = &decision.offending else { return String::new() };
    let at = format!("{} ({})", offending.ip, offending.hop);
    match (&decision.cause, &decision.score) {
        (Some(Cause::Entry(found)), _) => {
            let list = &found.list;
            format!("{at} is on {} ({}): {}", list.name, list.class.name(), found.entry.prefix)
        }
        (Some(cause), _) => format!("{at} is in the zone {}", cause.name()),
        (None, Some(score)) => format!("{at} has the score {}", score.value),
        (None, None) => format!("{at}: {}", decision.verdict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{SeenAddress, Writer};
    use crate::clock::Clock;
    use crate::engine::Settings;
    use crate::list::{Class, List, ListAction, Loaded, Membership, Origin, Part, Weight};
    use crate::net::Hop;
    use crate::policy::{Policy, Thresholds};

    /// An engine with lists of a name, a class, an action, whether they are in force, and what they list.
    fn engine(lists: &[(&str, Class, ListAction, bool, &str)]) -> Engine {
        let policy =
            Policy { enforce: true, thresholds: Some(Thresholds::default()), ..Policy::default() };
        let settings = Settings { policy, ..Settings::default() };
        let engine = Engine::new(settings, Writer::none(), Clock::System);
        let lists = lists.iter().map(|&(name, class, action, enforce, prefixes)| Loaded {
            list: Arc::new(List { enforce, ..List::new(name, class, action) }),
            parts: vec![Part {
                origin: Arc::new(Origin::Put),
                entries: Arc::new(
                    prefixes.split(' ').map(|text| text.parse::<Prefix>().unwrap()).collect(),
                ),
            }],
        });
        engine.set_lists(Arc::new(Membership::new(lists.collect(), &[])), 1);
        engine
    }

    /// A message of second `number`, from 192.0.2.1, through `hops` from the top down.
    fn message(number: i64, hops: &[&str]) -> SeenMessage {
        let seen =
            |ip: &str, hop| SeenAddress { ip: ip.parse().unwrap(), hop, authenticated: false };
        let received = (0_u16..).zip(hops).map(|(index, ip)| seen(ip, Hop::Received(index)));
        SeenMessage {
            reference: format!("R{number}"),
            time: Timestamp::from_second(number).unwrap(),
            logical_client: Some("192.0.2.1".parse().unwrap()),
            addresses: std::iter::once(seen("192.0.2.1", Hop::Connect)).chain(received).collect(),
        }
    }

    fn told(engine: &Engine, messages: Vec<SeenMessage>) -> Vec<String> {
        still_hit(engine, "203.0.113.0/24".parse().unwrap(), messages.into_iter())
    }

    const GOOD: (&str, Class, ListAction, bool, &str) =
        ("good", Class::LocalGood, ListAction::Accept, true, "203.0.113.0/24");

    #[test]
    fn another_hop_is_told_with_what_would_be_done() {
        let start =
            "message R7 of 1970-01-01T00:00:07Z, with 203.0.113.9 as received[0], would still be ";
        for (class, action, enforce, end) in [
            (
                Class::OpenProxy,
                ListAction::RejectMessage,
                true,
                "refused: 198.51.100.9 (received[1]) is on bad (open-proxy): 198.51.100.0/24",
            ),
            (
                Class::LocalBad,
                ListAction::Tag,
                true,
                "tagged: 198.51.100.9 (received[1]) is on bad (local-bad): 198.51.100.0/24",
            ),
            (
                Class::GlobalBad,
                ListAction::Quarantine,
                true,
                "quarantined: 198.51.100.9 (received[1]) is on bad (global-bad): 198.51.100.0/24",
            ),
            (
                Class::GlobalBad,
                ListAction::Discard,
                true,
                "discarded: 198.51.100.9 (received[1]) is on bad (global-bad): 198.51.100.0/24",
            ),
            (Class::LocalBad, ListAction::Observe, true, ""),
            (Class::LocalBad, ListAction::Tag, false, ""),
            // It looks at the client alone.
            (Class::LocalBad, ListAction::Reject, true, ""),
        ] {
            let engine =
                engine(&[GOOD, ("bad", class, action, enforce, "198.51.100.0/24 203.0.113.9")]);
            let expected: Vec<_> = Some(end)
                .filter(|end| !end.is_empty())
                .map(|end| format!("{start}{end}"))
                .into_iter()
                .collect();
            assert_eq!(
                told(&engine, vec![message(7, &["203.0.113.9", "198.51.100.9"])]),
                expected,
                "{class:?} {action:?}"
            );
        }
    }

    #[test]
    fn the_client_is_a_hop_too() {
        for (action, end) in [
            (ListAction::Reject, "refused: 192.0.2.1 (connect) is on bad (local-bad): 192.0.2.1"),
            (ListAction::Defer, "deferred: 192.0.2.1 (connect) is on bad (local-bad): 192.0.2.1"),
            (
                ListAction::Score(Weight::new(700).unwrap()),
                "refused: 192.0.2.1 (connect) has the score 700",
            ),
        ] {
            let engine = engine(&[GOOD, ("bad", Class::LocalBad, action, true, "192.0.2.1")]);
            let found = told(&engine, vec![message(7, &["203.0.113.9"])]);
            assert!(found.len() == 1 && found[0].ends_with(end), "{found:?}");
        }
    }

    #[test]
    fn messages_without_the_prefix_or_without_another_hit_are_not_told() {
        let engine = engine(&[
            GOOD,
            ("bad", Class::OpenProxy, ListAction::RejectMessage, true, "198.51.100.9 203.0.113.9"),
        ]);
        let messages =
            vec![message(1, &["198.51.100.9"]), message(2, &["203.0.113.9", "198.51.100.10"])];
        assert_eq!(told(&engine, messages), [] as [String; 0]);
    }

    #[test]
    fn each_address_is_told_once_and_of_many_the_newest() {
        let engine = engine(&[
            GOOD,
            ("bad", Class::OpenProxy, ListAction::RejectMessage, true, "198.51.100.0/24"),
        ]);
        let of = |host: i64| message(1000 - host, &["203.0.113.9", &format!("198.51.100.{host}")]);
        let found = told(&engine, (1..=3).flat_map(|_| (1..=8).map(of)).collect());
        assert_eq!(found.len(), TOLD + 1);
        assert!(found[0].starts_with("message R999 of "), "{found:?}");
        assert!(found[0].ends_with("198.51.100.0/24; and messages before it: 2"), "{found:?}");
        assert_eq!(found[TOLD], "other addresses that are still hit in recent messages: 3");
    }
}
