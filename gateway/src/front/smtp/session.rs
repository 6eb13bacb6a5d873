//! One session with one client: greeting, commands, goodbye.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::client::{ClientStream, Gone};
use super::connections::Place;
use super::next_hop::{Hello, NextHopConnection};
use super::patience::Patience;
use super::transaction::Transaction;
use super::{Front, Settings, Stop};
use crate::direction::{Direction, Route};
use crate::engine::Client;
use crate::front::{BareNewline, Listener};
use crate::policy::{Action, Decision, Outcome, Phase, Reply, Verdict};
use crate::smtp::{Capabilities, Command, CommandError, HelloName, LineFault};

/// Octets that are read at once while waiting for commands.
const PIECE: usize = 4096;
/// Lines of a refused client that are answered before it is left.
const REFUSED_LINES: usize = 10;
/// One session with one client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) front: Arc<Front>,
    pub(super) settings: Arc<Settings>,
    pub(super) client: Client,
    /// The way of all mail of the listener; `None` is told from the client.
    direction: Option<Direction>,
    /// What was decided when the client connected; `None` before that.
    pub(super) connection: Option<Decision>,
    pub(super) bare_newline: BareNewline,
    pub(super) stream: ClientStream,
    pub(super) patience: Patience,
    /// Open from the first MAIL on, over all transactions; without it an open transaction is lost.
    pub(super) next_hop: Option<NextHopConnection>,
    pub(super) hello: Option<Hello>,
    /// What the client was offered.
    pub(super) offered: Capabilities,
    pub(super) transaction: Option<Transaction>,
    commands: usize,
    errors: usize,
    _place: Place,
}

/// Whether a session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Close,
}

/// What ends a wait for a command.
enum Next {
    Line(Result<Vec<u8>, LineFault>),
    Gone,
    Stop,
    Timeout,
}

impl Session {
    pub(super) fn new(
        front: Arc<Front>,
        settings: Arc<Settings>,
        stream: TcpStream,
        client: Client,
        listener: &Listener,
        stop: Stop,
        place: Place,
    ) -> Self {
        Self {
            client,
            direction: listener.direction,
            connection: None,
            bare_newline: listener.bare_newline,
            stream: ClientStream::new(stream, settings.limits.command_line),
            patience: Patience::new(stop, settings.limits.session_timeout),
            next_hop: None,
            hello: None,
            offered: Capabilities::default(),
            transaction: None,
            commands: 0,
            errors: 0,
            front,
            settings,
            _place: place,
        }
    }

    /// Serves the client from the judgement to the end.
    pub(super) async fn run(mut self) {
        if self.greet().await == Flow::Continue {
            while self.step().await == Flow::Continue {}
        }
        self.abort();
        self.leave_next_hop();
        self.stream.hang_up().await;
    }

    async fn greet(&mut self) -> Flow {
        let front = Arc::clone(&self.front);
        let mut decision = front.engine.judge_connection(&self.client, self.direction).await;
        let is_open = !decision.effective().refuses() && !decision.trusts_client();
        if is_open && self.stream.spoke_early() {
            front.counters.early_talkers.add();
            let reply = Reply::new(554, 5, 1, "you spoke before the greeting");
            let own = self.own(Phase::Connect, Verdict::EarlyTalker, Action::Reject, reply);
            // In a dry run it goes on, with what is known of it.
            decision = Decision {
                enforced: front.engine.enforces(),
                score: decision.score,
                route: decision.route,
                addresses: decision.addresses,
                ..own
            };
        }
        match decision.effective() {
            Action::Defer => {
                front.counters.deferred.add();
                self.answer_connection(&decision, Reply::new(421, 7, 1, "try again later"));
                Flow::Close
            }
            Action::Reject | Action::RejectMessage => {
                front.counters.refused.add();
                let reply = Reply::new(554, 7, 1, "you are not allowed to connect");
                self.answer_connection(&decision, reply);
                self.wait_for_quit().await;
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

    /// Which way the client's mail goes.
    pub(super) fn route(&self) -> Option<&Route> {
        self.connection.as_ref().and_then(|connection| connection.route.as_ref())
    }

    /// Says the reply of a decision, `otherwise` where it has none, and records it.
    fn answer_connection(&mut self, decision: &Decision, otherwise: Reply) {
        let reply = decision.reply.clone().unwrap_or(otherwise).to_string();
        self.stream.say(&reply);
        let outcome = Outcome { reply: Some(reply), ..Outcome::default() };
        self.front.engine.record(&self.client, None, decision, outcome);
    }

    /// RFC 5321 section 3.1: after a 554 the client may only quit.
    async fn wait_for_quit(&mut self) {
        let wait = self.settings.limits.refused_timeout;
        let stream = &mut self.stream;
        let talk = async {
            for _line in 0..REFUSED_LINES {
                let line = loop {
                    if let Some(line) = stream.input.next_line() {
                        break line;
                    }
                    stream.flush().await?;
                    stream.fill(PIECE).await?;
                };
                if matches!(line.as_deref().map(Command::parse), Ok(Ok(Command::Quit))) {
                    stream.say(Reply::new(221, 0, 0, "bye"));
                    return Ok(());
                }
                stream.say(Reply::new(503, 5, 1, "you are not allowed to connect, expected QUIT"));
            }
            Ok(())
        };
        let _outcome: Option<Result<(), Gone>> = self.patience.within(wait, talk).await;
    }

    /// Waits for a command and answers it.
    async fn step(&mut self) -> Flow {
        let line = match self.next_line().await {
            Next::Line(Ok(line)) => line,
            Next::Line(Err(fault)) => return self.faulty_line(fault),
            Next::Gone => return Flow::Close,
            Next::Stop => {
                self.stream.say(Reply::new(421, 3, 2, "service is going down"));
                return Flow::Close;
            }
            Next::Timeout => {
                self.stream.say(Reply::new(421, 4, 2, "timed out waiting for a command"));
                return Flow::Close;
            }
        };
        self.commands += 1;
        if self.commands > self.settings.limits.commands {
            return self.break_off(Reply::new(421, 7, 0, "too many commands"));
        }
        match Command::parse(&line) {
            Ok(command) => self.command(command).await,
            Err(CommandError::OtherProtocol) => self.break_off(CommandError::OtherProtocol.reply()),
            Err(error) => self.refuse(error.reply()),
        }
    }

    async fn next_line(&mut self) -> Next {
        // Where mail is in hand, a stop waits for its end, up to the deadline.
        let idle = self.transaction.is_none();
        if idle && self.patience.is_stopping() {
            return Next::Stop;
        }
        let stream = &mut self.stream;
        let read = async {
            loop {
                if stream.is_full() {
                    stream.flush().await?;
                }
                if let Some(line) = stream.input.next_line() {
                    return Ok::<_, Gone>(line);
                }
                stream.flush().await?;
                stream.fill(PIECE).await?;
            }
        };
        tokio::select! {
            biased;
            line = self.patience.within(self.settings.limits.command_timeout, read) => match line {
                Some(Ok(line)) => Next::Line(line),
                Some(Err(Gone)) => Next::Gone,
                None if self.patience.is_stopping() => Next::Stop,
                None => Next::Timeout,
            },
            () = self.patience.stopping(), if idle => Next::Stop,
        }
    }

    fn faulty_line(&mut self, fault: LineFault) -> Flow {
        match fault {
            // Where lines end is the one thing on which both sides must agree.
            LineFault::BareLf => self.break_off(Reply::new(554, 5, 2, &fault.to_string())),
            LineFault::BareCr | LineFault::Nul | LineFault::TooLong => {
                self.refuse(Reply::new(500, 5, 2, &fault.to_string()))
            }
        }
    }

    async fn command(&mut self, command: Command) -> Flow {
        match command {
            Command::Data => return self.data().await,
            Command::Ehlo(name) => return self.ehlo(&name).await,
            Command::Helo(name) => {
                self.greeted(&name, false);
                self.stream.say(format!("250 {}", self.settings.hostname));
            }
            Command::Help => {
                let text = "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT";
                self.stream.say(format!("214 2.0.0 {text}"));
            }
            Command::Mail(mail) => return self.mail(&mail).await,
            Command::Noop => self.stream.say(Reply::new(250, 0, 0, "ok")),
            Command::Quit => {
                self.abort();
                self.stream.say(Reply::new(221, 0, 0, "bye"));
                return Flow::Close;
            }
            Command::Rcpt(rcpt) => return self.rcpt(&rcpt).await,
            Command::Rset => {
                self.reset().await;
                self.stream.say(Reply::new(250, 0, 0, "ok"));
            }
            Command::Vrfy => self.stream.say(Reply::new(252, 0, 0, "send mail and see")),
        }
        Flow::Continue
    }

    async fn ehlo(&mut self, name: &HelloName) -> Flow {
        self.greeted(name, true);
        let front = Arc::clone(&self.front);
        let settings = Arc::clone(&self.settings);
        let wait = settings.limits.next_hop_timeout;
        let asked = self.patience.within(wait, front.next_hop.capabilities(&settings)).await;
        let Some(capabilities) = asked.flatten() else {
            front.counters.next_hop_failures.add();
            let reply = Reply::new(421, 3, 2, "next hop does not answer, try again later");
            let decision = self.own(Phase::Connect, Verdict::NextHop, Action::Defer, reply.clone());
            self.answer_connection(&decision, reply);
            return Flow::Close;
        };
        let mut lines = vec![self.settings.hostname.clone()];
        lines.extend(capabilities.offered(self.settings.limits.message));
        self.offered = capabilities;
        let last = lines.len() - 1;
        for (index, line) in lines.iter().enumerate() {
            self.stream.say(format!("250{}{line}", if index == last { ' ' } else { '-' }));
        }
        Flow::Continue
    }

    /// Notes the name; the next hop learns it with the next transaction, on a connection of its own.
    fn greeted(&mut self, name: &HelloName, extended: bool) {
        self.abort();
        self.leave_next_hop();
        self.offered = Capabilities::default();
        self.hello = Some(Hello { name: name.as_str().to_owned(), extended });
    }

    /// Says a 5xx of our own; too many of them end the session.
    pub(super) fn refuse(&mut self, reply: Reply) -> Flow {
        self.front.counters.protocol_errors.add();
        self.errors += 1;
        if self.errors > self.settings.limits.errors {
            self.stream.say(reply);
            return self.break_off(Reply::new(421, 7, 0, "too many errors"));
        }
        self.stream.say(reply);
        Flow::Continue
    }

    /// Ends the session because of the client's manners.
    fn break_off(&mut self, reply: Reply) -> Flow {
        self.front.counters.protocol_errors.add();
        self.abort();
        let action = if reply.is_temporary() { Action::Defer } else { Action::Reject };
        let decision = self.own(Phase::Connect, Verdict::Protocol, action, reply.clone());
        self.answer_connection(&decision, reply);
        Flow::Close
    }

    pub(super) fn own(
        &self,
        phase: Phase,
        verdict: Verdict,
        action: Action,
        reply: Reply,
    ) -> Decision {
        self.front.engine.own(&self.client, phase, verdict, action, reply)
    }

    /// The wait for the next hop's verdict on a message.
    pub(super) fn final_wait(&self) -> Duration {
        self.settings.limits.next_hop_final_timeout
    }
}
