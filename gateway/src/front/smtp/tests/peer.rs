//! A next hop for tests: records what it is told, answers by its script.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it answers, and when it breaks.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    /// Lines of the reply to EHLO behind the first.
    pub(super) offers: Vec<&'static str>,
    /// Replies to commands that begin so, instead of the usual ones; an empty reply closes the connection.
    pub(super) replies: Vec<(&'static str, &'static str)>,
    /// The reply to the end of the data; an empty one closes the connection.
    pub(super) taken: Option<&'static str>,
    /// A reply in the middle of the data, once so many octets of it are here; then the connection is closed.
    pub(super) early: Option<(usize, &'static str)>,
    /// A wait before each octet of data that is read at once.
    pub(super) slow: Option<Duration>,
}

/// What one connection said.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Its commands.
    pub(super) commands: Vec<String>,
    /// The data up to the dot, as it came over the wire.
    pub(super) messages: Vec<String>,
    /// Octets of data, of whole lines, that came so far.
    pub(super) octets: usize,
    /// Data without an end.
    pub(super) torn: Option<String>,
}

/// A running next hop.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Peer {
    pub(super) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Self {
            address: listener.local_addr().unwrap(),
            script: Arc::new(Mutex::new(script)),
            heard: Arc::default(),
        };
        let (script, heard) = (Arc::clone(&peer.script), Arc::clone(&peer.heard));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = script.lock().unwrap().clone();
                let heard = Arc::clone(&heard);
                tokio::spawn(async move {
                    let notes = Notes::new(heard);
                    serve(stream, &script, &notes).await;
                });
            }
        });
        peer
    }

    pub(super) fn set(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    /// All connections in which MAIL was said: probes are left out.
    pub(super) fn mail(&self) -> Vec<Heard> {
        let said_mail = |heard: &&Heard| heard.commands.iter().any(|line| line.starts_with("MAIL"));
        self.heard.lock().unwrap().iter().filter(said_mail).cloned().collect()
    }

    /// All messages that it took.
    pub(super) fn messages(&self) -> Vec<String> {
        self.mail().into_iter().flat_map(|heard| heard.messages).collect()
    }

    pub(super) fn connections(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

/// Where one connection is written down.
struct Notes {
    all: Arc<Mutex<Vec<Heard>>>,
    index: usize,
}

impl Notes {
    fn new(all: Arc<Mutex<Vec<Heard>>>) -> Self {
        let index = all.lock().unwrap().len();
        all.lock().unwrap().push(Heard::default());
        Self { all, index }
    }

    fn take(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut self.all.lock().unwrap()[self.index]);
    }
}

/// A lenient reader on purpose: any LF ends a line, so that a smuggled end would end the message here.
async fn serve(mut stream: TcpStream, script: &Script, notes: &Notes) {
    let mut buffer = Vec::new();
    let special = |line: &str| {
        script.replies.iter().find(|(start, _)| line.starts_with(start)).map(|(_, reply)| *reply)
    };
    if !script.replies.iter().any(|(start, _)| *start == "PROXY") {
        let greeting = special("GREETING").unwrap_or("220 next.example ESMTP");
        say(&mut stream, greeting).await;
    }
    while let Some(line) = read_line(&mut stream, &mut buffer).await {
        notes.take(|heard| heard.commands.push(line.clone()));
        let verb = line.get(..4).unwrap_or_default().to_uppercase();
        let usual = match verb.as_str() {
            "EHLO" => {
                let mut lines = vec!["next.example"];
                lines.extend(&script.offers);
                let last = lines.len() - 1;
                let lines: Vec<_> = lines
                    .iter()
                    .enumerate()
                    .map(|(index, text)| {
                        format!("250{}{text}", if index == last { ' ' } else { '-' })
                    })
                    .collect();
                lines.join("\r\n")
            }
            "XCLI" | "PROX" => "220 next.example ESMTP".to_owned(),
            "DATA" => "354 go on".to_owned(),
            "QUIT" => "221 bye".to_owned(),
            _ => "250 2.0.0 ok".to_owned(),
        };
        let reply = special(&line).unwrap_or(&usual).to_owned();
        if reply.is_empty() {
            return;
        }
        say(&mut stream, &reply).await;
        if verb == "QUIT" {
            return;
        }
        if reply.starts_with("354") {
            let Some(data) = read_data(&mut stream, &mut buffer, script, notes).await else {
                return;
            };
            notes.take(|heard| heard.messages.push(data.clone()));
            match script.taken {
                Some("") => return,
                taken => say(&mut stream, taken.unwrap_or("250 2.0.0 queued as 1")).await,
            }
        }
    }
}

async fn read_data(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    script: &Script,
    notes: &Notes,
) -> Option<String> {
    let mut data = String::new();
    loop {
        if let Some((octets, reply)) = script.early
            && data.len() + buffer.len() >= octets
        {
            say(stream, reply).await;
            return None;
        }
        if let Some(wait) = script.slow {
            tokio::time::sleep(wait).await;
        }
        let before = String::from_utf8_lossy(buffer).into_owned();
        let Some(line) = read_line(stream, buffer).await else {
            notes.take(|heard| heard.torn = Some(data.clone() + &before));
            return None;
        };
        if line == "." {
            return Some(data);
        }
        notes.take(|heard| heard.octets += line.len());
        data.push_str(&line);
        data.push_str("\r\n");
    }
}

async fn read_line(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = buffer.iter().position(|&octet| octet == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            return Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
        }
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

async fn say(stream: &mut TcpStream, line: &str) {
    // The proxy may be gone, which is what a test may be about.
    let _sent: std::io::Result<()> = stream.write_all(format!("{line}\r\n").as_bytes()).await;
}
