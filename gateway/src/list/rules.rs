//! Compiles membership into rules: the one outcome per prefix that the kernel enforces.

use std::sync::Arc;

use gateway_ebpf::abi::KernelAction;

use super::membership::Listing;
use super::{List, Membership};
use crate::clock::Expiry;
use crate::net::Prefix;

/// What the kernel does with SYNs from one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// The prefix.
    pub prefix: Prefix,
    /// The list that decides, as an index into [`Rules::lists`].
    pub list: u16,
    /// What the kernel does; of a good rule always `Off`.
    pub action: KernelAction,
    /// When it ends by itself; the kernel sees to that, whether the daemon runs or not.
    pub expires: Option<Expiry>,
}

/// All rules of one version. The longest bad prefix that covers an address decides, unless any good prefix covers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Counts up with each change of any list; 0 is the empty set before the first.
    pub version: u64,
    /// The names of the lists, in configuration order, then [`Rules::PROTECTED`]; counters are kept under these.
    pub lists: Vec<Arc<str>>,
    /// Prefixes of good lists and protected hosts, IPv4 first, each followed by those inside it.
    pub good: Vec<Rule>,
    /// Prefixes of the lists that act at connect, in the same order. One that expires may stand beside one of the same
    /// prefix that does not, which then follows it.
    pub bad: Vec<Rule>,
}

impl Rules {
    /// The name under which protected hosts are counted; no list can have it, its letters are refused in names.
    pub const PROTECTED: &str = "(protected)";

    /// Compiles the rules of `membership`.
    pub fn compile(membership: &Membership, version: u64) -> Self {
        let lists = membership.lists();
        let names = lists.iter().map(|list| Arc::clone(&list.name));
        let protected = u16::try_from(lists.len()).unwrap_or(u16::MAX);
        let mut good = GoodRules::default();
        for prefix in membership.protected() {
            good.add(prefix, protected);
        }
        let mut bad = BadRules { lists, rules: Vec::new(), open: Vec::new() };
        for (prefix, listings) in membership.prefixes() {
            for listing in listings {
                if lists
                    .get(usize::from(listing.list))
                    .is_some_and(|list| list.class.is_good() && list.enforce)
                {
                    good.add(prefix, listing.list);
                }
            }
            bad.add(prefix, listings);
        }
        let mut good = good.rules;
        // Protected hosts were added first, whatever their place.
        good.sort();
        Self {
            version,
            lists: names.chain([Arc::from(Self::PROTECTED)]).collect(),
            good,
            bad: bad.rules,
        }
    }
}

/// Good prefixes, without those that the same list has a wider one for.
#[derive(Default)]
struct GoodRules {
    rules: Vec<Rule>,
    open: Vec<(Prefix, u16)>,
}

impl GoodRules {
    fn add(&mut self, prefix: Prefix, list: u16) {
        self.open.retain(|(wider, _list)| wider.covers(prefix));
        if self.open.iter().any(|&(_wider, other)| other == list) {
            return;
        }
        self.open.push((prefix, list));
        self.rules.push(Rule { prefix, list, action: KernelAction::Off, expires: None });
    }
}

/// Bad prefixes with their winner, without those for which the kernel does what it does for the wider prefix anyway.
struct BadRules<'a> {
    lists: &'a [Arc<List>],
    rules: Vec<Rule>,
    /// The prefixes round the current one, each with its winner.
    open: Vec<(Prefix, u16)>,
}

impl BadRules<'_> {
    fn add(&mut self, prefix: Prefix, listings: &[Listing]) {
        while self.open.pop_if(|(wider, _winner)| !wider.covers(prefix)).is_some() {}
        let inherited = self.open.last().map(|&(_wider, winner)| winner);
        let own = listings.iter().map(|listing| listing.list).filter(|&list| self.acts(list));
        // Of equals the first is kept: an entry's own prefix before a wider one.
        let Some(winner) =
            own.chain(inherited).min_by_key(|&list| self.list(list).map(List::precedence))
        else {
            return;
        };
        self.open.push((prefix, winner));
        let action = self.action(winner);
        let wider = inherited.map_or(KernelAction::Off, |list| self.action(list));
        let same =
            if action == KernelAction::Off { wider == action } else { inherited == Some(winner) };
        if !same {
            self.rules.push(Rule { prefix, list: winner, action, expires: None });
        }
    }

    fn list(&self, list: u16) -> Option<&List> {
        self.lists.get(usize::from(list)).map(AsRef::as_ref)
    }

    fn acts(&self, list: u16) -> bool {
        self.list(list).is_some_and(|list| list.action.acts_at_connect())
    }

    /// A dry run counts where it would refuse.
    fn action(&self, list: u16) -> KernelAction {
        match self.list(list) {
            Some(list) if list.enforce => list.kernel,
            Some(list) => list.kernel.min(KernelAction::Count),
            None => KernelAction::Off,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Class, Entry, HopScope, ListAction, Loaded, parse};
    use super::*;

    fn list(
        name: &str,
        class: Class,
        action: ListAction,
        kernel: KernelAction,
        text: &str,
    ) -> Loaded {
        let list = List {
            name: name.into(),
            label: name.into(),
            class,
            action,
            hops: HopScope::Connect,
            kernel,
            enforce: true,
            file: "list.txt".into(),
        };
        let entries = parse(text.as_bytes()).entries.into_iter().map(Arc::new).collect();
        Loaded { list: Arc::new(list), entries }
    }

    fn shown(rules: &Rules, some: &[Rule]) -> Vec<String> {
        some.iter()
            .map(|rule| {
                format!(
                    "{} {} {}",
                    rule.prefix,
                    rules.lists[usize::from(rule.list)],
                    rule.action.name()
                )
            })
            .collect()
    }

    #[test]
    fn one_winner_per_prefix() {
        use Class::{GlobalBad, LocalBad, LocalGood};
        use KernelAction::{Drop, Off, Reset};
        use ListAction::{Accept, Defer, Reject};
        for (name, lists, good, bad) in [
            (
                "a good host inside a bad network",
                vec![
                    list("g", LocalGood, Accept, Off, "192.0.2.7"),
                    list("b", LocalBad, Reject, Reset, "192.0.2.0/24"),
                ],
                &["192.0.2.7 g off", "127.0.0.0/8 (protected) off"][..],
                &["192.0.2.0/24 b reset"][..],
            ),
            (
                "what the wider prefix does anyway is left out, inside one list",
                vec![list("b", LocalBad, Reject, Reset, "192.0.2.0/24\n192.0.2.7\n192.0.3.0/24")],
                &["127.0.0.0/8 (protected) off"],
                &["192.0.2.0/24 b reset", "192.0.3.0/24 b reset"],
            ),
            (
                "the class decides before the prefix length",
                vec![
                    list("global", GlobalBad, Reject, Drop, "192.0.2.7"),
                    list("local", LocalBad, Reject, Reset, "192.0.2.0/24"),
                ],
                &["127.0.0.0/8 (protected) off"],
                &["192.0.2.0/24 local reset"],
            ),
            (
                "a host that is only deferred is left to the daemon",
                vec![
                    list("global", GlobalBad, Reject, Drop, "192.0.2.0/24"),
                    list("local", LocalBad, Defer, Off, "192.0.2.7\n198.51.100.1"),
                ],
                &["127.0.0.0/8 (protected) off"],
                &["192.0.2.0/24 global drop", "192.0.2.7 local off"],
            ),
            (
                "the most severe action breaks a tie",
                vec![
                    list("mild", GlobalBad, Reject, Reset, "192.0.2.7"),
                    list("hard", GlobalBad, Reject, Drop, "192.0.2.0/24"),
                ],
                &["127.0.0.0/8 (protected) off"],
                &["192.0.2.0/24 hard drop"],
            ),
        ] {
            let membership = Membership::new(&lists, &["127.0.0.0/8".parse().unwrap()]);
            let rules = Rules::compile(&membership, 1);
            let mut expected_good = good.to_vec();
            expected_good
                .sort_by_key(|rule| rule.split(' ').next().unwrap().parse::<Prefix>().unwrap());
            assert_eq!(shown(&rules, &rules.good), expected_good, "{name}");
            assert_eq!(shown(&rules, &rules.bad), bad, "{name}");
        }
    }

    #[test]
    fn a_dry_run_counts_and_shadows_nothing() {
        let mut dry =
            list("dry", Class::LocalBad, ListAction::Reject, KernelAction::Drop, "192.0.2.0/24");
        let mut spec = List::clone(&dry.list);
        spec.enforce = false;
        dry.list = Arc::new(spec);
        let real =
            list("real", Class::GlobalBad, ListAction::Reject, KernelAction::Reset, "192.0.2.7");
        let rules = Rules::compile(&Membership::new(&[dry, real], &[]), 1);
        assert_eq!(shown(&rules, &rules.bad), ["192.0.2.0/24 dry count", "192.0.2.7 real reset"]);
    }

    /// What the kernel does with `address`: the contract in the words of [`Rules`].
    fn enforce(rules: &Rules, address: std::net::IpAddr) -> KernelAction {
        let covering = |some: &[Rule]| {
            let covering = some.iter().filter(|rule| rule.prefix.contains(address));
            covering.max_by_key(|rule| rule.prefix.length()).copied()
        };
        match covering(&rules.bad) {
            Some(bad) if covering(&rules.good).is_none() => bad.action,
            _ => KernelAction::Off,
        }
    }

    prop_compose! {
        fn any_list()(
            class in prop::sample::select(Class::ALL.to_vec()),
            action in prop::sample::select(vec![ListAction::Reject, ListAction::Defer, ListAction::Tag]),
            kernel in prop::sample::select(KernelAction::ALL.to_vec()),
            enforce in any::<bool>(),
            prefixes in prop::collection::vec((0_u32..64, 26_u8..=32), 0..12),
        ) -> Loaded {
            let action = if class.is_good() { ListAction::Accept } else { action };
            let text: Vec<_> = prefixes
                .iter()
                .map(|&(host, length)| format!("{}/{length}", std::net::Ipv4Addr::from_bits(0xC000_0200 + host)))
                .collect();
            let kernel = if action == ListAction::Reject { kernel } else { KernelAction::Off };
            let mut loaded = list("any", class, action, kernel, &text.join("\n"));
            let mut spec = List::clone(&loaded.list);
            spec.enforce = enforce;
            loaded.list = Arc::new(spec);
            loaded
        }
    }

    proptest! {
        /// The naive oracle asks every entry; the rules must say the same of every address.
        #[test]
        fn rules_agree_with_all_entries(lists in prop::collection::vec(any_list(), 0..5), holes in prop::collection::vec(0_u32..64, 0..3)) {
            let holes: Vec<_> = holes.iter().map(|host| Prefix::host(std::net::Ipv4Addr::from_bits(0xC000_0200 + host).into())).collect();
            let membership = Membership::new(&lists, &holes);
            let rules = Rules::compile(&membership, 1);
            for host in 0..64 {
                let address = std::net::Ipv4Addr::from_bits(0xC000_0200 + host).into();
                let covers = |one: &&Loaded| one.entries.iter().any(|entry| entry.prefix.contains(address));
                let matching: Vec<_> = lists.iter().filter(covers).map(|one| &one.list).collect();
                let good = matching.iter().any(|list| list.class.is_good() && list.enforce)
                    || holes.iter().any(|hole| hole.contains(address));
                let acting = matching.iter().filter(|list| list.action.acts_at_connect());
                let expected = match acting.min_by_key(|list| list.precedence()) {
                    Some(list) if !good && list.enforce => list.kernel,
                    Some(list) if !good => list.kernel.min(KernelAction::Count),
                    _ => KernelAction::Off,
                };
                prop_assert_eq!(enforce(&rules, address), expected, "{}", address);
            }
        }

        #[test]
        fn all_matches_are_found(lists in prop::collection::vec(any_list(), 0..5)) {
            let membership = Membership::new(&lists, &[]);
            for host in 0..64 {
                let address = std::net::Ipv4Addr::from_bits(0xC000_0200 + host).into();
                let expected = lists.iter().flat_map(|one| &one.entries).filter(|entry: &&Arc<Entry>| entry.prefix.contains(address)).count();
                prop_assert_eq!(membership.matches(address).len(), expected);
            }
        }
    }
}
