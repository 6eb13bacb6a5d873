//! The life of the daemon: everything is bound before anything is served, the kernel is filled before it is switched on.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::fs::{FlockOperation, flock};
use sd_notify::NotifyState;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info};

use super::Failure;
use super::asking::{Asking, asking, hosts, tend_senders};
use super::descriptors::raise_limit;
use super::notify::notify;
use super::quarantine::tend_quarantine;
use super::reload::Reloader;
use super::signals::{Asked, Signals};
use super::sockets::Sockets;
use crate::admin;
use crate::alarm::Alarms;
use crate::audit;
use crate::clock::Clock;
use crate::config::{Config, SaidOfZones};
use crate::engine::Engine;
use crate::feed::Fetching;
use crate::front::smtp::{Front, Stop, stopped};
use crate::quarantine::Quarantine;
use crate::refresh::{self, Refresher, Request};
use crate::sight::{Sight, TopTalkers};
use crate::tls::TlsError;

/// How long connections may take to finish after SIGTERM.
const DRAIN: Duration = Duration::from_secs(30);

/// Runs the daemon until it is told to stop.
pub async fn run(config: Config) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let front_settings = config.front_settings().ok_or_else(no_next_hop)?;
    let _lock = lock(&config.state_dir)?;
    let sockets = Sockets::bind(&config).await?;
    let alarms = Alarms::default();
    raise_limit(config.limits.connections, &alarms);
    let audit = audit::Writer::open(&config.audit_file, alarms.clone()).map_err(|error| {
        Failure::Setup {
            text: format!("cannot write {}: {error}", config.audit_file.display()),
            hint: "make the folder writable, or set `[audit] file` to another path".to_owned(),
        }
    })?;
    let Asking { asks, zones, names, engine: late } = asking(&config, &audit, &alarms)?;
    let engine = Engine::new(config.engine_settings(), audit.clone(), Clock::System).asking(asks);
    let engine = Arc::new(engine);
    // Nobody else sets it.
    late.set(Arc::clone(&engine)).unwrap_or_default();
    let mut refresher =
        Refresher::new(Arc::clone(&engine), &config.xdp, alarms.clone(), Clock::System);
    refresher.resume_pause(&config.state_dir);
    refresher.resume_lists(&config.state_dir);
    let (requests, inbox) = channel();
    let delivered = requests.clone();
    let fetching = Fetching::new(Handle::current(), Clock::System, move |delivery| {
        // After the end of the thread nobody wants it any more.
        drop(delivered.send(Request::Deliver(delivery)));
    });
    let fetching = Arc::new(fetching);
    refresher.fetch_by(Arc::clone(&fetching));
    refresher.ask_zones_by(zones.clone());
    // Blocks this thread for as long as the lists take to read: there is nobody to serve before.
    refresher.reload(sources(&config, &alarms));
    refresher.attach();
    let (stop, stopping) = watch::channel(None);
    let mut tasks = JoinSet::new();
    let until_stop = |stopping: &Stop| {
        let mut stopping = stopping.clone();
        async move {
            stopped(&mut stopping).await;
        }
    };
    tasks.spawn(zones.clone().run(until_stop(&stopping)));
    names.set(hosts(&config));
    tasks.spawn(names.clone().run(until_stop(&stopping)));
    tasks.spawn(tend_senders(Arc::clone(&engine), until_stop(&stopping)));
    // Until a zone has answered for its test entries it is not asked.
    zones.first_probes(config.dns.budget).await;
    let quarantine = quarantine(&config, &alarms);
    tasks.spawn(tend_quarantine(Arc::clone(&quarantine), audit.clone(), until_stop(&stopping)));
    let front = Front::new(
        front_settings,
        Arc::clone(&engine),
        refresher.known(),
        Arc::clone(&quarantine),
        alarms.clone(),
    );
    let front = Arc::new(front.map_err(no_tls)?);
    let top = TopTalkers::new(Clock::System);
    let sight = Sight::new(config.xdp.clone(), Arc::clone(&engine), top.clone(), Clock::System);
    let sources = Arc::new(admin::Sources {
        started: Instant::now(),
        engine,
        rules: refresher.status(),
        xdp: config.xdp.clone(),
        attachments: refresher.attachments(),
        front: Arc::clone(&front),
        top,
        fetching,
        zones,
        quarantine,
        config: ArcSwap::from_pointee(config.clone()),
        alarms: alarms.clone(),
        requests: requests.clone(),
    });
    let refresh_alarms = alarms.clone();
    let refresh_thread = std::thread::Builder::new()
        .name("refresh".to_owned())
        .spawn(move || refresh(refresher, &inbox, &refresh_alarms))?;
    let (stop_sight, sight_stopping) = channel();
    let sight_thread = std::thread::Builder::new()
        .name("sight".to_owned())
        .spawn(move || sight.run(&sight_stopping))?;
    tasks.spawn(Arc::clone(&front).watch_next_hops(stopping.clone()));
    tasks.spawn(Arc::clone(&front).watch_certificate(stopping.clone()));
    for (socket, listener) in sockets.listeners {
        info!(target: "start", "listening address={}", listener.address);
        tasks.spawn(Arc::clone(&front).serve(socket, listener, stopping.clone()));
    }
    // Served to the very end: `status` is how an operator sees what a stop still waits for.
    let admin = tokio::spawn(admin::serve(sockets.admin, Arc::clone(&sources)));
    notify(&[NotifyState::Ready]);
    info!(target: "start", "ready version={} pid={}", env!("CARGO_PKG_VERSION"), std::process::id());
    let reloader = Reloader { started: config, requests, sources, front, names };
    while signals.next().await == Asked::Reload {
        reloader.reload().await;
    }
    info!(
        target: "stop",
        "stopping: connections may finish for {} s, a second signal ends them; what is in the kernel stays",
        DRAIN.as_secs()
    );
    notify(&[NotifyState::Stopping]);
    stop.send_replace(Some(Instant::now() + DRAIN));
    tokio::select! {
        () = async { while tasks.join_next().await.is_some() {} } => {}
        () = async { while signals.next().await == Asked::Reload {} } => {}
    }
    // The thread has nothing to lose, and is gone already where it had died.
    drop(reloader.requests.send(Request::Stop));
    drop(refresh_thread.join());
    drop(stop_sight);
    drop(sight_thread.join());
    admin.abort();
    audit.close();
    info!(target: "stop", "stopped");
    Ok(())
}

/// The quarantine; where something is to go there it is tried at once, so that an operator learns early what is wrong.
fn quarantine(config: &Config, alarms: &Alarms) -> Arc<Quarantine> {
    let held = &config.quarantine;
    let settings = held.settings.clone();
    let quarantine = Quarantine::open(&held.folder, settings, alarms.clone(), Clock::System);
    if config.uses_quarantine() {
        // What is wrong is an alarm, and no reason not to carry mail.
        drop(quarantine.check());
    }
    quarantine
}

/// What rules are made of, with the zones that people added.
pub(super) fn sources(config: &Config, alarms: &Alarms) -> refresh::Sources {
    let SaidOfZones { added: added_zones, faults, .. } = config.said_of_zones();
    let text = format!("zones that were added are not asked: {}", faults.join("; "));
    alarms.set("added-zones", (!faults.is_empty()).then_some(text.as_str()));
    refresh::Sources { added_zones, ..config.sources() }
}

/// The configuration of a daemon has one: see [`Config::load_for_daemon`].
pub(super) fn no_next_hop() -> Failure {
    Failure::Internal("the configuration has no next hop".to_owned())
}

/// Who was promised TLS must not get mail in the clear.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
pub(super) fn no_tls(error: TlsError) -> Failure {
    Failure::Setup { text: format!("TLS: {error}"), hint: error.hint().to_owned() }
}

/// Lists that are silently no longer refreshed would be worse than a restart.
fn refresh(refresher: Refresher, inbox: &Receiver<Request>, alarms: &Alarms) {
    if catch_unwind(AssertUnwindSafe(|| refresher.run(inbox))).is_err() {
        error!(target: "refresh", "died");
        alarms
            .raise("refresh", "lists are no longer read, the last rules stay: restart the daemon");
    }
}

/// Makes sure that no other daemon keeps its state in the same folder. The lock goes with the process.
fn lock(state_dir: &Path) -> Result<File, Failure> {
    let path = state_dir.join("lock");
    let file = fs::create_dir_all(state_dir).and_then(|()| File::create(&path));
    let file = file.map_err(|error| Failure::Setup {
        text: format!("cannot write {}: {error}", path.display()),
        hint: "make the folder writable, or set `state_dir` to another path".to_owned(),
    })?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_locked| {
        Failure::Unavailable {
            text: format!("another daemon keeps its state in {}", state_dir.display()),
            hint: "stop it first, or give this one another `state_dir`".to_owned(),
        }
    })?;
    Ok(file)
}
