//! A proxy under test: engine with a few lists, audit trail in a file, listener on loopback; and clients for it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::peer::Peer;
use crate::alarm::Alarms;
use crate::audit::Writer;
use crate::clock::Clock;
use crate::engine::{self, Engine};
use crate::front::smtp::{Front, Settings};
use crate::front::{HeaderConfig, Listener, NextHop, NextHopTls, PassClient};
use crate::list::{Class, HopScope, List, ListAction, Loaded, Membership, Origin, Part};
use crate::net::Prefix;
use crate::policy::Policy;
use crate::quarantine::{self, Quarantine};
use crate::refresh::Known;
use crate::smtp::Limits;

/// The clean client of most tests.
pub(super) const CLEAN: &str = "127.0.0.1";

/// How long a test waits for anything.
const WAIT: Duration = Duration::from_secs(10);

/// A proxy that runs, until [`Site::finish`].
pub(super) struct Site {
    pub(super) address: SocketAddr,
    pub(super) front: Arc<Front>,
    pub(super) engine: Arc<Engine>,
    pub(super) alarms: Alarms,
    pub(super) quarantine: Arc<Quarantine>,
    pub(super) stop: watch::Sender<Option<Instant>>,
    server: JoinHandle<()>,
    audit: PathBuf,
    _folder: tempfile::TempDir,
}

impl Site {
    /// A proxy in front of `peer`, with plain settings changed by `change`.
    pub(super) async fn start(
        peer: &Peer,
        change: impl FnOnce(&mut Settings, &mut Listener),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let audit = folder.path().join("audit.jsonl");
        let policy = Policy { enforce: true, ..Policy::default() };
        let settings = engine::Settings { policy, ..engine::Settings::default() };
        let engine = Arc::new(Engine::new(
            settings,
            Writer::open(&audit, Alarms::default()).unwrap(),
            Clock::default(),
        ));
        engine.set_lists(Arc::new(lists(&[])), 1);
        let alarms = Alarms::default();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut settings = Settings {
            hostname: "mx.example".to_owned(),
            next_hop: NextHop {
                addresses: vec![peer.address],
                client: PassClient::Xclient,
                tls: NextHopTls::OFF,
                idle_connections: NextHop::IDLE_CONNECTIONS,
            },
            certificate: None,
            // What is written into headers is the matter of tests of its own.
            header: HeaderConfig { received: false, ..HeaderConfig::default() },
            recipient_domains: None,
            limits: Limits::default(),
        };
        let mut listener = Listener::new(address);
        change(&mut settings, &mut listener);
        let kept = folder.path().join("quarantine");
        let bounds = quarantine::Settings::default();
        let kept = Quarantine::open(&kept, bounds, alarms.clone(), Clock::default());
        let front = Front::new(
            settings,
            Arc::clone(&engine),
            Known::default(),
            Arc::clone(&kept),
            alarms.clone(),
        );
        let front = Arc::new(front.unwrap());
        let (stop, stopped) = watch::channel(None);
        let server = tokio::spawn(Arc::clone(&front).serve(socket, listener, stopped));
        Self {
            address,
            front,
            engine,
            alarms,
            quarantine: kept,
            stop,
            server,
            audit,
            _folder: folder,
        }
    }

    /// Puts another set of lists in force: the usual ones, and `more` prefixes that are refused after the data.
    pub(super) fn set_lists(&self, more: &[(&str, ListAction)], version: u64) {
        self.engine.set_lists(Arc::new(lists(more)), version);
    }

    pub(super) async fn client(&self) -> Client {
        self.client_from(CLEAN).await
    }

    /// A client that connects from another loopback address.
    pub(super) async fn client_from(&self, address: &str) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        let address: IpAddr = address.parse().unwrap();
        socket.bind(SocketAddr::new(address, 0)).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        Client::new(stream)
    }

    /// One dialogue of one clean client.
    pub(super) async fn dialogue(&self, script: &str) {
        self.client().await.dialogue(script).await;
    }

    /// Stops the proxy, at once where a session is idle, and answers with all records.
    pub(super) async fn finish(self) -> Vec<Value> {
        self.stop.send_replace(Some(Instant::now() + WAIT));
        timeout(WAIT * 2, self.server).await.expect("drained in time").unwrap();
        self.engine.audit().close();
        let text = std::fs::read_to_string(&self.audit).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The records of the message phase.
pub(super) fn of_messages(records: &[Value]) -> Vec<&Value> {
    records.iter().filter(|record| record["phase"] == "message").collect()
}

/// Waits until `ready`.
pub(super) async fn until(what: &str, ready: impl Fn() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < WAIT, "{what} did not happen");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The lists of every test. The client is on loopback, so connect lists name loopback addresses.
fn lists(more: &[(&str, ListAction)]) -> Membership {
    let usual = [
        ("127.0.0.66", ListAction::Reject),
        ("127.0.0.77", ListAction::Defer),
        ("127.0.0.88", ListAction::Accept),
        ("198.51.100.1", ListAction::Tag),
        ("198.51.100.2", ListAction::RejectMessage),
        ("198.51.100.3", ListAction::Discard),
        ("198.51.100.4", ListAction::Quarantine),
    ];
    Membership::new(usual.iter().chain(more).map(list).collect(), &[])
}

fn list(&(prefix, action): &(&str, ListAction)) -> Loaded {
    let class = if action == ListAction::Accept { Class::LocalGood } else { Class::LocalBad };
    let list = List {
        label: "Test list".into(),
        hops: if action.acts_at_connect() { HopScope::Connect } else { HopScope::All },
        ..List::new(&format!("{}-{prefix}", action.name()), class, action)
    };
    let prefix: Prefix = prefix.parse().unwrap();
    let entries = Arc::new([prefix].into_iter().collect());
    Loaded { list: Arc::new(list), parts: vec![Part { origin: Arc::new(Origin::Put), entries }] }
}

/// A client of the proxy.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    input: Vec<u8>,
}

impl Client {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, input: Vec::new() }
    }

    /// Plays a dialogue: `C:` lines are sent with CRLF, `S:` lines must begin the next line that comes, `S: EOF` is the end.
    pub(super) async fn dialogue(&mut self, script: &str) {
        for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            if let Some(sent) = line.strip_prefix("C:") {
                self.send(format!("{}\r\n", sent.strip_prefix(' ').unwrap_or(sent)).as_bytes())
                    .await;
            } else if let Some(expected) = line.strip_prefix("S:") {
                self.expect(expected.trim_start()).await;
            } else {
                panic!("`{line}` is neither C: nor S:");
            }
        }
    }

    pub(super) async fn send(&mut self, octets: &[u8]) {
        timeout(WAIT, self.stream.write_all(octets)).await.expect("taken in time").unwrap();
    }

    pub(super) async fn expect(&mut self, start: &str) {
        let line = self.line().await;
        assert!(line.starts_with(start), "expected `{start}`, got `{line}`");
    }

    /// The next line without its CRLF, `EOF` at the end.
    pub(super) async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.input.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.input.drain(..end + 2).collect();
                return String::from_utf8_lossy(&line[..end]).into_owned();
            }
            let read = timeout(WAIT, self.stream.read_buf(&mut self.input)).await;
            if read.expect("a line in time").unwrap_or(0) == 0 {
                assert!(self.input.is_empty(), "half a line: {}", self.input.escape_ascii());
                return "EOF".to_owned();
            }
        }
    }

    /// Quits, and closes the connection as soon as the proxy has.
    pub(super) async fn leave(mut self) {
        self.dialogue("C: QUIT\nS: 221\nS: EOF").await;
    }

    /// The same for a client that was refused.
    pub(super) async fn leave_refused(mut self) {
        self.dialogue("C: QUIT").await;
        while self.line().await != "EOF" {}
    }

    /// From the greeting to the 354 for a message from `a@client.example` to `b@ours.example`.
    pub(super) async fn up_to_data(&mut self) {
        self.dialogue(
            "S: 220 mx.example ESMTP
             C: HELO client.example
             S: 250 mx.example
             C: MAIL FROM:<a@client.example>
             S: 250
             C: RCPT TO:<b@ours.example>
             S: 250
             C: DATA
             S: 354",
        )
        .await;
    }
}
