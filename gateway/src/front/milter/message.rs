//! One message of the mail server's client: judged by its header, judged again at its end.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::Settings;
use super::session::Session;
use crate::engine::{Judged, MessageHead};
use crate::milter::{Answer, Forged, Message, OwnFields, Terms, edits, forged};
use crate::policy::{Action, Decision, Outcome, Phase, Reply, Verdict};
use crate::scan::{message_id, subject};
use crate::smtp::{header_fault, header_too_long, results_field};

/// Octets of a message that is held as a whole until its signature is verified; a longer one is not exempt.
const PROVABLE: usize = 1024 * 1024;
/// Messages that are held so at the same time.
pub(super) const MOST_PROVING: usize = 64;
/// Forged fields of one message that are taken away; each makes the mail server read its header once more.
const MOST_FORGED: usize = 100;

/// What becomes of a message whose header was judged.
#[derive(Debug)]
pub(super) enum Fate {
    /// It may pass.
    Pass(Box<Decision>),
    /// It is held until its signature can be verified: then it may pass after all.
    Proving(Box<Proving>),
}

/// A message that the score stops unless its sender is who it says.
#[derive(Debug)]
pub(super) struct Proving {
    /// What happens otherwise.
    decision: Decision,
    /// The exempt domain that has to have signed it.
    domain: Arc<str>,
    body: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl Session {
    /// The header is over: the message is judged by it.
    pub(super) async fn header_ended(&mut self) {
        if self.judge_header().await {
            self.say(&Answer::Continue);
        }
    }

    /// A piece of the body came.
    pub(super) fn body(&mut self, piece: &[u8]) {
        if let Some(Fate::Proving(proving)) = &mut self.fate {
            if proving.body.len() + piece.len() > PROVABLE {
                let decision = proving.decision.clone();
                return self.refuse_message(decision);
            }
            proving.body.extend_from_slice(piece);
            return self.say(&Answer::Continue);
        }
        let can_skip = self.dialogue.terms().is_some_and(Terms::can_skip);
        self.say(if can_skip { &Answer::Skip } else { &Answer::Continue });
    }

    /// The message is whole: the last judgement, and what is changed in it.
    pub(super) async fn ended(&mut self, piece: &[u8]) {
        if self.fate.is_none() && !self.judge_header().await {
            return;
        }
        let (decision, proved) = match self.fate.take() {
            Some(Fate::Pass(decision)) => (*decision, None),
            Some(Fate::Proving(proving)) => self.prove(*proving, piece).await,
            None => return,
        };
        let decision = self.judge_again(decision, proved.as_ref()).await;
        match decision.effective() {
            // The configuration says so in words: no other way leads here.
            Action::Discard => {
                self.front.counters.messages_discarded.add();
                self.record_message(&decision, None);
                self.say(&Answer::Discard);
                self.dialogue.end_message();
            }
            Action::Quarantine => self.quarantine(decision),
            _ if decision.refusal().is_some() => self.refuse_message(decision),
            _ => self.pass(&decision),
        }
    }

    /// The message comes to nothing; the client left it, or somebody else refused it.
    pub(super) fn abort(&mut self) {
        self.front.counters.messages_aborted.add();
        self.fate = None;
        self.dialogue.end_message();
    }

    /// Judges the message by its header; false where it is refused, which then has been said.
    async fn judge_header(&mut self) -> bool {
        let Some(message) = self.dialogue.message() else { return false };
        if let Some(reply) = self.fault(message) {
            self.front.counters.protocol_errors.add();
            if let Some(decision) = self.own(Verdict::Protocol, Action::RejectMessage, reply) {
                self.refuse_message(decision);
            }
            return false;
        }
        let Some(Judged { decision, provable }) = self.judge(None).await else { return false };
        if decision.refusal().is_none() {
            self.fate = Some(Fate::Pass(Box::new(decision)));
            return true;
        }
        let has_body = self.dialogue.terms().is_some_and(Terms::has_body);
        let Some(domain) = provable.filter(|_domain| has_body) else {
            self.refuse_message(decision);
            return false;
        };
        match Arc::clone(&self.front.proving).try_acquire_owned() {
            Ok(room) => {
                let proving = Proving { decision, domain, body: Vec::new(), _room: room };
                self.fate = Some(Fate::Proving(Box::new(proving)));
                true
            }
            Err(_full) => {
                let text = "too many messages wait for their signatures, try again later";
                self.refuse_message(decision.for_want_of_room(Reply::new(451, 3, 2, text)));
                false
            }
        }
    }

    /// What is wrong with a header, whoever sent it.
    fn fault(&self, message: &Message) -> Option<Reply> {
        if message.is_header_too_long() {
            return Some(header_too_long());
        }
        let forged = self.forged(message).len();
        if forged > MOST_FORGED {
            let text = format!("{forged} header fields that only we may write");
            return Some(Reply::new(550, 6, 0, &text));
        }
        header_fault(message.header(), &self.settings.limits)
    }

    /// The judgement of the message at hand by the rules of now.
    async fn judge(&self, proved: Option<&Arc<str>>) -> Option<Judged> {
        let (peer, message) = (self.peer.as_ref()?, self.dialogue.message()?);
        let head = MessageHead {
            client: &peer.client,
            route: peer.decision.route.as_ref(),
            envelope: &message.envelope,
            header: message.header(),
            proved,
        };
        Some(self.front.engine.judge_message(head).await)
    }

    /// Verifies the signature of a message that was held for that; with the domain that it proves.
    async fn prove(&self, proving: Proving, piece: &[u8]) -> (Decision, Option<Arc<str>>) {
        let Proving { decision, domain, body, _room } = proving;
        if body.len() + piece.len() > PROVABLE {
            return (decision, None);
        }
        let header = self.dialogue.message().map(Message::header).unwrap_or_default();
        let whole = [header, b"\r\n", &body, piece].concat();
        match self.front.engine.is_signed_by(&domain, whole).await {
            Some(true) => match self.judge(Some(&domain)).await {
                Some(judged) => (judged.decision, Some(domain)),
                None => (decision, None),
            },
            Some(false) => (decision, None),
            // The signature may be good: DNS did not say (S1.3).
            None => (decision.put_off(), None),
        }
    }

    /// The rules may have changed while the message came in (S0.6): then those of now decide, and the record names both.
    async fn judge_again(&self, first: Decision, proved: Option<&Arc<str>>) -> Decision {
        if first.rules == self.front.engine.rules_version() {
            return first;
        }
        match self.judge(proved).await {
            Some(again) => again.after(&first),
            None => first,
        }
    }

    /// What somebody else wrote in our name.
    fn forged(&self, message: &Message) -> Forged {
        let Settings { header, hostname, .. } = &*self.settings;
        forged(message.header(), header.authentication_results.then_some(hostname))
    }

    /// Lets the message pass, with our fields, and without those that somebody else wrote in our name.
    fn pass(&mut self, decision: &Decision) {
        for edit in self.edits(decision) {
            self.say(&edit);
        }
        self.say(&Answer::Continue);
        self.front.counters.messages_passed.add();
        self.record_message(decision, None);
        self.dialogue.end_message();
    }

    /// What is changed in the header of the message at hand.
    fn edits(&self, decision: &Decision) -> Vec<Answer> {
        let (Some(peer), Some(message)) = (&self.peer, self.dialogue.message()) else {
            return Vec::new();
        };
        let Settings { header: config, hostname, .. } = &*self.settings;
        let results = config.authentication_results.then(|| {
            let ptr = peer.decision.route.as_ref().map(|route| &route.ptr);
            results_field(hostname, peer.client.address.ip(), ptr, decision)
        });
        let verdict = decision.header();
        let is_tagged = decision.effective() == Action::Tag;
        let own = OwnFields {
            verdict: verdict.as_deref().and_then(value),
            results: results.as_deref().and_then(value),
            subject_prefix: config.subject_prefix.as_deref().filter(|_prefix| is_tagged),
        };
        edits(message.header(), self.forged(message), own)
    }

    /// Has the mail server keep the message until somebody releases it; where it cannot, the sender is told no (S0.9).
    fn quarantine(&mut self, decision: Decision) {
        if !self.dialogue.terms().is_some_and(Terms::can_quarantine) {
            let text = "message refused, since it cannot be kept here";
            let (action, reply) = (Action::RejectMessage, Some(Reply::new(550, 7, 1, text)));
            return self.refuse_message(Decision { action, reply, ..decision });
        }
        // Whoever releases it sends it on as it lies there.
        for edit in self.edits(&decision) {
            self.say(&edit);
        }
        self.say(&Answer::Quarantine(decision.summary()));
        self.say(&Answer::Continue);
        self.front.counters.messages_quarantined.add();
        self.record_message(&decision, None);
        self.dialogue.end_message();
    }

    /// Has the mail server tell the sender no, for now or for good.
    fn refuse_message(&mut self, decision: Decision) {
        let otherwise = Reply::new(451, 3, 0, "try again later");
        let reply = decision.refusal().unwrap_or(otherwise);
        self.front.counters.messages_refused.add();
        self.record_message(&decision, Some(&reply));
        self.say(&Answer::Reply(reply));
        self.fate = None;
        self.dialogue.end_message();
    }

    /// Records a message; what the mail server does with it afterwards nobody tells.
    fn record_message(&self, decision: &Decision, reply: Option<&Reply>) {
        let (Some(peer), Some(message)) = (&self.peer, self.dialogue.message()) else { return };
        let outcome = Outcome {
            reply: reply.map(ToString::to_string),
            rules_at_end: Some(self.front.engine.rules_version()),
            queue_id: message.queue_id.clone(),
            message_id: message_id(message.header()),
            subject: subject(message.header()),
            ..Outcome::default()
        };
        self.front.engine.record(&peer.client, Some(&message.envelope), decision, outcome);
    }

    fn own(&self, verdict: Verdict, action: Action, reply: Reply) -> Option<Decision> {
        let peer = self.peer.as_ref()?;
        Some(self.front.engine.own(&peer.client, Phase::Message, verdict, action, reply))
    }
}

/// What follows the colon of a field.
fn value(field: &str) -> Option<&str> {
    field.split_once(": ").map(|(_name, value)| value.trim_end())
}
