//! What people said of one list, as entries: what they added, and the holes that they made in its sources.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::list::{Entries, EntriesBuilder, List, Listed, Loaded, Origin, Part, Remark};
use crate::net::Prefix;
use crate::store::{Kind, ManualEntry};

/// What people said of one list.
#[derive(Clone, Debug, Default)]
pub(super) struct ByHand {
    /// What they added.
    pub(super) added: Arc<Entries>,
    /// What they took out of the sources, and who did, why, until when.
    pub(super) holes: Arc<Entries>,
}

impl ByHand {
    /// Of what was said about an address the last word counts: an exception cuts the entries that were added before it.
    pub(super) fn new(said: &[&ManualEntry]) -> Self {
        let of_kind = |kind| said.iter().copied().filter(move |entry| entry.kind == kind);
        let exceptions: BTreeMap<Prefix, Timestamp> =
            of_kind(Kind::Excepted).map(|entry| (entry.prefix, entry.added)).collect();
        let mut holes = Entries::builder();
        of_kind(Kind::Excepted).for_each(|entry| push(&mut holes, entry, &Entries::default()));
        let holes = holes.finish();
        let mut added = Entries::builder();
        for entry in of_kind(Kind::Listed) {
            let near = holes.covering(entry.prefix).chain(holes.inside(entry.prefix));
            let is_later = |hole: &Prefix| exceptions.get(hole) > Some(&entry.added);
            let later: Entries = near.map(|hole| hole.prefix).filter(is_later).collect();
            push(&mut added, entry, &later);
        }
        Self { added: Arc::new(added.finish()), holes: Arc::new(holes) }
    }

    /// The holes in the form of a list.
    pub(super) fn as_exceptions_of(&self, list: &Arc<List>) -> Loaded {
        let part = Part { origin: Arc::new(Origin::Exception), entries: Arc::clone(&self.holes) };
        Loaded { list: Arc::clone(list), parts: vec![part] }
    }
}

/// Adds what is left of `entry` round `holes`.
fn push(added: &mut EntriesBuilder, entry: &ManualEntry, holes: &Entries) {
    let ManualEntry { reason, author, expires, .. } = entry;
    let remark = Remark { value: None, reason: reason.as_deref().unwrap_or_default(), author };
    let whole: Entries = std::iter::once(entry.prefix).collect();
    for prefix in whole.without(holes).prefixes() {
        added.push_since(Listed { prefix, line: 0, remark, expires: *expires }, entry.added);
    }
}

#[cfg(test)]
mod tests {
    use super::Kind::{Excepted, Listed};
    use super::{ByHand, ManualEntry, Prefix, Timestamp};

    #[test]
    fn the_last_word_counts() {
        let said = |prefix: &str, kind, second| ManualEntry {
            list: "bad".into(),
            prefix: prefix.parse().unwrap(),
            kind,
            reason: None,
            author: "alice".into(),
            // Within one second.
            added: Timestamp::new(100, second).unwrap(),
            expires: None,
        };
        for (name, said, added, holes) in [
            ("added", vec![said("192.0.2.0/24", Listed, 1)], &["192.0.2.0/24"][..], 0),
            (
                "excepted after that",
                vec![said("192.0.2.0/30", Listed, 1), said("192.0.2.3", Excepted, 2)],
                &["192.0.2.0/31", "192.0.2.2"],
                1,
            ),
            (
                "excepted before that",
                vec![said("192.0.2.0/30", Listed, 2), said("192.0.2.3", Excepted, 1)],
                &["192.0.2.0/30"],
                1,
            ),
            (
                "excepted as a part of more",
                vec![said("192.0.2.7", Listed, 1), said("192.0.2.0/24", Excepted, 2)],
                &[],
                1,
            ),
        ] {
            let by_hand = ByHand::new(&said.iter().collect::<Vec<_>>());
            let shown: Vec<_> = by_hand.added.prefixes().map(|prefix| prefix.to_string()).collect();
            assert_eq!(
                (shown, by_hand.holes.len()),
                (added.iter().map(ToString::to_string).collect(), holes),
                "{name}"
            );
        }
    }

    #[test]
    fn many_of_both_are_no_trouble() {
        let said: Vec<_> = (0..40_000_u32)
            .map(|number| ManualEntry {
                list: "bad".into(),
                prefix: Prefix::host(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into()),
                kind: if number % 2 == 0 { Listed } else { Excepted },
                reason: None,
                author: "script".into(),
                added: Timestamp::from_second(i64::from(number)).unwrap(),
                expires: None,
            })
            .collect();
        let by_hand = ByHand::new(&said.iter().collect::<Vec<_>>());
        assert_eq!((by_hand.added.len(), by_hand.holes.len()), (20_000, 20_000));
    }
}
