//! `cargo xtask demo`: two hosts, real packets, real mail, and who answered what.

mod cases;
mod report;
mod trial;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::{Command, exit};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::cleanup::remove_all_of_this_process;
use harness::stage::Stage;
use harness::syn_burst::syn_burst;
use serde_json::Value;

use self::report::{Burst, Kernel, Report};
use crate::step::{Steps, say};
use crate::{packages, setup};

/// SYNs in the burst at the end.
const BURST: u32 = 300_000;
/// How long the burst may take.
const BURST_LIMIT: Duration = Duration::from_secs(3);

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write the same as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave everything running until Ctrl-C, and say how to talk to it
    #[arg(long)]
    keep: bool,
}

/// Runs the demo; says whether the right party decided every case.
pub(crate) fn run(options: &Options) -> Result<bool> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "the demo makes network namespaces and loads a program into the kernel: run it as root"
        );
    }
    let mut steps = Steps::default();
    setup::ensure(&mut steps)?;
    if packages::is_debian() {
        packages::ensure(&mut steps, packages::DEMO)?;
    }
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "gateway", "--manifest-path"]);
    steps.loud("build the daemon", build.arg(crate::root().join("Cargo.toml")))?;
    remove_when_interrupted()?;
    let started = now();
    let (stage, _dns) = steps.quiet("two hosts, a cable, a next hop, a DNS server", || {
        Ok((cases::stage()?, "192.0.2.1 is the edge, 192.0.2.2 has the senders".to_owned()))
    })?;
    let daemon = steps.quiet("start the daemon", || {
        let daemon = stage.start()?;
        let mode = text(&stage.status()?, "/xdp/mode");
        Ok((daemon, format!("kernel filter: {mode}")))
    })?;
    let mut outcomes = Vec::new();
    say("");
    for case in cases::cases() {
        let outcome = trial::run(&stage, &case).with_context(|| case.name)?;
        report::show_case(&case, &outcome)?;
        outcomes.push(outcome);
    }
    let burst = burst(&stage)?;
    let report = Report {
        delivered: stage.next_hop.delivered().len(),
        kernel: kernel(&stage.status()?),
        cases: outcomes,
        burst,
        elapsed_s: started.elapsed().as_secs_f64(),
    };
    let audit = std::fs::read_to_string(stage.home.path().join("audit.jsonl"))?;
    report::show(&report, &audit, &stage.next_hop.delivered())?;
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, json).with_context(|| file.display().to_string())?;
    }
    if options.keep {
        report::show_how_to_talk(&stage)?;
        wait_for_interrupt();
    }
    daemon.terminate()?;
    Ok(report.is_right())
}

/// Sends the burst and counts what the kernel dropped.
fn burst(stage: &Stage) -> Result<Burst> {
    let dropped = || stage.status_number("/xdp/counters/dropped/packets");
    let before = dropped()?;
    let target = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 25);
    let network = cases::FLOOD_NETWORK;
    let burst = stage.sender.run(|| syn_burst(target, network, BURST, BURST_LIMIT))??;
    let dropped = dropped()? - before;
    let pps = f64_of(dropped) / burst.elapsed.as_secs_f64();
    Ok(Burst { sent: burst.sent, dropped, pps: pps.round() })
}

fn kernel(status: &Value) -> Kernel {
    let number = |name: &str| {
        let pointer = format!("/xdp/counters/{name}/packets");
        status.pointer(&pointer).and_then(Value::as_u64).unwrap_or(0)
    };
    Kernel {
        mode: text(status, "/xdp/mode"),
        refused: number("refused"),
        dropped: number("dropped"),
        reset: number("reset"),
        passed: number("passed"),
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned()
}

/// Counters of a demo stay far below the numbers that a float cannot hold.
#[expect(clippy::cast_precision_loss, reason = "a demo counts to a million, not to 2^52")]
fn f64_of(count: u64) -> f64 {
    count as f64
}

/// Ctrl-C ends the process from the thread that listens for it.
fn wait_for_interrupt() -> ! {
    loop {
        std::thread::park();
    }
}

/// Ctrl-C must not leave hosts behind.
fn remove_when_interrupted() -> Result<()> {
    ctrlc::set_handler(|| {
        remove_all_of_this_process();
        interrupted();
    })
    .context("cannot listen for Ctrl-C")
}

#[expect(clippy::exit, reason = "the other threads wait for peers that are gone")]
fn interrupted() -> ! {
    exit(130)
}

#[expect(clippy::disallowed_methods, reason = "the demo measures real time")]
fn now() -> Instant {
    Instant::now()
}
