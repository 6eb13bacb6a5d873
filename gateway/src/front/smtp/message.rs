//! The data of one message: held until its header is judged, then passed on as it comes, ended when all agree.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::client::Gone;
use super::keeping::Keeping;
use super::next_hop::{Interrupted, NextHopConnection, NextHopError};
use super::session::{Flow, Session};
use super::transaction::Transaction;
use crate::engine::{Judged, MessageHead};
use crate::front::BareNewline;
use crate::policy::{Action, Decision, Envelope, Outcome, Phase, Reply, Verdict};
use crate::scan::{message_id, subject};
use crate::smtp::{
    DataDecoder, DataEncoder, DataFault, Fed, Limits, Mail, NextHopReply, Rcpt, header_end,
    header_fault, header_too_long,
};

/// Octets that are read at once, and so about what is held back of a message.
const PIECE: usize = 16 * 1024;
/// Octets of a message that is held as a whole until its signature is verified; a longer one is not exempt.
const PROVABLE: usize = 1024 * 1024;
/// How long a message may take to come that is held so; the next hop waits meanwhile.
const LONGEST_PROVING: Duration = Duration::from_mins(1);
/// Messages that are held so at the same time.
pub(super) const MOST_PROVING: usize = 64;

/// A message on its way through.
pub(super) struct Message {
    pub(super) envelope: Envelope,
    /// What was said with MAIL.
    pub(super) mail: Mail,
    /// What was said with RCPT of those who were accepted.
    pub(super) recipients: Vec<Rcpt>,
    decoder: DataDecoder,
    encoder: DataEncoder,
    /// Content that was not looked at yet.
    pub(super) content: Vec<u8>,
    /// Octets of it in which no end of the header was found.
    searched: usize,
    /// The header block, kept since it may be judged again.
    pub(super) header: Vec<u8>,
    /// What waits to be sent to the next hop: sent only when more came, so that the end is never among it. Of a message for
    /// the quarantine, what waits to be written.
    pub(super) held: Vec<u8>,
    pub(super) octets: u64,
    /// The exempt domain whose signature was verified.
    proved: Option<Arc<str>>,
    pub(super) fate: Fate,
}

/// What becomes of a message.
pub(super) enum Fate {
    /// Its header is not here yet.
    Unknown,
    /// It goes to the next hop.
    Pass(Decision),
    /// It goes into quarantine.
    Keep(Box<Keeping>),
    /// It is held until its signature can be verified: then it goes to the next hop after all.
    Proving(Box<Proving>),
    /// It goes nowhere; its sender hears so when it has said all.
    Refused(Refusal),
}

/// A message that the score stops unless its sender is who it says.
pub(super) struct Proving {
    /// What happens otherwise.
    decision: Decision,
    /// The exempt domain that has to have signed it.
    domain: Arc<str>,
    /// Until when it has to be here: others wait for the room.
    until: Instant,
    _room: OwnedSemaphorePermit,
}

/// Why a message goes nowhere, and what its sender hears.
pub(super) struct Refusal {
    decision: Decision,
    /// The lines with their CRLF.
    reply: String,
    next_hop: Option<String>,
    /// Whether the addresses were the reason, so that other rules may make it another decision.
    judged: bool,
}

/// What ended a wait for more data.
pub(super) enum More {
    Came,
    Gone,
    Interrupted(Interrupted),
    Timeout,
}

/// Why a message will not come to its end.
pub(super) enum Cut {
    /// The client went away.
    Gone,
    /// It fell silent.
    Timeout,
    /// It was refused long ago for its size, and goes on.
    TooMuch,
}

impl Session {
    /// Takes the data of a message whose DATA the next hop has accepted.
    pub(super) async fn receive(&mut self, transaction: Transaction) -> Flow {
        let limits = &self.settings.limits;
        let normalise = self.listener.bare_newline == BareNewline::Normalise;
        let decoder = DataDecoder::new(normalise, limits.data_line);
        let mut message = Message::new(transaction, decoder);
        loop {
            let fed = message.feed(self.stream.input.unread());
            self.stream.input.consume(fed.consumed);
            self.look_at(&mut message, fed.end).await;
            if fed.end {
                return self.finish(message).await;
            }
            if let Err(cut) = self.go_on(&mut message).await {
                return self.cut_off(message, cut);
            }
        }
    }

    /// Waits for more of a message, whatever the next hop says meanwhile.
    pub(super) async fn go_on(&mut self, message: &mut Message) -> Result<(), Cut> {
        if message.octets > self.settings.limits.message.saturating_mul(2) {
            return Err(Cut::TooMuch);
        }
        match self.more(message).await {
            More::Came => Ok(()),
            More::Gone => Err(Cut::Gone),
            More::Timeout => Err(Cut::Timeout),
            More::Interrupted(interruption) => {
                self.interrupted(message, interruption);
                Ok(())
            }
        }
    }

    /// Ends the session with a message that will not come to its end.
    pub(super) fn cut_off(&mut self, mut message: Message, cut: Cut) -> Flow {
        match cut {
            Cut::Gone => self.give_up(&mut message, None),
            Cut::Timeout => {
                let reply = Reply::new(421, 4, 2, "timed out waiting for data");
                self.give_up(&mut message, Some(reply));
            }
            Cut::TooMuch => self.conclude(message),
        }
        Flow::Close
    }

    /// Judges and prepares what came.
    pub(super) async fn look_at(&mut self, message: &mut Message, end: bool) {
        if matches!(message.fate, Fate::Refused(_)) {
            message.content.clear();
            return;
        }
        if let Some(reply) = message.fault(&self.settings.limits) {
            return self.refuse_message(message, reply);
        }
        if matches!(message.fate, Fate::Unknown) {
            let found = header_end(&message.content, message.searched);
            message.searched = message.content.len();
            let Some(length) = found.or_else(|| end.then_some(message.content.len())) else {
                // One octet over the limit is enough to know that the header does not fit.
                if message.content.len() > self.settings.limits.header {
                    self.refuse_message(message, header_too_long());
                }
                return;
            };
            let body = message.content.split_off(length);
            message.header = std::mem::replace(&mut message.content, body);
            if let Some(reply) = header_fault(&message.header, &self.settings.limits) {
                return self.refuse_message(message, reply);
            }
            let judged = self.judge_message(message).await;
            self.settle(message, judged).await;
        }
        if let Fate::Proving(proving) = &message.fate
            && message.header.len() + message.content.len() > PROVABLE
        {
            let decision = proving.decision.clone();
            self.settle(message, Judged { decision, provable: None }).await;
        }
        if let Fate::Proving(proving) = &message.fate
            && proving.until < Instant::now()
        {
            let decision = proving.decision.clone();
            message.refuse(&mut self.next_hop, Refusal::for_want_of_room(decision));
        }
        if let Fate::Pass(_) = message.fate {
            message.encoder.encode(&message.content, &mut message.held);
            message.content.clear();
        }
        if let Fate::Keep(_) = message.fate {
            self.keep_on(message).await;
        }
    }

    async fn judge_message(&self, message: &Message) -> Judged {
        let head = MessageHead {
            client: &self.client,
            route: self.route(),
            envelope: &message.envelope,
            header: &message.header,
            proved: message.proved.as_ref(),
        };
        self.front.engine.judge_message(head).await
    }

    /// Does what a judgement of the header says.
    async fn settle(&mut self, message: &mut Message, judged: Judged) {
        let Judged { decision, provable } = judged;
        let is_stopped = decision_reply(&decision).is_some();
        if let (Some(domain), true) = (provable, is_stopped) {
            match Arc::clone(&self.front.proving).try_acquire_owned() {
                Ok(room) => {
                    let until = Instant::now() + LONGEST_PROVING;
                    let proving = Proving { decision, domain, until, _room: room };
                    message.fate = Fate::Proving(Box::new(proving));
                }
                Err(_full) => {
                    message.refuse(&mut self.next_hop, Refusal::for_want_of_room(decision));
                }
            }
            return;
        }
        if is_stopped {
            return message.refuse(&mut self.next_hop, Refusal::judged(decision));
        }
        if decision.effective() == Action::Quarantine {
            return self.keep(message, decision).await;
        }
        let header = self.header(message, &decision);
        message.encoder.encode(&header, &mut message.held);
        message.fate = Fate::Pass(decision);
    }

    /// Refuses a message for what it is, not for where it comes from.
    fn refuse_message(&mut self, message: &mut Message, reply: Reply) {
        self.front.counters.protocol_errors.add();
        let decision = self.own(Phase::Message, Verdict::Protocol, Action::RejectMessage, reply);
        message.refuse(&mut self.next_hop, Refusal::ours(decision));
    }

    /// The next hop answered in the middle of the data, or went away.
    fn interrupted(&mut self, message: &mut Message, interruption: Interrupted) {
        let own = |session: &Self, reply| {
            session.own(Phase::Message, Verdict::NextHop, Action::Defer, reply)
        };
        let (decision, reply, said) = match interruption {
            Interrupted::Reply(reply) if is_refusal(&reply) => {
                let ours = Reply::new(reply.code, 0, 0, "refused by the next hop");
                let decision = match std::mem::replace(&mut message.fate, Fate::Unknown) {
                    Fate::Pass(decision) => decision,
                    Fate::Proving(proving) => proving.decision,
                    Fate::Keep(_) | Fate::Unknown | Fate::Refused(_) => own(self, ours),
                };
                (decision, reply.wire(), reply.summary())
            }
            Interrupted::Reply(reply) => {
                let said = reply.summary();
                let ours = self.lost(&NextHopError::Unexpected(reply));
                (own(self, ours.clone()), format!("{ours}\r\n"), said)
            }
            Interrupted::Lost(error) => {
                let ours = self.lost(&error);
                (own(self, ours.clone()), format!("{ours}\r\n"), error.to_string())
            }
        };
        let refusal = Refusal { decision, reply, next_hop: Some(said), judged: false };
        message.refuse(&mut self.next_hop, refusal);
    }

    fn lost(&mut self, error: &NextHopError) -> Reply {
        self.next_hop = None;
        self.front.counters.next_hop_failures.add();
        self.front.next_hops.doubt();
        error.reply()
    }

    /// Waits for more, and sends what was held so far: now it is not the end.
    async fn more(&mut self, message: &mut Message) -> More {
        let more = self.more_from_client().await;
        let (More::Came, Some(next_hop)) = (&more, &mut self.next_hop) else { return more };
        if message.held.len() < PIECE {
            return more;
        }
        let wait = self.settings.limits.next_hop_timeout;
        let sent = self.patience.within(wait, next_hop.data(&message.held)).await;
        message.held.clear();
        match sent {
            Some(Ok(())) => more,
            Some(Err(interruption)) => More::Interrupted(interruption),
            None => More::Interrupted(Interrupted::Lost(NextHopError::Timeout)),
        }
    }

    pub(super) async fn more_from_client(&mut self) -> More {
        let limits = &self.settings.limits;
        let (stream, next_hop) = (&mut self.stream, &mut self.next_hop);
        let wait = async {
            if stream.flush().await.is_err() {
                return More::Gone;
            }
            let interruption = async {
                match next_hop {
                    Some(next_hop) => next_hop.interruption().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                came = stream.fill(PIECE) => match came {
                    Ok(()) => More::Came,
                    Err(Gone) => More::Gone,
                },
                interruption = interruption => More::Interrupted(interruption),
            }
        };
        self.patience.within(limits.data_timeout, wait).await.unwrap_or(More::Timeout)
    }

    /// The data is over: the last judgement, the dot, the next hop's answer.
    pub(super) async fn finish(&mut self, mut message: Message) -> Flow {
        self.prove(&mut message).await;
        let rules = self.front.engine.rules_version();
        if message.fate.judgement().is_some_and(|decision| decision.rules != rules) {
            let again = self.judge_message(&message).await;
            message.settle_again(&mut self.next_hop, again);
        }
        if let Fate::Keep(_) = message.fate {
            self.hold(&mut message, rules).await;
        }
        let Fate::Pass(decision) = &message.fate else {
            self.conclude(message);
            return Flow::Continue;
        };
        let decision = decision.clone();
        let mut last = std::mem::take(&mut message.held);
        std::mem::take(&mut message.encoder).finish(&mut last);
        match self.hand_over(&last).await {
            Ok(reply) if reply.code != 421 && !(300..400).contains(&reply.code) => {
                let counters = &self.front.counters;
                if reply.is_positive() {
                    counters.messages_relayed.add();
                } else {
                    counters.messages_refused.add();
                }
                self.stream.say_lines(&reply.wire());
                let outcome = Outcome {
                    reply: Some(reply.summary()),
                    next_hop: Some(reply.summary()),
                    rules_at_end: Some(rules),
                    ..message.outcome()
                };
                self.front.engine.record(&self.client, Some(&message.envelope), &decision, outcome);
            }
            Ok(reply) => {
                self.interrupted(&mut message, Interrupted::Reply(reply));
                self.conclude(message);
            }
            Err(interruption) => {
                self.interrupted(&mut message, interruption);
                self.conclude(message);
            }
        }
        Flow::Continue
    }

    /// Verifies the signature of a message that was held for that.
    async fn prove(&mut self, message: &mut Message) {
        let Fate::Proving(proving) = &message.fate else { return };
        let (domain, stopped) = (Arc::clone(&proving.domain), proving.decision.clone());
        let whole = [message.header.as_slice(), &message.content].concat();
        let judged = match self.front.engine.is_signed_by(&domain, whole).await {
            Some(true) => {
                message.proved = Some(domain);
                self.judge_message(message).await
            }
            Some(false) => Judged { decision: stopped, provable: None },
            // The signature may be good: DNS did not say (S1.3).
            None => Judged { decision: stopped.put_off(), provable: None },
        };
        self.settle(message, Judged { provable: None, ..judged }).await;
        if let Fate::Keep(_) = message.fate {
            self.keep_on(message).await;
        }
        if matches!(message.fate, Fate::Pass(_)) {
            message.encoder.encode(&message.content, &mut message.held);
            message.content.clear();
        }
    }

    /// Sends the end of the data and waits for the answer to it.
    async fn hand_over(&mut self, last: &[u8]) -> Result<NextHopReply, Interrupted> {
        let wait = self.settings.limits.next_hop_timeout;
        let final_wait = self.final_wait();
        let timeout = || Interrupted::Lost(NextHopError::Timeout);
        let closed = || Interrupted::Lost(NextHopError::Closed);
        let next_hop = self.next_hop.as_mut().ok_or_else(closed)?;
        if let Some(unasked) = next_hop.unasked().await {
            return Err(unasked.into());
        }
        self.patience.within(wait, next_hop.data(last)).await.ok_or_else(timeout)??;
        let answer = self.patience.within(final_wait, next_hop.reply()).await;
        answer.ok_or_else(timeout)?.map_err(Interrupted::Lost)
    }

    /// Tells the sender that its message went nowhere, and records why.
    pub(super) fn conclude(&mut self, message: Message) {
        let about = message.outcome();
        let Fate::Refused(refusal) = message.fate else { return };
        self.front.counters.messages_refused.add();
        self.stream.say_lines(&refusal.reply);
        let outcome = Outcome {
            reply: Some(refusal.reply.trim_end().replace("\r\n", " / ")),
            next_hop: refusal.next_hop,
            rules_at_end: Some(self.front.engine.rules_version()),
            ..about
        };
        self.front.engine.record(&self.client, Some(&message.envelope), &refusal.decision, outcome);
    }

    /// Ends a message whose data has no end: nothing was acknowledged, nothing goes on.
    pub(super) fn give_up(&mut self, message: &mut Message, reply: Option<Reply>) {
        self.next_hop = None;
        self.front.counters.messages_refused.add();
        let decision = match std::mem::replace(&mut message.fate, Fate::Unknown) {
            Fate::Refused(refusal) => refusal.decision,
            Fate::Pass(_) | Fate::Keep(_) | Fate::Proving(_) | Fate::Unknown => {
                let lost = Reply::new(421, 4, 2, "connection lost in the middle of the data");
                let told = reply.clone().unwrap_or(lost);
                self.own(Phase::Message, Verdict::Protocol, Action::Defer, told)
            }
        };
        if let Some(reply) = &reply {
            self.stream.say(reply);
        }
        let outcome = Outcome { reply: reply.map(|reply| reply.to_string()), ..message.outcome() };
        self.front.engine.record(&self.client, Some(&message.envelope), &decision, outcome);
    }
}

impl Message {
    /// What is known of it, whatever becomes of it.
    pub(super) fn outcome(&self) -> Outcome {
        Outcome {
            octets: Some(self.octets),
            message_id: message_id(&self.header),
            subject: subject(&self.header),
            ..Outcome::default()
        }
    }

    /// One of which nothing is here yet.
    pub(super) fn new(transaction: Transaction, decoder: DataDecoder) -> Self {
        Self {
            envelope: transaction.envelope,
            mail: transaction.mail,
            recipients: transaction.accepted,
            decoder,
            encoder: DataEncoder::default(),
            content: Vec::new(),
            searched: 0,
            header: Vec::new(),
            held: Vec::new(),
            octets: 0,
            proved: None,
            fate: Fate::Unknown,
        }
    }

    /// Takes octets from the wire.
    pub(super) fn feed(&mut self, octets: &[u8]) -> Fed {
        let before = self.content.len();
        let fed = self.decoder.feed(octets, &mut self.content);
        self.octets += u64::try_from(self.content.len() - before).unwrap_or(u64::MAX);
        fed
    }

    /// Ends a message that came in pieces.
    pub(super) fn end_pieces(&mut self) {
        self.decoder.finish(&mut self.content);
    }

    /// Whether its sender will hear that it goes nowhere.
    pub(super) const fn is_refused(&self) -> bool {
        matches!(self.fate, Fate::Refused(_))
    }

    /// Drops the next hop with what it has of the message; the rest of the data is taken in and forgotten.
    pub(super) fn refuse(&mut self, next_hop: &mut Option<NextHopConnection>, refusal: Refusal) {
        *next_hop = None;
        self.content = Vec::new();
        self.held = Vec::new();
        self.fate = Fate::Refused(refusal);
    }

    /// The rules changed while the message came in (S0.6). It can be stopped still; to be let in after all, to be tagged or
    /// to go into quarantine, it has to come again.
    fn settle_again(&mut self, next_hop: &mut Option<NextHopConnection>, again: Judged) {
        let Some(first) = self.fate.judgement() else { return };
        let (again, tagged) = (again.after(first), first.header().is_some());
        let stopped = matches!(self.fate, Fate::Refused(_));
        let is_quarantine = again.effective() == Action::Quarantine;
        if let (Fate::Keep(keeping), true) = (&mut self.fate, is_quarantine) {
            keeping.decision = again;
            return;
        }
        let elsewhere = stopped || is_quarantine || matches!(self.fate, Fate::Keep(_));
        if decision_reply(&again).is_some() {
            self.refuse(next_hop, Refusal::judged(again));
        } else if elsewhere || (again.header().is_some() && !tagged) {
            self.refuse(next_hop, Refusal::judged(again.come_again()));
        }
    }

    /// What is wrong with the data so far.
    fn fault(&self, limits: &Limits) -> Option<Reply> {
        if self.octets > limits.message {
            return Some(Reply::new(
                552,
                3,
                4,
                &format!("message too big, limit {}", limits.message),
            ));
        }
        self.decoder.fault().map(|fault| match fault {
            DataFault::BareCr | DataFault::BareLf => Reply::new(550, 6, 11, &fault.to_string()),
            DataFault::LongLine | DataFault::Nul => Reply::new(550, 6, 0, &fault.to_string()),
        })
    }
}

impl Fate {
    /// The judgement of the addresses that stands so far.
    fn judgement(&self) -> Option<&Decision> {
        match self {
            Self::Pass(decision) => Some(decision),
            Self::Keep(keeping) => Some(&keeping.decision),
            Self::Proving(proving) => Some(&proving.decision),
            Self::Refused(refusal) => refusal.judged.then_some(&refusal.decision),
            Self::Unknown => None,
        }
    }
}

impl Refusal {
    /// We have no room to hold the message until its signature is verified: that is ours, and never a 5xx.
    fn for_want_of_room(decision: Decision) -> Self {
        let text = "too many messages wait for their signatures, try again later";
        Self::ours(decision.for_want_of_room(Reply::new(451, 3, 2, text)))
    }

    /// The quarantine takes nothing now: the message may come again.
    pub(super) fn not_kept(decision: Decision) -> Self {
        let text = "no room to keep the message, try again later";
        Self::ours(decision.for_want_of_room(Reply::new(451, 3, 1, text)))
    }

    fn judged(decision: Decision) -> Self {
        Self { judged: true, ..Self::ours(decision) }
    }

    fn ours(decision: Decision) -> Self {
        let reply = decision_reply(&decision).map(|reply| format!("{reply}\r\n"));
        let reply = reply.unwrap_or_default();
        Self { decision, reply, next_hop: None, judged: false }
    }
}

/// What the sender hears instead of the next hop's answer; `None` where the message goes on.
fn decision_reply(decision: &Decision) -> Option<Reply> {
    // The configuration says so in words: no other way leads here.
    let is_discarded = decision.effective() == Action::Discard;
    if is_discarded { Some(Reply::new(250, 0, 0, "ok")) } else { decision.refusal() }
}

/// Whether the next hop says no, and says it to the client.
fn is_refusal(reply: &NextHopReply) -> bool {
    reply.code >= 400 && reply.code != 421
}
