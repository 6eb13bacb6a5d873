//! A list replaced by another one, from the file to the kernel, in a process of its own, whose memory is the list's alone.

use std::env;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gateway::clock::Clock;
use gateway::feed::Intake;
use gateway::list::{
    Class, Format, List, ListAction, Loaded, Membership, Origin, Reading, Rules, Source, parse,
};
use gateway::net::Prefix;
use gateway::xdp::{Config, Filter, detach};
use gateway_ebpf::abi::KernelAction;
use harness::netns::{NetNs, run as run_command, veth};
use serde_json::{Map, Value, json};

use crate::corpus::{Case, Lists};
use crate::figures::{Spread, milliseconds, now, rounded};

/// Says to this program that it is the child.
const CHILD: &str = "--replace";
/// What the host has, which no list may hit.
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// How often the text alone is parsed.
const PARSES: usize = 3;

/// What the child does.
pub(crate) struct Task {
    folder: PathBuf,
    format: Format,
    replacements: usize,
}

impl Task {
    /// `None` where this process is not the child.
    pub(crate) fn of_command_line() -> Result<Option<Self>> {
        let mut arguments = env::args().skip(1);
        if arguments.next().as_deref() != Some(CHILD) {
            return Ok(None);
        }
        let mut next = || arguments.next().context("too few arguments");
        let (folder, format, replacements) = (next()?, next()?, next()?);
        let format = Format::ALL.into_iter().find(|known| known.name() == format);
        Ok(Some(Self {
            folder: folder.into(),
            format: format.context("unknown format")?,
            replacements: replacements.parse()?,
        }))
    }
}

/// Measures lists of `entries` entries in the format of `case`.
pub(crate) fn measure(case: Case, entries: u32, replacements: usize) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let lists = Lists::new(case, entries);
    let write = |name, items| -> Result<u64> {
        let text = case.text(items)?;
        fs::write(folder.path().join(name), &text)?;
        Ok(text.len() as u64)
    };
    write("first", &lists.first)?;
    let octets = write("second", &lists.second)?;
    write("changed", &lists.changed)?;
    drop(lists);
    let mut child = Command::new(env::current_exe()?);
    child.arg(CHILD).arg(folder.path()).arg(case.format().name()).arg(replacements.to_string());
    let output = run_command(&mut child)?;
    let mut row: Value = serde_json::from_slice(&output.stdout)?;
    if let Some(row) = row.as_object_mut() {
        row.insert("case".to_owned(), case.name().into());
        row.insert("megabytes".to_owned(), rounded(octets as f64 / 1e6).into());
    }
    Ok(row)
}

/// The child: loads the first list, replaces it and its successors, and says what that took.
pub(crate) fn run(task: &Task) -> Result<()> {
    let host = NetNs::new("lists")?;
    veth(&host, "eth0", &host, "eth1")?;
    host.addresses("eth0", &["192.0.2.1/24"])?;
    let pin_dir = PathBuf::from(format!("/sys/fs/bpf/portcullis-lists-{}", std::process::id()));
    let config = Config { interfaces: vec!["eth0".to_owned()], pin_dir, ..Config::default() };
    let answer = host.run(|| measured(task, &config))?;
    detach(&config)?;
    crate::say(&format!("{}", answer?));
    Ok(())
}

fn measured(task: &Task, config: &Config) -> Result<Value> {
    let mut way = Way::new(task, config)?;
    way.replace_by("first")?;
    way.filter.attach()?;
    let mut replacements = Vec::new();
    for number in 0..task.replacements {
        replacements.push(way.replace_by(if number % 2 == 0 { "second" } else { "first" })?);
    }
    if task.replacements.is_multiple_of(2) {
        way.replace_by("second")?;
    }
    let rss_mib = peak_mib()?;
    let mut changes = Vec::new();
    for number in 0..task.replacements {
        changes.push(way.replace_by(if number % 2 == 0 { "changed" } else { "second" })?);
    }
    let mut row = figures(&replacements);
    if let Some(row) = row.as_object_mut() {
        row.insert("entries".to_owned(), way.entries.into());
        row.insert("rss_mib".to_owned(), rounded(rss_mib).into());
        row.insert("change".to_owned(), figures(&changes));
        row.insert("parse_mb_per_s".to_owned(), json!(rounded(parse_alone(task)?)));
    }
    Ok(row)
}

/// The daemon's way from a file to the kernel.
struct Way {
    list: Arc<List>,
    file: PathBuf,
    intake: Intake,
    membership: Arc<Membership>,
    rules: Rules,
    filter: Filter,
    entries: usize,
}

impl Way {
    fn new(task: &Task, config: &Config) -> Result<Self> {
        let file = task.folder.join("list");
        let list = Arc::new(List {
            kernel: KernelAction::Drop,
            format: Some(task.format),
            source: Source::File(file.clone()),
            ..List::new("bench", Class::GlobalBad, ListAction::Reject)
        });
        let origin = Origin::File(file.clone());
        let intake = Intake::new(Arc::clone(&list), origin, &task.folder.join("copies"));
        let filter = Filter::open(config)?;
        let (membership, rules, entries) = Default::default();
        Ok(Self { list, file, intake, membership, rules, filter, entries })
    }

    /// Puts `name` in the place of the file, and in force.
    fn replace_by(&mut self, name: &str) -> Result<Times> {
        replace_file(&self.file, name)?;
        let now_is = Clock::System.now();
        let started = now();
        let load = self.intake.load(now_is);
        let parse = started.elapsed();
        let is_whole = load.fault.is_none() && load.rejected.count == 0;
        ensure!(is_whole, "{:?}, {:?}", load.fault, load.rejected.first.first());
        let started = now();
        let loaded = Loaded { list: Arc::clone(&self.list), parts: vec![self.intake.part()] };
        let membership = Arc::new(Membership::new(vec![loaded], &[Prefix::host(OWN)]));
        // What the refresher and the engine do with the earlier ones.
        let version = self.rules.version + 1;
        self.rules = Rules::default();
        self.rules = Rules::compile(&membership, version, now_is);
        self.membership = membership;
        let compile = started.elapsed();
        let started = now();
        self.filter.sync(&self.rules, &[OWN])?;
        let sync = started.elapsed();
        self.entries = self.membership.entry_count();
        Ok(Times { parse, compile, sync })
    }
}

fn replace_file(file: &Path, name: &str) -> Result<()> {
    let fresh = file.with_extension("new");
    fs::hard_link(file.with_file_name(name), &fresh)?;
    Ok(fs::rename(fresh, file)?)
}

/// How long the parts of one replacement took.
struct Times {
    parse: Duration,
    compile: Duration,
    sync: Duration,
}

/// The medians, and the spread of each: on a machine with other work, the least says what the code can do.
fn figures(all: &[Times]) -> Value {
    let spread = |time: fn(&Times) -> Duration| {
        Spread::of(all.iter().map(|times| milliseconds(time(times))).collect())
    };
    let times = [
        ("parse_ms", spread(|times| times.parse)),
        ("compile_ms", spread(|times| times.compile)),
        ("sync_ms", spread(|times| times.sync)),
        ("total_ms", spread(|times| times.parse + times.compile + times.sync)),
    ];
    let (mut medians, mut spreads) = (Map::new(), Map::new());
    for (name, spread) in times {
        medians.insert(name.to_owned(), spread.map(|spread| rounded(spread.median)).into());
        spreads.insert(name.to_owned(), spread.map(Spread::json).into());
    }
    medians.insert("spread".to_owned(), spreads.into());
    medians.into()
}

/// From text in memory to entries in order, in megabytes per second; the fastest of a few.
fn parse_alone(task: &Task) -> Result<f64> {
    let octets = fs::read(task.folder.join("second"))?;
    let as_of = Clock::System.now();
    let reading = Reading { format: Some(task.format), as_of, foreign: false };
    let times = (0..PARSES).map(|_| {
        let started = now();
        drop(parse(&octets, reading));
        started.elapsed().as_secs_f64()
    });
    let least = times.min_by(f64::total_cmp).context("never parsed")?;
    Ok(octets.len() as f64 / 1e6 / least)
}

/// The most memory that this process had at once, in MiB.
fn peak_mib() -> Result<f64> {
    peak_of("self")
}

/// The most memory that a process had at once, in MiB.
pub(crate) fn peak_of(process: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|text| text.trim().strip_suffix(" kB")).context("no VmHWM")?;
    Ok(peak.trim().parse::<f64>()? / 1024.0)
}
