//! One connection, one message: gathers the facts, has them decided, remembers and records the decision.

mod asks;
mod counters;
mod gather;
mod log;
mod message;
mod recipient;
mod times;

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use moka::sync::Cache;
use tokio::time::Instant;

pub use self::asks::Asks;
pub use self::counters::Counters;
pub use self::message::{Judged, MessageHead};
pub use self::recipient::MailSaid;
pub use self::times::{Times, Took};
use crate::audit;
use crate::clock::Clock;
use crate::direction::{Acceptance, Accepted, Direction, Route, RouteReason};
use crate::list::{List, Membership};
use crate::net::{Hop, Prefix, Ptr};
use crate::pause::Pause;
use crate::policy::{
    Action, AddressFacts, Cause, ClientFacts, ClientTls, Decision, DelayMode, Envelope, Front,
    Judged as ByScore, MessageFacts, Outcome, Phase, Policy, Record, Reference, Reply,
    SetThresholds, Tally, Thresholds, Verdict, decide_connect, decide_message,
};
use crate::sender::{
    Event, Greylist, History, HistorySettings, Pool, Promotion, PromotionSettings, Promotions,
};
use crate::tap::Taps;

/// How long it is remembered whose pool a client is.
const PROVIDER_KEPT: Duration = Duration::from_secs(30);

/// Promotions that wait to be taken up; a flood of them says nothing new.
const MOST_PROMOTIONS: usize = 1000;

/// The two ends of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The client, IPv4-mapped addresses folded.
    pub address: SocketAddr,
    /// Our end, or that of the mail server that asks.
    pub local: SocketAddr,
    /// Who told us of it; `None` where it is the peer itself.
    pub named_by: Option<NamedBy>,
    /// By which front it came.
    pub front: Front,
    /// How its connection is encrypted; `None` in the clear, and where another mail server has it.
    pub tls: Option<ClientTls>,
}

/// A host of our own that named the client of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// By a PROXY header.
    Proxy(IpAddr),
    /// By XCLIENT.
    Xclient(IpAddr),
}

impl Client {
    /// A client that connected by itself, to the SMTP front.
    pub const fn new(address: SocketAddr, local: SocketAddr) -> Self {
        Self { address, local, named_by: None, front: Front::Smtp, tls: None }
    }

    /// Where its address was seen.
    pub const fn hop(&self) -> Hop {
        match self.named_by {
            None => Hop::Connect,
            Some(NamedBy::Proxy(_)) => Hop::Proxy,
            Some(NamedBy::Xclient(_)) => Hop::Xclient,
        }
    }

    /// The peer of the connection, where that is another host.
    pub fn peer(&self) -> Option<IpAddr> {
        self.named_by.map(|(NamedBy::Proxy(peer) | NamedBy::Xclient(peer))| peer)
    }
}

/// What an operator can say about how connections and messages are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How facts become a decision.
    pub policy: Policy,
    /// Our name, with which only forgers greet us.
    pub hostname: Arc<str>,
    /// Our own relays: what they hand over is judged by the hop before them.
    pub trusted_relays: Vec<Prefix>,
    /// Header fields beside Received whose addresses count.
    pub scan_headers: Vec<Arc<str>>,
    /// Whether a good client clears all hops of its messages, not only its own.
    pub good_client_skips_headers: bool,
    /// What one connection, or one message, waits for DNS in all.
    pub dns_budget: Duration,
    /// Which clients are our own.
    pub acceptance: Vec<Acceptance>,
    /// How the greylist works, where the policy has it.
    pub greylist: Greylist,
    /// What the past of an address weighs.
    pub history: HistorySettings,
    /// When an address goes into the list `auto`.
    pub promotion: PromotionSettings,
    /// The sender domains that the score does not stop in the message policy; one with a dot before it stands for its
    /// subdomains alone.
    pub exempt_domains: Vec<Arc<str>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            hostname: "localhost".into(),
            trusted_relays: Vec::new(),
            scan_headers: Vec::new(),
            good_client_skips_headers: false,
            dns_budget: Duration::from_secs(2),
            acceptance: Vec::new(),
            greylist: Greylist::default(),
            history: HistorySettings::default(),
            promotion: PromotionSettings::default(),
            exempt_domains: Vec::new(),
        }
    }
}

/// Judges connections and messages; shared by all fronts.
#[derive(Debug)]
pub struct Engine {
    settings: ArcSwap<Settings>,
    lists: ArcSwap<Lists>,
    accepted: ArcSwap<Accepted>,
    /// The addresses of the hosts in acceptance lists, as last resolved.
    hosts: ArcSwap<HashMap<Arc<str>, Vec<IpAddr>>>,
    /// Thresholds that count instead of the configuration's.
    slider: ArcSwapOption<SetThresholds>,
    /// The configuration's. Held while acceptance lists and settings are put together, so that nothing that is gone comes back.
    changing: Mutex<Option<Thresholds>>,
    pause: ArcSwapOption<Pause>,
    asks: Asks,
    history: History,
    promotions: Promotions,
    /// Whose pool a client is, by its address and what it says: one transaction asks for each of its recipients.
    providers: Cache<(IpAddr, Box<str>), Option<Pool>>,
    promoted: Mutex<Vec<Promotion>>,
    audit: audit::Writer,
    taps: Taps,
    clock: Clock,
    decisions: Counters,
    tally: Mutex<Tally>,
    times: Times,
}

/// The lists in force, under one version.
#[derive(Debug, Default)]
struct Lists {
    version: u64,
    membership: Arc<Membership>,
}

impl Engine {
    /// An engine with no lists yet, which asks nobody.
    pub fn new(settings: Settings, audit: audit::Writer, clock: Clock) -> Self {
        Self {
            accepted: ArcSwap::from_pointee(Accepted::new(&settings.acceptance)),
            changing: Mutex::new(settings.policy.thresholds),
            history: History::new(settings.history),
            promotions: Promotions::new(settings.promotion),
            providers: Cache::builder().max_capacity(10_000).time_to_live(PROVIDER_KEPT).build(),
            settings: ArcSwap::from_pointee(settings),
            lists: ArcSwap::default(),
            hosts: ArcSwap::default(),
            slider: ArcSwapOption::default(),
            pause: ArcSwapOption::default(),
            asks: Asks::default(),
            promoted: Mutex::default(),
            audit,
            taps: Taps::default(),
            clock,
            decisions: Counters::default(),
            tally: Mutex::new(Tally::begin(clock.now())),
            times: Times::default(),
        }
    }

    /// The same engine, which asks those in `asks`.
    #[must_use]
    pub fn asking(self, asks: Asks) -> Self {
        Self { asks, ..self }
    }

    /// Puts other settings in force, for decisions from now on.
    pub fn set_settings(&self, settings: Settings) {
        let mut configured = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        *configured = settings.policy.thresholds;
        self.history.set(settings.history);
        self.promotions.set(settings.promotion);
        let accepted = Accepted::new(&settings.acceptance).with_hosts(&self.hosts.load());
        self.accepted.store(Arc::new(accepted));
        self.settle(settings, *configured);
    }

    /// Puts thresholds in the place of the configuration's or, with `None`, those in force again, for decisions from now on.
    pub fn set_slider(&self, set: Option<SetThresholds>) {
        let configured = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.slider.store(set.map(Arc::new));
        self.settle(Settings::clone(&self.settings.load()), *configured);
    }

    /// Where there is no score, there are no thresholds, whatever was set.
    fn settle(&self, mut settings: Settings, configured: Option<Thresholds>) {
        let set = self.slider.load();
        settings.policy.thresholds =
            configured.map(|configured| set.as_ref().map_or(configured, |set| set.thresholds));
        self.settings.store(Arc::new(settings));
    }

    /// The thresholds that count instead of the configuration's.
    pub fn slider(&self) -> Option<Arc<SetThresholds>> {
        self.slider.load_full()
    }

    /// Puts other lists in force, for decisions from now on.
    pub fn set_lists(&self, membership: Arc<Membership>, version: u64) {
        self.lists.store(Arc::new(Lists { version, membership }));
    }

    /// Takes up the addresses of the hosts in acceptance lists.
    pub fn set_hosts(&self, hosts: Arc<HashMap<Arc<str>, Vec<IpAddr>>>) {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.accepted.store(Arc::new(self.accepted.load().with_hosts(&hosts)));
        self.hosts.store(hosts);
    }

    /// The prefixes of clients of our own, which no list may refuse.
    pub fn accepted_prefixes(&self) -> Vec<Prefix> {
        self.accepted.load().outbound_prefixes()
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

    /// The lists in force with their entries.
    pub fn membership(&self) -> Arc<Membership> {
        Arc::clone(&self.lists.load().membership)
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

    /// What the score said of those of the last day.
    pub fn tally(&self) -> Tally {
        self.counted().clone()
    }

    /// Goes on counting from what was counted before.
    pub fn set_tally(&self, tally: Tally) {
        *self.counted() = tally;
    }

    fn counted(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long they took.
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// The audit trail that the decisions go to.
    pub fn audit(&self) -> &audit::Writer {
        &self.audit
    }

    /// Those who follow an address.
    pub fn taps(&self) -> &Taps {
        &self.taps
    }

    /// Those that it asks.
    pub fn asks(&self) -> &Asks {
        &self.asks
    }

    /// When an address goes into the list `auto`, and for how long.
    pub fn promotion(&self) -> PromotionSettings {
        self.promotions.settings()
    }

    /// How the greylist works now.
    pub fn greylist_settings(&self) -> Greylist {
        self.settings.load().greylist
    }

    /// Takes what was refused so often that it belongs into the list `auto`; networks whose mail passed are not among it.
    /// It asks the store, so it is not for threads that carry mail.
    pub fn take_promotions(&self) -> Vec<Promotion> {
        let mut promoted = self.promoted.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *promoted);
        drop(promoted);
        taken.into_iter().filter(|it| !self.is_passed(it.prefix.address())).collect()
    }

    /// Judges a connection before the greeting; `fixed` is the way of all mail of its listener.
    ///
    /// Takes as long as DNS does, and never longer than its budget.
    pub async fn judge_connection(&self, client: &Client, fixed: Option<Direction>) -> Decision {
        let settings = self.settings.load_full();
        let (address, hop) = (client.address.ip(), client.hop());
        let policy = self.policy(&settings);
        let judging = self.judge_client(&settings, &policy, address, hop, fixed);
        self.times.measure(Phase::Connect, judging).await
    }

    /// Judges the connection of a client whose user has logged in at the mail server that asks: it is one of our own, and
    /// nobody is asked about it.
    pub fn judge_authenticated(&self, client: &Client) -> Decision {
        let (settings, lists) = (self.settings.load(), self.lists.load());
        let facts = self.listed(&settings, &lists, client.address.ip(), Hop::Connect, true);
        let (direction, reason) = (Direction::Outbound, RouteReason::Authenticated);
        let route = Some(Route { direction, reason, ptr: Ptr::NotAsked });
        let about = ClientFacts { route, evidence: Vec::new() };
        decide_connect(&self.policy(&settings), facts, about, lists.version, reference())
    }

    /// Judges `address` as if it connected now; nothing is counted or recorded. Whom the greylist would let in up to its
    /// recipients is told as deferred: who is not known there has to wait.
    pub async fn look_up(&self, address: IpAddr) -> Decision {
        let settings = self.settings.load_full();
        let policy = self.policy(&settings).into_owned();
        let policy = Policy { delay_mode: DelayMode::Static, ..policy };
        self.judge_client(&settings, &policy, address, Hop::Connect, None).await
    }

    async fn judge_client(
        &self,
        settings: &Settings,
        policy: &Policy,
        address: IpAddr,
        hop: Hop,
        fixed: Option<Direction>,
    ) -> Decision {
        let lists = self.lists.load_full();
        let deadline = Instant::now() + settings.dns_budget;
        let facts = self.listed(settings, &lists, address, hop, false);
        let (facts, about) = self.ask_about_client(policy, facts, fixed, deadline).await;
        decide_connect(policy, facts, about, lists.version, reference())
    }

    /// Whether `address` is one of our own relays.
    pub fn is_trusted_relay(&self, address: IpAddr) -> bool {
        self.settings.load().trusted_relays.iter().any(|relay| relay.contains(address))
    }

    /// Whether anything good is known of `address`: it is our own, a list vouches for it, or mail of it was delivered of late.
    ///
    /// Nobody is asked, so that it can be told before anything is spent on a client.
    pub fn is_known_good(&self, address: IpAddr) -> bool {
        let (settings, lists) = (self.settings.load(), self.lists.load());
        let facts = self.listed(&settings, &lists, address, Hop::Connect, false);
        facts.skipped.is_some()
            || facts.cleared_by().is_some()
            || self.accepted.load().by_address(address).is_some_and(|it| it.direction.is_outbound())
            || self.history.has_delivered(address, self.clock.now())
    }

    /// Judges `address` by the lists alone, as if it connected now; nothing is asked, counted or recorded.
    pub fn judge_address(&self, address: IpAddr) -> Decision {
        let (settings, lists) = (self.settings.load(), self.lists.load());
        let facts = self.listed(&settings, &lists, address, Hop::Connect, false);
        let policy = self.policy(&settings);
        decide_connect(&policy, facts, ClientFacts::default(), lists.version, reference())
    }

    /// Judges a message again by the lists in force now, from what the trail has of it; nothing is asked, counted or recorded.
    ///
    /// A pause does not count: what would be decided after it is what an operator wants to know.
    pub fn judge_again(&self, message: &audit::SeenMessage) -> Decision {
        let (settings, lists) = (self.settings.load(), self.lists.load());
        let seen = message.addresses.iter().map(|seen| {
            self.listed(&settings, &lists, seen.ip, seen.hop.clone(), seen.authenticated)
        });
        let addresses: Vec<_> = seen.collect();
        let is_logical = |facts: &AddressFacts| Some(facts.address) == message.logical_client;
        let logical = addresses.iter().position(is_logical).unwrap_or(0);
        let facts = MessageFacts { addresses, logical, ..MessageFacts::default() };
        let facts = message::with_good_client(&settings, facts);
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
            route: None,
            greylisted: None,
            exempt: None,
            addresses: Vec::new(),
            rules: self.rules_version(),
            reply: Some(reply),
            reference: reference(),
        }
    }

    /// Writes a decision to the log and the audit trail, once its outcome is final, and remembers what the client did.
    pub fn record(
        &self,
        client: &Client,
        envelope: Option<&Envelope>,
        decision: &Decision,
        outcome: Outcome,
    ) {
        self.decisions.count(decision);
        let judged = ByScore::of(decision);
        self.counted().note(decision.phase, judged, self.clock.now());
        log::log(client, decision);
        self.remember(client, decision, &outcome);
        let (now, Client { address, local, tls, .. }) = (self.clock.now(), *client);
        let record = Record::new(now, address, local, envelope, decision, outcome);
        let record = Record { peer: client.peer(), front: Some(client.front), tls, ..record };
        self.taps.tell(|prefix| concerns(prefix, client, decision), "decision", &record);
        self.audit.write_decision(record);
    }

    /// What a decision says about the past of its client. Only what happened at its own connection counts, and of refusals only
    /// those by list, zone or score: neither waits, nor other hops of a message, nor what the next hop says.
    fn remember(&self, client: &Client, decision: &Decision, outcome: &Outcome) {
        let (address, now) = (client.address.ip(), self.clock.now());
        let accepted = outcome.next_hop.as_ref().is_some_and(|reply| reply.starts_with('2'));
        let is_client = decision.logical_client == Some(address);
        match decision.phase {
            Phase::Message if accepted && is_client => {
                self.history.note(address, Event::Delivered, now);
            }
            Phase::Connect
                if decision.verdict == Verdict::EarlyTalker && decision.effective().refuses() =>
            {
                self.history.note(address, Event::EarlyTalking, now);
            }
            Phase::Connect
                if decision.effective() == Action::Reject && is_by_reputation(decision) =>
            {
                self.history.note(address, Event::Refused, now);
                if let Some(promotion) = self.promotions.refused(address, now) {
                    let mut promoted = self.promoted.lock().unwrap_or_else(PoisonError::into_inner);
                    if promoted.len() < MOST_PROMOTIONS {
                        promoted.push(promotion);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether a list, a zone or the score decided.
fn is_by_reputation(decision: &Decision) -> bool {
    let by_cause = matches!(decision.cause, Some(Cause::Entry(_) | Cause::Listing(_)));
    by_cause || decision.verdict == Verdict::ReputationReject
}

/// Whether a decision is about an address of `prefix`: the client, the host that named it, or a hop of its message.
fn concerns(prefix: &Prefix, client: &Client, decision: &Decision) -> bool {
    let ends = [Some(client.address.ip()), client.peer(), decision.logical_client];
    let hops = decision.addresses.iter().map(|facts| facts.address);
    ends.into_iter().flatten().chain(hops).any(|address| prefix.contains(address))
}

/// A reference that cannot be guessed from another.
fn reference() -> Reference {
    // Without randomness from the system nothing on the host works; a fixed reference still lets mail through.
    Reference::new(getrandom::u64().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn what_was_set_by_hand_counts_until_it_is_reset_whatever_the_configuration_says_meanwhile() {
        let thresholds = |from, above| Thresholds::from_scores(from, above).unwrap();
        let settings = |thresholds| Settings {
            policy: Policy { thresholds, ..Policy::default() },
            ..Settings::default()
        };
        let set = |thresholds| SetThresholds {
            thresholds,
            author: "ada".into(),
            at: Timestamp::UNIX_EPOCH,
        };
        let (first, second, by_hand) =
            (thresholds(500, 600), thresholds(550, 650), thresholds(700, 800));
        let engine = Engine::new(settings(Some(first)), audit::Writer::none(), Clock::System);
        let in_force = || engine.settings.load().policy.thresholds;
        engine.set_slider(Some(set(by_hand)));
        assert_eq!(in_force(), Some(by_hand));
        engine.set_settings(settings(Some(second)));
        assert_eq!(in_force(), Some(by_hand));
        engine.set_settings(settings(None));
        assert_eq!(in_force(), None, "there is no score");
        engine.set_settings(settings(Some(second)));
        assert_eq!(in_force(), Some(by_hand));
        engine.set_slider(None);
        assert_eq!(in_force(), Some(second));
    }
}
