//! The decision itself, pure: policy and facts in, decision out.

use std::cmp::Reverse;

use super::{
    Action, AddressFacts, Band, Decision, Evidence, MessageFacts, Offending, Phase, Reference,
    Reply, ReplyStyle, Score, Thresholds, Verdict,
};
use crate::list::{HopScope, ListAction, Match};

/// What an operator can say about decisions, apart from the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// False: a dry run of everything.
    pub enforce: bool,
    /// Where the bands of the score are; `None` switches the score off.
    pub thresholds: Option<Thresholds>,
    /// How much a refused client is told.
    pub reply_style: ReplyStyle,
}

/// Decides about a connection from what is known of its client.
pub fn decide_connect(
    policy: &Policy,
    client: AddressFacts,
    rules: u64,
    reference: Reference,
) -> Decision {
    let finding = connect_finding(policy, &client, std::slice::from_ref(&client));
    let logical_client = client.skipped.is_none().then_some(client.address);
    let decision = Decision {
        logical_client,
        ..finding.decided(Phase::Connect, vec![client], rules, reference)
    };
    Decision { reply: reply(policy, &decision, true), ..decision }
}

/// Decides about a message from what is known of all its hops.
///
/// The logical client is judged as at connect (S0.5), the other hops by the lists that look beyond the client; the most
/// severe finding stands. A client that is skipped or good clears its own hop only.
pub fn decide_message(
    policy: &Policy,
    facts: MessageFacts,
    rules: u64,
    reference: Reference,
) -> Decision {
    let as_client =
        facts.logical_client().map(|logical| connect_finding(policy, logical, &facts.addresses));
    let by_hops = facts
        .addresses
        .iter()
        .enumerate()
        .filter_map(|(index, address)| hop_finding(policy, address, index == facts.logical));
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
    let decision = Decision { score, logical_client, ..decided };
    Decision { reply: reply(policy, &decision, as_client), ..decision }
}

/// What speaks for or against one address.
#[derive(Debug)]
struct Finding {
    verdict: Verdict,
    action: Action,
    enforced: bool,
    offending: Option<Offending>,
    cause: Option<Match>,
    score: Option<Score>,
}

impl Finding {
    fn nothing_against() -> Self {
        Self {
            verdict: Verdict::Accept,
            action: Action::Accept,
            enforced: true,
            offending: None,
            cause: None,
            score: None,
        }
    }

    /// The decision that follows, but for whom it is about and what is said.
    fn decided(
        self,
        phase: Phase,
        addresses: Vec<AddressFacts>,
        rules: u64,
        reference: Reference,
    ) -> Decision {
        let Self { verdict, action, enforced, offending, cause, score } = self;
        Decision {
            phase,
            verdict,
            action,
            enforced,
            offending,
            cause,
            score,
            logical_client: None,
            addresses,
            rules,
            reply: None,
            reference,
        }
    }

    fn listed(policy: &Policy, address: &AddressFacts, found: &Match, action: Action) -> Self {
        Self {
            verdict: found.class().into(),
            action,
            enforced: policy.enforce && found.list.enforce,
            offending: Some(Offending { ip: address.address, hop: address.hop.clone() }),
            cause: Some(found.clone()),
            score: None,
        }
    }
}

/// Judges a (logical) client: good lists, then the lists that act at connect, then the score.
///
/// What is in force decides; only where that accepts does a dry run get its say, recorded and not enforced.
fn connect_finding(policy: &Policy, client: &AddressFacts, all: &[AddressFacts]) -> Finding {
    if client.skipped.is_some() {
        return Finding::nothing_against();
    }
    if let Some(good) = client.cleared_by() {
        return Finding {
            verdict: good.class().into(),
            cause: Some(good.clone()),
            ..Finding::nothing_against()
        };
    }
    let score = policy.thresholds.map(|thresholds| Score::new(evidence(client, all), thresholds));
    // The deciding match comes first, and dry runs after all that is in force.
    let listed = client.against().find(|found| found.list.action.acts_at_connect());
    let by_list =
        listed.map(|found| Finding::listed(policy, client, found, found.list.action.into()));
    let by_score = score.as_ref().and_then(|score| score_finding(policy, client, score));
    let finding = match (by_list, by_score) {
        (Some(list), Some(score)) if score.enforced && !list.enforced => score,
        (Some(finding), _) | (None, Some(finding)) => finding,
        (None, None) => Finding::nothing_against(),
    };
    Finding { score, ..finding }
}

/// The finding of the score, `None` in the allow band.
fn score_finding(policy: &Policy, client: &AddressFacts, score: &Score) -> Option<Finding> {
    let (verdict, action) = match score.band {
        Band::Allow => return None,
        Band::Delay => (Verdict::ReputationDelay, Action::Defer),
        Band::Reject => (Verdict::ReputationReject, Action::Reject),
    };
    Some(Finding {
        verdict,
        action,
        enforced: policy.enforce,
        offending: Some(Offending { ip: client.address, hop: client.hop.clone() }),
        cause: None,
        score: None,
    })
}

/// Every `score` list in force counts once, however many entries or hops of its scope match.
fn evidence(client: &AddressFacts, all: &[AddressFacts]) -> Vec<Evidence> {
    let others = all.iter().filter(|other| *other != client);
    let mut evidence: Vec<Evidence> = Vec::new();
    for (address, is_client) in
        std::iter::once((client, true)).chain(others.map(|other| (other, false)))
    {
        for found in address.against() {
            let ListAction::Score(weight) = found.list.action else { continue };
            let name = format!("list:{}", found.list.name);
            let known = evidence.iter().any(|item| *item.name == *name);
            if found.list.enforce && !known && in_scope(found.list.hops, address, is_client) {
                evidence.push(Evidence { name: name.into(), weight: weight.value() });
            }
        }
    }
    evidence
}

/// Judges one hop of a message by the lists that act there; of the logical client only those that act at the message.
fn hop_finding(policy: &Policy, address: &AddressFacts, is_client: bool) -> Option<Finding> {
    let found = address.against().find(|found| {
        let acts = found.list.action.acts_at_message()
            || (found.list.action.acts_at_connect() && !is_client);
        acts && in_scope(found.list.hops, address, is_client)
    })?;
    let action = match found.list.action.into() {
        // A connection that is long accepted cannot be refused, its message can.
        Action::Reject => Action::RejectMessage,
        action => action,
    };
    Some(Finding::listed(policy, address, found, action))
}

fn in_scope(scope: HopScope, address: &AddressFacts, is_client: bool) -> bool {
    match scope {
        HopScope::Connect => is_client,
        HopScope::Unauthenticated => is_client || !address.authenticated,
        HopScope::All => true,
    }
}

/// What the client is told; 4xx exactly for what is deferred, 5xx exactly for what is refused.
fn reply(policy: &Policy, decision: &Decision, as_client: bool) -> Option<Reply> {
    let offending = decision.offending.as_ref()?;
    let (code, words) = match (decision.effective(), decision.phase) {
        (Action::Defer, Phase::Connect | Phase::Kernel) => (421, "try again later".to_owned()),
        (Action::Defer, Phase::Message) => (451, "try again later".to_owned()),
        (Action::Reject, _) if as_client => (554, "you are not allowed to connect".to_owned()),
        (Action::Reject | Action::RejectMessage, _) => {
            (550, format!("message refused because of {}", offending.hop))
        }
        (Action::Accept | Action::Observe | Action::Tag | Action::Discard, _) => return None,
    };
    let label = decision.cause.as_ref().map(|cause| &*cause.list.label);
    let text =
        policy.reply_style.text(&words, offending.ip, decision.verdict, label, &decision.reference);
    Some(Reply::new(code, 7, 1, &text))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use super::super::Skipped;
    use super::*;
    use crate::list::{Class, Entries, List, Origin, Weight};
    use crate::net::Prefix;
    use crate::net::{Hop, Reserved};

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
        AddressFacts { address, hop, authenticated: false, skipped: None, matches }
    }

    fn policy() -> Policy {
        Policy {
            enforce: true,
            thresholds: Some(Thresholds::default()),
            reply_style: ReplyStyle::default(),
        }
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
            let decision = decide_connect(&policy(), client, 7, Reference::new(1));
            assert_eq!(shown(&decision), expected, "{specs:?}");
        }
    }

    #[test]
    fn a_skipped_client_is_let_in() {
        let mut client = facts(1, Hop::Connect, &["a local-bad reject", "b local-bad 900"]);
        client.skipped = Some(Skipped::OwnRelay);
        let decision = decide_connect(&policy(), client, 7, Reference::new(1));
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
            let decision = decide_connect(&dry, client, 7, Reference::new(1));
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
            ("discard", &["a local-bad discard"], &[], "sys-deny-ip discard connect"),
        ] {
            let mut addresses = vec![facts(1, Hop::Connect, client)];
            let hops = (2_u8..).zip(0_u16..).zip(hops);
            addresses
                .extend(hops.map(|((last, index), specs)| facts(last, received(index), specs)));
            let message = MessageFacts { addresses, logical: 0 };
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
        let message = MessageFacts { addresses: vec![relay, logical, private], logical: 1 };
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
            let message =
                MessageFacts { addresses: vec![facts(1, Hop::Connect, &[]), hop], logical: 0 };
            let decision = decide_message(&policy(), message, 7, Reference::new(1));
            assert_eq!(shown(&decision), expected);
        }
    }

    #[test]
    fn a_tagged_message_says_why() {
        let client = facts(1, Hop::Connect, &["a local-bad tag"]);
        let message = MessageFacts { addresses: vec![client], logical: 0 };
        let decision = decide_message(&policy(), message, 7, Reference::new(1));
        assert_eq!(
            decision.header().unwrap(),
            "X-Portcullis-Verdict: System denied IP; code=sys-deny-ip; address=192.0.2.1; hop=connect; list=\"Label of a\"; reference=0000000000001"
        );
    }
}
