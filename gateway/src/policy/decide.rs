//! The decision itself, pure: policy and facts in, decision out.

use std::cmp::Reverse;
use std::sync::Arc;

use super::finding::{Finding, client_finding, hop_findings};
use super::{
    Action, AddressFacts, Band, Cause, ClientFacts, DNS_UNAVAILABLE, Decision, Evidence,
    EvidenceWeights, Greylisted, MessageFacts, Phase, Reference, Reply, ReplyStyle, Score,
    Thresholds, Verdict,
};
use crate::direction::Route;
use crate::zone::Meaning;

/// What an operator can say about decisions, apart from lists and zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// False: a dry run of everything.
    pub enforce: bool,
    /// Where the bands of the score are; `None` switches the score off.
    pub thresholds: Option<Thresholds>,
    /// What is done about a score in the delay band.
    pub delay_mode: DelayMode,
    /// Whether the score is judged when a client connects.
    pub score_at_connect: bool,
    /// Whether the score is judged when the header of a message is there.
    pub score_at_message: bool,
    /// What facts beside lists and zones add to the score.
    pub weights: EvidenceWeights,
    /// How much a refused client is told.
    pub reply_style: ReplyStyle,
}

impl Default for Policy {
    /// Nothing is enforced, and nothing is scored.
    fn default() -> Self {
        Self {
            enforce: false,
            thresholds: None,
            delay_mode: DelayMode::Static,
            score_at_connect: true,
            score_at_message: true,
            weights: EvidenceWeights::default(),
            reply_style: ReplyStyle::default(),
        }
    }
}

/// What is done about a score in the delay band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayMode {
    /// Each try is scored anew, and deferred when it connects.
    Static,
    /// A retry of the same mail passes, and its sender is remembered.
    Greylist,
}

/// Decides about a connection from what is known of its client.
pub fn decide_connect(
    policy: &Policy,
    client: AddressFacts,
    about: ClientFacts,
    rules: u64,
    reference: Reference,
) -> Decision {
    let all = std::slice::from_ref(&client);
    let thresholds = policy.thresholds.filter(|_thresholds| policy.score_at_connect);
    let score = thresholds.map(|thresholds| (thresholds, evidence(&client, all, &about.evidence)));
    // What may be greylisted is let in up to its recipients.
    let is_later = policy.delay_mode == DelayMode::Greylist;
    let finding = client_finding(policy, &client, about.route.as_ref(), score, is_later);
    let logical_client = client.skipped.is_none().then_some(client.address);
    let decision = Decision {
        logical_client,
        route: about.route,
        ..finding.decided(Phase::Connect, vec![client], rules, reference)
    };
    Decision { reply: reply(policy, &decision, true), ..decision }
}

/// What the score says when a recipient is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtRecipient {
    /// Nothing against it.
    Pass,
    /// It is refused, or deferred whoever sends.
    Stop(Box<Decision>),
    /// It passes if its sender is known or has waited long enough; the decision says what it is else.
    Greylist(Box<Decision>),
}

/// Decides about a recipient of the client that `connection` let in. By then its name is known, which adds `evidence`.
pub fn decide_recipient(
    policy: &Policy,
    connection: &Decision,
    evidence: &[Evidence],
    reference: Reference,
) -> AtRecipient {
    let scored = connection.score.as_ref().zip(connection.addresses.first());
    let Some((score, client)) = scored.filter(|_scored| policy.score_at_connect) else {
        return AtRecipient::Pass;
    };
    let mut items = score.evidence.clone();
    items.extend_from_slice(evidence);
    let score = Score::new(items, score.thresholds);
    let finding = Finding::scored(policy, client, &score);
    let Some(finding) = finding else { return AtRecipient::Pass };
    let band = score.band;
    let decision = Decision {
        score: Some(score),
        logical_client: connection.logical_client,
        route: connection.route.clone(),
        ..finding.decided(
            Phase::Recipient,
            connection.addresses.clone(),
            connection.rules,
            reference,
        )
    };
    let decision = Decision { reply: reply(policy, &decision, true), ..decision };
    match (band, policy.delay_mode) {
        (Band::Delay, DelayMode::Greylist) => AtRecipient::Greylist(Box::new(decision)),
        _ => AtRecipient::Stop(Box::new(decision)),
    }
}

/// The decision when the greylist says that the sender has to wait, made of what the score says.
pub fn decide_greylisted(policy: &Policy, by_score: Decision, greylisted: Greylisted) -> Decision {
    let decision = Decision {
        verdict: Verdict::Greylist,
        action: Action::Defer,
        greylisted: Some(greylisted),
        ..by_score
    };
    Decision { reply: reply(policy, &decision, true), ..decision }
}

/// Decides about a message from what is known of all its hops.
///
/// The logical client is judged as at connect (S0.5), the other hops by the lists and zones that look beyond the client; the
/// most severe finding stands. A client that is skipped or good clears its own hop only. An exemption and the greylist speak
/// against the score alone.
pub fn decide_message(
    policy: &Policy,
    facts: MessageFacts,
    rules: u64,
    reference: Reference,
) -> Decision {
    let thresholds = policy.thresholds.filter(|_thresholds| policy.score_at_message);
    let as_client = facts.logical_client().map(|logical| {
        let score = thresholds.map(|thresholds| {
            (thresholds, evidence(logical, &facts.addresses, &facts.client.evidence))
        });
        let route = facts.client.route.as_ref();
        let finding = client_finding(policy, logical, route, score, facts.passed);
        if finding.is_by_score() && facts.exempt.is_some() { finding.exempt() } else { finding }
    });
    let is_outbound = facts.client.route.as_ref().is_some_and(Route::may_relay);
    let by_hops = facts
        .addresses
        .iter()
        .enumerate()
        .filter(|_outbound| !is_outbound)
        .flat_map(|(index, address)| hop_findings(policy, address, index == facts.logical));
    let score = as_client.as_ref().and_then(|finding| finding.score.clone());
    let findings = as_client.into_iter().chain(by_hops);
    // What is enforced stands before a dry run. Of equals the first: the client, then the hops from the top down.
    let severity =
        |finding: &Finding| (finding.enforced && finding.action != Action::Accept, finding.action);
    let finding = findings.min_by_key(|finding| Reverse(severity(finding)));
    let finding = finding.unwrap_or_else(Finding::nothing_against);
    let as_client = !matches!(finding.action, Action::RejectMessage);
    let logical_client = facts.logical_client().map(|logical| logical.address);
    let decided = finding.decided(Phase::Message, facts.addresses, rules, reference);
    let decision = Decision {
        score,
        logical_client,
        route: facts.client.route,
        exempt: facts.exempt,
        ..decided
    };
    Decision { reply: reply(policy, &decision, as_client), ..decision }
}

/// Every `score` list and zone in force counts once, however many entries or hops of its scope match; then what else is known.
fn evidence(client: &AddressFacts, all: &[AddressFacts], about: &[Evidence]) -> Vec<Evidence> {
    let mut evidence: Vec<Evidence> = Vec::new();
    let mut add = |name: String, weight: i32| {
        if !evidence.iter().any(|item| *item.name == *name) {
            evidence.push(Evidence { name: name.into(), weight });
        }
    };
    let others = all.iter().filter(|other| *other != client).map(|other| (other, false));
    for (address, is_client) in std::iter::once((client, true)).chain(others) {
        for (list, weight) in address.scoring_lists(is_client) {
            add(format!("list:{}", list.name), weight);
        }
        for listing in address.scoring_listings(is_client) {
            add(format!("zone:{}", listing.zone.name), listing.weight());
        }
    }
    evidence.extend_from_slice(about);
    evidence
}

/// What whoever sits at a dynamic address does, who is told apart from a spammer (S1.6).
const DYNAMIC: &str = "a dynamic address: send through the mail server of your provider";

/// What the client is told; 4xx exactly for what is deferred, 5xx exactly for what is refused.
fn reply(policy: &Policy, decision: &Decision, as_client: bool) -> Option<Reply> {
    let offending = decision.offending.as_ref()?;
    let code = match (decision.effective(), decision.phase) {
        (Action::Defer, Phase::Connect | Phase::Kernel) => 421,
        (Action::Defer, Phase::Recipient | Phase::Message) => 451,
        (Action::Reject, _) if as_client => 554,
        (Action::Reject | Action::RejectMessage, _) => 550,
        (
            Action::Accept | Action::Observe | Action::Tag | Action::Quarantine | Action::Discard,
            _,
        ) => return None,
    };
    let words = match (code, decision.verdict, &decision.greylisted) {
        (_, Verdict::DnsTempfail, _) => DNS_UNAVAILABLE.to_owned(),
        (_, _, Some(wait)) => format!("greylisted, try again in {} s", wait.seconds_left.max(1)),
        (554, ..) => "you are not allowed to connect".to_owned(),
        (550, ..) => format!("message refused because of {}", offending.hop),
        _ => "try again later".to_owned(),
    };
    let is_dynamic = decision.meaning() == Some(Meaning::Dynamic);
    let label = match decision.cause.as_ref().map(Cause::label) {
        Some(label) if is_dynamic => Some(Arc::from(format!("{label}, {DYNAMIC}"))),
        Some(label) => Some(Arc::clone(label)),
        None => is_dynamic.then(|| Arc::from(DYNAMIC)),
    };
    let text = policy.reply_style.text(
        &words,
        offending.ip,
        decision.verdict,
        label.as_deref(),
        &decision.reference,
    );
    let (subject, detail) = if decision.verdict == Verdict::DnsTempfail { (4, 3) } else { (7, 1) };
    Some(Reply::new(code, subject, detail, &text))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use super::super::{Skipped, Unanswered};
    use super::*;
    use crate::list::{Class, Entries, HopScope, List, ListAction, Match, Origin, Weight};
    use crate::net::Prefix;
    use crate::net::{Hop, Reserved};
    use crate::zone::{
        AnswerFault, Domain, Hit, Illness, Listing, OnDnsError, Silence, Zone, ZoneClass,
    };

    /// `name class action`, then ` all`, ` unauthenticated` or ` dry` where it applies.
    fn found(spec: &str) -> Match {
        let mut words = spec.split(' ');
        let name = words.next().unwrap();
        let class = words.next().unwrap();
        let action = words.next().unwrap();
        let class = *Class::ALL.iter().find(|known| known.name() == class).unwrap();
        let action = match action {
            "accept" => ListAction::Accept,
            "observe" => ListAction::Observe,
            "tag" => ListAction::Tag,
            "quarantine" => ListAction::Quarantine,
            "discard" => ListAction::Discard,
            "defer" => ListAction::Defer,
            "reject" => ListAction::Reject,
            "reject-message" => ListAction::RejectMessage,
            weight => ListAction::Score(Weight::new(weight.parse().unwrap()).unwrap()),
        };
        let rest: Vec<_> = words.collect();
        let hops = match rest.first() {
            Some(&"all") => HopScope::All,
            Some(&"unauthenticated") => HopScope::Unauthenticated,
            _ if action.acts_at_message() => HopScope::All,
            _ => HopScope::Connect,
        };
        let list = List {
            label: format!("Label of {name}").into(),
            hops,
            enforce: !rest.contains(&"dry"),
            ..List::new(name, class, action)
        };
        let prefix: Prefix = "192.0.2.0/24".parse().unwrap();
        let entry = [prefix].into_iter().collect::<Entries>().get(0).unwrap();
        Match { list: Arc::new(list), origin: Arc::new(Origin::Put), entry: Arc::new(entry) }
    }

    fn facts(last: u8, hop: Hop, specs: &[&str]) -> AddressFacts {
        let mut matches: Vec<_> = specs.iter().map(|spec| found(spec)).collect();
        matches.sort_by_key(|found: &Match| found.list.precedence());
        let address = IpAddr::from([192, 0, 2, last]);
        AddressFacts { matches, ..AddressFacts::new(address, hop) }
    }

    fn policy() -> Policy {
        Policy { enforce: true, thresholds: Some(Thresholds::default()), ..Policy::default() }
    }

    fn shown(decision: &Decision) -> String {
        let dry = if decision.enforced { "" } else { " (dry)" };
        let hop =
            decision.offending.as_ref().map_or_else(String::new, |found| format!(" {}", found.hop));
        let code =
            decision.reply.as_ref().map_or_else(String::new, |reply| format!(" {}", reply.code));
        format!("{} {}{dry}{hop}{code}", decision.verdict.code(), decision.action)
    }

    #[test]
    fn at_connect() {
        for (specs, expected) in [
            (&[][..], "accept accept"),
            (&["a local-bad reject"], "sys-deny-ip reject connect 554"),
            (&["a global-bad reject"], "global-deny-ip reject connect 554"),
            (&["a open-proxy reject"], "open-proxy reject connect 554"),
            (&["a local-bad defer"], "sys-deny-ip defer connect 421"),
            (&["a local-bad tag"], "accept accept"),
            (&["a local-good accept", "b local-bad reject"], "sys-allow-ip accept"),
            (&["a global-good accept", "b local-bad reject", "c local-bad 900"], "safe accept"),
            (&["a open-proxy reject", "b local-bad defer"], "sys-deny-ip defer connect 421"),
            (&["a local-bad defer", "b local-bad reject"], "sys-deny-ip reject connect 554"),
            (&["a local-bad reject dry"], "sys-deny-ip reject (dry) connect"),
            (&["a local-bad reject dry", "b open-proxy reject"], "open-proxy reject connect 554"),
            (&["a local-good accept dry", "b local-bad reject"], "sys-deny-ip reject connect 554"),
            (&["a global-bad 499"], "accept accept"),
            (&["a global-bad 500"], "iprep-delay defer connect 421"),
            (&["a global-bad 400", "b open-proxy 200"], "iprep-delay defer connect 421"),
            (&["a global-bad 400", "b open-proxy 201"], "iprep-reject reject connect 554"),
            (&["a global-bad 700", "b local-bad -300"], "accept accept"),
            (&["a global-bad 900 dry"], "accept accept"),
            (&["a global-bad 900", "b local-bad reject dry"], "iprep-reject reject connect 554"),
        ] {
            let client = facts(1, Hop::Connect, specs);
            let decision =
                decide_connect(&policy(), client, ClientFacts::default(), 7, Reference::new(1));
            assert_eq!(shown(&decision), expected, "{specs:?}");
        }
    }

    /// `class action`, then ` dry` or ` defer`; an action is as in [`found`].
    fn zone(spec: &str) -> Arc<Zone> {
        let mut words = spec.split(' ');
        let (class, action) = (words.next().unwrap(), words.next().unwrap());
        let class = *ZoneClass::ALL.iter().find(|known| known.name() == class).unwrap();
        let action = match action {
            "accept" => ListAction::Accept,
            "defer" => ListAction::Defer,
            "reject" => ListAction::Reject,
            "tag" => ListAction::Tag,
            weight => ListAction::Score(Weight::new(weight.parse().unwrap()).unwrap()),
        };
        let rest: Vec<_> = words.collect();
        let domain = Domain::new("zen.example.org", None).unwrap();
        let waits = rest.contains(&"defer");
        Arc::new(Zone {
            enforce: !rest.contains(&"dry"),
            on_dns_error: if waits { OnDnsError::Defer } else { OnDnsError::Open },
            ..Zone::new("zen", domain, class, action)
        })
    }

    fn listing(spec: &str, meaning: Meaning) -> Listing {
        let zone = zone(spec);
        let ListAction::Score(weight) = zone.action else {
            let hit = Hit { code: [127, 0, 0, 2].into(), meaning, weight: 0 };
            return Listing { zone, hits: vec![hit], text: None };
        };
        let hit = Hit { code: [127, 0, 0, 2].into(), meaning, weight: weight.value() };
        Listing { zone, hits: vec![hit], text: None }
    }

    /// S1.3, S3.5: zones come after lists, a good one before the others; a silent one decides only where it is to be waited for.
    #[test]
    fn zones_at_connect() {
        let passing = Silence::Fault(AnswerFault::Timeout);
        let lasting = Silence::Ill(Illness::ListsEverything);
        for (lists, zones, silent, expected) in [
            (&[][..], &["third-party-bad reject"][..], &[][..], "dns-deny reject connect 554"),
            (&[], &["open-proxy reject"], &[], "open-proxy reject connect 554"),
            (&[], &["third-party-bad defer"], &[], "dns-deny defer connect 421"),
            (&[], &["third-party-bad tag"], &[], "accept accept"),
            (&[], &["third-party-bad reject dry"], &[], "dns-deny reject (dry) connect"),
            (&[], &["third-party-good accept", "third-party-bad reject"], &[], "dns-allow accept"),
            (
                &["a local-bad reject"],
                &["third-party-good accept"],
                &[],
                "sys-deny-ip reject connect 554",
            ),
            (&["a local-good accept"], &["third-party-bad reject"], &[], "sys-allow-ip accept"),
            (&["a global-bad 400"], &["third-party-bad 150"], &[], "iprep-delay defer connect 421"),
            (&["a global-bad 700"], &["third-party-good accept"], &[], "dns-allow accept"),
            (&["a global-bad 700"], &["third-party-good -300"], &[], "accept accept"),
            (&[], &[], &[("third-party-bad reject", passing)], "accept accept"),
            (
                &[],
                &[],
                &[("third-party-bad reject defer", passing)],
                "dns-tempfail defer connect 421",
            ),
            (&[], &[], &[("third-party-bad reject defer", lasting)], "accept accept"),
            (
                &[],
                &["third-party-bad reject"],
                &[("third-party-bad reject defer", passing)],
                "dns-deny reject connect 554",
            ),
            (
                &[],
                &["third-party-bad reject"],
                &[("third-party-good accept defer", passing)],
                "dns-tempfail defer connect 421",
            ),
        ] {
            let mut listings: Vec<_> =
                zones.iter().map(|spec| listing(spec, Meaning::Listed)).collect();
            listings.sort_by_key(|listing| listing.zone.precedence());
            let unanswered =
                silent.iter().map(|&(spec, reason)| Unanswered { zone: zone(spec), reason });
            let client = AddressFacts {
                listings,
                unanswered: unanswered.collect(),
                ..facts(1, Hop::Connect, lists)
            };
            let about = ClientFacts::default();
            let decision = decide_connect(&policy(), client, about, 7, Reference::new(1));
            assert_eq!(shown(&decision), expected, "{lists:?} {zones:?} {silent:?}");
        }
    }

    /// S1.6: whoever sits at a dynamic address reads what to do, whether a zone decides or the score.
    #[test]
    fn dynamic_addresses_are_told_apart() {
        for (spec, meaning, is_told) in [
            ("third-party-bad reject", Meaning::Dynamic, true),
            ("third-party-bad reject", Meaning::Listed, false),
            ("third-party-bad 700", Meaning::Dynamic, true),
            ("third-party-bad 700", Meaning::Listed, false),
        ] {
            let client = AddressFacts {
                listings: vec![listing(spec, meaning)],
                ..facts(1, Hop::Connect, &[])
            };
            let about = ClientFacts::default();
            let decision = decide_connect(&policy(), client, about, 7, Reference::new(1));
            let reply = decision.reply.unwrap().to_string();
            assert!(reply.starts_with("554 5.7.1 "), "{reply}");
            assert_eq!(reply.contains("a dynamic address: send through"), is_told, "{reply}");
        }
    }

    #[test]
    fn a_skipped_client_is_let_in() {
        let mut client = facts(1, Hop::Connect, &["a local-bad reject", "b local-bad 900"]);
        client.skipped = Some(Skipped::OwnRelay);
        let decision =
            decide_connect(&policy(), client, ClientFacts::default(), 7, Reference::new(1));
        assert_eq!(shown(&decision), "accept accept");
        assert_eq!(decision.logical_client, None);
    }

    #[test]
    fn a_dry_run_of_everything_records_and_refuses_nothing() {
        let dry = Policy { enforce: false, ..policy() };
        for (specs, expected) in [
            (&["a local-bad reject"][..], "sys-deny-ip reject (dry) connect"),
            (&["a local-bad 900"], "iprep-reject reject (dry) connect"),
        ] {
            let client = facts(1, Hop::Connect, specs);
            let decision =
                decide_connect(&dry, client, ClientFacts::default(), 7, Reference::new(1));
            assert_eq!(shown(&decision), expected);
            assert_eq!(decision.effective(), Action::Accept);
        }
    }

    #[test]
    fn at_the_message() {
        let received = Hop::Received;
        for (name, client, hops, expected) in [
            ("nothing", &[][..], &[&[][..]][..], "accept accept"),
            (
                "a hop",
                &[],
                &[&[], &["a open-proxy reject-message"]],
                "open-proxy reject-message received[1] 550",
            ),
            ("a tag", &[], &[&["a local-bad tag"]], "sys-deny-ip tag received[0]"),
            ("the client too", &["a local-bad tag"], &[], "sys-deny-ip tag connect"),
            (
                "the most severe",
                &["a local-bad tag"],
                &[&["b open-proxy observe"], &["c open-proxy reject-message"]],
                "open-proxy reject-message received[1] 550",
            ),
            ("reject looks at the client alone", &[], &[&["a local-bad reject"]], "accept accept"),
            (
                "reject that looks at all hops",
                &[],
                &[&["a local-bad reject all"]],
                "sys-deny-ip reject-message received[0] 550",
            ),
            ("listed meanwhile", &["a local-bad reject"], &[], "sys-deny-ip reject connect 554"),
            (
                "a good client clears its own hop only",
                &["g local-good accept", "a local-bad tag"],
                &[&["a open-proxy reject-message"]],
                "open-proxy reject-message received[0] 550",
            ),
            (
                "a good client",
                &["g local-good accept", "a local-bad tag"],
                &[],
                "sys-allow-ip accept",
            ),
            (
                "a cleared hop",
                &[],
                &[&["g local-good accept", "a open-proxy reject-message"]],
                "accept accept",
            ),
            ("the score", &["a local-bad 700"], &[], "iprep-reject reject connect 554"),
            (
                "the score of all hops",
                &["a local-bad 300"],
                &[&["b local-bad 250 all"]],
                "iprep-delay defer connect 451",
            ),
            (
                "once per list",
                &["a local-bad 300 all"],
                &[&["a local-bad 300 all"]],
                "accept accept",
            ),
            (
                "a dry run",
                &[],
                &[&["a open-proxy reject-message dry"]],
                "open-proxy reject-message (dry) received[0]",
            ),
            (
                "a dry run shadows nothing",
                &[],
                &[&["a open-proxy reject-message dry"], &["b local-bad tag"]],
                "sys-deny-ip tag received[1]",
            ),
            ("quarantine", &["a local-bad quarantine"], &[], "sys-deny-ip quarantine connect"),
            (
                "quarantine is more than a tag",
                &["a local-bad tag"],
                &[&["b open-proxy quarantine"]],
                "open-proxy quarantine received[0]",
            ),
            (
                "what is refused is not kept",
                &["a local-bad quarantine"],
                &[&["b open-proxy reject-message"]],
                "open-proxy reject-message received[0] 550",
            ),
            ("discard", &["a local-bad discard"], &[], "sys-deny-ip discard connect"),
            (
                "discard is written in words, and stands",
                &["a local-bad quarantine"],
                &[&["b open-proxy discard"]],
                "open-proxy discard received[0]",
            ),
        ] {
            let mut addresses = vec![facts(1, Hop::Connect, client)];
            let hops = (2_u8..).zip(0_u16..).zip(hops);
            addresses
                .extend(hops.map(|((last, index), specs)| facts(last, received(index), specs)));
            let message = MessageFacts { addresses, logical: 0, ..MessageFacts::default() };
            let decision = decide_message(&policy(), message, 7, Reference::new(1));
            assert_eq!(shown(&decision), expected, "{name}");
        }
    }

    #[test]
    fn behind_a_relay_the_logical_client_is_judged_as_at_connect() {
        let mut relay = facts(1, Hop::Connect, &["a local-bad reject"]);
        relay.skipped = Some(Skipped::OwnRelay);
        let mut private = facts(2, Hop::Received(1), &["b local-bad reject-message"]);
        private.skipped = Some(Skipped::Reserved(Reserved::Private));
        let logical = facts(3, Hop::Received(0), &["c local-bad reject"]);
        let message = MessageFacts {
            addresses: vec![relay, logical, private],
            logical: 1,
            ..MessageFacts::default()
        };
        let decision = decide_message(&policy(), message, 7, Reference::new(1));
        assert_eq!(shown(&decision), "sys-deny-ip reject received[0] 554");
        assert_eq!(
            decision.reply.unwrap().to_string(),
            "554 5.7.1 you are not allowed to connect; client [192.0.2.3]; System denied IP: Label of c; reference 0000000000001"
        );
    }

    #[test]
    fn authenticated_hops_can_be_left_out() {
        for (authenticated, expected) in
            [(true, "accept accept"), (false, "open-proxy reject-message received[0] 550")]
        {
            let mut hop =
                facts(2, Hop::Received(0), &["a open-proxy reject-message unauthenticated"]);
            hop.authenticated = authenticated;
            let message = MessageFacts {
                addresses: vec![facts(1, Hop::Connect, &[]), hop],
                logical: 0,
                ..MessageFacts::default()
            };
            let decision = decide_message(&policy(), message, 7, Reference::new(1));
            assert_eq!(shown(&decision), expected);
        }
    }

    #[test]
    fn a_tagged_message_says_why() {
        let client = facts(1, Hop::Connect, &["a local-bad tag"]);
        let message =
            MessageFacts { addresses: vec![client], logical: 0, ..MessageFacts::default() };
        let decision = decide_message(&policy(), message, 7, Reference::new(1));
        assert_eq!(
            decision.header().unwrap(),
            "X-Portcullis-Verdict: System denied IP; code=sys-deny-ip; address=192.0.2.1; hop=connect; list=\"Label of a\"; reference=0000000000001"
        );
    }
}
