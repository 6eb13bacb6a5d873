//! Compiles membership into rules: the one outcome per prefix that the kernel enforces.

use std::cmp::Reverse;
use std::sync::Arc;

use gateway_ebpf::abi::KernelAction;

use super::membership::Listing;
use super::{List, Membership};
use crate::clock::{Expiry, Timestamp};
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

    /// Compiles the rules that hold from `now` on until an entry expires or a list changes.
    pub fn compile(membership: &Membership, version: u64, now: Timestamp) -> Self {
        let lists: Vec<_> = membership.lists().cloned().collect();
        let names = lists.iter().map(|list| Arc::clone(&list.name));
        let names = names.chain([Arc::from(Self::PROTECTED)]).collect();
        let standings = Standings::new(&lists);
        let mut good = GoodRules { lists: &standings, rules: Vec::new(), open: Vec::new() };
        let mut bad = BadRules { lists: &standings, rules: Vec::new(), open: Vec::new() };
        bad.rules.reserve(membership.entry_count());
        membership.visit(now, |prefix, listings| {
            good.add(prefix, listings);
            bad.add(prefix, listings);
        });
        let (good, bad) = (good.rules, bad.rules);
        Self { version, lists: names, good, bad }
    }

    /// When the first of them ends by itself: from then on other entries may decide.
    pub fn first_expiry(&self) -> Option<Expiry> {
        self.good.iter().chain(&self.bad).filter_map(|rule| rule.expires).min()
    }
}

/// Good prefixes, without those that the same list has a wider one for at least as long.
struct GoodRules<'a> {
    lists: &'a Standings,
    rules: Vec<Rule>,
    /// The prefixes round the current one.
    open: Vec<(Prefix, Listing)>,
}

impl GoodRules<'_> {
    fn add(&mut self, prefix: Prefix, listings: &[Listing]) {
        while self.open.pop_if(|(wider, _listing)| !wider.covers(prefix)).is_some() {}
        // One for each prefix is enough, since any of them clears it: the one that lasts longest, then by precedence.
        let good = listings.iter().copied().filter(|listing| self.lists.of(listing.list).is_good);
        let precedence = |listing: &Listing| self.lists.of(listing.list).precedence;
        let Some(longest) =
            good.max_by_key(|listing| (lasts(*listing), Reverse(precedence(listing))))
        else {
            return;
        };
        let covered = |(_wider, wider): &(Prefix, Listing)| {
            wider.list == longest.list && lasts(*wider) >= lasts(longest)
        };
        if self.open.iter().any(covered) {
            return;
        }
        self.open.push((prefix, longest));
        let Listing { list, expires } = longest;
        self.rules.push(Rule { prefix, list, action: KernelAction::Off, expires });
    }
}

/// To compare by how long it lasts.
fn lasts(listing: Listing) -> u32 {
    listing.expires.map_or(u32::MAX, Expiry::as_second)
}

/// Bad prefixes with their winners, without those for which the kernel does what it does for the wider prefix anyway.
struct BadRules<'a> {
    lists: &'a Standings,
    rules: Vec<Rule>,
    /// The prefixes round the current one, each with its winners.
    open: Vec<(Prefix, Winners)>,
}

/// What decides about a prefix: something that lasts, something that decides before it for a while, or both.
#[derive(Clone, Copy, Debug, Default)]
struct Winners {
    expiring: Option<Winner>,
    lasting: Option<Winner>,
}

/// A listing that decides, and how long the prefix is that has it.
#[derive(Clone, Copy, Debug)]
struct Winner {
    listing: Listing,
    length: u8,
}

impl Winners {
    /// Whether the same lists decide for as long.
    fn are_same(self, others: Self) -> bool {
        is_same(self.expiring, others.expiring) && is_same(self.lasting, others.lasting)
    }
}

fn is_same(one: Option<Winner>, other: Option<Winner>) -> bool {
    one.map(|winner| winner.listing) == other.map(|winner| winner.listing)
}

impl BadRules<'_> {
    fn add(&mut self, prefix: Prefix, listings: &[Listing]) {
        while self.open.pop_if(|(wider, _winners)| !wider.covers(prefix)).is_some() {}
        let inherited = self.open.last().map(|&(_wider, winners)| winners).unwrap_or_default();
        let winners = self.winners(prefix.length(), listings, inherited);
        if winners.are_same(inherited) {
            return;
        }
        self.open.push((prefix, winners));
        // What decided before it for a while round this prefix, and does not here, is hidden by it.
        let is_bare = winners.expiring.is_none() && inherited.expiring.is_some();
        let lasting =
            winners.lasting.filter(|lasting| is_bare || !self.is_same(*lasting, inherited));
        // A rule that lasts hides the wider ones, so that what decides before it must stand beside it.
        let expiring = winners
            .expiring
            .filter(|expiring| lasting.is_some() || !is_same(inherited.expiring, Some(*expiring)));
        for Winner { listing: Listing { list, expires }, .. } in expiring.into_iter().chain(lasting)
        {
            self.rules.push(Rule { prefix, list, action: self.action(list), expires });
        }
    }

    /// Who decides among those of a prefix and those of the wider ones.
    fn winners(&self, length: u8, listings: &[Listing], inherited: Winners) -> Winners {
        let own = listings.iter().filter(|listing| self.lists.of(listing.list).acts);
        let own = own.map(|&listing| Winner { listing, length });
        // Of equals the first is kept: an entry's own prefix before a wider one.
        let all = || own.clone().chain(inherited.expiring).chain(inherited.lasting);
        let lasting = all()
            .filter(|winner| winner.listing.expires.is_none())
            .min_by_key(|winner| self.precedence(winner.listing));
        let expiring = all()
            .filter(|winner| winner.listing.expires.is_some())
            .min_by_key(|winner| (self.precedence(winner.listing), Reverse(lasts(winner.listing))))
            .filter(|expiring| lasting.is_none_or(|it| self.order(*expiring) < self.order(it)));
        Winners { expiring, lasting }
    }

    /// The order in which the daemon takes them, too: see [`Membership::matches`].
    fn order(&self, winner: Winner) -> (u16, Reverse<u8>, u16) {
        let Winner { listing, length } = winner;
        (self.precedence(listing), Reverse(length), listing.list)
    }

    /// Whether the kernel does the same as by `lasting` by what holds for the wider prefix.
    fn is_same(&self, lasting: Winner, wider: Winners) -> bool {
        if self.action(lasting.listing.list) != KernelAction::Off {
            return is_same(wider.lasting, Some(lasting));
        }
        let mut wider = [wider.expiring, wider.lasting].into_iter().flatten();
        wider.all(|wider| self.action(wider.listing.list) == KernelAction::Off)
    }

    fn precedence(&self, listing: Listing) -> u16 {
        self.lists.of(listing.list).precedence
    }

    fn action(&self, list: u16) -> KernelAction {
        self.lists.of(list).action
    }
}

/// What there is to know of each list when its entries compete, worked out once for millions of them.
struct Standings(Vec<Standing>);

#[derive(Clone, Copy, Debug)]
struct Standing {
    /// Whether its entries clear a prefix.
    is_good: bool,
    /// Whether they decide at connect.
    acts: bool,
    /// The list with the least one decides.
    precedence: u16,
    action: KernelAction,
}

impl Standings {
    /// That of what is no list: the protected hosts, before all others.
    const PROTECTED: Standing =
        Standing { is_good: true, acts: false, precedence: 0, action: KernelAction::Off };

    fn new(lists: &[Arc<List>]) -> Self {
        let rank = |list: &Arc<List>| {
            let before = lists.iter().filter(|other| other.precedence() < list.precedence());
            u16::try_from(1 + before.count()).unwrap_or(u16::MAX)
        };
        let standing = |list: &Arc<List>| Standing {
            is_good: list.class.is_good() && list.enforce,
            acts: list.action.acts_at_connect(),
            precedence: rank(list),
            // A dry run counts where it would refuse.
            action: if list.enforce { list.kernel } else { list.kernel.min(KernelAction::Count) },
        };
        Self(lists.iter().map(standing).collect())
    }

    fn of(&self, list: u16) -> Standing {
        self.0.get(usize::from(list)).copied().unwrap_or(Self::PROTECTED)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{
        Class, HopScope, ListAction, Listed, Loaded, Origin, Part, Reading, Remark, parse,
    };
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const READING: Reading = Reading { format: None, as_of: NOW, foreign: false };

    fn list(
        name: &str,
        class: Class,
        action: ListAction,
        kernel: KernelAction,
        text: &str,
    ) -> Loaded {
        let list = List { hops: HopScope::Connect, kernel, ..List::new(name, class, action) };
        let entries = parse(text.as_bytes(), READING).entries;
        let part = Part { origin: Arc::new(Origin::Put), entries: Arc::new(entries) };
        Loaded { list: Arc::new(list), parts: vec![part] }
    }

    fn entries(loaded: &Loaded) -> impl Iterator<Item = Prefix> {
        loaded.parts.iter().flat_map(|part| part.entries.prefixes())
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
            let membership = Membership::new(lists, &["127.0.0.0/8".parse().unwrap()]);
            let rules = Rules::compile(&membership, 1, NOW);
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
        let rules = Rules::compile(&Membership::new(vec![dry, real], &[]), 1, NOW);
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

    /// Entries of several lists that end at second 10, at second 20, or never.
    fn any_expiring_list() -> impl Strategy<Value = Loaded> {
        let second = prop::sample::select(vec![None, Some(10), Some(20)]);
        let prefixes = prop::collection::vec((0_u8..64, 26_u8..=32, second), 0..8);
        let spec = prop::sample::select(vec![
            (Class::LocalGood, ListAction::Accept, KernelAction::Off),
            (Class::LocalBad, ListAction::Reject, KernelAction::Refuse),
            (Class::LocalBad, ListAction::Defer, KernelAction::Off),
            (Class::GlobalBad, ListAction::Reject, KernelAction::Drop),
        ]);
        (spec, prefixes).prop_map(|((class, action, kernel), prefixes)| {
            let prefixes = prefixes.into_iter().map(|(host, length, second)| {
                (Prefix::new([192, 0, 2, host].into(), length).unwrap(), second)
            });
            expiring(list("any", class, action, kernel, ""), prefixes)
        })
    }

    /// The list with other entries, each with the second at which it ends.
    fn expiring(
        loaded: Loaded,
        prefixes: impl IntoIterator<Item = (Prefix, Option<i64>)>,
    ) -> Loaded {
        let listed = prefixes.into_iter().map(|(prefix, second)| Listed {
            prefix,
            line: 0,
            remark: Remark::default(),
            expires: second.map(|second| Expiry::at(at(second))),
        });
        let entries = Arc::new(listed.collect());
        Loaded { parts: vec![Part { origin: Arc::new(Origin::Manual), entries }], ..loaded }
    }

    /// Kernel and daemon named different lists for one address in thirty runs of the test that compares them.
    #[test]
    fn of_equals_the_one_that_the_daemon_takes_decides_though_it_ends() {
        let equal = |name: &str, prefixes: &[(&str, Option<i64>)]| {
            let list = list(name, Class::GlobalBad, ListAction::Reject, KernelAction::Drop, "");
            expiring(list, prefixes.iter().map(|&(prefix, end)| (prefix.parse().unwrap(), end)))
        };
        for (name, first, second, expected) in [
            (
                "of one prefix the first list",
                &[("2001:db8::/65", Some(10))][..],
                &[("2001:db8::/65", None)][..],
                &["2001:db8::/65 first drop", "2001:db8::/65 second drop"][..],
            ),
            (
                "of two the longer prefix, again and again",
                &[("2001:db8::/62", Some(10))],
                &[("2001:db8::/60", None), ("2001:db8::/64", None)],
                &[
                    "2001:db8::/60 second drop",
                    "2001:db8::/62 first drop",
                    "2001:db8::/64 second drop",
                ],
            ),
            (
                "an end in a wider prefix",
                &[("2001:db8::/60", Some(10))],
                &[("2001:db8::/62", None)],
                &["2001:db8::/60 first drop", "2001:db8::/62 second drop"],
            ),
        ] {
            let lists = vec![equal("first", first), equal("second", second)];
            let rules = Rules::compile(&Membership::new(lists, &[]), 1, NOW);
            assert_eq!(shown(&rules, &rules.bad), expected, "{name}");
        }
    }

    #[test]
    fn a_host_that_is_only_deferred_is_left_to_the_daemon_in_a_network_that_is_dropped_for_a_while()
    {
        let network = list("n", Class::GlobalBad, ListAction::Reject, KernelAction::Drop, "");
        let host = list("h", Class::LocalBad, ListAction::Defer, KernelAction::Off, "192.0.2.7");
        let network = expiring(network, [("192.0.2.0/24".parse().unwrap(), Some(10))]);
        let rules = Rules::compile(&Membership::new(vec![network, host], &[]), 1, NOW);
        assert_eq!(shown(&rules, &rules.bad), ["192.0.2.0/24 n drop", "192.0.2.7 h off"]);
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What the kernel does with `address` at `second`, by rules of which some have ended since.
    fn enforce_at(rules: &Rules, address: std::net::IpAddr, second: i64) -> KernelAction {
        let current = |some: &[Rule]| {
            let current =
                |rule: &&Rule| rule.expires.is_none_or(|expires| expires.is_after(at(second)));
            some.iter().filter(current).copied().collect()
        };
        let rules = Rules { good: current(&rules.good), bad: current(&rules.bad), ..rules.clone() };
        let covering = |some: &[Rule]| {
            let longest = some
                .iter()
                .filter(|rule| rule.prefix.contains(address))
                .map(|rule| rule.prefix.length())
                .max()?;
            // One that expires stands before one that lasts.
            some.iter()
                .find(|rule| rule.prefix.contains(address) && rule.prefix.length() == longest)
                .copied()
        };
        match covering(&rules.bad) {
            Some(bad) if covering(&rules.good).is_none() => bad.action,
            _ => KernelAction::Off,
        }
    }

    proptest! {
        /// The naive oracle asks every entry; the rules must say the same of every address.
        #[test]
        fn rules_agree_with_all_entries(lists in prop::collection::vec(any_list(), 0..5), holes in prop::collection::vec(0_u32..64, 0..3)) {
            let holes: Vec<_> = holes.iter().map(|host| Prefix::host(std::net::Ipv4Addr::from_bits(0xC000_0200 + host).into())).collect();
            let membership = Membership::new(lists.clone(), &holes);
            let rules = Rules::compile(&membership, 1, NOW);
            for host in 0..64 {
                let address = std::net::Ipv4Addr::from_bits(0xC000_0200 + host).into();
                let covers = |one: &&Loaded| entries(one).any(|prefix| prefix.contains(address));
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
            let membership = Membership::new(lists.clone(), &[]);
            for host in 0..64 {
                let address = std::net::Ipv4Addr::from_bits(0xC000_0200 + host).into();
                let expected = lists.iter().flat_map(entries).filter(|prefix| prefix.contains(address)).count();
                prop_assert_eq!(membership.matches(address, NOW).len(), expected);
            }
        }

        /// Rules are made anew when the first of them ends, so they must be right until then.
        #[test]
        fn what_ends_by_itself_ends_on_time(lists in prop::collection::vec(any_expiring_list(), 0..4)) {
            let membership = Membership::new(lists, &[]);
            for second in [0, 9, 10, 19, 20] {
                for made in [0, 10, 20].into_iter().filter(|made| *made <= second) {
                    let rules = Rules::compile(&membership, 1, at(made));
                    let is_right = rules.first_expiry().is_none_or(|expires| expires.is_after(at(second)));
                    for host in 0..64 {
                        let address = std::net::IpAddr::from([192, 0, 2, host]);
                        let matches = membership.matches(address, at(second));
                        let good = matches.iter().any(|found| found.list.class.is_good());
                        let acting = matches.iter().find(|found| found.list.action.acts_at_connect());
                        let expected = match acting {
                            Some(found) if !good => found.list.kernel,
                            _ => KernelAction::Off,
                        };
                        let found = enforce_at(&rules, address, second);
                        if is_right {
                            prop_assert_eq!(found, expected, "{} at {} by rules of {}", address, second, made);
                        }
                        let of = |rules: &[Rule]| rules.windows(2).filter(|two| two[0].prefix == two[1].prefix).all(|two| two[0].expires.is_some() && two[1].expires.is_none());
                        prop_assert!(of(&rules.bad) && of(&rules.good));
                    }
                }
            }
        }
    }
}
