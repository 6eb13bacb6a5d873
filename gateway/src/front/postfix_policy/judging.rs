//! One request: the client is judged once in a session, each recipient, each message as far as its envelope tells.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::PolicyService;
use super::known::{Fate, KnownClient};
use crate::direction::{Route, RouteReason};
use crate::engine::{Client, MailSaid, MessageHead};
use crate::policy::{Action, Decision, Envelope, Front, Outcome, Reply};
use crate::postfix_policy::{Answer, Request, Stage};

impl PolicyService {
    /// What Postfix is to do about a request.
    pub(super) async fn judge(&self, request: Request) -> Answer {
        let Some(address) = request.client else {
            self.counters.unjudged.add();
            return Answer::Dunno;
        };
        let client = client(address, &request);
        let known = self.known_client(&client, &request).await;
        if let Some(reply) = known.decision.refusal() {
            return self.refuse(reply);
        }
        let envelope = Envelope {
            helo: request.helo.clone(),
            sender: request.sender.clone(),
            recipients: Some(&request.recipient)
                .filter(|it| !it.is_empty())
                .cloned()
                .into_iter()
                .collect(),
        };
        if request.stage == Stage::Recipient
            && let Some(reply) = self.judge_recipient(&client, &known, &request, &envelope).await
        {
            return self.refuse(reply);
        }
        let is_of_message =
            matches!(request.stage, Stage::Recipient | Stage::Data | Stage::EndOfMessage);
        match known.fate(&request.instance) {
            _ if !is_of_message => Answer::Dunno,
            Fate::Settled => Answer::Dunno,
            Fate::Refused(reply) => self.refuse(reply),
            Fate::Open => self.judge_message(&client, &known, &request, &envelope).await,
        }
    }

    /// What is decided about the client, judged when it is asked about for the first time in a session, when the rules are others
    /// than then, and when its user has logged in.
    async fn known_client(&self, client: &Client, request: &Request) -> Arc<KnownClient> {
        let address = client.address.ip();
        let direction = self.settings.load().direction;
        let former = self.known.get(address, request);
        let former = former.filter(|_known| request.stage != Stage::Connect);
        let is_in_force = |known: &Arc<KnownClient>| {
            let route = known.decision.route.as_ref();
            let is_ours = route.is_some_and(Route::may_relay);
            let logged_in = request.is_authenticated && !is_ours && direction.is_none();
            // The port of a session that is over may be that of another one.
            let by_login = route.is_some_and(|it| it.reason == RouteReason::Authenticated);
            let is_same_user = request.is_authenticated || !by_login;
            known.decision.rules == self.engine.rules_version() && is_same_user && !logged_in
        };
        if let Some(known) = former.as_ref().filter(|known| is_in_force(known)) {
            return Arc::clone(known);
        }
        // Where the configuration fixes the direction, it has the last word.
        let decision = if request.is_authenticated && direction.is_none() {
            self.engine.judge_authenticated(client)
        } else {
            self.engine.judge_connection(client, direction).await
        };
        self.record(client, request, None, &decision);
        let known = Arc::new(KnownClient::new(decision, former.as_deref()));
        self.known.put(address, request, &known);
        known
    }

    /// What the client is told of this recipient; `None` where nothing is against it.
    async fn judge_recipient(
        &self,
        client: &Client,
        known: &KnownClient,
        request: &Request,
        envelope: &Envelope,
    ) -> Option<Reply> {
        let Request { helo, sender, recipient, .. } = request;
        let said = MailSaid { helo, sender, recipient };
        let decision = self.engine.judge_recipient(client, &known.decision, said).await?;
        self.record(client, request, Some(envelope), &decision);
        decision.refusal()
    }

    /// Judges a message once, without its header, which Postfix does not tell. Recorded only where that comes to something: of a
    /// message that goes on, whoever sees its header has the record.
    async fn judge_message(
        &self,
        client: &Client,
        known: &KnownClient,
        request: &Request,
        envelope: &Envelope,
    ) -> Answer {
        let route = known.decision.route.as_ref();
        let head = MessageHead { client, route, envelope, header: b"", proved: None };
        let decision = self.engine.judge_envelope(head).await;
        known.settle(&request.instance, decision.refusal());
        let answer = match (decision.effective(), decision.refusal(), decision.header()) {
            (_, Some(reply), _) => self.refuse(reply),
            (Action::Discard, ..) => {
                self.counters.discarded.add();
                Answer::Discard(decision.summary())
            }
            (Action::Quarantine, ..) => {
                self.counters.quarantined.add();
                Answer::Hold(decision.summary())
            }
            // Postfix takes no more fields when the message is whole.
            (Action::Tag, ..) if request.stage == Stage::EndOfMessage => return Answer::Dunno,
            (Action::Tag, _, Some(field)) => {
                self.counters.tagged.add();
                Answer::Prepend(field)
            }
            _ => Answer::Dunno,
        };
        if decision.offending.is_some() {
            self.record(client, request, Some(envelope), &decision);
        }
        answer
    }

    fn refuse(&self, reply: Reply) -> Answer {
        let counters = &self.counters;
        if reply.is_temporary() {
            counters.deferred.add();
        } else {
            counters.refused.add();
        }
        Answer::Reply(reply)
    }

    fn record(
        &self,
        client: &Client,
        request: &Request,
        envelope: Option<&Envelope>,
        decision: &Decision,
    ) {
        let reply = decision.refusal().map(|reply| reply.to_string());
        let outcome = Outcome { reply, queue_id: request.queue_id.clone(), ..Outcome::default() };
        self.engine.record(client, envelope, decision, outcome);
    }
}

/// The two ends of the client's connection, as far as Postfix tells.
fn client(address: IpAddr, request: &Request) -> Client {
    let server = request.server.unwrap_or_else(|| Ipv4Addr::UNSPECIFIED.into());
    let address = SocketAddr::new(address, request.client_port);
    let local = SocketAddr::new(server, request.server_port);
    Client { front: Front::PostfixPolicy, ..Client::new(address, local) }
}
