//! Where records go beside the file and the store, line by line.
//!
//! Each output has a thread of its own, so that who does not take them holds up nobody.

use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::Instant;

use super::lines::{Lines, Written};
use super::load::Load;
use super::postfix;
use crate::alarm::Alarms;
use crate::clock::{Clock, Timestamp};

/// Records that may wait for an output.
const MOST: usize = 4096;
/// Octets that they may have: most records have less than a thousand.
const MOST_OCTETS: usize = 16 << 20;
/// How long an output that failed is left alone.
const AGAIN: Duration = Duration::from_secs(1);
/// How long one is that only has no room just now.
const SOON: Duration = Duration::from_millis(10);
/// How long all of them may take at the end.
const CLOSING: Duration = Duration::from_secs(2);
/// Facility mail, severity info (RFC 5424 section 6.2.1).
const PRIORITY: u8 = 2 << 3 | 6;

/// An output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// What is written.
    pub format: Format,
    /// Where.
    pub to: Target,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The record, as JSON.
    Json,
    /// What Postfix would write for a client that was refused; other records have no line.
    Postfix,
}

impl Format {
    /// The program that a line says it is of: other programs look for it.
    const fn program(self) -> &'static str {
        match self {
            Self::Json => "portcullis",
            Self::Postfix => postfix::PROGRAM,
        }
    }
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Appended to a file, which somebody else may rename to begin another.
    File(PathBuf),
    /// Standard output.
    Stdout,
    /// The socket of a system log (RFC 3164, as `syslog(3)` writes it).
    Syslog(PathBuf),
    /// The socket of the journal, in its native protocol.
    Journal(PathBuf),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Stdout => f.write_str("stdout"),
            Self::Syslog(path) => write!(f, "syslog at {}", path.display()),
            Self::Journal(path) => write!(f, "journald at {}", path.display()),
        }
    }
}

/// The sending ends of all outputs; the threads end with it.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    all: Vec<Outlet>,
    /// Until when it is tried, once they are to end.
    end: Arc<OnceLock<Instant>>,
}

#[derive(Debug)]
struct Outlet {
    queue: SyncSender<Arc<str>>,
    /// Octets that wait.
    waiting: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Outlets {
    /// Starts them; a file must be there, or be makeable.
    pub(super) fn start(
        outputs: &[Output],
        hostname: &str,
        load: &Arc<Load>,
        alarms: &Alarms,
    ) -> io::Result<Self> {
        let end = Arc::<OnceLock<Instant>>::default();
        let outlets = outputs.iter().map(|output| {
            let sink = Sink::open(&output.to)?;
            let (queue, inbox) = sync_channel(MOST);
            let waiting = Arc::<AtomicUsize>::default();
            let work = Work {
                format: output.format,
                name: format!("audit-output:{}", output.to),
                hostname: hostname.to_owned(),
                sink,
                end: Arc::clone(&end),
                load: Arc::clone(load),
                alarms: alarms.clone(),
                waiting: Arc::clone(&waiting),
            };
            let thread = std::thread::Builder::new().name("audit-output".to_owned());
            let thread = thread.spawn(move || work.run(&inbox))?;
            Ok(Outlet { queue, waiting, thread })
        });
        let all = outlets.collect::<io::Result<_>>()?;
        Ok(Self { all, end })
    }

    /// Hands them the line of a record; false where one of them has no room for it.
    pub(super) fn take(&self, line: &str) -> bool {
        if self.all.is_empty() {
            return true;
        }
        let line: Arc<str> = line.into();
        let mut all = true;
        for outlet in &self.all {
            all &= outlet.take(&line);
        }
        all
    }
}

impl Outlet {
    fn take(&self, line: &Arc<str>) -> bool {
        let had = self.waiting.fetch_add(line.len(), Ordering::Relaxed);
        let taken =
            had + line.len() <= MOST_OCTETS && self.queue.try_send(Arc::clone(line)).is_ok();
        if !taken {
            self.waiting.fetch_sub(line.len(), Ordering::Relaxed);
        }
        taken
    }
}

impl Drop for Outlets {
    /// What waits is written, where it can be; who does not take it in time is left.
    fn drop(&mut self) {
        let end = *self.end.get_or_init(|| Instant::now() + CLOSING);
        // Without their queues they end.
        let threads: Vec<_> = self.all.drain(..).map(|outlet| outlet.thread).collect();
        while !threads.iter().all(JoinHandle::is_finished) && Instant::now() < end {
            std::thread::sleep(SOON);
        }
    }
}

/// What one thread knows.
struct Work {
    format: Format,
    /// The subject of its alarm.
    name: String,
    hostname: String,
    sink: Sink,
    end: Arc<OnceLock<Instant>>,
    load: Arc<Load>,
    alarms: Alarms,
    waiting: Arc<AtomicUsize>,
}

impl Work {
    fn run(mut self, inbox: &Receiver<Arc<str>>) {
        while let Ok(record) = inbox.recv() {
            if let Some(line) = self.line(&record)
                && !self.write(&line)
            {
                self.load.lose_output();
            }
            self.waiting.fetch_sub(record.len(), Ordering::Relaxed);
        }
    }

    /// Writes a line, however long that takes; false where it never can be, or there is no time left.
    fn write(&mut self, line: &str) -> bool {
        loop {
            let error = match self.sink.write(self.format, line) {
                Ok(()) => {
                    self.alarms.clear(&self.name);
                    return true;
                }
                Err(error) => error,
            };
            let wait = match error.kind() {
                // Its reader is slow.
                io::ErrorKind::WouldBlock => SOON,
                _ if error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()) => return false,
                _ => {
                    let text = format!(
                        "cannot write records there: {error}; it is tried again each second, and they are in the store"
                    );
                    self.alarms.raise(&self.name, &text);
                    AGAIN
                }
            };
            let again = Instant::now() + wait;
            while Instant::now() < again {
                // At the end there is time for who is slow, and none for what does not go.
                if self.end.get().is_some_and(|end| wait > SOON || *end <= Instant::now()) {
                    return false;
                }
                std::thread::sleep(SOON);
            }
        }
    }

    fn line(&self, record: &str) -> Option<String> {
        Some(match (self.format, &self.sink) {
            (Format::Json, _) => record.to_owned(),
            // Whoever reads a file of Postfix lines expects what a system log puts before them.
            (Format::Postfix, Sink::File(_) | Sink::Stdout) => {
                let text = postfix::line(record)?;
                let time = iso(Clock::System.now());
                format!("{time} {} {}: {text}", self.hostname, tag(self.format))
            }
            (Format::Postfix, Sink::Syslog(..) | Sink::Journal(..)) => postfix::line(record)?,
        })
    }
}

fn tag(format: Format) -> String {
    format!("{}[{}]", format.program(), process::id())
}

/// As system logs write a time, in UTC.
fn iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

/// The receiving end of one output.
enum Sink {
    File(Box<Lines>),
    Stdout,
    Syslog(PathBuf, Option<UnixDatagram>),
    Journal(PathBuf, Option<UnixDatagram>),
}

impl Sink {
    fn open(target: &Target) -> io::Result<Self> {
        Ok(match target {
            Target::File(path) => Self::File(Box::new(Lines::open(path, None)?)),
            Target::Stdout => Self::Stdout,
            // Whoever listens there may come later, or begin anew.
            Target::Syslog(path) => Self::Syslog(path.clone(), None),
            Target::Journal(path) => Self::Journal(path.clone(), None),
        })
    }

    fn write(&mut self, format: Format, line: &str) -> io::Result<()> {
        match self {
            Self::File(lines) => match lines.append(&[line]) {
                // A line that is there is not written again, though the file that it is in may have another name by now.
                Written { lines: 1.., .. } | Written { fault: None, .. } => Ok(()),
                Written { fault: Some(fault), .. } => Err(fault),
            },
            Self::Stdout => {
                let mut out = io::stdout().lock();
                writeln!(out, "{line}")?;
                out.flush()
            }
            Self::Syslog(path, socket) => {
                let time = Clock::System.now().strftime("%b %e %H:%M:%S");
                let message = format!("<{PRIORITY}>{time} {}: {line}", tag(format));
                send(path, socket, message.as_bytes())
            }
            Self::Journal(path, socket) => send(path, socket, journal(format, line).as_bytes()),
        }
    }
}

/// One entry of the journal: `FIELD=VALUE` lines, since no value has a second line.
fn journal(format: Format, line: &str) -> String {
    let (program, pid) = (format.program(), process::id());
    format!(
        "MESSAGE={line}\nPRIORITY=6\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER={program}\nSYSLOG_PID={pid}\n"
    )
}

/// Sends a datagram, at the second try over a new socket: the listener may have begun anew. It never waits for room.
fn send(path: &PathBuf, socket: &mut Option<UnixDatagram>, octets: &[u8]) -> io::Result<()> {
    if let Some(open) = socket {
        match open.send(octets) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            Err(_gone) => *socket = None,
        }
    }
    let new = UnixDatagram::unbound()?;
    new.set_nonblocking(true)?;
    new.connect(path)?;
    new.send(octets)?;
    *socket = Some(new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const REFUSED: &str = r#"{"time":"2026-11-30T08:00:00Z","phase":"connect","verdict":"Open proxy","code":"open-proxy",
        "action":"reject","enforced":true,"client":"192.0.2.1","client_port":4711,"reference":"ABC","list":"proxies",
        "offending":{"ip":"192.0.2.1","hop":"connect"},"reply":"554 5.7.1 no","envelope":null}"#;

    fn outlets(outputs: &[Output], alarms: &Alarms) -> (Outlets, Arc<Load>) {
        let load = Arc::<Load>::default();
        (Outlets::start(outputs, "mx.example.org", &load, alarms).unwrap(), load)
    }

    fn to(format: Format, to: Target) -> Output {
        Output { format, to }
    }

    #[test]
    fn each_output_has_its_form() {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let [syslog, journal] = ["log", "journal"].map(|name| {
            let socket = UnixDatagram::bind(path(name)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            socket
        });
        let outputs = [
            to(Format::Postfix, Target::File(path("mail.log"))),
            to(Format::Json, Target::File(path("records.jsonl"))),
            to(Format::Postfix, Target::Syslog(path("log"))),
            to(Format::Json, Target::Journal(path("journal"))),
        ];
        let alarms = Alarms::default();
        let (outlets, _load) = outlets(&outputs, &alarms);
        let record = REFUSED.replace("\n        ", "");
        assert!(outlets.take(&record));
        assert!(outlets.take("{\"time\":\"2026-11-30T08:00:00Z\",\"action\":\"accept\"}"));
        drop(outlets);
        let line = fs::read_to_string(path("mail.log")).unwrap();
        assert_eq!(line.lines().count(), 1, "{line}");
        let pid = process::id();
        let said = format!(
            "mx.example.org postfix/smtpd[{pid}]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]:4711: 554 5.7.1 "
        );
        assert!(line.contains(&said), "{line}");
        assert_eq!(fs::read_to_string(path("records.jsonl")).unwrap().lines().count(), 2);
        let received = |socket: &UnixDatagram| {
            let mut octets = [0; 4096];
            let length = socket.recv(&mut octets).unwrap();
            String::from_utf8(octets[..length].to_vec()).unwrap()
        };
        let line = received(&syslog);
        assert!(
            line.starts_with("<22>") && line.contains(&format!(" postfix/smtpd[{pid}]: NOQ")),
            "{line}"
        );
        let entry = received(&journal);
        assert!(entry.starts_with(&format!("MESSAGE={record}\n")), "{entry}");
        assert!(
            entry.ends_with(&format!("SYSLOG_IDENTIFIER=portcullis\nSYSLOG_PID={pid}\n")),
            "{entry}"
        );
        assert!(alarms.list().is_empty(), "{alarms:?}");
    }

    #[test]
    fn a_slow_reader_gets_all_of_a_burst() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let alarms = Alarms::default();
        let (outlets, load) = outlets(&[to(Format::Json, Target::Syslog(path))], &alarms);
        for number in 0..1000 {
            assert!(outlets.take(&format!("{{\"number\":{number}}}")));
        }
        let mut octets = [0; 256];
        for number in 0..1000 {
            let length = socket.recv(&mut octets).unwrap();
            let line = String::from_utf8_lossy(&octets[..length]).into_owned();
            assert!(line.ends_with(&format!(": {{\"number\":{number}}}")), "{line}");
        }
        assert_eq!((load.status().outputs_lost, alarms.list()), (0, Vec::new()));
    }

    #[test]
    fn what_waits_is_bounded_by_its_octets() {
        let folder = TempDir::new().unwrap();
        let output = to(Format::Json, Target::Syslog(folder.path().join("nobody")));
        let (outlets, load) = outlets(&[output], &Alarms::default());
        let line = "x".repeat(MOST_OCTETS / 4);
        assert_eq!([(); 6].map(|()| outlets.take(&line)), [true, true, true, true, false, false]);
        drop(outlets);
        assert_eq!(load.status().outputs_lost, 4);
    }

    #[test]
    fn who_is_slow_has_time_at_the_end() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let alarms = Alarms::default();
        let (outlets, load) = outlets(&[to(Format::Json, Target::Syslog(path))], &alarms);
        for number in 0..300 {
            assert!(outlets.take(&format!("{{\"number\":{number}}}")));
        }
        std::thread::scope(|scope| {
            scope.spawn(|| drop(outlets));
            for _ in 0..300 {
                socket.recv(&mut [0; 256]).unwrap();
            }
        });
        assert_eq!(load.status().outputs_lost, 0);
    }

    #[test]
    fn a_line_that_is_there_is_not_written_again() {
        let folder = TempDir::new().unwrap();
        let [before, after] = ["before", "after"].map(|name| folder.path().join(name));
        fs::create_dir(&before).unwrap();
        let outputs = [to(Format::Json, Target::File(before.join("records")))];
        let (outlets, load) = outlets(&outputs, &Alarms::default());
        // There is no place for another file, so that the one that has been renamed goes on.
        fs::rename(&before, &after).unwrap();
        assert!(outlets.take("{\"number\":1}") && outlets.take("{\"number\":2}"));
        drop(outlets);
        let written = fs::read_to_string(after.join("records")).unwrap();
        assert_eq!(
            (written.as_str(), load.status().outputs_lost),
            ("{\"number\":1}\n{\"number\":2}\n", 0)
        );
    }

    #[test]
    fn who_does_not_listen_costs_nobody_else_anything() {
        let folder = TempDir::new().unwrap();
        let nobody = folder.path().join("log");
        let outputs = [
            to(Format::Json, Target::Syslog(nobody.clone())),
            to(Format::Json, Target::File("/dev/full".into())),
        ];
        let alarms = Alarms::default();
        let (outlets, load) = outlets(&outputs, &alarms);
        assert!(outlets.take(REFUSED));
        drop(outlets);
        assert_eq!(load.status().outputs_lost, 2);
        let about: Vec<_> = alarms.list().into_iter().map(|alarm| alarm.about).collect();
        assert_eq!(
            about,
            ["audit-output:/dev/full", &format!("audit-output:syslog at {}", nobody.display())]
        );
        let nowhere = to(Format::Json, Target::File(folder.path().join("none/x")));
        assert!(Outlets::start(&[nowhere], "x", &load, &alarms).is_err());
    }
}
