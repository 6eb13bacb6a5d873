//! The acceptance lists, made ready for the question which of them knows a client.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Acceptance, Direction};
use crate::net::{Prefix, fold};

/// The entry of an acceptance list that knows a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The name of the list.
    pub list: Arc<str>,
    /// Which way the client's mail goes.
    pub direction: Direction,
    /// The entry as it was written: an address, a prefix, a host or a domain.
    pub entry: Arc<str>,
}

/// All acceptance lists; the narrowest entry decides, and where two are the same, the inbound one.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    lists: Arc<[Acceptance]>,
    prefixes: HashMap<Prefix, Match>,
    /// The lengths of the prefixes, the longest first.
    lengths: Vec<u8>,
    domains: HashMap<Arc<str>, Match>,
    /// Whether the addresses of some outbound host are not known yet.
    is_waiting: bool,
}

impl Accepted {
    /// Makes `lists` ready; of their hosts no address is known yet.
    pub fn new(lists: &[Acceptance]) -> Self {
        Self::ready(lists.into(), &HashMap::new())
    }

    /// The same lists, their hosts having the addresses in `resolved`; a host that is not there has none.
    #[must_use]
    pub fn with_hosts(&self, resolved: &HashMap<Arc<str>, Vec<IpAddr>>) -> Self {
        Self::ready(Arc::clone(&self.lists), resolved)
    }

    fn ready(lists: Arc<[Acceptance]>, resolved: &HashMap<Arc<str>, Vec<IpAddr>>) -> Self {
        let mut accepted = Self { lists: Arc::clone(&lists), ..Self::default() };
        for list in &*lists {
            for &prefix in &list.addresses {
                add(&mut accepted.prefixes, prefix, list, prefix.to_string().into());
            }
            for domain in &list.domains {
                add(&mut accepted.domains, Arc::clone(domain), list, Arc::clone(domain));
            }
        }
        // After all addresses: of two entries that say the same, the one that needs no DNS is told.
        for list in &*lists {
            for host in &list.hosts {
                for &address in resolved.get(host).into_iter().flatten() {
                    add(&mut accepted.prefixes, Prefix::host(address), list, Arc::clone(host));
                }
            }
        }
        let outbound = lists.iter().filter(|list| list.direction.is_outbound());
        accepted.is_waiting =
            outbound.flat_map(|list| &list.hosts).any(|host| !resolved.contains_key(host));
        accepted.lengths = accepted.prefixes.keys().map(|prefix| prefix.length()).collect();
        accepted.lengths.sort_unstable_by(|a, b| b.cmp(a));
        accepted.lengths.dedup();
        accepted
    }

    /// The hosts whose addresses are wanted, each once for each list that has it.
    pub fn hosts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.lists.iter().flat_map(|list| &list.hosts)
    }

    /// Whether some list knows clients by their names, so that one that no address matches has to be asked for its own.
    pub fn needs_ptr(&self) -> bool {
        !self.domains.is_empty()
    }

    /// Whether a client that no entry knows may be one of our own all the same, since DNS has not told all addresses yet.
    pub const fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// The narrowest entry that covers `address`.
    pub fn by_address(&self, address: IpAddr) -> Option<&Match> {
        let address = fold(address);
        let mut covering =
            self.lengths.iter().filter_map(|&length| Prefix::new(address, length).ok());
        covering.find_map(|prefix| self.prefixes.get(&prefix))
    }

    /// The narrowest entry for `name`, which must be the client's forward-confirmed one.
    ///
    /// An entry with a dot before it stands for its subdomains, at any depth, and not for itself.
    pub fn by_name(&self, name: &str) -> Option<&Match> {
        let name = name.strip_suffix('.').unwrap_or(name).to_lowercase();
        let parents = name.match_indices('.').filter_map(|(at, _dot)| name.get(at..));
        // A name that begins with a dot is none, and must not be taken for an entry that does.
        let whole = (!name.starts_with('.')).then_some(name.as_str());
        let parents = parents.filter(|parent| parent.len() < name.len());
        whole.into_iter().chain(parents).find_map(|candidate| self.domains.get(candidate))
    }

    /// The prefixes of outbound lists, the addresses of their hosts included, in order: no list of senders may refuse them.
    pub fn outbound_prefixes(&self) -> Vec<Prefix> {
        let outbound = self.prefixes.iter().filter(|(_, found)| found.direction.is_outbound());
        let mut prefixes: Vec<_> = outbound.map(|(&prefix, _)| prefix).collect();
        prefixes.sort_unstable();
        prefixes
    }
}

/// Adds an entry, unless the same is there and inbound, or says nothing else.
fn add<K: Eq + Hash>(
    entries: &mut HashMap<K, Match>,
    key: K,
    list: &Acceptance,
    written: Arc<str>,
) {
    let found = Match { list: Arc::clone(&list.name), direction: list.direction, entry: written };
    match entries.entry(key) {
        Entry::Vacant(free) => drop(free.insert(found)),
        Entry::Occupied(mut same) => {
            if same.get().direction.is_outbound() && !found.direction.is_outbound() {
                drop(same.insert(found));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(
        name: &str,
        direction: Direction,
        addresses: &str,
        hosts: &str,
        domains: &str,
    ) -> Acceptance {
        let words = |text: &str| text.split_whitespace().map(Into::into).collect::<Vec<Arc<str>>>();
        Acceptance {
            name: name.into(),
            direction,
            addresses: addresses.split_whitespace().map(|text| text.parse().unwrap()).collect(),
            hosts: words(hosts),
            domains: words(domains),
        }
    }

    fn told(found: Option<&Match>) -> String {
        found.map_or_else(String::new, |found| {
            format!("{} {} {}", found.list, found.direction, found.entry)
        })
    }

    fn accepted() -> Accepted {
        use Direction::{Inbound, Outbound};
        Accepted::new(&[
            list(
                "office",
                Outbound,
                "192.0.2.0/24 198.51.100.7 2001:db8::/32 203.0.113.1",
                "mail.example.org gate.example.org",
                ".example.org mail.example.org twice.example .twice.example",
            ),
            list(
                "guests",
                Inbound,
                "192.0.2.128/25 203.0.113.1 2001:db8:1::/48",
                "gate.example.org",
                ".guest.example.org twice.example",
            ),
            list("all", Outbound, "192.0.2.0/24", "", ".twice.example"),
        ])
    }

    #[test]
    fn the_narrowest_prefix_wins_and_inbound_among_equals() {
        for (address, expected) in [
            ("192.0.2.1", "office outbound 192.0.2.0/24"),
            ("::ffff:192.0.2.1", "office outbound 192.0.2.0/24"),
            ("192.0.2.129", "guests inbound 192.0.2.128/25"),
            ("198.51.100.7", "office outbound 198.51.100.7"),
            ("198.51.100.8", ""),
            ("203.0.113.1", "guests inbound 203.0.113.1"),
            ("2001:db8:2::1", "office outbound 2001:db8::/32"),
            ("2001:db8:1::1", "guests inbound 2001:db8:1::/48"),
            ("2001:db9::1", ""),
        ] {
            assert_eq!(
                told(accepted().by_address(address.parse().unwrap())),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn hosts_have_the_addresses_that_were_resolved() {
        let resolved = HashMap::from([
            ("mail.example.org".into(), vec!["192.0.2.200".parse().unwrap()]),
            ("gate.example.org".into(), vec!["2001:db8:1::9".parse().unwrap()]),
            ("other.example".into(), vec!["198.51.100.99".parse().unwrap()]),
        ]);
        let (before, after) = (accepted(), accepted().with_hosts(&resolved));
        for (address, expected_before, expected) in [
            ("192.0.2.200", "guests inbound 192.0.2.128/25", "office outbound mail.example.org"),
            ("2001:db8:1::9", "guests inbound 2001:db8:1::/48", "guests inbound gate.example.org"),
            ("198.51.100.99", "", ""),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(told(before.by_address(address)), expected_before, "{address}");
            assert_eq!(told(after.by_address(address)), expected, "{address}");
        }
        assert_eq!(
            after.outbound_prefixes().iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["192.0.2.0/24", "192.0.2.200", "198.51.100.7", "2001:db8::/32"]
        );
        assert_eq!(before.outbound_prefixes().len(), 3);
        assert_eq!(after.with_hosts(&HashMap::new()).outbound_prefixes().len(), 3);
        assert_eq!(before.hosts().count(), 3);
    }

    #[test]
    fn the_longest_domain_wins_and_a_dot_means_subdomains_alone() {
        for (name, expected) in [
            ("mail.example.org", "office outbound mail.example.org"),
            ("MAIL.Example.ORG.", "office outbound mail.example.org"),
            ("x.mail.example.org", "office outbound .example.org"),
            ("example.org", ""),
            (".example.org", ""),
            ("evilexample.org", ""),
            ("example.org.evil.example", ""),
            ("a.guest.example.org", "guests inbound .guest.example.org"),
            ("b.a.guest.example.org", "guests inbound .guest.example.org"),
            ("guest.example.org", "office outbound .example.org"),
            ("twice.example", "guests inbound twice.example"),
            ("a.twice.example", "office outbound .twice.example"),
            ("", ""),
            (".", ""),
            ("..", ""),
        ] {
            assert_eq!(told(accepted().by_name(name)), expected, "{name}");
        }
    }

    #[test]
    fn names_are_needed_only_for_domains() {
        assert!(accepted().needs_ptr());
        assert!(!Accepted::default().needs_ptr());
        let hosts = [list("a", Direction::Outbound, "192.0.2.1", "mail.example.org", "")];
        assert!(!Accepted::new(&hosts).needs_ptr());
    }

    proptest! {
        #[test]
        fn finds_what_a_look_at_every_entry_finds(
            entries in prop::collection::vec((any::<u32>(), 0_u8..=32, any::<bool>()), 0..40),
            near in any::<prop::sample::Index>(),
            flip in 0_u32..32,
        ) {
            let lists: Vec<_> = entries
                .iter()
                .map(|&(bits, length, outbound)| Acceptance {
                    name: "x".into(),
                    direction: if outbound { Direction::Outbound } else { Direction::Inbound },
                    addresses: vec![Prefix::new(IpAddr::V4(bits.into()), length).unwrap()],
                    hosts: Vec::new(),
                    domains: Vec::new(),
                })
                .collect();
            let bits = if entries.is_empty() { 0 } else { near.get(&entries).0 };
            let address = IpAddr::V4((bits ^ (1 << flip)).into());
            let expected = lists
                .iter()
                .filter(|list| list.addresses[0].contains(address))
                .max_by_key(|list| (list.addresses[0].length(), !list.direction.is_outbound()))
                .map(|list| (list.direction, list.addresses[0].to_string()));
            let accepted = Accepted::new(&lists);
            let found = accepted.by_address(address);
            prop_assert_eq!(found.map(|found| (found.direction, found.entry.to_string())), expected);
        }
    }
}
