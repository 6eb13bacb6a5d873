//! One mail transaction up to its data: what the client says goes to the next hop, what that answers comes back.

use std::sync::Arc;

use super::next_hop::{Hello, NextHopConnection, NextHopError, NextHops};
use super::session::{Flow, Session};
use crate::direction::Route;
use crate::engine::MailSaid;
use crate::policy::{Action, DNS_UNAVAILABLE, Decision, Envelope, Outcome, Phase, Reply, Verdict};
use crate::smtp::{CommandError, Mail, NextHopReply, Rcpt};

/// A transaction that the next hop has begun.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) envelope: Envelope,
    /// What the client said with MAIL.
    pub(super) mail: Mail,
    /// What it said with each RCPT that was accepted.
    pub(super) accepted: Vec<Rcpt>,
    /// How many recipients were named, accepted or not.
    named: usize,
    /// Whether its end was recorded.
    recorded: bool,
}

impl Session {
    pub(super) async fn mail(&mut self, mail: &Mail) -> Flow {
        let Some(hello) = self.hello.clone() else {
            return self.refuse(Reply::new(503, 5, 1, "send HELO or EHLO first"));
        };
        if self.transaction.is_some() {
            return self.refuse(Reply::new(503, 5, 1, "a transaction is open already"));
        }
        let limit = self.offered.size(self.settings.limits.message);
        if mail.size.is_some_and(|size| size > limit) {
            return self.refuse(Reply::new(552, 3, 4, &format!("message too big, limit {limit}")));
        }
        let transaction = Transaction {
            envelope: Envelope {
                helo: Envelope::capped(&hello.name),
                sender: mail
                    .sender
                    .as_ref()
                    .map(|sender| Envelope::capped(sender.to_string()))
                    .unwrap_or_default(),
                recipients: Vec::new(),
            },
            mail: mail.clone(),
            accepted: Vec::new(),
            named: 0,
            recorded: false,
        };
        self.transaction = Some(transaction);
        let reply = match self.begin(&hello, mail).await {
            Ok(Begun::Reply(reply)) => reply,
            Ok(Begun::Unsupported(keyword)) => {
                self.transaction = None;
                return self.refuse(CommandError::Parameter(keyword).reply());
            }
            Err(error) => {
                if let Some(refusal) = error.client_refusal() {
                    self.stream.say_lines(&refusal.wire());
                } else {
                    self.next_hop_lost(&error);
                }
                self.next_hop = None;
                self.transaction = None;
                return Flow::Continue;
            }
        };
        let began = reply.is_positive();
        self.pass_on(&reply);
        if !began || self.next_hop.is_none() {
            self.transaction = None;
        }
        Flow::Continue
    }

    /// Says MAIL to the next hop, over the connection at hand or a new one.
    async fn begin(&mut self, hello: &Hello, mail: &Mail) -> Result<Begun, NextHopError> {
        let wait = self.settings.limits.next_hop_timeout;
        let at_hand = self.next_hop.take();
        if let Some(mut next_hop) =
            at_hand.filter(|known| mail.unsupported(&known.capabilities).is_none())
        {
            let command = mail.line(&next_hop.capabilities);
            let answer = self.patience.within(wait, next_hop.command(&command, wait)).await;
            // It may have tired of waiting for another transaction; then this one has a new connection.
            if let Some(Ok(reply)) = answer
                && reply.code != 421
            {
                self.next_hop = Some(next_hop);
                return Ok(Begun::Reply(reply));
            }
        }
        if self.is_authenticated() {
            // Another connection knows nothing of the login.
            return Err(NextHopError::Closed);
        }
        let mut next_hop = self.connect(hello).await?;
        if let Some(keyword) = mail.unsupported(&next_hop.capabilities) {
            if mail.unsupported(&self.offered).is_some() {
                return Ok(Begun::Unsupported(keyword.to_owned()));
            }
            // It was offered, and is no longer there: not the client's fault.
            return Err(NextHopError::Withdrawn(keyword.to_owned()));
        }
        let command = mail.line(&next_hop.capabilities);
        let answer = self.patience.within(wait, next_hop.command(&command, wait)).await;
        let reply = answer.ok_or(NextHopError::Timeout)??;
        self.next_hop = Some(next_hop);
        Ok(Begun::Reply(reply))
    }

    /// A connection to a next hop that knows the client.
    pub(super) async fn connect(&self, hello: &Hello) -> Result<NextHopConnection, NextHopError> {
        let (front, settings) = (Arc::clone(&self.front), Arc::clone(&self.settings));
        let wait = settings.limits.next_hop_timeout;
        let connector = front.tls.connector();
        let connect = front.next_hops.connect(&settings, connector, &self.client, hello);
        self.patience.within(wait, connect).await.ok_or(NextHopError::Timeout)?
    }

    pub(super) async fn rcpt(&mut self, rcpt: &Rcpt) -> Flow {
        let Some(transaction) = &mut self.transaction else {
            return self.refuse(Reply::new(503, 5, 1, "send MAIL first"));
        };
        if !rcpt.recipient.is_ascii() && !transaction.mail.is_utf8() {
            return self.refuse(CommandError::Utf8.reply());
        }
        if transaction.named >= self.settings.limits.recipients {
            self.stream.say(Reply::new(452, 5, 3, "too many recipients"));
            return Flow::Continue;
        }
        transaction.named += 1;
        if !self.settings.accept_recipient(&rcpt.recipient, self.route()) {
            if self.route().is_some_and(Route::dns_failed) {
                return self.dns_failed();
            }
            return self.refuse(Reply::new(550, 7, 1, "relaying denied"));
        }
        let Some(next_hop) = &self.next_hop else {
            self.say_lost();
            return Flow::Continue;
        };
        if let Some(keyword) = rcpt.unsupported(&next_hop.capabilities) {
            return self.refuse(CommandError::Parameter(keyword.to_owned()).reply());
        }
        if let Some(flow) = self.judge(rcpt).await {
            return flow;
        }
        // It is named before the next hop is asked, so that a record of one that is lost over it has it.
        if let Some(transaction) = &mut self.transaction {
            transaction.envelope.recipients.push(Envelope::capped(rcpt.recipient.to_string()));
        }
        let reply = self.ask(&rcpt.line()).await;
        if let Some(reply) = &reply {
            self.pass_on(reply);
        }
        if let Some(transaction) = &mut self.transaction {
            if reply.is_some_and(|reply| reply.is_positive()) {
                transaction.accepted.push(rcpt.clone());
            } else {
                transaction.envelope.recipients.pop();
            }
        }
        Flow::Continue
    }

    /// Has a recipient judged; `None` where it may be named to the next hop.
    async fn judge(&mut self, rcpt: &Rcpt) -> Option<Flow> {
        let front = Arc::clone(&self.front);
        let (connection, transaction) = (self.connection.as_ref()?, self.transaction.as_ref()?);
        let recipient = rcpt.recipient.to_string();
        let Envelope { helo, sender, .. } = &transaction.envelope;
        let mail = MailSaid { helo, sender, recipient: &recipient };
        let decision = front.engine.judge_recipient(&self.client, connection, mail).await?;
        let envelope = Envelope {
            recipients: vec![Envelope::capped(&recipient)],
            ..transaction.envelope.clone()
        };
        let reply = decision.refusal();
        let outcome =
            Outcome { reply: reply.as_ref().map(ToString::to_string), ..Outcome::default() };
        front.engine.record(&self.client, Some(&envelope), &decision, outcome);
        let reply = reply?;
        if reply.is_temporary() {
            front.counters.deferred.add();
            self.stream.say(reply);
            return Some(Flow::Continue);
        }
        front.counters.refused.add();
        Some(self.refuse(reply))
    }

    /// The client asks for what only one of our own may, and DNS did not tell whether it is one (S4.4).
    fn dns_failed(&mut self) -> Flow {
        self.front.counters.deferred.add();
        let reply = Reply::new(421, 4, 3, DNS_UNAVAILABLE);
        let decision =
            self.own(Phase::Recipient, Verdict::DnsTempfail, Action::Defer, reply.clone());
        let decision = Decision { route: self.route().cloned(), ..decision };
        self.stream.say(&reply);
        let envelope = self.transaction.as_ref().map(|transaction| transaction.envelope.clone());
        let outcome = Outcome { reply: Some(reply.to_string()), ..Outcome::default() };
        self.front.engine.record(&self.client, envelope.as_ref(), &decision, outcome);
        Flow::Close
    }

    pub(super) async fn data(&mut self) -> Flow {
        match self.begin_data().await {
            Ok(transaction) => {
                self.stream.say("354 end data with <CR><LF>.<CR><LF>");
                self.receive(transaction).await
            }
            Err(flow) => flow,
        }
    }

    /// Has the next hop wait for the data of the transaction, which is over with that; else the client was told why not.
    pub(super) async fn begin_data(&mut self) -> Result<Transaction, Flow> {
        let Some(transaction) = &self.transaction else {
            return Err(self.refuse(Reply::new(503, 5, 1, "send MAIL first")));
        };
        if self.next_hop.is_none() {
            self.say_lost();
            self.transaction = None;
            return Err(Flow::Continue);
        }
        if transaction.envelope.recipients.is_empty() {
            return Err(self.refuse(Reply::new(554, 5, 1, "no valid recipients")));
        }
        let Some(reply) = self.ask("DATA").await else {
            self.transaction = None;
            return Err(Flow::Continue);
        };
        if reply.code != 354 {
            if reply.is_positive() {
                // No answer to DATA that anybody knows: what it would do with a message is a guess.
                self.next_hop_lost(&NextHopError::Unexpected(reply));
            } else {
                self.pass_on(&reply);
            }
            return Err(Flow::Continue);
        }
        self.transaction.take().ok_or(Flow::Continue)
    }

    /// Asks the next hop; `None` when it is lost, which the client has been told then.
    async fn ask(&mut self, command: &str) -> Option<NextHopReply> {
        let wait = self.settings.limits.next_hop_timeout;
        let next_hop = self.next_hop.as_mut()?;
        let answer = self.patience.within(wait, next_hop.command(command, wait)).await;
        match answer.unwrap_or(Err(NextHopError::Timeout)) {
            Ok(reply) => Some(reply),
            Err(error) => {
                self.next_hop_lost(&error);
                None
            }
        }
    }

    /// Tells the client what the next hop said; a 421 is the next hop's goodbye to us, not ours to the client.
    fn pass_on(&mut self, reply: &NextHopReply) {
        match reply.code {
            421 | 300..400 => self.next_hop_lost(&NextHopError::Unexpected(reply.clone())),
            _ => self.stream.say_lines(&reply.wire()),
        }
    }

    /// Drops the next hop, tells the client, and records it, once for each transaction.
    fn next_hop_lost(&mut self, error: &NextHopError) {
        self.next_hop = None;
        self.front.counters.next_hop_failures.add();
        self.front.next_hops.doubt();
        let reply = error.reply();
        self.stream.say(&reply);
        let decision = self.own(Phase::Message, Verdict::NextHop, Action::Defer, reply);
        let Some(transaction) = self.transaction.as_mut().filter(|known| !known.recorded) else {
            return;
        };
        transaction.recorded = true;
        let outcome = Outcome { next_hop: Some(error.to_string()), ..Outcome::default() };
        self.front.engine.record(&self.client, Some(&transaction.envelope), &decision, outcome);
    }

    fn say_lost(&mut self) {
        self.stream.say(NextHopError::Closed.reply());
    }

    /// Ends an open transaction for good: by the connection's end, never by words.
    pub(super) fn abort(&mut self) {
        if self.transaction.take().is_some() {
            self.next_hop = None;
        }
    }

    /// Leaves a next hop that has nothing in hand.
    pub(super) fn leave_next_hop(&mut self) {
        let Some(next_hop) = self.next_hop.take() else { return };
        if self.is_authenticated() {
            tokio::spawn(next_hop.quit());
        } else {
            NextHops::give_back(&self.settings, next_hop);
        }
    }

    /// Ends an open transaction because the client takes it back; no data has gone to the next hop.
    pub(super) async fn reset(&mut self) {
        let wait = self.settings.limits.next_hop_timeout;
        if self.transaction.take().is_none() {
            return;
        }
        if let Some(mut next_hop) = self.next_hop.take() {
            let answer = self.patience.within(wait, next_hop.command("RSET", wait)).await;
            self.next_hop =
                matches!(answer, Some(Ok(reply)) if reply.code == 250).then_some(next_hop);
        }
    }
}

/// How a transaction began at the next hop.
enum Begun {
    /// With its reply.
    Reply(NextHopReply),
    /// Not at all: it offers nothing for this parameter, nor did we.
    Unsupported(String),
}
