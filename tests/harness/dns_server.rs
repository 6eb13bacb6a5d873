//! A scripted DNS server over UDP and TCP: the resolver of tests, which answers as it is told to and counts what it is asked.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::net::sockopt::{
    set_socket_recv_buffer_size, set_socket_recv_buffer_size_force as force_recv_buffer_size,
};
use rustix::net::{Shutdown as Half, shutdown};

use crate::deadline::Deadline;
pub use crate::dns_record::{Data, Kind, Record};
pub use crate::dns_script::Behaviour;
use crate::dns_script::{Script, is_within, normal};
use crate::dns_wire::Message;

/// How long a TCP client may say nothing, or not read.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than any test.
const FOREVER: Duration = Duration::from_hours(24);

/// Room for questions that come all at once, in octets.
const BUFFER: usize = 8 << 20;

/// How many ports are tried until one is free for UDP and TCP.
const PORTS: usize = 50;

/// What a client asked; who asks again because no answer came asks twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The name, in lower case.
    pub name: String,
    /// The type.
    pub kind: Kind,
    /// Whether it came over TCP.
    pub over_tcp: bool,
}

/// The server; dropping it ends it, and what was still to be answered is not.
///
/// A name of which it was told nothing does not exist.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: TcpListener,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    script: Mutex<Script>,
    queries: Mutex<Vec<Query>>,
    /// Answers for later; none ends the thread that sends them.
    late: Sender<Option<Late>>,
    streams: Mutex<HashMap<usize, Arc<TcpStream>>>,
    stopping: AtomicBool,
}

/// An answer that is not due yet.
#[derive(Debug)]
struct Late {
    after: Duration,
    octets: Vec<u8>,
    to: Client,
}

#[derive(Clone, Debug)]
enum Client {
    Udp(SocketAddr),
    Tcp(Arc<TcpStream>),
}

impl DnsServer {
    /// Listens on `address`, whose port may be 0; call it inside `NetNs::run` to listen in a namespace.
    pub fn start(address: SocketAddr) -> Result<Self> {
        let (socket, listener) = listen(address).with_context(|| format!("listen on {address}"))?;
        let address = socket.local_addr()?;
        let (late, due) = channel();
        let shared = Arc::new(Shared {
            socket,
            script: Mutex::default(),
            queries: Mutex::default(),
            late,
            streams: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let accepting = listener.try_clone()?;
        let [udp, tcp, timer] = [(); 3].map(|()| Arc::clone(&shared));
        let threads = vec![
            thread::spawn(move || answer_datagrams(&udp)),
            thread::spawn(move || accept(&accepting, &tcp)),
            thread::spawn(move || send_late(&timer, &due)),
        ];
        Ok(Self { address, shared, listener, threads })
    }

    /// Where it listens, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on answers so for a name, for all names below one (`*.example.org`), or for all (`*`).
    ///
    /// The name itself counts before the longest of the others. What was told last about a pattern counts.
    pub fn set(&self, pattern: &str, behaviour: Behaviour) {
        self.script().set(pattern, behaviour);
    }

    /// Forgets what was told about a pattern.
    pub fn remove(&self, pattern: &str) {
        self.script().remove(pattern);
    }

    /// Gives `name` one more record.
    pub fn add(&self, name: &str, record: Record) {
        self.script().add(name, record);
    }

    /// From now on answers so for `suffix` and all below it, whatever is told about them; all there is has the suffix `""`.
    ///
    /// `Behaviour::Usual` in it is what would be answered without it: `Delay(1 s, Usual)` makes a slow zone.
    pub fn outage(&self, suffix: &str, behaviour: Behaviour) {
        self.script().outage(suffix, behaviour);
    }

    /// Ends the outage of `suffix`.
    pub fn recover(&self, suffix: &str) {
        self.script().recover(suffix);
    }

    /// For how long what is not there may be kept, in seconds (60 at first); `None`: answers come without an SOA record.
    pub fn set_negative_ttl(&self, seconds: Option<u32>) {
        self.script().negative_ttl = seconds;
    }

    /// How often `name` was asked for with this type.
    pub fn queries(&self, name: &str, kind: Kind) -> usize {
        let name = normal(name);
        self.count(|query| query.name == name && query.kind == kind)
    }

    /// How often `suffix`, or anything below it, was asked for.
    pub fn queries_below(&self, suffix: &str) -> usize {
        let suffix = normal(suffix);
        self.count(|query| is_within(&query.name, &suffix))
    }

    /// All that was asked so far, in order.
    pub fn all_queries(&self) -> Vec<Query> {
        lock(&self.shared.queries).clone()
    }

    /// The script, for several changes at once.
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.shared.script)
    }

    /// Counts from nothing again.
    pub fn forget_queries(&self) {
        lock(&self.shared.queries).clear();
    }

    fn count(&self, counts: impl Fn(&Query) -> bool) -> usize {
        lock(&self.shared.queries).iter().filter(|query| counts(query)).count()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // On Linux this wakes `accept`. `recv_from` would wake, too, with an address that the standard library panics about.
        shutdown(&self.listener, Half::Both).unwrap_or_default();
        drop(self.shared.socket.send_to(&[], self.address));
        drop(self.shared.late.send(None));
        for thread in self.threads.drain(..) {
            thread.join().unwrap_or_default();
        }
        for stream in lock(&self.shared.streams).values() {
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }
}

impl Shared {
    /// Answers what came, sooner or later; what is no question is passed over.
    fn answer(&self, octets: &[u8], client: &Client) {
        let Ok(question) = Message::read(octets) else { return };
        let over_tcp = matches!(client, Client::Tcp(_));
        let query = Query { name: normal(&question.name), kind: question.kind, over_tcp };
        lock(&self.queries).push(query);
        // The lock is not held while the answer goes out.
        let reply = lock(&self.script).reply(&question, over_tcp);
        match reply {
            None => {}
            Some(reply) if reply.after.is_zero() => self.send(&reply.octets, client),
            Some(reply) => {
                let late = Late { after: reply.after, octets: reply.octets, to: client.clone() };
                drop(self.late.send(Some(late)));
            }
        }
    }

    /// A client that is gone needs no answer.
    fn send(&self, octets: &[u8], client: &Client) {
        match client {
            Client::Udp(address) => drop(self.socket.send_to(octets, address)),
            Client::Tcp(stream) => {
                let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
                let framed = [&length.to_be_bytes(), octets].concat();
                drop((&**stream).write_all(&framed));
            }
        }
    }
}

/// Sockets of both kinds with the same port.
fn listen(address: SocketAddr) -> Result<(UdpSocket, TcpListener)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let socket = UdpSocket::bind(address)?;
        match TcpListener::bind(socket.local_addr()?) {
            Ok(listener) => {
                // More than the system's limit is for root alone.
                force_recv_buffer_size(&socket, BUFFER)
                    .or_else(|_| set_socket_recv_buffer_size(&socket, BUFFER))?;
                return Ok((socket, listener));
            }
            Err(_) if address.port() == 0 && tries < PORTS => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn answer_datagrams(shared: &Shared) {
    let mut octets = [0; 4096];
    while !shared.stopping.load(Ordering::SeqCst) {
        // An error is about an answer that nobody waited for.
        let Ok((length, peer)) = shared.socket.recv_from(&mut octets) else { continue };
        shared.answer(octets.get(..length).unwrap_or_default(), &Client::Udp(peer));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut number = 0;
    while let Ok((stream, _peer)) = listener.accept() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        number += 1;
        let (shared, stream) = (Arc::clone(shared), Arc::new(stream));
        lock(&shared.streams).insert(number, Arc::clone(&stream));
        thread::spawn(move || {
            // What a client does to its connection is for the client's test to judge.
            drop(answer_stream(&stream, &shared));
            lock(&shared.streams).remove(&number);
        });
    }
}

fn answer_stream(stream: &Arc<TcpStream>, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    loop {
        let mut length = [0; 2];
        (&**stream).read_exact(&mut length)?;
        let mut octets = vec![0; u16::from_be_bytes(length).into()];
        (&**stream).read_exact(&mut octets)?;
        shared.answer(&octets, &Client::Tcp(Arc::clone(stream)));
    }
}

fn send_late(shared: &Shared, late: &Receiver<Option<Late>>) {
    let clock = Deadline::after(Duration::ZERO);
    let mut waiting = BTreeMap::<(Duration, u64), Late>::new();
    for number in 0_u64.. {
        let now = clock.elapsed();
        while let Some(first) = waiting.first_entry().filter(|first| first.key().0 <= now) {
            let Late { octets, to, .. } = first.remove();
            shared.send(&octets, &to);
        }
        let next = waiting.keys().next().map_or(FOREVER, |(due, _)| due.saturating_sub(now));
        match late.recv_timeout(next) {
            Ok(Some(answer)) => {
                drop(waiting.insert((clock.elapsed() + answer.after, number), answer));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// A thread that panicked while it held the lock has left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
