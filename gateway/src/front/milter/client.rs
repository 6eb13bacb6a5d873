//! One client of the mail server, and the recipients that it names.

use super::session::Session;
use crate::direction::Route;
use crate::engine::{Client, MailSaid};
use crate::milter::{Answer, ClientSaid};
use crate::policy::{Decision, Envelope, Front, Outcome, Reply};

/// One client of the mail server.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) client: Client,
    /// What was decided about its connection.
    pub(super) decision: Decision,
    /// Whether the trail has that.
    is_recorded: bool,
}

impl Session {
    /// Judges a client. What is against it is told when it begins a message, not before: until then it may log in, and most
    /// mail servers have words of their own for a client that is refused when it connects.
    pub(super) async fn connected(&mut self, said: ClientSaid) {
        let ClientSaid { address, local } = said;
        let client = Client { front: Front::Milter, ..Client::new(address, local) };
        let decision = self.front.engine.judge_connection(&client, self.settings.direction).await;
        let is_recorded = decision.refusal().is_none();
        if is_recorded {
            self.front.engine.record(&client, None, &decision, Outcome::default());
        }
        self.peer = Some(Peer { client, decision, is_recorded });
        self.say(&Answer::Continue);
    }

    /// A message begins: by now it is known whether the client's user has logged in.
    pub(super) fn began(&mut self, is_authenticated: bool) {
        self.fate = None;
        let Some(peer) = &mut self.peer else { return };
        let may_relay = peer.decision.route.as_ref().is_some_and(Route::may_relay);
        // Where the configuration fixes the direction, it has the last word.
        if is_authenticated && !may_relay && self.settings.direction.is_none() {
            peer.decision = self.front.engine.judge_authenticated(&peer.client);
            peer.is_recorded = false;
        }
        let refusal = peer.decision.refusal();
        if !peer.is_recorded {
            peer.is_recorded = true;
            let envelope = self.dialogue.message().map(|message| &message.envelope);
            let reply = refusal.as_ref().map(ToString::to_string);
            let outcome = Outcome { reply, ..Outcome::default() };
            self.front.engine.record(&peer.client, envelope, &peer.decision, outcome);
        }
        match refusal {
            Some(reply) => {
                self.dialogue.end_message();
                self.refuse(reply);
            }
            None => self.say(&Answer::Continue),
        }
    }

    /// Judges a recipient, and notes it where nothing is against it.
    pub(super) async fn recipient(&mut self, recipient: String) {
        let (Some(peer), Some(message)) = (&self.peer, self.dialogue.message()) else { return };
        let Envelope { helo, sender, .. } = &message.envelope;
        let said = MailSaid { helo, sender, recipient: &recipient };
        let engine = &self.front.engine;
        let decision = engine.judge_recipient(&peer.client, &peer.decision, said).await;
        let refusal = decision.as_ref().and_then(Decision::refusal);
        if let Some(decision) = &decision {
            let envelope =
                Envelope { recipients: vec![recipient.clone()], ..message.envelope.clone() };
            let reply = refusal.as_ref().map(ToString::to_string);
            let queue_id = message.queue_id.clone();
            let outcome = Outcome { reply, queue_id, ..Outcome::default() };
            engine.record(&peer.client, Some(&envelope), decision, outcome);
        }
        if let Some(reply) = refusal {
            return self.refuse(reply);
        }
        self.dialogue.accept_recipient(recipient);
        self.say(&Answer::Continue);
    }

    /// Has the mail server tell the client no, for now or for good.
    fn refuse(&mut self, reply: Reply) {
        let counters = &self.front.counters;
        if reply.is_temporary() {
            counters.deferred.add();
        } else {
            counters.refused.add();
        }
        self.say(&Answer::Reply(reply));
    }

    /// Records a client that left before it was told that it is refused.
    pub(super) fn record_unsaid(&mut self) {
        if let Some(peer) = self.peer.take()
            && !peer.is_recorded
        {
            let decision = Decision { reply: None, ..peer.decision };
            self.front.engine.record(&peer.client, None, &decision, Outcome::default());
        }
    }
}
