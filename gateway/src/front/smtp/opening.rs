//! The start of a session: who is there, may it come in, how is it greeted.

use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::client::{Early, Gone, PIECE};
use super::connections::Full;
use super::session::{Flow, Session};
use crate::engine::{Client, NamedBy};
use crate::front::ListenerTls;
use crate::policy::{Action, Decision, Outcome, Phase, Reply, Verdict};
use crate::smtp::{
    Capabilities, Command, CommandError, Named, Proxied, Xclient, read_proxy_header,
};

/// How long a load balancer may take to say who is there.
const HEADER_WAIT: Duration = Duration::from_secs(5);
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// Lines of a refused client that are answered before it is left.
const REFUSED_LINES: u32 = 10;

impl Session {
    /// Everything before the first command.
    pub(super) async fn open(&mut self) -> Flow {
        if self.is_proxied && self.read_proxy_header().await == Flow::Close {
            return Flow::Close;
        }
        if self.listener.tls == ListenerTls::Implicit && self.secure().await == Flow::Close {
            return Flow::Close;
        }
        self.greet().await
    }

    /// Learns from a load balancer who the client is. What is wrong with that is our own trouble: a 4xx.
    async fn read_proxy_header(&mut self) -> Flow {
        let stream = &mut self.stream;
        let header = async {
            loop {
                match read_proxy_header(stream.input.unread()) {
                    Ok(Some((proxied, length))) => {
                        stream.input.consume(length);
                        return Ok(proxied);
                    }
                    Ok(None) => stream.fill(PIECE).await.map_err(|Gone| None)?,
                    Err(fault) => return Err(Some(fault.to_string())),
                }
            }
        };
        let peer = self.client.address.ip();
        match self.patience.within(HEADER_WAIT, header).await {
            Some(Ok(Proxied::Client { client, local })) => {
                self.front.alarms.clear("proxy-protocol");
                let named_by = Some(NamedBy::Proxy(peer));
                self.client = Client { named_by, ..Client::new(client, local) };
            }
            Some(Ok(Proxied::Itself)) => {}
            // It only looked whether the port is open.
            Some(Err(None)) => return Flow::Close,
            Some(Err(Some(fault))) => return self.unproxied(peer, &fault),
            None => return self.unproxied(peer, "no PROXY header in time, expected one"),
        }
        self.claim()
    }

    fn unproxied(&mut self, peer: IpAddr, fault: &str) -> Flow {
        self.unnamed("proxy-protocol", &format!("[{peer}]: {fault}; see `proxy_from`"))
    }

    /// A host of our own does not say who its client is: the sender tries again, and an operator learns why.
    fn unnamed(&mut self, alarm: &str, text: &str) -> Flow {
        self.front.alarms.raise(alarm, text);
        let reply = Reply::new(421, 3, 5, "mail system not configured, try again later");
        self.defer_connection(Verdict::Protocol, reply)
    }

    /// Makes the place of this session one of its client.
    fn claim(&mut self) -> Flow {
        let address = self.client.address.ip();
        let is_known = self.front.engine.is_known_good(address);
        match self.place.claim(address, is_known, &self.settings.limits) {
            Ok(()) => Flow::Continue,
            Err(full) => {
                self.front.counters.capacity.add();
                self.defer_connection(Verdict::Capacity, full.reply())
            }
        }
    }

    pub(super) fn defer_connection(&mut self, verdict: Verdict, reply: Reply) -> Flow {
        let decision = self.own(Phase::Connect, verdict, Action::Defer, reply.clone());
        self.answer_connection(&decision, reply);
        Flow::Close
    }

    /// Speaks TLS from here on.
    async fn secure(&mut self) -> Flow {
        let Some(acceptor) = self.front.tls.acceptor() else { return Flow::Close };
        let secured = self.patience.within(HANDSHAKE, self.stream.secure(&acceptor)).await;
        if let Some(Ok(())) = secured {
            self.client.tls = self.stream.tls();
            return Flow::Continue;
        }
        self.front.counters.tls_failures.add();
        let why =
            secured.and_then(Result::err).map_or_else(|| "timed out".into(), |it| it.to_string());
        tracing::debug!(target: "tls", "handshake with [{}] failed: {why}", self.client.address.ip());
        Flow::Close
    }

    /// STARTTLS (RFC 3207): all that was known is forgotten.
    pub(super) async fn starttls(&mut self) -> Flow {
        if self.stream.is_tls() {
            return self.refuse(Reply::new(503, 5, 1, "TLS is spoken already"));
        }
        if self.listener.tls != ListenerTls::Starttls || self.front.tls.acceptor().is_none() {
            return self.refuse(CommandError::NotOffered.reply());
        }
        self.forget_greeting();
        self.stream.say(Reply::new(220, 0, 0, "go ahead"));
        let wait = self.settings.limits.command_timeout;
        match self.patience.within(wait, self.stream.flush()).await {
            Some(Ok(())) => {
                // What came in the clear may be anybody's (RFC 3207 section 4.2).
                self.stream.forget_input();
                self.secure().await
            }
            Some(Err(Gone)) | None => Flow::Close,
        }
    }

    /// XCLIENT: another client is there from now on, and is greeted anew.
    pub(super) async fn xclient(&mut self, said: Xclient) -> Flow {
        let peer = self.peer;
        if !self.may_name_client() {
            return self.refuse(CommandError::NotOffered.reply());
        }
        if self.transaction.is_some() {
            return self.refuse(Reply::new(503, 5, 1, "a transaction is open already"));
        }
        self.forget_greeting();
        let mut address = self.client.address;
        match said.address {
            Named::Omitted => {}
            Named::As(ip) => address.set_ip(ip),
            // Nobody can be judged whom nobody knows.
            Named::Unavailable => {
                address.set_ip(peer);
                self.client = Client::new(address, self.client.local);
                let text =
                    format!("[{peer}]: XCLIENT without the client's address; see `xclient_from`");
                return self.unnamed("xclient", &text);
            }
        }
        address.set_port(said.port.unwrap_or_else(|| address.port()));
        self.client = Client { address, named_by: Some(NamedBy::Xclient(peer)), ..self.client };
        self.front.alarms.clear("xclient");
        self.said_hello = said.hello;
        if self.claim() == Flow::Close { Flow::Close } else { self.greet().await }
    }

    async fn greet(&mut self) -> Flow {
        let front = Arc::clone(&self.front);
        let started = Instant::now();
        let mut decision =
            front.engine.judge_connection(&self.client, self.listener.direction).await;
        if !decision.effective().refuses() && !decision.trusts_client() {
            match self.early(started).await {
                Ok(None) => {}
                Ok(Some(Early::ProxyHeader)) => {
                    let text = "PROXY header from an address that is not to send one";
                    return self.defer_connection(Verdict::Protocol, Reply::new(421, 3, 5, text));
                }
                Ok(Some(Early::Talk)) => decision = self.early_talker(decision),
                Err(Gone) => return Flow::Close,
            }
        }
        match decision.effective() {
            Action::Defer => {
                front.counters.deferred.add();
                self.answer_connection(&decision, Reply::new(421, 7, 1, "try again later"));
                Flow::Close
            }
            Action::Reject | Action::RejectMessage => {
                front.counters.refused.add();
                self.refuse_connection(&decision).await;
                Flow::Close
            }
            Action::Accept
            | Action::Observe
            | Action::Tag
            | Action::Quarantine
            | Action::Discard => {
                let greeting = format!("220 {} ESMTP", self.settings.hostname);
                self.stream.say(&greeting);
                let outcome = Outcome { reply: Some(greeting), ..Outcome::default() };
                self.front.engine.record(&self.client, None, &decision, outcome);
                self.connection = Some(decision);
                Flow::Continue
            }
        }
    }

    /// What the client said before it was greeted; strangers get the time to do so.
    async fn early(&mut self, started: Instant) -> Result<Option<Early>, Gone> {
        let address = self.client.address.ip();
        let is_named = matches!(self.client.named_by, Some(NamedBy::Xclient(_)));
        // Who says XCLIENT may have the next command on its way.
        if is_named {
            return Ok(None);
        }
        let early = self.stream.early();
        let Some(wait) = self.listener.greet_wait.filter(|_wait| early.is_none()) else {
            return Ok(early);
        };
        if self.front.patient.contains_key(&address) {
            return Ok(None);
        }
        self.stream.say(format!("220-{} ESMTP", self.settings.hostname));
        let stream = &mut self.stream;
        let said = async {
            stream.flush().await?;
            stream.fill(PIECE).await
        };
        let left = wait.saturating_sub(started.elapsed());
        match self.patience.within(left, said).await {
            Some(Ok(())) => Ok(self.stream.early()),
            Some(Err(Gone)) => Err(Gone),
            None => {
                self.front.patient.insert(address, ());
                Ok(None)
            }
        }
    }

    /// The decision about a client that spoke before it was greeted; in a dry run it goes on, with what is known of it.
    fn early_talker(&self, known: Decision) -> Decision {
        self.front.counters.early_talkers.add();
        let reply = Reply::new(554, 5, 1, "you spoke before the greeting");
        let own = self.own(Phase::Connect, Verdict::EarlyTalker, Action::Reject, reply);
        Decision {
            enforced: self.front.engine.enforces(),
            score: known.score,
            route: known.route,
            addresses: known.addresses,
            ..own
        }
    }

    /// Says the reply of a decision, `otherwise` where it has none, and records it.
    pub(super) fn answer_connection(&mut self, decision: &Decision, otherwise: Reply) {
        let reply = decision.reply.clone().unwrap_or(otherwise).to_string();
        self.stream.say(&reply);
        let outcome = Outcome { reply: Some(reply), ..Outcome::default() };
        self.front.engine.record(&self.client, None, decision, outcome);
    }

    /// RFC 5321 section 3.1: after a 554 the client may only quit. In the tarpit it waits for every word of it.
    async fn refuse_connection(&mut self, decision: &Decision) {
        let stuck = self.front.tarpit.take(&self.settings.limits);
        let delay = stuck.as_ref().map_or(Duration::ZERO, |stuck| stuck.delay);
        self.patience.within(delay, pending::<()>()).await;
        self.answer_connection(decision, Reply::new(554, 7, 1, "you are not allowed to connect"));
        let wait = self.settings.limits.refused_timeout + delay * REFUSED_LINES;
        let stream = &mut self.stream;
        let talk = async {
            for _line in 0..REFUSED_LINES {
                let line = stream.line().await?;
                if !delay.is_zero() {
                    sleep(delay).await;
                }
                if matches!(line.as_deref().map(Command::parse), Ok(Ok(Command::Quit))) {
                    stream.say_goodbye();
                    return Ok(());
                }
                stream.say(Reply::new(503, 5, 1, "you are not allowed to connect, expected QUIT"));
            }
            Ok(())
        };
        let _outcome: Option<Result<(), Gone>> = self.patience.within(wait, talk).await;
    }

    /// Forgets what the client said of itself, and what is open because of it.
    pub(super) fn forget_greeting(&mut self) {
        self.abort();
        self.leave_next_hop();
        self.offered = Capabilities::default();
        self.hello = None;
        if let Some(before) = self.before_login.take() {
            self.connection = Some(*before);
        }
    }
}

impl Full {
    /// What the client is told.
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::All | Self::Unknown => {
                Reply::new(421, 3, 2, "all connections are taken, try again later")
            }
            Self::Client => Reply::new(421, 7, 0, "too many connections from your address"),
            Self::Network => Reply::new(421, 7, 0, "too many connections from your network"),
        }
    }
}
