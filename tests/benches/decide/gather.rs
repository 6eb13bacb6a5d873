//! Whole judgements of connections: lists, zones and names that are known, the past, the decision, the record.

use std::cell::Cell;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use gateway::alarm::Alarms;
use gateway::audit::Writer;
use gateway::clock::Clock;
use gateway::dns::{Asker, ConfiguredZone, Zones};
use gateway::engine::{Asks, Client, Engine, Settings};
use gateway::list::Membership;
use gateway::policy::{Outcome, Verdict};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::figures::{Spread, milliseconds, now};
use crate::meter::{Begun, Meter, Spent};
use crate::resolver::Resolver;
use crate::site::{self, Clients, ZONES};

/// How many clients of each kind come; all that is known of them has to fit into the cache of answers.
const CLIENTS: usize = 16_000;
/// How many connections there are at once from one new address.
const AT_ONCE: u16 = 1000;
/// How long DNS takes about it.
const DELAY: Duration = Duration::from_millis(20);

/// Measures judgements of clients of whom all is known, in `runs` runs.
pub(crate) fn measure(runs: usize) -> Result<Vec<Value>> {
    let runtime = runtime()?;
    let folder = tempfile::tempdir()?;
    let clients = Clients::new(CLIENTS);
    let membership = Arc::new(site::membership());
    let mut rows = Vec::new();
    for records in [false, true] {
        for (name, addresses, verdict) in [
            ("clean", &clients.clean, Verdict::Accept),
            // What is in the delay band is let in: the greylist is asked when a recipient is named.
            ("in a zone, no reverse name", &clients.scored, Verdict::Accept),
            ("in a list", &clients.listed, Verdict::LocalBad),
        ] {
            let file = records.then(|| folder.path().join("audit.jsonl"));
            let resolver = Resolver::new(ZONES[0], clients.bad(), Duration::ZERO);
            let engine = engine(resolver, &membership, file.as_deref())?;
            let recorded = records.then(Cell::default);
            let case = Case { engine, addresses, verdict, recorded };
            let name = if records { format!("{name}, recorded") } else { name.to_owned() };
            rows.push(runtime.block_on(case.measure(runs, &name))?);
        }
    }
    Ok(rows)
}

/// Measures many connections at once from an address of which nothing is known.
pub(crate) fn single_flight(runs: usize) -> Result<Value> {
    let runtime = runtime()?;
    let membership = Arc::new(site::membership());
    let (mut walls, mut most, mut different) = (Vec::new(), 0, 0);
    for address in Clients::new(runs).clean {
        let resolver = Resolver::new(ZONES[0], [address].into(), DELAY);
        let engine = Arc::new(engine(Arc::clone(&resolver), &membership, None)?);
        let started = now();
        runtime.block_on(async {
            let judging = (0..AT_ONCE).map(|port| {
                let engine = Arc::clone(&engine);
                let client = client(address, port);
                tokio::spawn(async move { engine.judge_connection(&client, None).await.verdict })
            });
            let judging: Vec<_> = judging.collect();
            for judging in judging {
                ensure!(judging.await? == Verdict::Accept, "another verdict");
            }
            anyhow::Ok(())
        })?;
        walls.push(milliseconds(started.elapsed()));
        let asked = resolver.asked();
        (different, most) = (different.max(asked.0), most.max(asked.1));
    }
    Ok(json!({
        "part": "single flight",
        "connections": AT_ONCE,
        "dns_delay_ms": milliseconds(DELAY),
        "different_questions": different,
        "most_of_one_question": most,
        "wall_ms": Spread::of(walls).map(Spread::json),
    }))
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn client(address: Ipv4Addr, port: u16) -> Client {
    let local = SocketAddr::from(([192, 0, 2, 1], 25));
    Client::new(SocketAddr::from((address, port)), local)
}

/// An engine with all lists and zones, as the daemon has it.
fn engine(
    resolver: Arc<Resolver>,
    membership: &Arc<Membership>,
    audit: Option<&Path>,
) -> Result<Engine> {
    let asker = Asker::new(resolver, Duration::from_secs(2));
    let zones = Zones::new(asker.clone(), Alarms::default(), Clock::System, |_event| {});
    let configured = site::zones()?.into_iter();
    zones.set(configured.map(|zone| ConfiguredZone { zone, enabled: true }).collect());
    let writer = match audit {
        Some(file) => Writer::open(file, Alarms::default())?,
        None => Writer::none(),
    };
    let settings = Settings { policy: site::policy(), ..Settings::default() };
    let asks = Asks { zones: Some(zones), names: Some(asker), ..Asks::default() };
    let engine = Engine::new(settings, writer, Clock::System).asking(asks);
    engine.set_lists(Arc::clone(membership), 1);
    Ok(engine)
}

/// Clients of one kind, and who judges them.
struct Case<'a> {
    engine: Engine,
    addresses: &'a [Ipv4Addr],
    verdict: Verdict,
    /// How many decisions were recorded; `None` where none is.
    recorded: Option<Cell<u64>>,
}

impl Case<'_> {
    async fn measure(&self, runs: usize, name: &str) -> Result<Value> {
        for address in self.addresses {
            let found = self.judge(*address).await;
            ensure!(found == self.verdict, "{name}: {found:?}");
        }
        let mut meter = Meter::default();
        for _ in 0..runs {
            let (begun, mut spent) = (Begun::now(), Spent::default());
            for address in self.addresses {
                black_box(self.judge(*address).await);
            }
            self.all_written().await;
            spent.add(&begun);
            meter.add(self.addresses.len(), spent);
            let mut times = Vec::with_capacity(self.addresses.len());
            for address in self.addresses {
                let started = now();
                black_box(self.judge(*address).await);
                times.push(started.elapsed());
            }
            self.all_written().await;
            meter.add_times(&times);
        }
        let lost = self.engine.audit().status().lost;
        self.engine.audit().close();
        ensure!(lost == 0, "{name}: {lost} records lost");
        Ok(meter.row("gather", name))
    }

    async fn judge(&self, address: Ipv4Addr) -> Verdict {
        let client = client(address, 1025);
        let decision = self.engine.judge_connection(&client, None).await;
        if let Some(recorded) = &self.recorded {
            recorded.set(recorded.get() + 1);
            self.engine.record(&client, None, &decision, Outcome::default());
        }
        decision.verdict
    }

    /// Waits until what was recorded is in the file, which is part of what it costs.
    async fn all_written(&self) {
        let all = self.recorded.as_ref().map_or(0, Cell::get);
        let written = || {
            let status = self.engine.audit().status();
            status.written + status.lost
        };
        while written() < all {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
}
