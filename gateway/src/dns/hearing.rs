//! Notes what zones answer, and says when that changes how they are.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use jiff::SignedDuration;
use tokio::time::Instant;
use tracing::{info, warn};

use super::asker::Progress;
use super::member::{Body, Member, outcome};
use super::zones::{Shared, ZoneEvent, about};
use crate::clock::Timestamp;
use crate::zone::{AnswerFault, Illness, Outcome, State, Transition};

impl Shared {
    /// The time of day, by a clock that nobody sets.
    pub(super) fn now(&self) -> Timestamp {
        let (day, instant) = self.started;
        let ran = SignedDuration::try_from(instant.elapsed()).unwrap_or(SignedDuration::MAX);
        day.saturating_add(ran).unwrap_or(Timestamp::MAX)
    }

    pub(super) fn hear(&self, member: &Member, address: IpAddr, progress: &Progress<'_>) {
        let timeout = Outcome::Fault(AnswerFault::Timeout);
        let outcome = match progress {
            Progress::Late => {
                member.counters.fault(AnswerFault::Timeout);
                timeout
            }
            Progress::Done { reply, took, was_late } => {
                member.counters.done(*took, *was_late);
                let outcome = outcome(&member.read(&reply.records));
                match outcome {
                    // It was counted when it was late.
                    Outcome::Fault(AnswerFault::Timeout) if *was_late => return,
                    Outcome::Fault(fault) => member.counters.fault(fault),
                    Outcome::Listed => member.counters.answered(true),
                    Outcome::NotListed => member.counters.answered(false),
                }
                let is_refusal = matches!(outcome, Outcome::Fault(fault) if fault.is_refusal());
                // An answer that comes when nobody waits any more is as good as none.
                if *was_late && !is_refusal {
                    return;
                }
                outcome
            }
        };
        let now = self.now();
        self.change(member, |body| body.health.noted(now, address.into(), outcome));
    }

    /// Changes how a zone is, and says so.
    pub(super) fn change(
        &self,
        member: &Member,
        change: impl FnOnce(&mut Body) -> Vec<Transition>,
    ) {
        let mut body = member.body();
        let transitions = change(&mut body);
        if transitions.is_empty() {
            return;
        }
        let is_nonsense =
            |state: State| state.illness().is_some_and(|it| !matches!(it, Illness::Unreachable(_)));
        let is_back = |it: &Transition| it.to == State::Healthy && is_nonsense(it.from);
        if transitions.iter().any(is_back) {
            body.fresh_from = Some(Instant::now());
        }
        drop(body);
        self.say(member, transitions);
        self.wake.notify_one();
    }

    fn say(&self, member: &Member, transitions: Vec<Transition>) {
        let saying = self.saying.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |known: &Member| Arc::ptr_eq(&known.body, &member.body);
        // Nothing is said of a zone that was taken out or switched off meanwhile.
        if !self.members.load().iter().any(|known| known.is_enabled && is_same(known)) {
            return;
        }
        let zone = &member.zone;
        for Transition { family, from, to } in &transitions {
            let (name, family, from, state) = (&zone.name, family.name(), from.name(), to.name());
            if let Some(illness) = to.illness() {
                warn!(target: "zone", "zone={name} {family}={state} was={from} reason={} {illness}", illness.name());
            } else {
                info!(target: "zone", "zone={name} {family}={state} was={from}");
            }
        }
        let illness = member.body().health.illness();
        let complaint = illness.map(|illness| {
            let (domain, remedy) = (zone.domain.public(), illness.remedy());
            format!("{domain} is not asked: {illness}; {remedy}")
        });
        self.alarms.set(&about(zone), complaint.as_deref());
        drop(saying);
        let at = self.now();
        for transition in transitions {
            (self.observer)(&ZoneEvent { zone: Arc::clone(zone), transition, at });
        }
    }
}
