//! Whether a zone is well enough to be asked: told by its test entries (RFC 5782 section 5), and by how it answers.

use std::net::IpAddr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Serialize, Serializer};

use super::breaker::Breaker;
use super::rate::{HitRate, Jump};
use super::{AnswerFault, Illness, Zone};
use crate::clock::Timestamp;

/// The time between two looks at the test entries of a zone that is well.
pub const PROBE_EVERY: Duration = Duration::from_mins(30);

/// The same for one that is ill, at first; it doubles.
const SHORTEST_WAIT: Duration = Duration::from_secs(15);

/// What it doubles to.
const LONGEST_WAIT: Duration = Duration::from_mins(15);

/// How long a zone is not asked whose hit rate jumped.
const JUMP_WAIT: Duration = Duration::from_secs(30);

/// How long a look takes at most; one that never ended does not keep the next from coming.
const PROBE_TIME: Duration = Duration::from_mins(1);

/// A kind of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The word that configuration and records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

impl From<IpAddr> for Family {
    fn from(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }
}

/// How a zone is, as far as one kind of addresses goes. It is asked about them only when healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The configuration says that it is not asked about them.
    Excluded,
    /// No test entry was answered yet.
    Unproven,
    /// It answers, and its test entries are right.
    Healthy,
    /// It has none of them, by its test entries.
    NotOffered,
    /// Something is wrong with it.
    Ill(Illness),
}

impl State {
    /// The word that records and metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Excluded => "excluded",
            Self::Unproven => "unproven",
            Self::Healthy => "healthy",
            Self::NotOffered => "not-offered",
            Self::Ill(_) => "ill",
        }
    }

    /// What is wrong, if anything.
    pub const fn illness(self) -> Option<Illness> {
        match self {
            Self::Ill(illness) => Some(illness),
            _ => None,
        }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What the test entries of one kind of addresses answered: whether each is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The entry that every zone has, 127.0.0.2.
    pub listed: Result<bool, AnswerFault>,
    /// The one that none has, 127.0.0.1.
    pub unlisted: Result<bool, AnswerFault>,
}

impl Pair {
    /// The error that says most.
    fn fault(self) -> Option<AnswerFault> {
        let faults = [self.listed.err(), self.unlisted.err()];
        let is_refusal = |fault: &AnswerFault| fault.is_refusal();
        faults
            .into_iter()
            .flatten()
            .find(is_refusal)
            .or_else(|| faults.into_iter().flatten().next())
    }
}

/// What the test entries answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Those for IPv4, where they were asked for.
    pub ipv4: Option<Pair>,
    /// Those for IPv6.
    pub ipv6: Option<Pair>,
}

/// What came of a question about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A listing.
    Listed,
    /// None.
    NotListed,
    /// No answer.
    Fault(AnswerFault),
}

/// A change of the health of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Transition {
    /// The kind of addresses.
    pub family: Family,
    /// How it was.
    pub from: State,
    /// How it is.
    pub to: State,
}

/// The health of one zone.
#[derive(Clone, Debug)]
pub struct Health {
    test_points: bool,
    ipv4: Part,
    ipv6: Part,
    breaker: Breaker,
    next_probe: Timestamp,
    wait: Duration,
    /// When it was last seen well after an illness.
    recovered: Option<Timestamp>,
    was_probed: bool,
}

#[derive(Clone, Debug)]
struct Part {
    state: State,
    since: Timestamp,
    rate: HitRate,
}

impl Health {
    /// The health of `zone` when nothing is known about it; without test entries it is taken for well.
    pub fn new(zone: &Zone, now: Timestamp) -> Self {
        let part = |is_asked| {
            let state = match (is_asked, zone.test_points) {
                (false, _) => State::Excluded,
                (true, true) => State::Unproven,
                (true, false) => State::Healthy,
            };
            Part { state, since: now, rate: HitRate::default() }
        };
        Self {
            test_points: zone.test_points,
            ipv4: part(zone.families.ipv4),
            ipv6: part(zone.families.ipv6),
            breaker: Breaker::default(),
            next_probe: now,
            wait: SHORTEST_WAIT,
            recovered: None,
            was_probed: false,
        }
    }

    /// How the zone is, as far as `family` goes.
    pub const fn state(&self, family: Family) -> State {
        self.part(family).state
    }

    /// Since when.
    pub const fn since(&self, family: Family) -> Timestamp {
        self.part(family).since
    }

    /// What is wrong with it, the first of both kinds of addresses.
    pub fn illness(&self) -> Option<Illness> {
        Family::ALL.into_iter().find_map(|family| self.state(family).illness())
    }

    /// When its test entries are to be looked at next.
    pub const fn next_probe(&self) -> Timestamp {
        self.next_probe
    }

    /// Whether they were looked at once.
    pub const fn was_probed(&self) -> bool {
        self.was_probed
    }

    /// Says that they are being looked at.
    pub fn begin_probe(&mut self, now: Timestamp) {
        self.next_probe = later(now, PROBE_TIME);
    }

    /// Takes what the test entries answered.
    pub fn probed(&mut self, now: Timestamp, probe: Probe) -> Vec<Transition> {
        self.was_probed = true;
        let was_ill = self.illness().is_some();
        let pairs = [(Family::Ipv4, probe.ipv4), (Family::Ipv6, probe.ipv6)];
        // Every zone has IPv4, so that IPv6 may be missing; where it is all that is asked for, it may not.
        // Nor does it lack IPv6 for sure while IPv4 does not say.
        let has_ipv4 =
            probe.ipv4.is_some_and(|pair| pair.listed == Ok(true) || pair.fault().is_some());
        let mut transitions = Vec::new();
        let mut is_certain = true;
        for (family, pair) in pairs {
            let Some(pair) = pair.filter(|_| self.state(family) != State::Excluded) else {
                continue;
            };
            is_certain &= pair.fault().is_none();
            let state = self.judge(family, pair, has_ipv4);
            transitions.extend(self.turn(now, family, state));
        }
        if is_certain && self.illness().is_none() {
            self.next_probe = later(now, PROBE_EVERY);
            if was_ill {
                self.recovered = Some(now);
            }
        } else if self.illness().is_none() {
            self.next_probe = later(now, SHORTEST_WAIT);
        } else {
            if !was_ill {
                self.wait = self.first_wait(now);
            }
            self.next_probe = later(now, self.wait);
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
        transitions
    }

    /// Takes what came of a question about an address of `family`.
    pub fn noted(&mut self, now: Timestamp, family: Family, outcome: Outcome) -> Vec<Transition> {
        if self.state(family) != State::Healthy {
            return Vec::new();
        }
        let (illness, families) = match outcome {
            Outcome::Fault(AnswerFault::Overload) => return Vec::new(),
            Outcome::Fault(fault) if fault.is_refusal() => {
                (Illness::Refuses(fault), Family::ALL.to_vec())
            }
            Outcome::Fault(fault) => {
                if !self.breaker.note(true) {
                    return Vec::new();
                }
                (Illness::Unreachable(fault), Family::ALL.to_vec())
            }
            Outcome::Listed | Outcome::NotListed => {
                self.breaker.note(false);
                let jump = self.part_mut(family).rate.note(outcome == Outcome::Listed);
                let Some(Jump { now, before }) = jump else { return Vec::new() };
                (Illness::HitRate { now, before }, vec![family])
            }
        };
        let is_jump = matches!(illness, Illness::HitRate { .. });
        let wait = if is_jump { JUMP_WAIT } else { self.first_wait(now) };
        self.next_probe = later(now, wait);
        self.wait = (wait * 2).min(LONGEST_WAIT);
        let mut transitions = Vec::new();
        for family in families {
            if self.state(family) == State::Healthy {
                transitions.extend(self.turn(now, family, State::Ill(illness)));
            }
        }
        transitions
    }

    /// Takes it that the entry is listed which none has, as was seen between two looks.
    pub fn lists_everything(&mut self, now: Timestamp, family: Family) -> Vec<Transition> {
        if self.state(family) != State::Healthy {
            return Vec::new();
        }
        let wait = self.first_wait(now);
        self.next_probe = later(now, wait);
        self.wait = (wait * 2).min(LONGEST_WAIT);
        self.turn(now, family, State::Ill(Illness::ListsEverything)).into_iter().collect()
    }

    /// How long a zone that has just fallen ill is left alone: one that was ill a moment ago goes on where it was, since its test
    /// entries may be right while its answers are not.
    fn first_wait(&self, now: Timestamp) -> Duration {
        let since = self.recovered.map(|recovered| now.duration_since(recovered));
        match since.map(Duration::try_from) {
            Some(Ok(since)) if since < LONGEST_WAIT => self.wait,
            _ => SHORTEST_WAIT,
        }
    }

    fn judge(&mut self, family: Family, pair: Pair, has_ipv4: bool) -> State {
        let state = self.state(family);
        if self.test_points && pair.unlisted == Ok(true) {
            return State::Ill(Illness::ListsEverything);
        }
        match pair.fault() {
            Some(fault) if fault.is_refusal() => return State::Ill(Illness::Refuses(fault)),
            Some(AnswerFault::Overload) => return state,
            Some(fault) => {
                let is_enough = match state {
                    State::Unproven | State::Ill(Illness::Unreachable(_)) => true,
                    State::Ill(_) | State::Excluded => false,
                    State::Healthy | State::NotOffered => self.breaker.note(true),
                };
                return if is_enough { State::Ill(Illness::Unreachable(fault)) } else { state };
            }
            None => {}
        }
        match (pair.listed, pair.unlisted) {
            _ if !self.test_points => State::Healthy,
            (_, Ok(true)) => State::Ill(Illness::ListsEverything),
            (Ok(false), _) if family == Family::Ipv6 && has_ipv4 => State::NotOffered,
            (Ok(false), _) => State::Ill(Illness::ListsNothing),
            _ => State::Healthy,
        }
    }

    fn turn(&mut self, now: Timestamp, family: Family, to: State) -> Option<Transition> {
        let part = self.part_mut(family);
        let from = part.state;
        if from == to {
            return None;
        }
        part.state = to;
        // One that is ill in another way is not ill anew.
        if from.illness().is_none() || to.illness().is_none() {
            part.since = now;
        }
        if to == State::Healthy {
            match from {
                State::Ill(Illness::HitRate { .. }) => part.rate.accept(),
                _ => part.rate.forget_window(),
            }
            self.breaker = Breaker::default();
        }
        Some(Transition { family, from, to })
    }

    const fn part(&self, family: Family) -> &Part {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }

    const fn part_mut(&mut self, family: Family) -> &mut Part {
        match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        }
    }
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::ListAction;
    use crate::zone::{Domain, Families, ZoneClass};

    const GOOD: Pair = Pair { listed: Ok(true), unlisted: Ok(false) };
    const NOTHING: Pair = Pair { listed: Ok(false), unlisted: Ok(false) };
    const WORLD: Pair = Pair { listed: Ok(true), unlisted: Ok(true) };
    const LATE: Pair =
        Pair { listed: Err(AnswerFault::Timeout), unlisted: Err(AnswerFault::Timeout) };
    const OPEN: Pair = Pair { listed: Err(AnswerFault::OpenResolver), unlisted: Ok(false) };

    fn zone() -> Zone {
        let domain = Domain::new("zen.example.org", None).unwrap();
        Zone::new("zen", domain, ZoneClass::ThirdPartyBad, ListAction::Reject)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn probe(health: &mut Health, second: i64, ipv4: Pair, ipv6: Pair) -> String {
        let transitions = health.probed(at(second), Probe { ipv4: Some(ipv4), ipv6: Some(ipv6) });
        words(&transitions)
    }

    fn words(transitions: &[Transition]) -> String {
        let words = transitions.iter().map(|transition| {
            let illness = transition.to.illness().map_or("", Illness::name);
            format!("{} {}{illness}", transition.family.name(), transition.to.name())
        });
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn test_entries_tell_how_a_zone_is() {
        for (name, ipv4, ipv6, expected, next) in [
            ("well", GOOD, GOOD, "ipv4 healthy, ipv6 healthy", 1800),
            ("only IPv4", GOOD, NOTHING, "ipv4 healthy, ipv6 not-offered", 1800),
            ("dead", NOTHING, NOTHING, "ipv4 illlists-nothing, ipv6 illlists-nothing", 15),
            ("the world", WORLD, GOOD, "ipv4 illlists-everything, ipv6 healthy", 15),
            ("wildcard", WORLD, WORLD, "ipv4 illlists-everything, ipv6 illlists-everything", 15),
            ("errors", OPEN, OPEN, "ipv4 illopen-resolver, ipv6 illopen-resolver", 15),
            ("silent", LATE, LATE, "ipv4 illunreachable, ipv6 illunreachable", 15),
        ] {
            let mut health = Health::new(&zone(), at(0));
            assert_eq!(health.state(Family::Ipv4), State::Unproven);
            assert_eq!(probe(&mut health, 0, ipv4, ipv6), expected, "{name}");
            assert_eq!(health.next_probe(), at(next), "{name}");
        }
    }

    #[test]
    fn an_ill_zone_is_looked_at_less_and_less_often_until_it_is_well() {
        let mut health = Health::new(&zone(), at(0));
        let mut now = 0;
        for wait in [15, 30, 60, 120, 240, 480, 900, 900] {
            probe(&mut health, now, NOTHING, NOTHING);
            assert_eq!(health.next_probe(), at(now + wait));
            assert_eq!(health.since(Family::Ipv4), at(0));
            now += wait;
        }
        let back = "ipv4 healthy, ipv6 not-offered";
        assert_eq!(probe(&mut health, now, GOOD, NOTHING), back);
        assert_eq!(health.next_probe(), at(now + 1800));
        assert_eq!(probe(&mut health, now, LATE, LATE), "", "one silence is no illness");
        assert_eq!(health.next_probe(), at(now + 15), "but a reason to look again");
    }

    #[test]
    fn answers_tell_it_too() {
        use AnswerFault::{Overload, ServerFailure, Timeout, Volume};
        let both = |illness: &str| format!("ipv4 ill{illness}, ipv6 ill{illness}");
        for (outcomes, expected) in [
            (vec![Outcome::Fault(Timeout); 4], String::new()),
            (vec![Outcome::Fault(ServerFailure); 5], both("unreachable")),
            (vec![Outcome::Fault(Overload); 100], String::new()),
            (vec![Outcome::Listed, Outcome::Fault(Volume)], both("volume")),
            (
                [vec![Outcome::NotListed; 800], vec![Outcome::Listed; 150]].concat(),
                "ipv4 illhit-rate".to_owned(),
            ),
        ] {
            let mut health = Health::new(&zone(), at(0));
            probe(&mut health, 0, GOOD, GOOD);
            let noted: Vec<_> = outcomes
                .iter()
                .flat_map(|outcome| health.noted(at(60), Family::Ipv4, *outcome))
                .collect();
            assert_eq!(words(&noted), expected);
            if let Some(transition) = noted.first() {
                let is_jump = matches!(transition.to, State::Ill(Illness::HitRate { .. }));
                assert_eq!(health.next_probe(), at(if is_jump { 90 } else { 75 }));
                assert!(health.noted(at(61), Family::Ipv4, Outcome::Fault(Volume)).is_empty());
                assert!(probe(&mut health, 90, GOOD, GOOD).contains("ipv4 healthy"));
            }
        }
    }

    #[test]
    fn a_zone_without_test_entries_is_well_until_it_answers_errors() {
        let zone = Zone { test_points: false, ..zone() };
        let mut health = Health::new(&zone, at(0));
        assert_eq!(health.state(Family::Ipv6), State::Healthy);
        assert_eq!(probe(&mut health, 0, NOTHING, NOTHING), "");
        assert!(probe(&mut health, 0, OPEN, NOTHING).contains("ipv4 illopen-resolver"));
        assert_eq!(probe(&mut health, 0, NOTHING, NOTHING), "ipv4 healthy");
    }

    #[test]
    fn what_is_not_asked_for_is_not_ill() {
        let zone = Zone { families: Families { ipv4: false, ipv6: true }, ..zone() };
        let mut health = Health::new(&zone, at(0));
        assert_eq!(probe(&mut health, 0, NOTHING, GOOD), "ipv6 healthy");
        assert_eq!(health.state(Family::Ipv4), State::Excluded);
    }
}
