//! Sets up those whom the engine asks: DNS, the store of senders, SPF and DKIM.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use tracing::warn;

use super::Failure;
use crate::alarm::Alarms;
use crate::audit;
use crate::auth::Authenticator;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::dns::{self, Asker, Names, ZoneEvent, Zones};
use crate::engine::{Asks, Engine};
use crate::store::{MemorySenders, Opened, SenderStore, SqliteSenders};
use crate::zone::{Family, Illness, State};

/// The subject of the alarm of the store.
const SENDERS: &str = "senders";

/// Where the addresses of names go, once there is an engine.
type Late = Arc<OnceLock<Arc<Engine>>>;

/// Those whom the engine asks, and what keeps them going.
pub(super) struct Asking {
    pub(super) asks: Asks,
    pub(super) zones: Zones,
    pub(super) names: Names,
    /// To be set to the engine that asks.
    pub(super) engine: Late,
}

/// Sets up all of them as `config` says; must be called within a runtime.
pub(super) fn asking(
    config: &Config,
    audit: &audit::Writer,
    alarms: &Alarms,
) -> Result<Asking, Failure> {
    let failed = |error: String| Failure::Setup {
        text: error,
        hint: "correct `[dns] resolvers`, or /etc/resolv.conf".to_owned(),
    };
    let resolver = dns::resolver(&config.dns).map_err(|error| failed(error.to_string()))?;
    let asker = Asker::new(resolver, config.dns.budget);
    let trail = audit.clone();
    let zones = Zones::new(asker.clone(), alarms.clone(), Clock::System, move |event| {
        trail.write(&ZoneRecord::new(event));
    });
    let engine = Late::default();
    let late = Arc::clone(&engine);
    let names = Names::new(asker.clone(), alarms.clone(), move |addresses| {
        if let Some(engine) = late.get() {
            engine.set_hosts(Arc::clone(addresses));
        }
    });
    let authenticator = Authenticator::new(&dns::resolvers(&config.dns), config.dns.budget);
    let authenticator = authenticator.map_err(|error| failed(error.to_string()))?;
    let asks = Asks {
        zones: Some(zones.clone()),
        names: Some(asker),
        senders: Some(senders(config, alarms)),
        authenticator: Some(authenticator),
    };
    Ok(Asking { asks, zones, names, engine })
}

/// The store of senders; one in memory where there can be none on the disk, since mail does not wait for that.
fn senders(config: &Config, alarms: &Alarms) -> Arc<dyn SenderStore> {
    match SqliteSenders::open(&config.state_dir, Clock::System.now()) {
        Ok(Opened { store, damaged }) => {
            if let Some(damaged) = damaged {
                let (reason, aside) = (damaged.reason, damaged.aside.display());
                let text = format!(
                    "the store of senders was damaged: {reason}; it is put aside as {aside}, and senders wait anew"
                );
                alarms.raise(SENDERS, &text);
            }
            Arc::new(store)
        }
        Err(error) => {
            let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            let text = format!("{error}: until a restart senders are remembered in memory{hint}");
            alarms.raise(SENDERS, &text);
            Arc::new(MemorySenders::default())
        }
    }
}

/// Looks after the store of senders until it is aborted: what it holds back goes to the disk within a second, and what has
/// expired goes.
pub(super) async fn tend_senders(engine: Arc<Engine>) {
    const FLUSH_EVERY: Duration = Duration::from_secs(1);
    /// Ten minutes.
    const EXPIRE_EVERY: u32 = 600;
    for second in 1_u32.. {
        tokio::time::sleep(FLUSH_EVERY).await;
        tend(&engine, second.is_multiple_of(EXPIRE_EVERY)).await;
    }
}

/// Writes what the store of senders holds back.
pub(super) async fn flush_senders(engine: &Engine) {
    tend(engine, false).await;
}

async fn tend(engine: &Engine, expire: bool) {
    let Some(senders) = engine.asks().senders.clone() else { return };
    let (greylist, now) = (engine.greylist_settings(), Clock::System.now());
    let tended = tokio::task::spawn_blocking(move || {
        if expire {
            senders.expire(&greylist, now)?;
        }
        senders.flush()
    });
    if let Ok(Err(error)) = tended.await {
        warn!(target: "senders", "some of them wait anew: {error}");
    }
}

/// A change of the health of a zone, as the trail keeps it.
#[derive(Debug, Serialize)]
struct ZoneRecord<'a> {
    schema: u8,
    time: Timestamp,
    phase: &'static str,
    zone: &'a str,
    family: Family,
    from: State,
    to: State,
    reason: Option<String>,
    remedy: Option<&'static str>,
}

impl<'a> ZoneRecord<'a> {
    fn new(event: &'a ZoneEvent) -> Self {
        let illness = event.transition.to.illness();
        Self {
            schema: crate::policy::SCHEMA,
            time: event.at,
            phase: "zone",
            zone: &event.zone.name,
            family: event.transition.family,
            from: event.transition.from,
            to: event.transition.to,
            reason: illness.map(|illness| illness.to_string()),
            remedy: illness.map(Illness::remedy),
        }
    }
}

/// The names whose addresses tell the direction of mail.
pub(super) fn hosts(config: &Config) -> Vec<Arc<str>> {
    config.acceptance.iter().flat_map(|list| list.hosts.iter().cloned()).collect()
}
