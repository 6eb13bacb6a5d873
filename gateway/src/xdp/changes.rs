//! What the delta must hold so that table and delta together say what the rules say, and which good prefixes matter.

use std::collections::BTreeMap;

use gateway_ebpf::abi::{MAX_DELTA, RuleValue};
use gateway_ebpf::dated::DatedRule;

use super::plan::Entries;
use crate::net::Prefix;

/// A rule that ends, in seconds since the host started.
pub(super) type Until = (RuleValue, u32);

/// The most entries of a delta that only saves making a table anew; for more, a table is the faster place.
const MOST: usize = 1 << 14;

/// A delta over a table: for the `touched` prefixes, those that expire and all that is in either it says everything, so that
/// the table is not asked there.
///
/// `lasting` and `expiring` are the rules wanted, `touched` the prefixes that the table has otherwise than `lasting`. `None`
/// when the table should be made anew: when there are too many, or when what is gone from it lies under something that
/// expires, for after that the table would come through.
pub(super) fn delta(
    touched: &[Prefix],
    lasting: &Entries,
    expiring: &Entries<Until>,
) -> Option<Entries<DatedRule>> {
    let mut delta = BTreeMap::new();
    for prefix in touched {
        let own = exact(lasting, *prefix);
        if own.is_none() && covering(expiring, *prefix).is_some() {
            return None;
        }
        let rule = own.or_else(|| covering(lasting, *prefix));
        delta.insert(*prefix, DatedRule::lasting(rule.copied(), prefix.length()));
        copy_inside(*prefix, lasting, MOST, &mut delta);
        if delta.len() > MOST {
            return None;
        }
    }
    for (prefix, _until) in expiring {
        copy_inside(*prefix, lasting, MAX_DELTA, &mut delta);
    }
    add_expiring(expiring, lasting, &mut delta);
    Some(delta.into_iter().collect())
}

/// Rules that last and such that expire, in one.
pub(super) fn dated(lasting: &Entries, expiring: &Entries<Until>) -> Entries<DatedRule> {
    let forever = |(prefix, rule): &(Prefix, RuleValue)| {
        (*prefix, DatedRule::lasting(Some(*rule), prefix.length()))
    };
    if expiring.is_empty() {
        return lasting.iter().map(forever).collect();
    }
    let mut dated = lasting.iter().map(forever).collect();
    add_expiring(expiring, lasting, &mut dated);
    dated.into_iter().collect()
}

/// The good rules that cover a bad prefix or lie in one; the others cannot matter after a bad hit.
pub(super) fn overlapping(
    good: &Entries<DatedRule>,
    lasting: &Entries,
    expiring: &Entries<Until>,
) -> Entries<DatedRule> {
    let (mut lasting, mut expiring) = (Bad::new(lasting), Bad::new(expiring));
    good.iter()
        .filter(|(prefix, _)| lasting.meets(*prefix) | expiring.meets(*prefix))
        .copied()
        .collect()
}

/// Bad prefixes in order, read as far as the good ones that they are compared with.
struct Bad<'a, Value> {
    rest: &'a [(Prefix, Value)],
    /// Those read last that lie in each other.
    open: Vec<Prefix>,
}

impl<'a, Value> Bad<'a, Value> {
    fn new(entries: &'a Entries<Value>) -> Self {
        Self { rest: entries, open: Vec::new() }
    }

    /// Whether one of them covers `good` or lies in it. To be asked in order.
    fn meets(&mut self, good: Prefix) -> bool {
        while let Some(((bad, _), rest)) =
            self.rest.split_first().filter(|((bad, _), _)| *bad <= good)
        {
            while self.open.pop_if(|wider| !wider.covers(*bad)).is_some() {}
            self.open.push(*bad);
            self.rest = rest;
        }
        while self.open.pop_if(|wider| !wider.covers(good)).is_some() {}
        !self.open.is_empty() || self.rest.first().is_some_and(|(bad, _)| good.covers(*bad))
    }
}

/// Puts what expires before what is said of the same prefix for ever.
fn add_expiring(
    expiring: &Entries<Until>,
    lasting: &Entries,
    dated: &mut BTreeMap<Prefix, DatedRule>,
) {
    for (prefix, (rule, expires)) in expiring {
        let length = prefix.length();
        let own = || exact(lasting, *prefix).map(|rule| DatedRule::lasting(Some(*rule), length));
        let until = match dated.get(prefix).copied().or_else(own) {
            Some(lasting) => lasting.after(*rule, *expires),
            None => DatedRule::expiring(*rule, length, *expires),
        };
        dated.insert(*prefix, until);
    }
}

/// What is said of exactly this prefix.
fn exact<Value>(entries: &Entries<Value>, prefix: Prefix) -> Option<&Value> {
    let place = entries.binary_search_by_key(&prefix, |(prefix, _)| *prefix).ok()?;
    entries.get(place).map(|(_, value)| value)
}

/// What is said of the longest prefix that covers all of this one.
fn covering<Value>(entries: &Entries<Value>, prefix: Prefix) -> Option<&Value> {
    let wider = |prefix: &Prefix| prefix.net().supernet().map(Prefix::from);
    std::iter::successors(Some(prefix), wider).find_map(|prefix| exact(entries, prefix))
}

/// Copies what lies in a prefix, unless it is there; of more than `most`, one more, so that somebody notices.
fn copy_inside(
    prefix: Prefix,
    lasting: &Entries,
    most: usize,
    delta: &mut BTreeMap<Prefix, DatedRule>,
) {
    let first = lasting.partition_point(|(other, _)| *other <= prefix);
    let inside = lasting.iter().skip(first).take_while(|(other, _)| prefix.covers(*other));
    for (inside, rule) in inside.take(most + 1) {
        let same = || DatedRule::lasting(Some(*rule), inside.length());
        delta.entry(*inside).or_insert_with(same);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use gateway_ebpf::abi::KernelAction;
    use gateway_ebpf::dated::{self, NOTHING};
    use proptest::prelude::*;

    use super::super::plan::Plan;
    use super::*;

    fn a_rule(list: u16) -> RuleValue {
        RuleValue::new(list, KernelAction::Drop)
    }

    fn entries<Value: Copy>(rules: &[(&str, Value)]) -> Entries<Value> {
        let mut entries: Entries<Value> =
            rules.iter().map(|(prefix, value)| (prefix.parse().unwrap(), *value)).collect();
        entries.sort_by_key(|(prefix, _)| *prefix);
        entries
    }

    #[test]
    fn a_delta_says_everything_about_what_it_touches() {
        let lasting = entries(&[
            ("10.0.0.0/8", a_rule(1)),
            ("10.1.0.0/16", a_rule(2)),
            ("10.1.1.1", a_rule(3)),
            ("2001:db8::/48", a_rule(4)),
        ]);
        let hour = entries(&[("10.1.1.0/24", (a_rule(5), 60))]);
        let none = entries(&[]);
        for (name, touched, expiring, expected) in [
            ("nothing", &[][..], &none, Some("")),
            ("added", &["10.1.1.1"], &none, Some("10.1.1.1=3")),
            (
                "changed, with what is inside",
                &["10.1.0.0/16"],
                &none,
                Some("10.1.0.0/16=2 10.1.1.1=3"),
            ),
            ("removed from a wider one", &["10.1.1.0/24"], &none, Some("10.1.1.0/24=1 10.1.1.1=3")),
            ("removed, and nothing wider", &["192.0.2.0/24"], &none, Some("192.0.2.0/24=-")),
            ("one that expires", &[], &hour, Some("10.1.1.0/24=5 10.1.1.1=3")),
            ("removed under one that expires", &["10.1.1.2"], &hour, None),
            (
                "changed under one that expires",
                &["10.1.1.1"],
                &hour,
                Some("10.1.1.0/24=5 10.1.1.1=3"),
            ),
        ] {
            let touched: Vec<Prefix> = touched.iter().map(|text| text.parse().unwrap()).collect();
            let found = delta(&touched, &lasting, expiring).map(|delta| {
                let shown = delta.iter().map(|(prefix, value)| match value.rule() {
                    Some(rule) => format!("{prefix}={}", rule.list()),
                    None => format!("{prefix}=-"),
                });
                shown.collect::<Vec<_>>().join(" ")
            });
            // The removed /24 lies in 10.1.0.0/16.
            let expected = expected.map(|text| text.replace("10.1.1.0/24=1", "10.1.1.0/24=2"));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn only_good_prefixes_that_meet_bad_ones_matter() {
        let good: Entries<DatedRule> = entries(&[
            ("10.1.0.0/16", DatedRule::lasting(Some(a_rule(0)), 16)),
            ("10.2.3.4", DatedRule::lasting(Some(a_rule(0)), 32)),
            ("192.0.2.0/24", DatedRule::lasting(Some(a_rule(0)), 24)),
            ("198.51.100.7", DatedRule::lasting(Some(a_rule(0)), 32)),
            ("203.0.113.0/24", DatedRule::lasting(Some(a_rule(0)), 24)),
            ("2001:db8::/32", DatedRule::lasting(Some(a_rule(0)), 32)),
        ]);
        let lasting = entries(&[
            ("10.1.2.3", a_rule(1)),
            ("10.2.0.0/16", a_rule(1)),
            ("10.2.3.0/28", a_rule(1)),
            ("192.0.3.0/24", a_rule(1)),
            ("2001:db8:1::/48", a_rule(1)),
        ]);
        let expiring = entries(&[("198.51.100.0/24", (a_rule(2), 60))]);
        let found = overlapping(&good, &lasting, &expiring);
        let found: Vec<String> = found.iter().map(|(prefix, _)| prefix.to_string()).collect();
        assert_eq!(found, ["10.1.0.0/16", "10.2.3.4", "198.51.100.7", "2001:db8::/32"]);
    }

    /// A prefix among the 64 addresses of one /26, by its first address and its length.
    fn prefix((low, bits): (u8, u8)) -> Prefix {
        Prefix::new(Ipv4Addr::new(192, 0, 2, low).into(), 26 + bits).unwrap()
    }

    prop_compose! {
        fn lasting()(
            rules in prop::collection::btree_map((0_u8..64, 0_u8..=6), 0_u16..4, 0..12),
        ) -> Entries {
            let rules: BTreeMap<Prefix, u16> =
                rules.into_iter().map(|(place, list)| (prefix(place), list)).collect();
            rules.into_iter().map(|(prefix, list)| (prefix, a_rule(list))).collect()
        }
    }

    prop_compose! {
        fn expiring()(
            rules in prop::collection::btree_map((0_u8..64, 3_u8..=6), (4_u16..8, 1_u32..4), 0..4),
        ) -> Entries<Until> {
            let rules: BTreeMap<Prefix, (u16, u32)> =
                rules.into_iter().map(|(place, until)| (prefix(place), until)).collect();
            rules.into_iter().map(|(prefix, (list, at))| (prefix, (a_rule(list), at))).collect()
        }
    }

    proptest! {
        /// Table and delta together are the rules wanted, at any time, whatever the table is made from.
        #[test]
        fn table_and_delta_are_the_rules(
            table in lasting(),
            lasting in lasting(),
            expiring in expiring(),
        ) {
            let plan = Plan::new(&table, &lasting);
            let touched: Vec<Prefix> =
                plan.write.iter().map(|(prefix, _)| *prefix).chain(plan.remove).collect();
            let Some(delta) = delta(&touched, &lasting, &expiring) else { return Ok(()) };
            for now in 0..5 {
                for low in 0..64 {
                    let address: IpAddr = Ipv4Addr::new(192, 0, 2, low).into();
                    let longest = |bits: u32| {
                        let fits = |prefix: Prefix| u32::from(prefix.length()) <= bits && prefix.contains(address);
                        let fitting = delta.iter().filter(|(prefix, _)| fits(*prefix));
                        fitting.max_by_key(|(prefix, _)| prefix.length()).map(|(_, value)| *value)
                    };
                    let of = |entries: &Entries| covering(entries, Prefix::host(address)).copied();
                    let found = match dated::find(32, longest, || now) {
                        NOTHING => of(&table),
                        number => dated::rule(number),
                    };
                    let mut wanted: BTreeMap<Prefix, RuleValue> = lasting.iter().copied().collect();
                    let live = expiring.iter().filter(|(_, (_, expires))| now < *expires);
                    wanted.extend(live.map(|(prefix, (rule, _))| (*prefix, *rule)));
                    let wanted: Entries = wanted.into_iter().collect();
                    prop_assert_eq!(found, of(&wanted), "{} at {}", address, now);
                }
            }
        }
    }
}
