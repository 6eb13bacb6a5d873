//! The header of a message is there: all of its hops are looked at.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::debug;

use super::recipient::MailSaid;
use super::{Client, Engine, Lists, Settings, reference};
use crate::auth::{Spf, aligned};
use crate::direction::Route;
use crate::list::HopScope;
use crate::net::{Hop, Ptr, Reserved, reserved};
use crate::policy::{
    AddressFacts, ClientFacts, Decision, DelayMode, Envelope, MessageFacts, Phase, Policy, Skipped,
    Verdict, decide_greylisted, decide_message,
};
use crate::scan;

/// Addresses of one message that zones are asked about: a sender decides how many it writes down.
const ASKED: usize = 64;

/// What a message says of itself up to its body, with what is known of its client.
#[derive(Clone, Copy, Debug)]
pub struct MessageHead<'a> {
    /// The two ends of the connection.
    pub client: &'a Client,
    /// Which way its mail goes.
    pub route: Option<&'a Route>,
    /// What the dialogue said.
    pub envelope: &'a Envelope,
    /// All octets up to the empty line.
    pub header: &'a [u8],
    /// The exempt domain whose signature was verified; `None` where none was, or not yet.
    pub proved: Option<&'a Arc<str>>,
}

/// How far a message is exempt from the score.
#[derive(Debug, Default)]
struct Exemption {
    /// The exempt domain that is proved.
    exempt: Option<Arc<str>>,
    /// The exempt domain that a signature would prove.
    provable: Option<Arc<str>>,
    /// Whether DNS did not tell.
    is_uncertain: bool,
}

/// What is decided about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The decision.
    pub decision: Decision,
    /// The exempt domain in whose name it comes: were it signed by that one, the score would not stop it.
    pub provable: Option<Arc<str>>,
}

impl Judged {
    /// What this one comes to where the rules are others than when `first` was decided (S0.6); the record names the first rules.
    ///
    /// A signature that may speak for the sender, and was not looked at, is no reason for a 5xx: the message has to come again.
    pub fn after(self, first: &Decision) -> Decision {
        let decision = Decision { rules: first.rules, ..self.decision };
        let was_looked_at = first.refusal().is_some() && first.verdict != Verdict::DnsTempfail;
        let is_unproved = self.provable.is_some() && !was_looked_at;
        if is_unproved && decision.refusal().is_some() { decision.come_again() } else { decision }
    }
}

impl From<Decision> for Judged {
    fn from(decision: Decision) -> Self {
        Self { decision, provable: None }
    }
}

impl Engine {
    /// Judges a message by its header.
    ///
    /// Takes as long as DNS does, and never longer than three budgets: for its addresses, for an exemption, for the greylist.
    pub async fn judge_message(&self, message: MessageHead<'_>) -> Judged {
        let settings = self.settings.load_full();
        let policy = self.policy(&settings);
        self.times.measure(Phase::Message, self.judge_header(&settings, &policy, message)).await
    }

    /// Judges a message as if it came now; nothing is counted or recorded. Whom the greylist would let in is told as deferred.
    pub async fn look_at_message(&self, message: MessageHead<'_>) -> Decision {
        let settings = self.settings.load_full();
        let policy = self.policy(&settings).into_owned();
        let policy = Policy { delay_mode: DelayMode::Static, ..policy };
        self.judge_header(&settings, &policy, message).await.decision
    }

    async fn judge_header(
        &self,
        settings: &Settings,
        policy: &Policy,
        message: MessageHead<'_>,
    ) -> Judged {
        let lists = self.lists.load_full();
        let deadline = Instant::now() + settings.dns_budget;
        let facts = self.message_facts(settings, &lists, policy, message, deadline).await;
        debug!(target: "scan", "client=[{}] {}", message.client.address.ip(), hops(&facts));
        let decide = |facts| decide_message(policy, facts, lists.version, reference());
        let (logical, client) = (facts.logical, facts.client.clone());
        let decision = decide(facts);
        if !matches!(decision.verdict, Verdict::ReputationDelay | Verdict::ReputationReject) {
            return decision.into();
        }
        // Only against the score, and only for who is who he says (S3.7).
        let address = decision.logical_client.unwrap_or_else(|| message.client.address.ip());
        let Exemption { exempt, provable, is_uncertain } =
            self.exempt(settings, message, address).await;
        // What is known of all hops is in the decision, and is decided about again where more is known of the sender.
        let again = |decision: Decision, passed, exempt| {
            let addresses = decision.addresses;
            decide(MessageFacts { addresses, logical, client, passed, exempt }).into()
        };
        if exempt.is_some() {
            return again(decision, false, exempt);
        }
        if is_uncertain {
            return Judged { decision: decision.put_off(), provable };
        }
        if decision.verdict != Verdict::ReputationDelay || policy.delay_mode == DelayMode::Static {
            return Judged { decision, provable };
        }
        let Envelope { helo, sender, recipients } = message.envelope;
        let recipient = recipients.first().map_or("", String::as_str);
        match self.greylist(settings, address, MailSaid { helo, sender, recipient }).await {
            Some(waits) => {
                Judged { decision: decide_greylisted(policy, decision, waits), provable }
            }
            None => again(decision, true, None),
        }
    }

    /// Judges a message of which only the envelope is known: its client, by the lists and zones that act at the message.
    ///
    /// The score has no say: who is exempt from it, only the header tells.
    pub async fn judge_envelope(&self, message: MessageHead<'_>) -> Decision {
        self.times.measure(Phase::Message, self.judge_without_header(message)).await
    }

    async fn judge_without_header(&self, message: MessageHead<'_>) -> Decision {
        let (settings, lists) = (self.settings.load_full(), self.lists.load_full());
        let policy = self.policy(&settings).into_owned();
        let policy = Policy { thresholds: None, ..policy };
        let deadline = Instant::now() + settings.dns_budget;
        let facts = self.message_facts(&settings, &lists, &policy, message, deadline).await;
        decide_message(&policy, facts, lists.version, reference())
    }

    /// Whether `message` has a signature of `domain`, as exempt domains are written, over all of it.
    ///
    /// `None` where DNS did not tell.
    pub async fn is_signed_by(&self, domain: &str, message: Vec<u8>) -> Option<bool> {
        let Some(authenticator) = &self.asks.authenticator else { return Some(false) };
        let within = self.settings.load().dns_budget;
        let dkim = authenticator.dkim(message, within).await;
        if dkim.domains.iter().any(|signer| aligned(signer, domain)) {
            return Some(true);
        }
        (!dkim.is_uncertain).then_some(false)
    }

    /// What is known about all hops of a message, and what can still be asked.
    async fn message_facts(
        &self,
        settings: &Settings,
        lists: &Lists,
        policy: &Policy,
        message: MessageHead<'_>,
        deadline: Instant,
    ) -> MessageFacts {
        let MessageHead { client, route, envelope, header, .. } = message;
        let sightings = scan::sightings(header, &settings.scan_headers);
        let client = self.listed(settings, lists, client.address.ip(), client.hop(), false);
        let hops = sightings.iter().map(|seen| {
            self.listed(settings, lists, seen.address, seen.hop.clone(), seen.authenticated)
        });
        let addresses: Vec<_> = std::iter::once(client).chain(hops).collect();
        let logical = logical_client(&addresses, &sightings);
        let facts = MessageFacts { addresses, logical, ..MessageFacts::default() };
        let facts = with_good_client(settings, facts);
        if route.is_some_and(Route::may_relay) {
            let about = ClientFacts { route: route.cloned(), evidence: Vec::new() };
            return MessageFacts { client: about, ..facts };
        }
        let addresses = self.ask_about_hops(facts.addresses, logical, deadline).await;
        // A command that judges a file knows of no greeting.
        let helo = Some(&*envelope.helo).filter(|helo| logical == 0 && !helo.is_empty());
        let address = addresses.get(logical).map(|facts| facts.address);
        let evidence = match address.filter(|_| policy.thresholds.is_some()) {
            Some(address) if policy.score_at_message => {
                // Behind a relay nobody asked for the name of the logical client.
                let ptr = route.filter(|_route| logical == 0).map_or(&Ptr::NotAsked, |it| &it.ptr);
                let of_helo =
                    helo.and_then(|helo| policy.weights.of_helo(address, helo, &settings.hostname));
                self.evidence(policy, address, ptr).into_iter().chain(of_helo).collect()
            }
            _ => Vec::new(),
        };
        let about = ClientFacts { route: route.cloned(), evidence };
        MessageFacts { addresses, client: about, ..facts }
    }

    /// Asks zones about the logical client, and those that look beyond it about the other hops, all at once.
    async fn ask_about_hops(
        &self,
        addresses: Vec<AddressFacts>,
        logical: usize,
        deadline: Instant,
    ) -> Vec<AddressFacts> {
        if self.asks.zones.is_none() {
            return addresses;
        }
        let mut asked: Vec<IpAddr> = Vec::new();
        let hops = addresses.into_iter().enumerate().map(|(index, facts)| {
            let is_client = index == logical;
            let is_open = facts.skipped.is_none()
                && facts.cleared_by().is_none()
                && reserved(facts.address).is_none();
            let known = asked.contains(&facts.address);
            let is_asked = is_open && (known || is_client || asked.len() < ASKED);
            if is_asked && !known {
                asked.push(facts.address);
            }
            async move {
                if !is_asked {
                    return facts;
                }
                let which = |zone: &crate::zone::Zone| is_client || zone.hops != HopScope::Connect;
                self.ask_zones(facts, which, deadline).await
            }
        });
        let hops: Vec<_> = hops.collect();
        join_all(hops).await
    }

    /// The exempt domain for which SPF passes, or else the one for which a signature would do.
    ///
    /// The domain that counts is the author's, which the reader sees. SPF proves it where the envelope has the same one.
    async fn exempt(
        &self,
        settings: &Settings,
        message: MessageHead<'_>,
        address: IpAddr,
    ) -> Exemption {
        let MessageHead { envelope, header, proved, .. } = message;
        if let Some(domain) = proved {
            return Exemption { exempt: Some(Arc::clone(domain)), ..Exemption::default() };
        }
        let Some(authenticator) = &self.asks.authenticator else { return Exemption::default() };
        let author = scan::from_domain(header);
        let exempt = author.and_then(|author| {
            let exempt = settings.exempt_domains.iter().find(|exempt| aligned(&author, exempt))?;
            Some((author, Arc::clone(exempt)))
        });
        let Some((author, exempt)) = exempt else { return Exemption::default() };
        let mut is_uncertain = false;
        let said = envelope.sender.rsplit_once('@').map_or("", |(_local, domain)| domain);
        if said.eq_ignore_ascii_case(&author) {
            let within = settings.dns_budget;
            let Envelope { helo, sender, .. } = envelope;
            let asked = authenticator.spf(address, helo, sender, &settings.hostname, within);
            match asked.await {
                Spf::Pass(domain) if domain.eq_ignore_ascii_case(&author) => {
                    return Exemption { exempt: Some(exempt), ..Exemption::default() };
                }
                Spf::Fault => is_uncertain = true,
                Spf::Pass(_) | Spf::NotPass(_) => {}
            }
        }
        Exemption { exempt: None, provable: Some(exempt), is_uncertain }
    }
}

/// The hops of a message as the log has them: each with where it was seen, and why nothing is decided from it.
fn hops(facts: &MessageFacts) -> String {
    let of_one = |(index, facts): (usize, &AddressFacts)| {
        let skipped = facts.skipped.map(|skipped| format!(" skipped={skipped:?}"));
        let (address, hop) = (facts.address, &facts.hop);
        format!("{index}: [{address}] hop={hop}{}", skipped.unwrap_or_default())
    };
    // A sender decides how many there are.
    let shown = facts.addresses.iter().take(ASKED).enumerate().map(of_one);
    let shown = shown.collect::<Vec<_>>().join(", ");
    format!("logical={} hops={} {shown}", facts.logical, facts.addresses.len())
}

/// Where the configuration says so, a good client clears all hops.
pub(super) fn with_good_client(settings: &Settings, mut facts: MessageFacts) -> MessageFacts {
    let logical = facts.logical;
    let good_client = facts.logical_client().is_some_and(|client| client.cleared_by().is_some());
    if good_client && settings.good_client_skips_headers {
        let others = facts.addresses.iter_mut().enumerate();
        for (index, other) in others.filter(|(index, _other)| *index != logical) {
            let by_client = if index > 0 { Some(Skipped::GoodClient) } else { None };
            other.skipped = other.skipped.or(by_client);
        }
    }
    facts
}

/// The first hop that is not one of our own: the client, unless it is a trusted relay; then what the relay saw.
///
/// The relay's own loopback (a content filter handing mail back to it) counts as the relay.
fn logical_client(addresses: &[AddressFacts], sightings: &[scan::Sighting]) -> usize {
    let own = |facts: &AddressFacts| {
        facts.skipped == Some(Skipped::OwnRelay)
            || facts.skipped == Some(Skipped::Reserved(Reserved::Loopback))
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
