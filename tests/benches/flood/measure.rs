//! What is measured of one contender: cost, a replacement under fire, and how a clean client fares.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use harness::deadline::Deadline;
use harness::needs;
use harness::smtp_client::{Attempt, SmtpClient};
use serde_json::{Value, json};

use crate::contender::Contender;
use crate::cores::Core;
use crate::field::{CLIENT, Field, Port, target};
use crate::figures::{Spread, milliseconds, now, percentile, rounded};
use crate::generator::{Flood, Generator};

/// Packets per second while lists are replaced and clean clients connect: no more than most contenders can take.
pub(crate) const MODERATE: u32 = 300_000;
/// A flood runs for so long before it is looked at.
const WARM_UP: Duration = Duration::from_millis(60);
/// How often a flood of which nothing arrives is looked at again.
const LOOKS: usize = 3;
/// How long a clean client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Runs of which the median counts.
    pub(crate) runs: usize,
    /// How long each is looked at.
    pub(crate) window: Duration,
    /// How long clean clients connect, one after the other.
    pub(crate) clients: Duration,
}

/// Measures a contender with the list that it was given; what fails is the reason of a row without figures.
pub(crate) fn measure(
    field: &Field,
    generator: &mut Generator,
    contender: &mut dyn Contender,
    (entries, sources): (usize, usize),
    effort: Effort,
) -> Value {
    let started = now();
    let loaded = is_installed(contender).and_then(|()| contender.load(field));
    let load_ms = milliseconds(started.elapsed());
    let measured = loaded.and_then(|()| figures(field, generator, contender, effort));
    let in_kernel = contender.in_kernel().map(milliseconds).map(rounded);
    // Where nothing was loaded there may be nothing to remove.
    let unloaded = contender.unload(field);
    let listed = contender.most() != Some(0);
    let mut row = json!({
        "contender": contender.name(),
        "action": contender.action(),
        "entries": if listed { entries } else { 0 },
        "sources": sources,
        "load_ms": listed.then_some(rounded(load_ms)),
        "load_in_kernel_ms": in_kernel,
    });
    let figures = measured.and_then(|figures| unloaded.map(|()| figures));
    let figures = figures.unwrap_or_else(|error| json!({ "reason": format!("{error:#}") }));
    if let (Some(row), Value::Object(figures)) = (row.as_object_mut(), figures) {
        row.extend(figures);
    }
    row
}

fn is_installed(contender: &dyn Contender) -> Result<()> {
    if let Some((program, package)) = contender.needs() {
        let there = needs::find(program).is_some();
        ensure!(there, "{program} is not installed (Debian package {package})");
    }
    Ok(())
}

fn figures(
    field: &Field,
    generator: &mut Generator,
    contender: &mut dyn Contender,
    effort: Effort,
) -> Result<Value> {
    let passed = field.segments()?;
    let cores = field.cores;
    let mut runs = Runs::default();
    for _ in 0..effort.runs {
        // One just after the other, so that both meet the same machine.
        let floor = run(field, &field.floor, generator, cores.edge, effort)?;
        let edge = run(field, &field.edge, generator, cores.edge, effort)?;
        let saturated = run(field, &field.edge, generator, cores.generator, effort)?;
        runs.costs.push(edge.cost);
        runs.ratios.push(edge.cost / floor.cost);
        runs.rates.push(saturated.rate);
        runs.busy.push(saturated.busy);
    }
    let passed = field.segments()? - passed;
    let replaced = (contender.most() != Some(0)).then(|| replace(field, generator, contender));
    let replaced = replaced.transpose()?;
    let client =
        contender.lets_clean_clients_in().then(|| clients(field, generator, effort)).transpose()?;
    Ok(json!({
        "packets_per_second": Spread::of(runs.rates).map(Spread::json),
        "cpu_ns_per_packet": Spread::of(runs.costs).map(Spread::json),
        "relative_to_drop_all": Spread::of(runs.ratios).map(Spread::json),
        "edge_busy": Spread::of(runs.busy).map(Spread::json),
        "passed": passed,
        "replace_ms": replaced.map(|replaced| rounded(replaced.milliseconds)),
        "leaked_during_replace": replaced.map(|replaced| replaced.leaked),
        "packets_during_replace": replaced.map(|replaced| replaced.packets),
        "smtp_latency_ms": client,
    }))
}

/// One look at a flood.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Packets per second.
    rate: f64,
    /// Nanoseconds of the receiving thread per packet.
    cost: f64,
    /// The share of its time that the receiving thread ran.
    busy: f64,
}

#[derive(Debug, Default)]
struct Runs {
    rates: Vec<f64>,
    costs: Vec<f64>,
    busy: Vec<f64>,
    ratios: Vec<f64>,
}

/// Looks at a flood, again where the machine was away for the whole look.
fn run(
    field: &Field,
    port: &Port,
    generator: &mut Generator,
    core: Core,
    effort: Effort,
) -> Result<Run> {
    for _ in 0..LOOKS {
        if let Some(run) = look(field, port, generator, core, effort)? {
            return Ok(run);
        }
    }
    bail!("nothing arrives at {}", port.device)
}

fn look(
    field: &Field,
    port: &Port,
    generator: &mut Generator,
    core: Core,
    effort: Effort,
) -> Result<Option<Run>> {
    let flood = Flood { device: port.from, core, limit: None, gives_way: false };
    generator.during(&field.sender, flood, || {
        sleep(WARM_UP);
        let (started, before) = (now(), port.received()?);
        sleep(effort.window);
        let (after, elapsed) = (port.received()?, started.elapsed());
        let packets = (after.packets - before.packets) as f64;
        let busy = (after.busy_ns - before.busy_ns) as f64;
        Ok((packets > 0.0).then_some(Run {
            rate: packets / elapsed.as_secs_f64(),
            cost: busy / packets,
            busy: busy / elapsed.as_secs_f64() / 1e9,
        }))
    })
}

/// What a replacement came to.
#[derive(Clone, Copy, Debug)]
struct Replaced {
    milliseconds: f64,
    packets: u64,
    leaked: u64,
}

/// Replaces the list during a flood whose sources are all on both lists.
fn replace(
    field: &Field,
    generator: &mut Generator,
    contender: &mut dyn Contender,
) -> Result<Replaced> {
    let leaked = field.segments()?;
    let (device, core) = (field.edge.from, field.cores.generator);
    let flood = Flood { device, core, limit: Some(MODERATE), gives_way: false };
    let (milliseconds, packets) = generator.during(&field.sender, flood, || {
        sleep(WARM_UP);
        let (started, before) = (now(), field.edge.received()?.packets);
        contender.replace(field)?;
        let elapsed = milliseconds(started.elapsed());
        let packets = field.edge.received()?.packets - before;
        sleep(WARM_UP);
        Ok((elapsed, packets))
    })?;
    // What is in the cable arrives before the next look.
    sleep(WARM_UP);
    Ok(Replaced { milliseconds, packets, leaked: field.segments()? - leaked })
}

/// Lets clean clients connect, one after the other, during a flood.
fn clients(field: &Field, generator: &mut Generator, effort: Effort) -> Result<Value> {
    let (device, core) = (field.edge.from, field.cores.generator);
    let flood = Flood { device, core, limit: Some(MODERATE), gives_way: true };
    let (times, failed) = generator.during(&field.sender, flood, || dialogues(field, effort))?;
    Ok(latency(times, failed))
}

/// How a clean client fares when there is no flood.
pub(crate) fn quiet(field: &Field, effort: Effort) -> Result<Value> {
    let (times, failed) = dialogues(field, effort)?;
    Ok(latency(times, failed))
}

fn latency(mut times: Vec<f64>, failed: usize) -> Value {
    json!({
        "median": percentile(&mut times, 0.5).map(rounded),
        "p99": percentile(&mut times, 0.99).map(rounded),
        "dialogues": times.len(),
        "failed": failed,
    })
}

/// The time that each dialogue took, and how many came to nothing.
fn dialogues(field: &Field, effort: Effort) -> Result<(Vec<f64>, usize)> {
    sleep(WARM_UP);
    let (mut times, mut failed) = (Vec::new(), 0);
    let end = Deadline::after(effort.clients);
    while !end.passed() {
        let started = now();
        match field.sender.run(dialogue)? {
            Ok(()) => times.push(milliseconds(started.elapsed())),
            Err(_) => failed += 1,
        }
    }
    Ok((times, failed))
}

/// From the SYN to the end of the connection.
fn dialogue() -> Result<()> {
    let attempt = SmtpClient::attempt(Some(CLIENT.into()), target(), PATIENCE)?;
    let Attempt::Connected(mut client) = attempt else {
        bail!("{attempt:?}");
    };
    client.set_patience(PATIENCE);
    client.expect(220)?;
    client.send_line("QUIT")?;
    client.expect(221)?;
    client.ended().map(drop).context("the end")
}
