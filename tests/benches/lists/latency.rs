//! How soon a change is in force: the released daemon with a list of a million, asked over the wire until it does as told.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use harness::netns::run;
use harness::site::Site;
use harness::smtp_client::{Attempt, SmtpClient};
use harness::stage::{EDGE_V4, Stage};
use serde_json::{Value, json};

use crate::corpus::{Case, Lists};
use crate::figures::{milliseconds, now, percentile, rounded};
use crate::replace::peak_of;
use crate::say;

/// The sender whose entry comes and goes; in no list of the corpus, since nobody sends from there.
const SENDER: &str = "198.51.100.66";
/// A sender that no list has.
const CLEAN: &str = "198.51.100.77";
/// A port that the filter leaves alone: what happens there, the daemon decided.
const DAEMON_PORT: u16 = 2525;
/// How often is asked.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a change may take before that is a failure.
const PATIENCE: Duration = Duration::from_secs(30);
/// What comes after a change until the next one: a refresher that is still busy with one would delay the other.
const REST: Duration = Duration::from_millis(600);
/// Mails in one connection.
const MAILS: usize = 100;
/// How often the whole list is replaced.
const REPLACEMENTS: usize = 5;

/// Measures `changes` changes of each kind with a list of `entries` entries, quiet and beside mail.
pub(crate) fn measure(entries: u32, changes: usize) -> Result<Value> {
    let lists = Lists::new(Case::Plain, entries);
    let (first, second) = (Case::Plain.text(&lists.first)?, Case::Plain.text(&lists.second)?);
    drop(lists);
    let stage = Site::with_kernel()
        .list("bench", "global-bad", "format = \"plain\"", &first)
        .tables(&format!("[[listener]]\naddress = \"[::]:{DAEMON_PORT}\""))
        .stage(&[SENDER, CLEAN])?;
    let files = Files::new(stage.home.path());
    files.write("without", &first)?;
    files.write("with", &format!("{first}{SENDER}\n"))?;
    files.write("other", &format!("{second}{SENDER}\n"))?;
    drop((first, second));
    let daemon = stage.start()?;
    let field = Field { stage, files };
    let (mut rows, mut mails) = (Vec::new(), Vec::new());
    for beside_mail in [false, true] {
        let (measured, mail) = beside(&field, beside_mail, || -> Result<Vec<Value>> {
            let load = if beside_mail { "mail" } else { "quiet" };
            Ok(vec![
                field.touched(changes)?.json("touched-file", load),
                field.added(changes)?.json("list-add", load),
                field.replaced()?.json("replaced-file", load),
            ])
        })?;
        for row in &measured {
            say(&row.to_string());
        }
        rows.extend(measured);
        mails.push(rounded(mail));
    }
    let daemon_rss_mib = rounded(peak_of(&daemon.id().to_string())?);
    say(&format!("the daemon had {daemon_rss_mib} MiB at most"));
    ensure!(daemon.terminate()?.success(), "the daemon ended with a failure");
    Ok(json!({
        "entries": entries,
        "changes": rows,
        "mails_per_second": mails.last(),
        "daemon_rss_mib": daemon_rss_mib,
    }))
}

/// Runs `work`, beside a client that sends one mail after the other, if it is to be; how many of them a second.
fn beside<T>(field: &Field, mail: bool, work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let (done, mails) = (AtomicBool::new(!mail), AtomicU64::new(0));
    let started = now();
    let worked = scope(|scope| {
        let talker = scope.spawn(|| -> Result<()> {
            while !done.load(Ordering::Relaxed) {
                let mut client = field.stage.greeted(CLEAN)?;
                for _ in 0..MAILS {
                    send(&mut client)?;
                    mails.fetch_add(1, Ordering::Relaxed);
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            }
            Ok(())
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        let talked = talker.join().map_err(|_panic| anyhow::anyhow!("the client panicked"))?;
        talked.and(worked)
    })?;
    let rate = mails.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    Ok((worked, rate))
}

/// One whole mail.
fn send(client: &mut SmtpClient) -> Result<()> {
    let message = "From: <a@example.com>\r\nSubject: one\r\n\r\nhello\r\n";
    let reply = client.deliver("a@example.com", &["b@example.org"], message)?;
    ensure!(reply.is_positive(), "`{reply}` for a clean mail");
    Ok(())
}

/// The hosts, and what the list's file is replaced by.
struct Field {
    stage: Stage,
    files: Files,
}

impl Field {
    /// The file is replaced by one with a line more or less.
    fn touched(&self, changes: usize) -> Result<Latencies> {
        let mut latencies = Latencies::default();
        for number in 0..changes {
            let listed = number % 2 == 0;
            let started = now();
            self.files.put(if listed { "with" } else { "without" })?;
            latencies.push(self.in_force(listed, started)?);
        }
        Ok(latencies)
    }

    /// The file is replaced by one in which every line is another.
    fn replaced(&self) -> Result<Latencies> {
        let mut latencies = Latencies::default();
        for number in 0..REPLACEMENTS {
            let listed = number % 2 == 0;
            let started = now();
            self.files.put(if listed { "other" } else { "without" })?;
            latencies.push(self.in_force(listed, started)?);
        }
        self.files.put("without")?;
        self.in_force(false, now()).map(|_left| latencies)
    }

    /// A command adds an entry, or takes it away.
    fn added(&self, changes: usize) -> Result<Latencies> {
        let mut latencies = Latencies::default();
        for number in 0..changes {
            let listed = number % 2 == 0;
            let arguments = ["list", if listed { "add" } else { "remove" }, "bench", SENDER];
            let started = now();
            run(&mut self.stage.home.cli_command(&arguments))?;
            latencies.push(self.in_force(listed, started)?);
        }
        Ok(latencies)
    }

    /// Waits until kernel and daemon both do as they should; how long that took each.
    fn in_force(&self, listed: bool, started: Instant) -> Result<Latency> {
        let sender: IpAddr = SENDER.parse()?;
        let (mut kernel, mut daemon) = (None, None);
        loop {
            if kernel.is_none() {
                let attempt = self.attempt(sender, 25)?;
                kernel = (matches!(attempt, Attempt::Refused) == listed).then(|| started.elapsed());
            }
            if daemon.is_none() {
                let Attempt::Connected(mut client) = self.attempt(sender, DAEMON_PORT)? else {
                    anyhow::bail!("the daemon does not listen");
                };
                daemon = ((client.reply()?.code == 554) == listed).then(|| started.elapsed());
            }
            if let (Some(kernel), Some(daemon)) = (kernel, daemon) {
                sleep(REST);
                return Ok(Latency { kernel, daemon });
            }
            ensure!(started.elapsed() < PATIENCE, "not in force within {PATIENCE:?}");
            sleep(PAUSE);
        }
    }

    fn attempt(&self, sender: IpAddr, port: u16) -> Result<Attempt> {
        let edge = SocketAddr::new(EDGE_V4, port);
        self.stage.sender.run(|| SmtpClient::attempt(Some(sender), edge, PATIENCE))?
    }
}

/// The files beside that of the list.
struct Files {
    folder: std::path::PathBuf,
}

impl Files {
    fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let file = self.folder.join(name);
        fs::write(&file, text).with_context(|| file.display().to_string())
    }

    /// Puts a file in the place of the list's, in one step.
    fn put(&self, name: &str) -> Result<()> {
        let fresh = self.folder.join("fresh");
        fs::hard_link(self.folder.join(name), &fresh)?;
        Ok(fs::rename(fresh, self.folder.join("bench.txt"))?)
    }
}

/// How long it took until kernel and daemon did as they should.
struct Latency {
    kernel: Duration,
    daemon: Duration,
}

/// Those of several changes.
#[derive(Default)]
struct Latencies {
    kernel: Vec<f64>,
    daemon: Vec<f64>,
    both: Vec<f64>,
}

impl Latencies {
    fn push(&mut self, Latency { kernel, daemon }: Latency) {
        self.kernel.push(milliseconds(kernel));
        self.daemon.push(milliseconds(daemon));
        self.both.push(milliseconds(kernel.max(daemon)));
    }

    fn json(mut self, change: &str, load: &str) -> Value {
        let figures = |values: &mut [f64]| {
            let mut at = |share: f64| percentile(values, share).map(rounded);
            json!({ "p50": at(0.5), "p99": at(0.99), "max": at(1.0) })
        };
        json!({
            "change": change,
            "load": load,
            "changes": self.both.len(),
            "in_force_ms": figures(&mut self.both),
            "kernel_ms": figures(&mut self.kernel),
            "daemon_ms": figures(&mut self.daemon),
        })
    }
}
