//! The line that the log has for each decision.

use tracing::{debug, info};

use super::Client;
use crate::policy::{Action, Cause, Decision};
use crate::zone::Meaning;

/// One line per decision; what was let in without a word against it only at debug level.
pub(super) fn log(client: &Client, decision: &Decision) {
    let line = DecisionLine { client, decision };
    let scored = decision.score.as_ref().is_some_and(|score| !score.evidence.is_empty());
    if decision.action == Action::Accept && decision.cause.is_none() && !scored {
        debug!(target: "decision", "{line}");
    } else {
        info!(target: "decision", "{line}");
    }
}

/// The greppable form of a decision, its keys always in the same order; what does not apply is left out, or is `-`.
struct DecisionLine<'a> {
    client: &'a Client,
    decision: &'a Decision,
}

impl std::fmt::Display for DecisionLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Decision { phase, verdict, action, enforced, rules, reference, .. } = self.decision;
        let code = verdict.code();
        write!(f, "{phase} verdict=\"{verdict}\" code={code}")?;
        let cause = self.decision.cause.as_ref();
        if self.decision.meaning() == Some(Meaning::Dynamic) {
            f.write_str(" detail=dynamic")?;
        }
        write!(f, " action={action} enforced={enforced}")?;
        write!(f, " client=[{}]:{}", self.client.address.ip(), self.client.address.port())?;
        if let Some(peer) = self.client.peer() {
            write!(f, " peer=[{peer}]")?;
        }
        match &self.decision.offending {
            Some(offending) => write!(f, " offending=[{}] hop={}", offending.ip, offending.hop)?,
            None => write!(f, " offending=- hop=-")?,
        }
        match cause {
            Some(Cause::Entry(found)) => {
                write!(f, " list={} entry={}", found.list.name, found.entry.prefix)?;
            }
            Some(Cause::Listing(found)) => {
                write!(f, " zone={} answer={}", found.zone.name, found.codes())?;
            }
            Some(Cause::Unanswered(fault)) => {
                write!(f, " zone={} answer=- fault={}", fault.zone.name, fault.reason.name())?;
            }
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
        if let Some(route) = &self.decision.route {
            write!(f, " {route}")?;
        }
        if let Some(wait) = &self.decision.greylisted {
            write!(
                f,
                " pool={} tries={} seconds_left={}",
                wait.pool, wait.tries, wait.seconds_left
            )?;
        }
        if let Some(domain) = &self.decision.exempt {
            write!(f, " exempt={domain}")?;
        }
        write!(f, " rules={rules} ref={reference}")
    }
}
