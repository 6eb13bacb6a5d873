//! One session with one client: greeting, commands, goodbye.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::client::{ClientStream, Gone};
use super::connections::Place;
use super::next_hop::{Hello, NextHopConnection};
use super::transaction::Transaction;
use super::{Front, Settings};
use crate::direction::Route;
use crate::engine::Client;
use crate::front::{Listener, ListenerTls, Patience, Stop};
use crate::policy::{Action, Decision, Phase, Reply, Verdict};
use crate::smtp::{Capabilities, Command, CommandError, HelloName, Limits, LineFault, Offer};

/// Octets of a line in a login (RFC 4954 section 4).
const LOGIN_LINE: usize = 12_288;

/// One session with one client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) front: Arc<Front>,
    pub(super) settings: Arc<Settings>,
    pub(super) listener: Arc<Listener>,
    pub(super) client: Client,
    /// The other end of the connection, whoever the client is.
    pub(super) peer: IpAddr,
    /// Whether the peer has to name the client first.
    pub(super) is_proxied: bool,
    /// What was decided when the client connected; `None` before that.
    pub(super) connection: Option<Decision>,
    pub(super) stream: ClientStream,
    pub(super) patience: Patience,
    /// Open from the first MAIL on, over all transactions; without it an open transaction is lost.
    pub(super) next_hop: Option<NextHopConnection>,
    pub(super) hello: Option<Hello>,
    /// The name that another host says the client greeted with.
    pub(super) said_hello: Option<HelloName>,
    /// What was decided about a client that has logged in at the next hop, without its login; that ends with the greeting in
    /// which it was. Only the connection at hand knows of it.
    pub(super) before_login: Option<Box<Decision>>,
    /// What the client was offered.
    pub(super) offered: Capabilities,
    pub(super) transaction: Option<Transaction>,
    commands: usize,
    errors: usize,
    pub(super) place: Place,
}

/// How a session begins.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) settings: Arc<Settings>,
    pub(super) listener: Arc<Listener>,
    pub(super) client: Client,
    pub(super) is_proxied: bool,
    pub(super) stop: Stop,
    pub(super) place: Place,
}

/// Whether a session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Close,
}

/// What ends a wait for a command.
pub(super) enum Next {
    Line(Result<Vec<u8>, LineFault>),
    Gone,
    Stop,
    Timeout,
}

impl Session {
    pub(super) fn new(front: Arc<Front>, stream: TcpStream, entry: Entry) -> Self {
        let Entry { settings, listener, client, is_proxied, stop, place } = entry;
        let line = settings.limits.command_line;
        let line = if listener.auth { line.max(LOGIN_LINE) } else { line };
        Self {
            peer: client.address.ip(),
            client,
            is_proxied,
            connection: None,
            stream: ClientStream::new(stream, line),
            patience: Patience::new(stop, settings.limits.session_timeout),
            next_hop: None,
            hello: None,
            said_hello: None,
            before_login: None,
            offered: Capabilities::default(),
            transaction: None,
            commands: 0,
            errors: 0,
            front,
            settings,
            listener,
            place,
        }
    }

    /// Serves the client from the judgement to the end.
    ///
    /// Most clients of a busy host say nothing most of the time. What takes room only while something is done (the judgement, a
    /// transaction, the data) is therefore boxed here and below, and is no part of what a silent client costs.
    pub(super) async fn run(mut self) {
        if Box::pin(self.open()).await == Flow::Continue {
            while self.step().await == Flow::Continue {}
        }
        self.abort();
        self.leave_next_hop();
        self.stream.hang_up().await;
    }

    /// Which way the client's mail goes.
    pub(super) fn route(&self) -> Option<&Route> {
        self.connection.as_ref().and_then(|connection| connection.route.as_ref())
    }

    /// Whether the next hop took its login.
    pub(super) const fn is_authenticated(&self) -> bool {
        self.before_login.is_some()
    }

    /// Whether the other end may say who the client is with XCLIENT.
    pub(super) fn may_name_client(&self) -> bool {
        self.listener.xclient_from.iter().any(|known| known.contains(self.peer))
    }

    /// Waits for a command and answers it.
    async fn step(&mut self) -> Flow {
        let line = match self.next_line(self.transaction.is_none()).await {
            Next::Line(Ok(line)) => line,
            Next::Line(Err(fault)) => return self.faulty_line(fault),
            ended => return self.no_line(&ended),
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

    /// No line came, and none will be taken any more.
    pub(super) fn no_line(&mut self, ended: &Next) -> Flow {
        match ended {
            Next::Line(_) | Next::Gone => {}
            Next::Stop => self.stream.say(Reply::new(421, 3, 2, "service is going down")),
            Next::Timeout => {
                self.stream.say(Reply::new(421, 4, 2, "timed out waiting for a command"));
            }
        }
        Flow::Close
    }

    /// Waits for a line; where mail is in hand, not `idle`, a stop waits for its end, up to the deadline.
    pub(super) async fn next_line(&mut self, idle: bool) -> Next {
        if idle && self.patience.is_stopping() {
            return Next::Stop;
        }
        let stream = &mut self.stream;
        let wait = self.settings.limits.command_timeout;
        tokio::select! {
            biased;
            line = self.patience.within(wait, stream.line()) => match line {
                Some(Ok(line)) => Next::Line(line),
                Some(Err(Gone)) => Next::Gone,
                None if self.patience.is_stopping() => Next::Stop,
                None => Next::Timeout,
            },
            () = self.patience.stopping(), if idle => Next::Stop,
        }
    }

    pub(super) fn faulty_line(&mut self, fault: LineFault) -> Flow {
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
            Command::Auth(arguments) => return Box::pin(self.auth(&arguments)).await,
            Command::Bdat(piece) => return Box::pin(self.bdat(piece)).await,
            Command::Data => return Box::pin(self.data()).await,
            Command::Ehlo(name) => return Box::pin(self.ehlo(&name)).await,
            Command::Helo(name) => {
                self.greeted(&name, false);
                self.stream.say(format!("250 {}", self.settings.hostname));
            }
            Command::Help => {
                let text = "EHLO HELO STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT";
                self.stream.say(format!("214 2.0.0 {text}"));
            }
            Command::Mail(mail) => return Box::pin(self.mail(&mail)).await,
            Command::Noop => self.stream.say(Reply::new(250, 0, 0, "ok")),
            Command::Quit => {
                self.abort();
                self.stream.say_goodbye();
                return Flow::Close;
            }
            Command::Rcpt(rcpt) => return Box::pin(self.rcpt(&rcpt)).await,
            Command::Rset => {
                Box::pin(self.reset()).await;
                self.stream.say(Reply::new(250, 0, 0, "ok"));
            }
            Command::Starttls => return Box::pin(self.starttls()).await,
            Command::Vrfy => self.stream.say(Reply::new(252, 0, 0, "send mail and see")),
            Command::Xclient(said) => return Box::pin(self.xclient(said)).await,
        }
        Flow::Continue
    }

    async fn ehlo(&mut self, name: &HelloName) -> Flow {
        self.greeted(name, true);
        let front = Arc::clone(&self.front);
        let settings = Arc::clone(&self.settings);
        let wait = settings.limits.next_hop_timeout;
        let capabilities = front.next_hops.capabilities(&settings, front.tls.connector());
        let asked = self.patience.within(wait, capabilities).await;
        let Some(capabilities) = asked.flatten() else {
            front.counters.next_hop_failures.add();
            let reply = Reply::new(421, 3, 2, "next hop does not answer, try again later");
            return self.defer_connection(Verdict::NextHop, reply);
        };
        let mut lines = vec![self.settings.hostname.clone()];
        lines.extend(capabilities.offered(self.offer()));
        self.offered = capabilities;
        let last = lines.len() - 1;
        for (index, line) in lines.iter().enumerate() {
            self.stream.say(format!("250{}{line}", if index == last { ' ' } else { '-' }));
        }
        Flow::Continue
    }

    /// What is ours to offer to this client.
    fn offer(&self) -> Offer {
        let is_tls = self.stream.is_tls();
        let Limits { message, recipients, .. } = self.settings.limits;
        Offer {
            size: message,
            recipients,
            starttls: self.listener.tls == ListenerTls::Starttls
                && !is_tls
                && self.front.tls.acceptor().is_some(),
            auth: self.listener.auth && is_tls && !self.is_authenticated(),
            xclient: self.may_name_client(),
        }
    }

    /// Notes the name; the next hop learns it with the next transaction, on a connection of its own.
    fn greeted(&mut self, name: &HelloName, extended: bool) {
        self.forget_greeting();
        let name = self.said_hello.as_ref().unwrap_or(name);
        self.hello = Some(Hello { name: name.as_str().to_owned(), extended });
    }

    /// Says a 5xx of our own; too many of them end the session.
    pub(super) fn refuse(&mut self, reply: Reply) -> Flow {
        self.front.counters.protocol_errors.add();
        self.stream.say(reply);
        self.count_error()
    }

    /// Counts an error of the client; too many of them end the session.
    pub(super) fn count_error(&mut self) -> Flow {
        self.errors += 1;
        if self.errors > self.settings.limits.errors {
            return self.break_off(Reply::new(421, 7, 0, "too many errors"));
        }
        Flow::Continue
    }

    /// Ends the session because of the client's manners.
    pub(super) fn break_off(&mut self, reply: Reply) -> Flow {
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
