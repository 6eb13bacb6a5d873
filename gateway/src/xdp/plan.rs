//! The changes that lead from the rules in the kernel to those wanted, in an order that treats nobody wrongly meanwhile.

use std::cmp::Ordering;

use gateway_ebpf::abi::RuleValue;

use crate::net::Prefix;

/// Prefixes with what the kernel holds for each, sorted by prefix.
pub(super) type Entries<Value = RuleValue> = Vec<(Prefix, Value)>;

/// The changes of one pair of rule maps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan<Value = RuleValue> {
    /// Written first, the longest prefix first.
    pub(super) write: Entries<Value>,
    /// How many of those are there already, with another value.
    pub(super) changed: usize,
    /// Removed last, the shortest prefix first.
    pub(super) remove: Vec<Prefix>,
}

impl<Value: Copy + PartialEq> Plan<Value> {
    /// Compares two sorted sets.
    ///
    /// While it is carried out, each address goes from its old rule straight to its new one: a longer new prefix is there
    /// before a shorter one, so that no wider rule speaks for it in between, and a shorter old prefix is gone before a
    /// longer one for the same reason.
    pub(super) fn new(old: &[(Prefix, Value)], new: &[(Prefix, Value)]) -> Self {
        let mut plan = Self { write: Vec::new(), changed: 0, remove: Vec::new() };
        for difference in differences(old, new) {
            match difference {
                Difference::Added(prefix, value) => plan.write.push((prefix, value)),
                Difference::Changed(prefix, value) => {
                    plan.changed += 1;
                    plan.write.push((prefix, value));
                }
                Difference::Removed(prefix) => plan.remove.push(prefix),
            }
        }
        plan.write.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.length()));
        plan.remove.sort_by_key(|prefix| prefix.length());
        plan
    }

    /// How many prefixes are new.
    pub(super) fn added(&self) -> usize {
        self.write.len() - self.changed
    }
}

/// In what two sets of prefixes differ at one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference<Value> {
    /// It is new.
    Added(Prefix, Value),
    /// It has another value.
    Changed(Prefix, Value),
    /// It is gone.
    Removed(Prefix),
}

impl<Value> Difference<Value> {
    /// Where they differ.
    pub(super) const fn prefix(&self) -> Prefix {
        match self {
            Self::Added(prefix, _) | Self::Changed(prefix, _) | Self::Removed(prefix) => *prefix,
        }
    }
}

/// The differences between two sorted sets, in order; nothing is kept of them, for there may be millions.
pub(super) fn differences<Value: Copy + PartialEq>(
    mut old: &[(Prefix, Value)],
    mut new: &[(Prefix, Value)],
) -> impl Iterator<Item = Difference<Value>> {
    std::iter::from_fn(move || {
        loop {
            let order = match (old.first(), new.first()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((old, _)), Some((new, _))) => old.cmp(new),
            };
            let before = (order != Ordering::Greater).then(|| old.split_off_first()).flatten();
            let after = (order != Ordering::Less).then(|| new.split_off_first()).flatten();
            match (before, after) {
                (Some((prefix, _)), None) => return Some(Difference::Removed(*prefix)),
                (None, Some((prefix, value))) => return Some(Difference::Added(*prefix, *value)),
                (Some((_, before)), Some((prefix, value))) if before != value => {
                    return Some(Difference::Changed(*prefix, *value));
                }
                _ => {}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gateway_ebpf::abi::KernelAction;
    use proptest::prelude::*;

    use super::*;

    fn entries(rules: &[(&str, u16)]) -> Entries {
        let mut entries: Entries = rules
            .iter()
            .map(|(prefix, list)| {
                (prefix.parse().unwrap(), RuleValue::new(*list, KernelAction::Drop))
            })
            .collect();
        entries.sort_by_key(|(prefix, _)| *prefix);
        entries
    }

    #[test]
    fn only_differences_are_written() {
        let old = entries(&[
            ("10.0.0.0/8", 1),
            ("10.1.0.0/16", 1),
            ("10.1.1.0/24", 1),
            ("192.0.2.0/24", 1),
            ("2001:db8::/32", 1),
        ]);
        let new = entries(&[
            ("10.0.0.0/9", 1),
            ("10.0.0.1", 1),
            ("192.0.2.0/24", 2),
            ("2001:db8::/32", 1),
            ("2001:db8::/64", 1),
        ]);
        let plan = Plan::new(&old, &new);
        let written: Vec<String> = plan.write.iter().map(|(p, _)| p.to_string()).collect();
        let removed: Vec<String> = plan.remove.iter().map(ToString::to_string).collect();
        assert_eq!(written, ["2001:db8::/64", "10.0.0.1", "192.0.2.0/24", "10.0.0.0/9"]);
        assert_eq!(removed, ["10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24"]);
        assert_eq!((plan.added(), plan.changed), (3, 1));
        let same = Plan::new(&new, &new);
        assert_eq!((same.write, same.changed, same.remove), (Vec::new(), 0, Vec::new()));
    }

    /// The rule for an address: its longest prefix.
    fn winner(map: &BTreeMap<Prefix, RuleValue>, address: std::net::IpAddr) -> Option<RuleValue> {
        map.iter()
            .filter(|(prefix, _)| prefix.contains(address))
            .max_by_key(|(prefix, _)| prefix.length())
            .map(|(_, value)| *value)
    }

    proptest! {
        /// At each step of the way, each address is under its old or its new rule, and in this order.
        #[test]
        fn no_address_is_treated_wrongly_meanwhile(
            old in prop::collection::btree_map((0_u8..8, 5_u8..=8), 0_u16..3, 0..8),
            new in prop::collection::btree_map((0_u8..8, 5_u8..=8), 0_u16..3, 0..8),
        ) {
            let map = |rules: &BTreeMap<(u8, u8), u16>| -> BTreeMap<Prefix, RuleValue> {
                rules.iter().map(|((low, bits), list)| {
                    let address = std::net::Ipv4Addr::new(192, 0, 2, *low).into();
                    let prefix = Prefix::new(address, 24 + bits).unwrap();
                    (prefix, RuleValue::new(*list, KernelAction::Drop))
                }).collect()
            };
            let (old, new) = (map(&old), map(&new));
            let entries = |rules: &BTreeMap<Prefix, RuleValue>| -> Entries {
                rules.iter().map(|(prefix, rule)| (*prefix, *rule)).collect()
            };
            let plan = Plan::new(&entries(&old), &entries(&new));
            let mut kernel = old.clone();
            let mut settled = [false; 8];
            let mut check = |kernel: &BTreeMap<Prefix, RuleValue>| {
                for (low, settled) in (0_u8..).zip(&mut settled) {
                    let address = std::net::Ipv4Addr::new(192, 0, 2, low).into();
                    let now = winner(kernel, address);
                    let (before, after) = (winner(&old, address), winner(&new, address));
                    assert!(now == after || (now == before && !*settled), "{address}");
                    *settled |= now == after && before != after;
                }
            };
            for (prefix, value) in &plan.write {
                kernel.insert(*prefix, *value);
                check(&kernel);
            }
            for prefix in &plan.remove {
                kernel.remove(prefix);
                check(&kernel);
            }
            prop_assert_eq!(kernel, new);
        }
    }
}
