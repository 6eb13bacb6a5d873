//! What speaks for or against one address: of lists, zones and score the one thing that decides.

use super::{Action, AddressFacts, Band, Cause, Decision, Evidence, Offending, Phase, Policy};
use super::{Reference, Score, Thresholds, Verdict};
use crate::direction::Route;
use crate::list::Match;
use crate::zone::{Listing, OnDnsError};

/// What speaks for or against one address.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) action: Action,
    pub(super) enforced: bool,
    pub(super) offending: Option<Offending>,
    pub(super) cause: Option<Cause>,
    pub(super) score: Option<Score>,
}

impl Finding {
    pub(super) fn nothing_against() -> Self {
        Self::accepted(Verdict::Accept, None)
    }

    fn accepted(verdict: Verdict, cause: Option<Cause>) -> Self {
        Self {
            verdict,
            action: Action::Accept,
            enforced: true,
            offending: None,
            cause,
            score: None,
        }
    }

    /// The decision that follows, but for whom it is about and what is said.
    pub(super) fn decided(
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
            route: None,
            greylisted: None,
            exempt: None,
            addresses,
            rules,
            reply: None,
            reference,
        }
    }

    fn against(address: &AddressFacts, verdict: Verdict, action: Action, cause: Cause) -> Self {
        Self {
            verdict,
            action,
            enforced: true,
            offending: Some(address.as_offending()),
            cause: Some(cause),
            score: None,
        }
    }

    fn listed(policy: &Policy, address: &AddressFacts, found: &Match, action: Action) -> Self {
        let cause = Cause::Entry(found.clone());
        Self {
            enforced: policy.enforce && found.list.enforce,
            ..Self::against(address, found.class().into(), action, cause)
        }
    }

    fn in_zone(policy: &Policy, address: &AddressFacts, found: &Listing, action: Action) -> Self {
        let cause = Cause::Listing(found.clone());
        Self {
            enforced: policy.enforce && found.zone.enforce,
            ..Self::against(address, found.zone.class.into(), action, cause)
        }
    }

    /// The finding of the score, `None` in the allow band.
    pub(super) fn scored(policy: &Policy, client: &AddressFacts, score: &Score) -> Option<Self> {
        let (verdict, action) = match score.band {
            Band::Allow => return None,
            Band::Delay => (Verdict::ReputationDelay, Action::Defer),
            Band::Reject => (Verdict::ReputationReject, Action::Reject),
        };
        Some(Self {
            verdict,
            action,
            enforced: policy.enforce,
            offending: Some(client.as_offending()),
            cause: None,
            score: None,
        })
    }

    pub(super) fn is_by_score(&self) -> bool {
        matches!(self.verdict, Verdict::ReputationDelay | Verdict::ReputationReject)
    }

    fn is_by_good_zone(&self) -> bool {
        self.cause.as_ref().and_then(Cause::zone).is_some_and(|zone| zone.class.is_good())
    }

    /// The same finding of the score for a sender whom it does not stop.
    pub(super) fn exempt(self) -> Self {
        Self { score: self.score, ..Self::accepted(Verdict::Exempt, None) }
    }
}

/// Judges a (logical) client: the way of its mail, good lists, then what acts at connect (lists before zones), then the score.
///
/// What is in force decides; only where nothing is does a dry run get its say, recorded and not enforced. `is_later`: the
/// delay band is settled by the greylist, not here.
pub(super) fn client_finding(
    policy: &Policy,
    client: &AddressFacts,
    route: Option<&Route>,
    score: Option<(Thresholds, Vec<Evidence>)>,
    is_later: bool,
) -> Finding {
    if route.is_some_and(Route::may_relay) {
        return Finding::accepted(Verdict::Outbound, None);
    }
    if client.skipped.is_some() {
        return Finding::nothing_against();
    }
    if let Some(good) = client.cleared_by() {
        return Finding::accepted(good.class().into(), Some(Cause::Entry(good.clone())));
    }
    let by_list = client.against().find(|found| found.list.action.acts_at_connect()).map(|found| {
        let finding = Finding::listed(policy, client, found, found.list.action.into());
        (found.list.enforce, finding)
    });
    let vouched = client.vouched_by().map(|found| {
        let cause = Some(Cause::Listing(found.clone()));
        (true, Finding::accepted(found.zone.class.into(), cause))
    });
    let by_zone =
        client.listed_against().find(|found| found.zone.action.acts_at_connect()).map(|found| {
            let finding = Finding::in_zone(policy, client, found, found.zone.action.into());
            (found.zone.enforce, finding)
        });
    let by_fault = fault_finding(policy, client, true).map(|finding| (true, finding));
    // Who is vouched for has no score.
    let score = score
        .filter(|_score| vouched.is_none())
        .map(|(thresholds, evidence)| Score::new(evidence, thresholds));
    let by_score = score
        .as_ref()
        .filter(|score| !(is_later && score.band == Band::Delay))
        .and_then(|score| Finding::scored(policy, client, score))
        .map(|finding| (true, finding));
    // Whom a good zone might have vouched for waits for it, where it is to be waited for.
    let (by_good_fault, by_fault) = match by_fault {
        Some((_, finding)) if finding.is_by_good_zone() => (Some((true, finding)), None),
        by_fault => (None, by_fault),
    };
    // In a dry run of everything the same decides as without it.
    let mut findings: Vec<_> = [by_list, vouched, by_good_fault, by_zone, by_fault, by_score]
        .into_iter()
        .flatten()
        .collect();
    let deciding = findings.iter().position(|(is_in_force, _finding)| *is_in_force).unwrap_or(0);
    let finding = if findings.is_empty() {
        Finding::nothing_against()
    } else {
        findings.swap_remove(deciding).1
    };
    Finding { score, ..finding }
}

/// A zone that gave no answer, where that is to be waited for.
fn fault_finding(policy: &Policy, address: &AddressFacts, is_client: bool) -> Option<Finding> {
    let decides = address.skipped.is_none()
        && address.cleared_by().is_none()
        && address.vouched_by().is_none();
    let unanswered = address.unanswered.iter().filter(|_fault| decides).find(|fault| {
        let zone = &fault.zone;
        zone.enforce
            && zone.on_dns_error == OnDnsError::Defer
            && fault.reason.is_passing()
            && address.is_in_scope(zone.hops, is_client)
    })?;
    Some(Finding {
        enforced: policy.enforce,
        ..Finding::against(
            address,
            Verdict::DnsTempfail,
            Action::Defer,
            Cause::Unanswered(unanswered.clone()),
        )
    })
}

/// Judges one hop of a message by the lists and zones that act there; of the logical client only those that act at the message.
pub(super) fn hop_findings(
    policy: &Policy,
    address: &AddressFacts,
    is_client: bool,
) -> impl Iterator<Item = Finding> {
    // A connection that is long accepted cannot be refused, its message can.
    let at_message = |action| match action {
        Action::Reject => Action::RejectMessage,
        action => action,
    };
    let by_list = address.against().find(|found| {
        let action = found.list.action;
        (action.acts_at_message() || (action.acts_at_connect() && !is_client))
            && address.is_in_scope(found.list.hops, is_client)
    });
    let by_zone = address.listed_against().find(|found| {
        let action = found.zone.action;
        (action.acts_at_message() || (action.acts_at_connect() && !is_client))
            && address.is_in_scope(found.zone.hops, is_client)
    });
    let by_list = by_list
        .map(|found| Finding::listed(policy, address, found, at_message(found.list.action.into())));
    let by_zone = by_zone.map(|found| {
        Finding::in_zone(policy, address, found, at_message(found.zone.action.into()))
    });
    let by_fault = fault_finding(policy, address, is_client).filter(|_fault| !is_client);
    by_list.into_iter().chain(by_zone).chain(by_fault)
}
