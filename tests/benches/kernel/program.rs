//! How long the whole program takes for a packet that it does not change, beside a program that does nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use gateway::list::{Rule, Rules};
use gateway::xdp::{Config, Filter, Flood, Limits, detach};
use gateway_ebpf::abi::KernelAction;
use gateway_ebpf::limit::FloodAction;
use harness::packet::Packet;
use harness::xdp_return::{Returns, write};
use serde_json::Value;

use crate::{Spread, reply};

const REPEAT: u32 = 200_000;
const RUNS: usize = 21;

/// What a quiet host pays for the limiter: it counts, and never looks at networks. So it is for answers.
const QUIET: (FloodAction, u32) = (FloodAction::Observe, u32::MAX);

/// Measures each kind of packet that leaves the program as it came.
pub(crate) fn measure() -> Result<Vec<Value>> {
    let pin_dir = PathBuf::from(format!("/sys/fs/bpf/portcullis-program-{}", std::process::id()));
    let config =
        Config { pin_dir, answers_per_second: 0, limits: limits(QUIET), ..Config::default() };
    let measured = cases(&config);
    detach(&config)?;
    measured
}

fn cases(config: &Config) -> Result<Vec<Value>> {
    let mut filter = Filter::open(config)?;
    let bad = [
        ("198.18.1.7", KernelAction::Drop),
        ("198.18.2.0/24", KernelAction::Drop),
        ("198.18.3.7", KernelAction::Refuse),
        ("198.18.4.7", KernelAction::Reset),
        ("2001:db8:1::/64", KernelAction::Drop),
        ("2001:db8:3::/64", KernelAction::Refuse),
        ("2001:db8:4::/64", KernelAction::Reset),
    ];
    let bad = bad
        .map(|(prefix, action)| {
            Ok(Rule { prefix: prefix.parse()?, list: 0, action, expires: None })
        })
        .into_iter()
        .collect::<Result<Vec<Rule>>>()?;
    let rules = Rules { version: 1, lists: vec!["list".into()], good: Vec::new(), bad };
    let own = ["192.0.2.25".parse()?, "2001:db8:25::25".parse()?];
    filter.sync(&rules, &own)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pass.o");
    write(&file, Returns::Pass)?;
    let mut empty = Ebpf::load_file(file)?;
    let empty: &mut Xdp = empty.program_mut("only").context("only")?.try_into()?;
    empty.load()?;
    let syn = |from: &str, to: &str| -> Result<Vec<u8>> {
        let (from, to): (SocketAddr, SocketAddr) = (from.parse()?, to.parse()?);
        Ok(Packet::syn(from, to).bytes())
    };
    let (v4, v6) = ("192.0.2.25:25", "[2001:db8:25::25]:25");
    let mut rows = floods(&mut filter, &syn("198.18.0.1:4000", v4)?)?;
    let ours = filter.program()?;
    for (case, program, frame) in [
        ("empty program", &*empty, syn("198.18.0.1:4000", "192.0.2.25:443")?),
        ("another port", ours, syn("198.18.0.1:4000", "192.0.2.25:443")?),
        ("another port, IPv6", ours, syn("[2001:db8::1]:4000", "[2001:db8:25::25]:443")?),
        ("not listed", ours, syn("198.18.0.1:4000", v4)?),
        ("not listed, IPv6", ours, syn("[2001:db9::1]:4000", v6)?),
        ("dropped, a host", ours, syn("198.18.1.7:4000", v4)?),
        ("dropped, a /24", ours, syn("198.18.2.7:4000", v4)?),
        ("dropped, a /64", ours, syn("[2001:db8:1::9]:4000", v6)?),
    ] {
        rows.push(time(program, &frame)?.row(case));
    }
    for [server, refused, reset] in [
        [v4, "198.18.3.7:4000", "198.18.4.7:4000"],
        [v6, "[2001:db8:3::7]:4000", "[2001:db8:4::7]:4000"],
    ] {
        let clients = [refused.parse()?, reset.parse()?];
        rows.extend(reply::measure(config, ours, server.parse()?, clients)?);
    }
    Ok(rows)
}

/// What a SYN of a source on no list costs by what the limiter is set to; the first one is the program without it.
fn floods(filter: &mut Filter, frame: &[u8]) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for (case, set) in [
        ("not listed, limiter off", (FloodAction::Off, 0)),
        ("not listed, beyond the limit", (FloodAction::Observe, 0)),
        ("not listed, known", (FloodAction::Observe, 0)),
    ] {
        filter.set_limits(&limits(set))?;
        if case.ends_with("known") {
            filter.make_known(&["198.18.0.1".parse()?])?;
        }
        rows.push(time(filter.program()?, frame)?.row(case));
    }
    filter.set_limits(&limits(QUIET))?;
    Ok(rows)
}

fn limits((action, engage_above): (FloodAction, u32)) -> Limits {
    let flood = Flood { action, engage_above, ..Flood::default() };
    Limits { answers_per_network: u32::MAX, flood }
}

fn time(program: &Xdp, frame: &[u8]) -> Result<Spread> {
    let runs = (0..RUNS).map(|_| {
        let options =
            TestRunOptions { data_in: Some(frame), repeat: REPEAT, ..TestRunOptions::default() };
        Ok(program.test_run(options)?.duration.as_secs_f64() * 1e9)
    });
    runs.collect::<Result<Vec<f64>>>().map(Spread::new)
}
