//! A recording SMTP server: the next hop of tests and demo, which answers as it is told to and forgets nothing.

use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::net::{Shutdown as Half, shutdown};

use crate::deadline::wait_for;
use crate::handed_over::HandedOver;
use crate::smtp_session::Session;

/// What the server is like; the default takes everything and lets XCLIENT in.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name in the greeting.
    pub hostname: String,
    /// What EHLO announces. XCLIENT is understood where it is in here, and `SIZE` is held to.
    pub capabilities: Vec<String>,
    /// Every connection begins with a PROXY header, of either version.
    pub proxy: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hostname: "next-hop.example.org".to_owned(),
            capabilities: [
                "PIPELINING",
                "SIZE 10485760",
                "8BITMIME",
                "SMTPUTF8",
                "DSN",
                "ENHANCEDSTATUSCODES",
                "XCLIENT NAME ADDR PORT PROTO HELO",
            ]
            .map(ToOwned::to_owned)
            .to_vec(),
            proxy: false,
        }
    }
}

impl Options {
    /// Without the capability that begins with `keyword`.
    #[must_use]
    pub fn without(mut self, keyword: &str) -> Self {
        self.capabilities.retain(|capability| capability.split(' ').next() != Some(keyword));
        self
    }
}

/// The points at which the server can be told to answer otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Instead of the greeting.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// XCLIENT.
    Xclient,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, before the message.
    Data,
    /// The final dot.
    Message,
    /// RSET.
    Reset,
    /// QUIT.
    Quit,
}

/// What the server does at a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Sends these words, without CR LF.
    Reply(String),
    /// Sends these words and closes the connection.
    ReplyAndClose(String),
    /// Says nothing more, whatever comes.
    Hang,
    /// Closes the connection without a word.
    Close,
}

/// How a mail transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By the final dot, and the server gave its answer.
    Dot,
    /// By RSET, EHLO or QUIT.
    Aborted,
    /// The connection ended first.
    Disconnected,
}

/// One mail transaction, from MAIL to its end.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// The number of its connection, the first is 0.
    pub connection: usize,
    /// Whom the peer spoke for.
    pub handed_over: Option<HandedOver>,
    /// What was said in EHLO or HELO.
    pub helo: String,
    /// What followed `MAIL FROM:`, parameters included.
    pub mail: String,
    /// What followed `RCPT TO:`, accepted ones alone.
    pub recipients: Vec<String>,
    /// What followed DATA as it came over the wire: dots still doubled, without the final one.
    pub wire: Vec<u8>,
    /// How it ended.
    pub ended: Ended,
    /// The answer to the final dot.
    pub reply: Option<String>,
}

impl Transaction {
    /// The message: dots no longer doubled.
    pub fn message(&self) -> String {
        let text = String::from_utf8_lossy(&self.wire).into_owned();
        let undoubled = text.replace("\r\n..", "\r\n.");
        match undoubled.strip_prefix("..") {
            Some(rest) => format!(".{rest}"),
            None => undoubled,
        }
    }

    /// Whether the server took the message over.
    pub fn is_delivered(&self) -> bool {
        self.ended == Ended::Dot && self.reply.as_ref().is_some_and(|it| it.starts_with('2'))
    }

    /// The address that was passed on, by whatever means.
    pub fn client(&self) -> Option<IpAddr> {
        self.handed_over.as_ref().and_then(|client| client.address)
    }
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    /// Everything said, `C:` and `S:` lines; a message is one line that says how long it was.
    pub transcript: Vec<String>,
    /// What a strict server frowns at: bare CR or LF, NUL, commands out of order, lines without end.
    pub faults: Vec<String>,
    /// Whether it is still there.
    pub open: bool,
}

/// The server; dropping it ends every connection.
#[derive(Debug)]
pub struct SmtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: TcpListener,
    thread: Option<JoinHandle<()>>,
}

/// What the threads of one server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    script: Mutex<Vec<(Stage, String, Answer)>>,
    records: Mutex<Records>,
    /// Messages that have come so far, whether they were taken or not.
    messages: AtomicUsize,
    stopping: AtomicBool,
}

#[derive(Debug, Default)]
struct Records {
    connections: Vec<Connection>,
    transactions: Vec<Transaction>,
    streams: Vec<TcpStream>,
}

impl SmtpServer {
    /// Listens on `address`, whose port may be 0; call it inside `NetNs::run` to listen in a namespace.
    pub fn start(address: SocketAddr, options: Options) -> Result<Self> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            options,
            script: Mutex::default(),
            records: Mutex::default(),
            messages: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let (accepting, accepting_shared) = (listener.try_clone()?, Arc::clone(&shared));
        let thread = thread::spawn(move || accept(&accepting, &accepting_shared));
        Ok(Self { address, shared, listener, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on answers so at `stage` when what was said there contains `text` (an empty text is in all).
    ///
    /// What was told last counts.
    pub fn answer(&self, stage: Stage, text: &str, answer: Answer) {
        lock(&self.shared.script).insert(0, (stage, text.to_owned(), answer));
    }

    /// From now on answers as in the beginning.
    pub fn answer_normally(&self) {
        lock(&self.shared.script).clear();
    }

    /// All connections so far.
    pub fn connections(&self) -> Vec<Connection> {
        lock(&self.shared.records).connections.clone()
    }

    /// All transactions that have ended so far.
    pub fn transactions(&self) -> Vec<Transaction> {
        lock(&self.shared.records).transactions.clone()
    }

    /// The messages that the server took over.
    pub fn delivered(&self) -> Vec<Transaction> {
        let mut all = self.transactions();
        all.retain(Transaction::is_delivered);
        all
    }

    /// Waits until `count` transactions have ended; all of them.
    pub fn wait_for_transactions(
        &self,
        count: usize,
        within: Duration,
    ) -> Result<Vec<Transaction>> {
        wait_for(&format!("{count} transactions"), within, || {
            let all = self.transactions();
            Ok((all.len() >= count).then_some(all))
        })
        .with_context(|| format!("{:#?}", self.connections()))
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // On Linux this wakes `accept` with an error.
        shutdown(&self.listener, Half::Both).unwrap_or_default();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or_default();
        }
        for stream in &lock(&self.shared.records).streams {
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }
}

impl Shared {
    /// What the script says about `text` at `stage`; where it says nothing, `usually`.
    pub(crate) fn answer(&self, stage: Stage, text: &str, usually: &str) -> Answer {
        lock(&self.script)
            .iter()
            .find(|(at, part, _)| *at == stage && text.contains(part.as_str()))
            .map_or_else(|| Answer::Reply(usually.to_owned()), |(_, _, it)| it.clone())
    }

    /// Adds one line to the record of a connection.
    pub(crate) fn said(&self, connection: usize, line: String) {
        self.with(connection, |record| record.transcript.push(line));
    }

    /// Records what a strict server frowns at.
    pub(crate) fn fault(&self, connection: usize, fault: &str) {
        self.with(connection, |record| record.faults.push(fault.to_owned()));
    }

    /// The number of a message: a connection may bring several.
    pub(crate) fn next_message(&self) -> usize {
        self.messages.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Records the end of a transaction.
    pub(crate) fn ended(&self, transaction: Transaction) {
        lock(&self.records).transactions.push(transaction);
    }

    fn with(&self, connection: usize, change: impl FnOnce(&mut Connection)) {
        if let Some(record) = lock(&self.records).connections.get_mut(connection) {
            change(record);
        }
    }

    fn connected(&self, peer: SocketAddr, stream: &TcpStream) -> usize {
        let mut records = lock(&self.records);
        records.streams.extend(stream.try_clone());
        records.connections.push(Connection {
            peer,
            transcript: Vec::new(),
            faults: Vec::new(),
            open: true,
        });
        records.connections.len() - 1
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, peer)) = listener.accept() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let number = shared.connected(peer, &stream);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let ending = stream.try_clone();
            Session::new(number, stream, Arc::clone(&shared)).run();
            // The record keeps the socket open, so that its end has to be said.
            if let Ok(ending) = ending {
                ending.shutdown(Shutdown::Both).unwrap_or_default();
            }
            shared.with(number, |record| record.open = false);
        });
    }
}

/// A thread that panicked while it held the lock has left nothing half done: every change is one push.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
