//! The audit record: one decision as one flat JSON object, in which absent is `null` and nothing is omitted.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::{
    Action, AddressFacts, Band, Cause, Decision, Evidence, Front, Greylisted, Offending, Phase,
    Reference, Skipped, Unanswered, Verdict,
};
use crate::clock::{Expiry, Timestamp};
use crate::direction::Route;
use crate::list::{Class, Match};
use crate::net::{Hop, Prefix};
use crate::zone::{Hit, Listing, Meaning, Silence, ZoneClass};

/// Addresses of one record; the client and those with matches go first.
const ADDRESSES: usize = 64;
/// Matches of one address in a record, the deciding one first.
const MATCHES: usize = 16;

/// The version of the record's fields.
pub const SCHEMA: u8 = 1;

/// What the SMTP dialogue said about a message; lossily decoded, capped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Envelope {
    /// The name given with HELO or EHLO.
    pub helo: String,
    /// The address of MAIL FROM, empty for a bounce.
    pub sender: String,
    /// The addresses of the RCPT TO that were accepted.
    pub recipients: Vec<String>,
}

impl Envelope {
    /// Letters of a name or an address that a record keeps.
    pub const KEPT: usize = 320;

    /// What a peer wrote, as it stands in an envelope.
    pub fn capped(text: impl AsRef<[u8]>) -> String {
        let text = text.as_ref();
        // Four octets are the most that a letter can have.
        let start = text.get(..Self::KEPT * 4).unwrap_or(text);
        String::from_utf8_lossy(start).chars().take(Self::KEPT).collect()
    }
}

/// What became of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the client was told in the end.
    pub reply: Option<String>,
    /// What the next hop said in the end.
    pub next_hop: Option<String>,
    /// The version of the rules when the data had ended; `None` before that.
    pub rules_at_end: Option<u64>,
    /// The size of the message.
    pub octets: Option<u64>,
    /// Whether the message lies in quarantine now, by the decision's reference.
    pub quarantined: bool,
    /// The name of the message in the queue of the mail server that asked, where it told.
    pub queue_id: Option<String>,
    /// The Message-ID field of the message, without its brackets; capped.
    pub message_id: Option<String>,
    /// What the message says that it is about; capped.
    pub subject: Option<String>,
}

/// How the connection of a client is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClientTls {
    /// The version of the protocol.
    pub version: &'static str,
    /// The cipher suite.
    pub cipher: &'static str,
}

/// One decision as the audit trail keeps it.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    /// The version of these fields.
    pub schema: u8,
    /// When the outcome was final.
    pub time: Timestamp,
    /// The name of the decision, also in the reply.
    pub reference: &'a Reference,
    /// By which front the connection came; `None` where it ended in the kernel.
    pub front: Option<Front>,
    /// When the decision was taken.
    pub phase: Phase,
    /// The outcome for people.
    pub verdict: Verdict,
    /// The outcome for machines.
    pub code: &'static str,
    /// What was decided.
    pub action: Action,
    /// False: a dry run, nothing was done.
    pub enforced: bool,
    /// False: so much was to be written that what did not decide is left out.
    pub details: bool,
    /// The peer of the connection.
    pub client: IpAddr,
    /// Its port.
    pub client_port: u16,
    /// The host of our own that named the client, where it was not the client itself that connected.
    pub peer: Option<IpAddr>,
    /// The address on which it was received.
    pub local: SocketAddr,
    /// How the connection is encrypted; `None` in the clear, and where another mail server has it.
    pub tls: Option<ClientTls>,
    /// The first hop that is not one of our relays.
    pub logical_client: Option<IpAddr>,
    /// The address that decided.
    pub offending: Option<&'a Offending>,
    /// The list that decided.
    pub list: Option<&'a str>,
    /// Its entry.
    pub entry: Option<Prefix>,
    /// Where the entry was written, as `FILE:LINE`, or who added it.
    pub entry_origin: Option<String>,
    /// Since when the list is known to have it.
    pub entry_added: Option<Timestamp>,
    /// The text beside the entry.
    pub entry_reason: Option<&'a str>,
    /// The zone that decided, or that gave no answer where it should decide.
    pub zone: Option<&'a str>,
    /// What the zone answered.
    pub zone_codes: Option<String>,
    /// What that says about the address: `listed` or `dynamic`.
    pub zone_meaning: Option<Meaning>,
    /// The text of the zone for the address.
    pub zone_text: Option<&'a str>,
    /// The version of the rules that were asked.
    pub rules: u64,
    /// The version of the rules when the data had ended.
    pub rules_at_end: Option<u64>,
    /// The score of the logical client.
    pub score: Option<u16>,
    /// Its band.
    pub band: Option<Band>,
    /// The first score of the delay band.
    pub delay_from: Option<u16>,
    /// The last score of the delay band.
    pub reject_above: Option<u16>,
    /// What made the score.
    pub evidence: &'a [Evidence],
    /// Which way the mail goes; `None` where nobody asked.
    pub route: Option<&'a Route>,
    /// How long the sender has to wait; `None` where it has not.
    pub greylisted: Option<&'a Greylisted>,
    /// The exempt sender domain for which SPF or DKIM passes.
    pub exempt: Option<&'a str>,
    /// The addresses that were looked at: of very many the client and those with matches first.
    pub addresses: Vec<AddressRecord<'a>>,
    /// How many addresses were looked at.
    pub addresses_total: usize,
    /// What the dialogue said, `None` at connect.
    pub envelope: Option<&'a Envelope>,
    /// The Message-ID field of the message, without its brackets.
    pub message_id: Option<String>,
    /// What the message says that it is about.
    pub subject: Option<String>,
    /// The size of the message.
    pub octets: Option<u64>,
    /// The name of the message in the queue of the mail server that asked; `None` for the proxy, which has no queue.
    pub queue_id: Option<String>,
    /// What the client was told.
    pub reply: Option<String>,
    /// The name of the message in quarantine; `None` where it is not kept there.
    pub quarantine: Option<&'a Reference>,
    /// What the next hop said in the end; `None` where another mail server decides about that.
    pub next_hop: Option<String>,
    /// What the kernel did; `None` where it was the daemon.
    pub kernel: Option<KernelFacts>,
}

/// What the kernel did with a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelFacts {
    /// What became of the packet.
    pub outcome: &'static str,
    /// What the rule says.
    pub action: Option<&'static str>,
    /// The number of the interface.
    pub interface: u32,
    /// For how many packets this record stands, the others having none.
    pub packets: u32,
    /// The length of the frame.
    pub octets: u32,
}

impl<'a> Record<'a> {
    /// Writes down `decision` about the connection from `client` to `local`, with what became of it.
    pub fn new(
        time: Timestamp,
        client: SocketAddr,
        local: SocketAddr,
        envelope: Option<&'a Envelope>,
        decision: &'a Decision,
        outcome: Outcome,
    ) -> Self {
        let cause = decision.cause.as_ref();
        let found = cause.and_then(Cause::entry);
        let listing = cause.and_then(|cause| match cause {
            Cause::Listing(listing) => Some(listing),
            Cause::Entry(_) | Cause::Unanswered(_) => None,
        });
        let score = decision.score.as_ref();
        Self {
            schema: SCHEMA,
            time,
            reference: &decision.reference,
            front: None,
            phase: decision.phase,
            verdict: decision.verdict,
            code: decision.verdict.code(),
            action: decision.action,
            enforced: decision.enforced,
            details: true,
            client: client.ip(),
            client_port: client.port(),
            peer: None,
            local,
            tls: None,
            logical_client: decision.logical_client,
            offending: decision.offending.as_ref(),
            list: found.map(|found| &*found.list.name),
            entry: found.map(|found| found.entry.prefix),
            entry_origin: found.map(Match::place),
            entry_added: found.and_then(|found| found.entry.added),
            entry_reason: found.and_then(|found| found.entry.reason.as_deref()),
            zone: cause.and_then(Cause::zone).map(|zone| &*zone.name),
            zone_codes: listing.map(Listing::codes),
            zone_meaning: decision.meaning(),
            zone_text: listing.and_then(|listing| listing.text.as_deref()),
            rules: decision.rules,
            rules_at_end: outcome.rules_at_end,
            score: score.map(|score| score.value),
            band: score.map(|score| score.band),
            delay_from: score.map(|score| score.thresholds.delay_from()),
            reject_above: score.map(|score| score.thresholds.reject_above()),
            evidence: score.map_or(&[], |score| &score.evidence),
            route: decision.route.as_ref(),
            greylisted: decision.greylisted.as_ref(),
            exempt: decision.exempt.as_deref(),
            addresses: recorded(&decision.addresses),
            addresses_total: decision.addresses.len(),
            envelope,
            message_id: outcome.message_id,
            subject: outcome.subject,
            octets: outcome.octets,
            queue_id: outcome.queue_id,
            reply: outcome.reply.or_else(|| decision.reply.as_ref().map(ToString::to_string)),
            quarantine: outcome.quarantined.then_some(&decision.reference),
            next_hop: outcome.next_hop,
            kernel: None,
        }
    }

    /// The same without what did not decide: evidence, and of the addresses all but the client, the logical client and the one
    /// that decided, each with its first match and listing.
    #[must_use]
    pub fn without_details(mut self) -> Self {
        let deciding = self.offending.map(|offending| offending.ip);
        let named = [Some(self.client), self.logical_client, deciding];
        let mut seen = Vec::new();
        self.addresses.retain(|address| {
            let is_new = !seen.contains(&address.ip);
            seen.push(address.ip);
            is_new && named.contains(&Some(address.ip))
        });
        for address in &mut self.addresses {
            address.matches.truncate(1);
            address.listings.truncate(1);
            address.unanswered.clear();
        }
        self.evidence = &[];
        self.details = false;
        self
    }
}

/// The addresses that fit into a record, in the order of their hops; a sender decides how many it writes down.
fn recorded(addresses: &[AddressFacts]) -> Vec<AddressRecord<'_>> {
    let mut wanted: Vec<_> = addresses.iter().enumerate().collect();
    let is_listed = |facts: &AddressFacts| !facts.matches.is_empty() || !facts.listings.is_empty();
    wanted.sort_by_key(|(index, facts)| (*index > 0 && !is_listed(facts), *index));
    wanted.truncate(ADDRESSES);
    wanted.sort_by_key(|(index, _facts)| *index);
    wanted.into_iter().map(|(_index, facts)| AddressRecord::new(facts)).collect()
}

/// One address of a decision as records and the command line show it.
#[derive(Debug, Serialize)]
pub struct AddressRecord<'a> {
    /// The address.
    pub ip: IpAddr,
    /// Where it was seen.
    pub hop: &'a Hop,
    /// Whether the field says that its sender had logged in.
    pub authenticated: bool,
    /// Why nothing was decided from it.
    pub skipped: Option<Skipped>,
    /// The entries that cover it, the deciding one first.
    pub matches: Vec<MatchRecord<'a>>,
    /// The zones that list it, the deciding one first.
    pub listings: Vec<ListingRecord<'a>>,
    /// The zones that gave no answer.
    pub unanswered: Vec<UnansweredRecord<'a>>,
}

impl<'a> AddressRecord<'a> {
    /// Shows `facts`.
    pub fn new(facts: &'a AddressFacts) -> Self {
        Self {
            ip: facts.address,
            hop: &facts.hop,
            authenticated: facts.authenticated,
            skipped: facts.skipped,
            matches: facts.matches.iter().take(MATCHES).map(MatchRecord::new).collect(),
            listings: facts.listings.iter().map(ListingRecord::new).collect(),
            unanswered: facts.unanswered.iter().map(UnansweredRecord::new).collect(),
        }
    }
}

/// One listing by a zone as records and the command line show it.
#[derive(Debug, Serialize)]
pub struct ListingRecord<'a> {
    /// The zone.
    pub zone: &'a str,
    /// Its class.
    pub class: ZoneClass,
    /// What the zone does about a listing.
    pub action: &'static str,
    /// Whether the zone is in force.
    pub enforce: bool,
    /// What it answered.
    pub hits: &'a [Hit],
    /// Its text for the address.
    pub text: Option<&'a str>,
}

impl<'a> ListingRecord<'a> {
    /// Shows `found`.
    pub fn new(found: &'a Listing) -> Self {
        Self {
            zone: &found.zone.name,
            class: found.zone.class,
            action: found.zone.action.name(),
            enforce: found.zone.enforce,
            hits: &found.hits,
            text: found.text.as_deref(),
        }
    }
}

/// A zone that gave no answer, as records and the command line show it.
#[derive(Debug, Serialize)]
pub struct UnansweredRecord<'a> {
    /// The zone.
    pub zone: &'a str,
    /// Why.
    pub reason: Silence,
}

impl<'a> UnansweredRecord<'a> {
    /// Shows `fault`.
    pub fn new(fault: &'a Unanswered) -> Self {
        Self { zone: &fault.zone.name, reason: fault.reason }
    }
}

/// One match as records and the command line show it.
#[derive(Debug, Serialize)]
pub struct MatchRecord<'a> {
    /// The list.
    pub list: &'a str,
    /// Its class.
    pub class: Class,
    /// What the list does about a match.
    pub action: &'static str,
    /// Whether the list is in force.
    pub enforce: bool,
    /// The entry.
    pub entry: Prefix,
    /// Where it was written, as `FILE:LINE`, or who added it.
    pub origin: String,
    /// The text beside it.
    pub reason: Option<&'a str>,
    /// Since when the list is known to have it.
    pub added: Option<Timestamp>,
    /// When it ends by itself.
    pub expires: Option<Expiry>,
}

impl<'a> MatchRecord<'a> {
    /// Shows `found`.
    pub fn new(found: &'a Match) -> Self {
        Self {
            list: &found.list.name,
            class: found.list.class,
            action: found.list.action.name(),
            enforce: found.list.enforce,
            entry: found.entry.prefix,
            origin: found.place(),
            reason: found.entry.reason.as_deref(),
            added: found.entry.added,
            expires: found.entry.expires,
        }
    }
}
