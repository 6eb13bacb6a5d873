//! What a connection costs in memory that has said EHLO and says nothing more.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketType, bind, connect as connect_socket, socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::Plan;
use crate::console::say;
use crate::field::{Field, Way, idle_client, idle_hosts};
use crate::figures::{Spread, now, rounded};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Resident memory for each of many idle connections, each time with a daemon that was just started.
pub(crate) fn measure(field: &mut Field, plan: &Plan) -> Result<Value> {
    let (mut each, mut per_second) = (Vec::new(), Vec::new());
    for _ in 0..plan.runs {
        field.restart()?;
        let pid = field.daemon()?.id();
        let before = resident(pid)?;
        let started = now();
        let clients = field.stage.sender.run(|| open(plan))??;
        per_second.push((clients.len() as f64 / started.elapsed().as_secs_f64()).round());
        // The last buffers are given back, or they are not.
        std::thread::sleep(Duration::from_millis(300));
        let after = resident(pid)?;
        each.push(rounded((after - before) / clients.len() as f64));
    }
    let answer = json!({
        "connections": plan.idle,
        "addresses": idle_hosts(plan),
        "kib_per_connection": Spread::of(each).map(Spread::json),
        "opened_per_second": Spread::of(per_second).map(Spread::json),
    });
    say(&format!("idle connections: {answer}"));
    Ok(answer)
}

fn open(plan: &Plan) -> Result<Vec<TcpStream>> {
    let hosts = idle_hosts(plan);
    let mut clients = Vec::with_capacity(plan.idle);
    for number in 0..plan.idle {
        let (mut stream, mut said) =
            connect(idle_client(number % hosts), Way::Portcullis.address())?;
        said.ask(&mut stream, "EHLO idle.example.com")?;
        clients.push(stream);
    }
    Ok(clients)
}

/// What a server said that nobody has read yet.
#[derive(Debug, Default)]
pub(crate) struct Said {
    unread: Vec<u8>,
}

impl Said {
    /// Says a line; the answer must be a good one.
    pub(crate) fn ask(&mut self, stream: &mut TcpStream, line: &str) -> Result<()> {
        stream.write_all(format!("{line}\r\n").as_bytes())?;
        let code = self.reply(stream)?;
        ensure!((200..400).contains(&code), "{code} for {line}");
        Ok(())
    }

    /// The code of the next reply.
    pub(crate) fn reply(&mut self, stream: &mut TcpStream) -> Result<u16> {
        loop {
            while let Some(end) = self.unread.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                let code = line.get(..3).and_then(|code| str::from_utf8(code).ok());
                if line.get(3) != Some(&b'-') {
                    return code.and_then(|code| code.parse().ok()).context("no code in a reply");
                }
            }
            let mut piece = [0; 512];
            match stream.read(&mut piece)? {
                0 => bail!("hung up"),
                length => self.unread.extend(piece.iter().take(length)),
            }
        }
    }
}

/// Connects from `client`, and waits for the greeting.
pub(crate) fn connect(client: IpAddr, server: SocketAddr) -> Result<(TcpStream, Said)> {
    let (mut stream, mut said) = open_socket(client, server)?;
    let code = said.reply(&mut stream)?;
    ensure!(code == 220, "{code} instead of a greeting");
    Ok((stream, said))
}

/// Connects from `client`.
pub(crate) fn open_socket(client: IpAddr, server: SocketAddr) -> Result<(TcpStream, Said)> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddr::new(client, 0)).with_context(|| format!("bind to {client}"))?;
    connect_socket(&socket, &server).with_context(|| format!("connect to {server}"))?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok((stream, Said::default()))
}

/// Resident memory in KiB.
fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let number = line.split_ascii_whitespace().next().context("no number in VmRSS")?;
    Ok(number.parse()?)
}

/// Lets this process, and the daemons that it starts, open as many sockets as it takes.
pub(crate) fn raise_limit(connections: usize) -> Result<()> {
    // One of an idle connection on each side; the others come with a next hop, and are few at a time.
    let wanted = u64::try_from(connections)? * 3 / 2 + 1000;
    let now = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted);
    if enough(now.current) && enough(now.maximum) {
        return Ok(());
    }
    let limit = Rlimit { current: Some(wanted), maximum: Some(wanted) };
    setrlimit(Resource::Nofile, limit).context("raise the limit of open files")
}
