//! One connection, one message: gathers the facts, has them decided, remembers and records the decision.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use tracing::{debug, info};

use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::list::{List, Membership};
use crate::net::{Hop, Prefix, reserved};
use crate::pause::Pause;
use crate::policy::{
    Action, AddressFacts, Decision, Envelope, MessageFacts, Outcome, Phase, Policy, Record,
    Reference, Reply, Skipped, Verdict, decide_connect, decide_message,
};
use crate::scan;

/// The two ends of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The client, IPv4-mapped addresses folded.
    pub address: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
}

/// What an operator can say about how connections and messages are judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How facts become a decision.
    pub policy: Policy,
    /// Our own relays: what they hand over is judged by the hop before them.
    pub trusted_relays: Vec<Prefix>,
    /// Header fields beside Received whose addresses count.
    pub scan_headers: Vec<Arc<str>>,
    /// Whether a good client clears all hops of its messages, not only its own.
    pub good_client_skips_headers: bool,
}

/// Judges connections and messages; shared by all fronts.
#[derive(Debug)]
pub struct Engine {
    settings: ArcSwap<Settings>,
    lists: ArcSwap<Lists>,
    pause: ArcSwapOption<Pause>,
    audit: audit::Writer,
    clock: Clock,
    decisions: Counters,
}

/// The lists in force, under one version.
#[derive(Debug, Default)]
struct Lists {
    version: u64,
    membership: Arc<Membership>,
}

impl Engine {
    /// An engine with no lists yet.
    pub fn new(settings: Settings, audit: audit::Writer, clock: Clock) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            lists: ArcSwap::default(),
            pause: ArcSwapOption::default(),
            audit,
            clock,
            decisions: Counters::default(),
        }
    }

    /// Puts other settings in force, for decisions from now on.
    pub fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// Puts other lists in force, for decisions from now on.
    pub fn set_lists(&self, membership: Arc<Membership>, version: u64) {
        self.lists.store(Arc::new(Lists { version, membership }));
    }

    /// Begins a pause or, with `None`, ends it. It ends by itself as well.
    pub fn set_pause(&self, pause: Option<Arc<Pause>>) {
        self.pause.store(pause);
    }

    /// The pause that lasts now.
    pub fn pause(&self) -> Option<Arc<Pause>> {
        self.pause.load_full().filter(|pause| !pause.is_over())
    }

    /// False in a dry run of everything, and in a pause.
    pub fn enforces(&self) -> bool {
        self.policy(&self.settings.load()).enforce
    }

    /// The version of the lists in force.
    pub fn rules_version(&self) -> u64 {
        self.lists.load().version
    }

    /// The list with that name, if it is in force.
    pub fn list(&self, name: &str) -> Option<Arc<List>> {
        let lists = self.lists.load();
        lists.membership.lists().find(|list| &*list.name == name).cloned()
    }

    /// How many decisions had each verdict.
    pub fn decisions(&self) -> &Counters {
        &self.decisions
    }

    /// The audit trail that the decisions go to.
    pub fn audit(&self) -> &audit::Writer {
        &self.audit
    }

    /// Judges a connection before the greeting.
    pub fn judge_connection(&self, client: &Client) -> Decision {
        self.judge_address(client.address.ip())
    }

    /// Judges `address` as if it connected now; nothing is counted or recorded.
    pub fn judge_address(&self, address: IpAddr) -> Decision {
        let (settings, lists) = (self.settings.load(), self.lists.load());
        let facts =
            facts(&settings, &lists.membership, address, Hop::Connect, false, self.clock.now());
        decide_connect(&self.policy(&settings), facts, lists.version, reference())
    }

    /// Judges a message by its header: all octets up to the empty line.
    pub fn judge_message(&self, client: &Client, header: &[u8]) -> Decision {
        let (settings, lists) = (self.settings.load(), self.lists.load());
        let facts = message_facts(
            &settings,
            &lists.membership,
            client.address.ip(),
            header,
            self.clock.now(),
        );
        decide_message(&self.policy(&settings), facts, lists.version, reference())
    }

    /// Judges a message again by the lists in force now, from what the trail has of it; nothing is counted or recorded.
    ///
    /// A pause does not count: what would be decided after it is what an operator wants to know.
    pub fn judge_again(&self, message: &audit::SeenMessage) -> Decision {
        let (settings, lists) = (self.settings.load(), self.lists.load());
        let now = self.clock.now();
        let seen = message.addresses.iter().map(|seen| {
            let (hop, authenticated) = (seen.hop.clone(), seen.authenticated);
            facts(&settings, &lists.membership, seen.ip, hop, authenticated, now)
        });
        let addresses: Vec<_> = seen.collect();
        let is_logical = |facts: &AddressFacts| Some(facts.address) == message.logical_client;
        let logical = addresses.iter().position(is_logical).unwrap_or(0);
        let facts = with_good_client(&settings, MessageFacts { addresses, logical });
        decide_message(&settings.policy, facts, lists.version, reference())
    }

    /// The policy in force now: in a pause that of a dry run.
    fn policy<'a>(&self, settings: &'a Settings) -> Cow<'a, Policy> {
        match self.pause() {
            Some(_) => Cow::Owned(Policy { enforce: false, ..settings.policy.clone() }),
            None => Cow::Borrowed(&settings.policy),
        }
    }

    /// A decision that is not about addresses: our own limits, the next hop, the protocol.
    pub fn own(
        &self,
        client: &Client,
        phase: Phase,
        verdict: Verdict,
        action: Action,
        reply: Reply,
    ) -> Decision {
        Decision {
            phase,
            verdict,
            action,
            enforced: true,
            offending: None,
            cause: None,
            score: None,
            logical_client: Some(client.address.ip()),
            addresses: Vec::new(),
            rules: self.rules_version(),
            reply: Some(reply),
            reference: reference(),
        }
    }

    /// Writes a decision to the log and the audit trail, once its outcome is final.
    pub fn record(
        &self,
        client: &Client,
        envelope: Option<&Envelope>,
        decision: &Decision,
        outcome: Outcome,
    ) {
        self.decisions.count(decision);
        log(client, decision);
        let record = Record::new(
            self.clock.now(),
            client.address,
            client.local,
            envelope,
            decision,
            outcome,
        );
        self.audit.write(&record);
    }
}

/// What is known about one address.
fn facts(
    settings: &Settings,
    membership: &Membership,
    address: IpAddr,
    hop: Hop,
    authenticated: bool,
    now: Timestamp,
) -> AddressFacts {
    let skipped = if settings.trusted_relays.iter().any(|relay| relay.contains(address)) {
        Some(Skipped::OwnRelay)
    } else if let Some(range) = reserved(address).filter(|_range| hop != Hop::Connect) {
        Some(Skipped::Reserved(range))
    } else {
        membership.is_protected(address).then_some(Skipped::Protected)
    };
    AddressFacts { address, hop, authenticated, skipped, matches: membership.matches(address, now) }
}

/// What is known about all hops of a message.
fn message_facts(
    settings: &Settings,
    membership: &Membership,
    client: IpAddr,
    header: &[u8],
    now: Timestamp,
) -> MessageFacts {
    let sightings = scan::sightings(header, &settings.scan_headers);
    let client = facts(settings, membership, client, Hop::Connect, false, now);
    let hops = sightings.iter().map(|seen| {
        facts(settings, membership, seen.address, seen.hop.clone(), seen.authenticated, now)
    });
    let addresses: Vec<_> = std::iter::once(client).chain(hops).collect();
    let logical = logical_client(&addresses, &sightings);
    with_good_client(settings, MessageFacts { addresses, logical })
}

/// Where the configuration says so, a good client clears all hops.
fn with_good_client(settings: &Settings, facts: MessageFacts) -> MessageFacts {
    let MessageFacts { mut addresses, logical } = facts;
    let good_client = addresses.get(logical).is_some_and(|client| client.cleared_by().is_some());
    if good_client && settings.good_client_skips_headers {
        for (index, other) in
            addresses.iter_mut().enumerate().filter(|(index, _other)| *index != logical)
        {
            let by_client = if index > 0 { Some(Skipped::GoodClient) } else { None };
            other.skipped = other.skipped.or(by_client);
        }
    }
    MessageFacts { addresses, logical }
}

/// The first hop that is not one of our own: the client, unless it is a trusted relay; then what the relay saw.
///
/// The relay's own loopback (a content filter handing mail back to it) counts as the relay.
fn logical_client(addresses: &[AddressFacts], sightings: &[scan::Sighting]) -> usize {
    let own = |facts: &AddressFacts| {
        facts.skipped == Some(Skipped::OwnRelay)
            || facts.skipped == Some(Skipped::Reserved(crate::net::Reserved::Loopback))
    };
    if !addresses.first().is_some_and(own) {
        return 0;
    }
    let hops = addresses.iter().enumerate().skip(1).zip(sightings);
    let mut seen_by_relays =
        hops.filter(|((_index, facts), seen)| seen.peer && matches!(facts.hop, Hop::Received(_)));
    seen_by_relays
        .find(|((_index, facts), _seen)| !own(facts))
        .map_or(0, |((index, _facts), _seen)| index)
}

/// A reference that cannot be guessed from another.
fn reference() -> Reference {
    // Without randomness from the system nothing on the host works; a fixed reference still lets mail through.
    Reference::new(getrandom::u64().unwrap_or(0))
}

/// One line per decision; what was let in without a word against it only at debug level.
fn log(client: &Client, decision: &Decision) {
    let line = DecisionLine { client, decision };
    let scored = decision.score.as_ref().is_some_and(|score| !score.evidence.is_empty());
    if decision.action == Action::Accept && decision.cause.is_none() && !scored {
        debug!(target: "decision", "{line}");
    } else {
        info!(target: "decision", "{line}");
    }
}

/// The greppable form of a decision, always with the same keys in the same order.
struct DecisionLine<'a> {
    client: &'a Client,
    decision: &'a Decision,
}

impl std::fmt::Display for DecisionLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Decision { phase, verdict, action, enforced, rules, reference, .. } = self.decision;
        let code = verdict.code();
        write!(f, "{phase} verdict=\"{verdict}\" code={code} action={action} enforced={enforced}")?;
        write!(f, " client=[{}]:{}", self.client.address.ip(), self.client.address.port())?;
        match &self.decision.offending {
            Some(offending) => write!(f, " offending=[{}] hop={}", offending.ip, offending.hop)?,
            None => write!(f, " offending=- hop=-")?,
        }
        match &self.decision.cause {
            Some(cause) => write!(f, " list={} entry={}", cause.list.name, cause.entry.prefix)?,
            None => write!(f, " list=- entry=-")?,
        }
        match &self.decision.score {
            Some(score) => {
                let (from, above) =
                    (score.thresholds.delay_from(), score.thresholds.reject_above());
                write!(
                    f,
                    " score={} band={} delay_from={from} reject_above={above}",
                    score.value, score.band
                )?;
                for item in &score.evidence {
                    write!(f, " evidence={}:{}", item.name, item.weight)?;
                }
            }
            None => write!(f, " score=- band=-")?,
        }
        write!(f, " rules={rules} ref={reference}")
    }
}

/// How many recorded decisions had each verdict and action.
#[derive(Debug, Default)]
pub struct Counters {
    slots: [[AtomicU64; Action::ALL.len()]; Verdict::ALL.len()],
}

impl Counters {
    fn count(&self, decision: &Decision) {
        if let Some(slot) = self.slot(decision.verdict, decision.effective()) {
            slot.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of decisions with this verdict and this effective action.
    pub fn get(&self, verdict: Verdict, action: Action) -> u64 {
        self.slot(verdict, action).map_or(0, |slot| slot.load(Ordering::Relaxed))
    }

    fn slot(&self, verdict: Verdict, action: Action) -> Option<&AtomicU64> {
        let row = Verdict::ALL.iter().position(|known| *known == verdict)?;
        let column = Action::ALL.iter().position(|known| *known == action)?;
        self.slots.get(row)?.get(column)
    }
}
