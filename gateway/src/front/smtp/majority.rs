//! Whether one address makes most of the connections, as where NAT or a load balancer hides the clients.

use std::net::IpAddr;

/// Fewer connections than this in a window say nothing.
const ENOUGH: u64 = 100;
/// The share of one address, in percent, from which on it is a majority.
const MAJORITY: u64 = 80;
/// After so many windows with too few connections nothing is known any more.
const FORGET_AFTER: u32 = 60;

/// Counts the connections of a window of time. It remembers two addresses, whoever connects: the one that could have made most
/// of them (found by the vote of Boyer and Moore, which finds each majority and may name another where there is none), and the
/// one that was found so in the window before, whose connections are counted one by one.
#[derive(Debug, Default)]
pub(super) struct Majority {
    total: u64,
    candidate: Option<IpAddr>,
    votes: u64,
    suspect: Option<IpAddr>,
    of_suspect: u64,
    quiet: u32,
}

/// What a window has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// This address made so many of so many connections.
    Majority { address: IpAddr, count: u64, total: u64 },
    /// No address made most of them.
    None,
    /// Too few to say.
    Unknown,
}

impl Majority {
    /// Notes a connection.
    pub(super) fn note(&mut self, address: IpAddr) {
        self.total = self.total.saturating_add(1);
        if self.suspect == Some(address) {
            self.of_suspect = self.of_suspect.saturating_add(1);
        }
        if self.votes == 0 {
            self.candidate = Some(address);
        }
        if self.candidate == Some(address) {
            self.votes = self.votes.saturating_add(1);
        } else {
            self.votes = self.votes.saturating_sub(1);
        }
    }

    /// Ends the window and begins the next.
    pub(super) fn turn(&mut self) -> Shown {
        let Self { total, candidate, votes, suspect, of_suspect, quiet } = std::mem::take(self);
        if total < ENOUGH {
            self.quiet = quiet.saturating_add(1);
            self.suspect = suspect;
            return if self.quiet >= FORGET_AFTER { Shown::None } else { Shown::Unknown };
        }
        self.suspect = candidate;
        let is_majority = of_suspect.saturating_mul(100) >= total.saturating_mul(MAJORITY);
        match suspect.filter(|_suspect| is_majority) {
            Some(address) => Shown::Majority { address, count: of_suspect, total },
            // It may be another one, which the next window counts: what a majority has beyond all others is left of its votes.
            None if candidate != suspect
                && votes.saturating_mul(100) >= total.saturating_mul(2 * MAJORITY - 100) =>
            {
                Shown::Unknown
            }
            None => Shown::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BALANCER: &str = "192.0.2.7";

    /// A window in which `many` of `total` connections are the load balancer's, in between others of a client each.
    fn window(majority: &mut Majority, many: u32, total: u32) -> Shown {
        for number in 0..total {
            let is_balancer = (number + 1) * many / total > number * many / total;
            let other = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number));
            majority.note(if is_balancer { BALANCER.parse().unwrap() } else { other });
        }
        majority.turn()
    }

    #[test]
    fn a_majority_is_found_and_forgotten() {
        let found =
            |count, total| Shown::Majority { address: BALANCER.parse().unwrap(), count, total };
        let mut majority = Majority::default();
        for (many, total, expected) in [
            // Counted exactly from the second window on.
            (190, 200, Shown::Unknown),
            (190, 200, found(190, 200)),
            (80, 100, found(80, 100)),
            // A quiet hour of the night changes nothing.
            (5, 5, Shown::Unknown),
            (99, 99, Shown::Unknown),
            (100, 100, found(100, 100)),
            (79, 100, Shown::None),
            (79, 100, Shown::None),
            (95, 100, found(95, 100)),
        ] {
            assert_eq!(window(&mut majority, many, total), expected, "{many} of {total}");
        }
        let quiet: Vec<_> = (0..FORGET_AFTER).map(|_| window(&mut majority, 0, 0)).collect();
        assert_eq!((quiet[58], quiet[59]), (Shown::Unknown, Shown::None));
    }

    #[test]
    fn a_majority_is_over_when_others_come_each_time() {
        let mut majority = Majority::default();
        for _ in 0..2 {
            window(&mut majority, 190, 200);
        }
        for number in 0..3_u32 {
            for client in 0..200 {
                let bits = 0x0b00_0000 + (number << 16) + client;
                majority.note(std::net::Ipv4Addr::from_bits(bits).into());
            }
            assert_eq!(majority.turn(), Shown::None, "window {number}");
        }
    }

    #[test]
    fn many_clients_are_no_majority() {
        let mut majority = Majority::default();
        let shown: Vec<_> = (0..10).map(|_| window(&mut majority, 0, 500)).collect();
        assert!(shown.iter().all(|shown| !matches!(shown, Shown::Majority { .. })), "{shown:?}");
        let half = window(&mut majority, 250, 500);
        assert!(!matches!(half, Shown::Majority { .. }), "{half:?}");
    }
}
