//! The field: an edge host with the released daemon over a trail and a list that were built before it started.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::create_dir_all;
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use gateway::audit::{Archive, Rotation};
use gateway::clock::{Clock, Timestamp};
use gateway::net::reserved;
use gateway::policy::{Record, Thresholds, Verdict};
use gateway_ebpf::bench_keys::entry_v4;
use harness::daemon::Daemon;
use harness::dns_server::DnsServer;
use harness::site::Site;
use harness::stage::Stage;
use serde_json::{Value, json};

use crate::Plan;
use crate::console::say;
use crate::figures::{now, rounded};
use crate::records;
use crate::trail::{fill, wait_until_sealed, writer};

/// The large list.
pub(crate) const LIST: &str = "blocked";
/// So many of those who came before are on it.
const KNOWN: u32 = 5000;
/// Who hands over what an open proxy sent, and how many such messages are held back.
const RELAY: &str = "198.18.1.2";
const HELD: usize = 60;
/// Reviews that are open.
const REVIEWS: u32 = 60;
/// Zones that are asked about each address; none lists any.
const ZONES: [&str; 5] = ["zen", "drop", "spam", "proxies", "dynamic"];

/// Everything that runs. Dropping it ends all of it.
pub(crate) struct Field {
    daemon: Daemon,
    _resolver: DnsServer,
    pub(crate) stage: Stage,
    pub(crate) token: String,
    /// How much later records are than the generator has them: so that the last one is of now.
    later: i64,
    listed: Vec<Ipv4Addr>,
    known: HashSet<Ipv4Addr>,
    pub(crate) built: Value,
}

impl Field {
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let listed = listed(plan.entries);
        let known: HashSet<_> = listed.iter().copied().collect();
        let zones = ZONES.iter().fold(String::new(), |text, zone| {
            text + &format!(
                "[[zone]]\nname = \"{zone}\"\ndomain = \"{zone}.example\"\nclass = \"third-party-bad\"\n"
            )
        });
        let site = Site::with_kernel()
            .tables("[web]\n[dns]\nresolvers = [\"127.0.0.1\"]\n[quarantine]")
            .tables(&zones)
            .list(LIST, "local-bad", "", &text(&listed)?)
            .list("held", "open-proxy", "action = \"quarantine\"", "198.18.99.0/24\n");
        let stage = site.stage(&[RELAY])?;
        let listen = || DnsServer::start(([127, 0, 0, 1], 53).into());
        let resolver = stage.edge.run(listen)??;
        for zone in ZONES {
            resolver.test_points(&format!("{zone}.example"));
        }
        let later =
            Clock::System.now().as_millisecond() - records::time(plan.records).as_millisecond();
        let started = now();
        write(&stage, plan.records, later)?;
        let filled = rounded(started.elapsed().as_secs_f64());
        say(&format!("{} records in {filled} s", plan.records));
        let started = now();
        let daemon = stage.start()?;
        let ready = rounded(started.elapsed().as_secs_f64());
        say(&format!("ready in {ready} s, with {} entries", listed.len()));
        let token = stage.home.cli(&["web", "token"])?.stdout;
        let token = String::from_utf8(token)?.trim().to_owned();
        let built = json!({
            "records": plan.records, "filled_in_s": filled, "entries": listed.len(), "ready_in_s": ready,
            "reviews": REVIEWS, "quarantine": HELD, "zones": ZONES,
        });
        let field = Self { daemon, _resolver: resolver, stage, token, later, listed, known, built };
        field.use_it()?;
        Ok(field)
    }

    pub(crate) fn daemon(&self) -> u32 {
        self.daemon.id()
    }

    /// When record `number` was written.
    pub(crate) fn time(&self, number: u32) -> Timestamp {
        time(number, self.later)
    }

    /// One of those on the list that came before.
    pub(crate) fn listed(&self, number: u32) -> Ipv4Addr {
        let index = number % KNOWN;
        self.listed.get(index as usize).copied().unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// One that came before and is not listed.
    pub(crate) fn unlisted(&self, number: u32) -> Ipv4Addr {
        let clients = (number..).map(records::client);
        let mut unlisted = clients.filter(|client| !self.known.contains(client));
        unlisted.next().unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// An entry anywhere in the list.
    pub(crate) fn entry(&self, number: u32) -> Ipv4Addr {
        let index = number as usize % self.listed.len().max(1);
        self.listed.get(index).copied().unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// Reviews are asked for, messages held back.
    fn use_it(&self) -> Result<()> {
        for number in 0..REVIEWS {
            let about = self.listed(number).to_string();
            let asked =
                self.stage.home.cli(&["review", "request", &about, "--note", "it was cleaned"])?;
            ensure!(asked.status.success(), "{asked:?}");
        }
        let message = "Received: from x ([198.18.99.7]) by y; x\nSubject: hello\n\nbody\n";
        for number in 0..HELD {
            let mut client = self.stage.greeted(RELAY)?;
            let sender = format!("sender{number}@example.com");
            let reply = client.deliver(&sender, &["b@example.org"], message)?;
            ensure!(reply.code == 250, "{reply}");
        }
        let held = self.stage.status_number("/quarantine/messages")?;
        ensure!(held == HELD as u64, "{held} messages are held back, expected {HELD}");
        Ok(())
    }
}

fn time(number: u32, later: i64) -> Timestamp {
    let milliseconds = records::time(number).as_millisecond() + later;
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

/// Some that came before, then random hosts.
fn listed(entries: u32) -> Vec<Ipv4Addr> {
    let mut known = HashSet::new();
    let before = (0..).map(records::client).filter(|client| known.insert(*client));
    let mut all: Vec<_> = before.take(KNOWN as usize).collect();
    let others = (0..).map(|number| Ipv4Addr::from_bits(entry_v4(number)));
    let others = others.filter(|host| reserved((*host).into()).is_none() && known.insert(*host));
    all.extend(others.take(entries.saturating_sub(KNOWN) as usize));
    all
}

/// The list's file; every tenth entry has a reason.
fn text(listed: &[Ipv4Addr]) -> Result<String> {
    let mut text = String::new();
    for (number, host) in listed.iter().enumerate() {
        match number % 10 {
            7 => writeln!(text, "{host} # sends spam, case {number}")?,
            _ => writeln!(text, "{host}")?,
        }
    }
    Ok(text)
}

/// Writes the trail of the host; those that nothing is against have a score.
fn write(stage: &Stage, count: u32, later: i64) -> Result<()> {
    let folder = stage.home.path();
    let store = folder.join("state/audit");
    create_dir_all(&store).with_context(|| store.display().to_string())?;
    // Of earlier files only the first is ever read again.
    let rotation = Rotation { keep: 1, ..Rotation::DEFAULT };
    let writer = writer(&store, &folder.join("audit.jsonl"), Some(rotation))?;
    let thresholds = Thresholds::default();
    let step = (count / 10).max(1);
    fill(&writer, count, |number| {
        if number.is_multiple_of(step) {
            say(&format!("{number} of {count} records"));
        }
        records::with_record(number, |record| {
            let is_scored = record.verdict == Verdict::Accept && !records::is_message(number);
            let score = is_scored.then(|| (records::mixed(number) % 1000) as u16);
            writer.write_decision(Record {
                time: time(number, later),
                score,
                band: score.map(|score| thresholds.band(score)),
                delay_from: score.map(|_score| thresholds.delay_from()),
                reject_above: score.map(|_score| thresholds.reject_above()),
                ..record
            });
        });
    })?;
    wait_until_sealed(&Archive::new(&store))?;
    writer.close();
    Ok(())
}
