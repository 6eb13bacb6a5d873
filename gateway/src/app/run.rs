//! The life of the daemon: everything is bound before anything is served, the kernel is filled before it is switched on.

use std::sync::Arc;
use std::sync::mpsc::channel;

use arc_swap::ArcSwap;
use sd_notify::NotifyState;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use super::asking::{Asking, asking, flush_senders, hosts, tend_senders};
use super::begin::{Begun, lock};
use super::descriptors::raise_limit;
use super::hand_over::{HandOver, Step};
use super::held::{Held, Writing};
use super::log::tend_levels;
use super::notify::notify;
use super::quarantine::tend_quarantine;
use super::reload::Reloader;
use super::scores::{self, tend_scores};
use super::signals::{Asked, Signals};
use super::web::{self, Web};
use super::{Failure, fronts};
use crate::admin::{self, AdminSocket};
use crate::alarm::Alarms;
use crate::audit;
use crate::clock::{Clock, ClockWatch};
use crate::config::{Config, SaidOfZones};
use crate::engine::Engine;
use crate::feed::Fetching;
use crate::front::{HandedOver, Stop, UnixSocketError, stopped};
use crate::levels::Levels;
use crate::quarantine::Quarantine;
use crate::refresh::{self, Refresher, Request};
use crate::sight::{Sight, TopTalkers};

/// Runs the daemon, which has given up its rights, until it is told to stop or another has taken over.
pub async fn run(config: Config, begun: Begun, levels: Levels) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let Begun { sockets, lock: locked, mut earlier, rights, reach } = begun;
    if let Some(earlier) = &mut earlier {
        // As long as it can still go on.
        fronts::look_at_tls(&config)?;
        web::look_at_tls(&config)?;
        earlier.release()?;
    }
    let lock = match locked {
        Some(lock) => lock,
        None => lock(&config.state_dir)?,
    };
    let admin_socket = AdminSocket::bind(&config.admin_socket).map_err(admin_failure)?;
    let sockets = sockets.open()?;
    let paths = sockets.names();
    // Until this daemon serves, they are the earlier one's, which goes on should this one fail.
    set_all(&paths, earlier.is_some());
    let alarms = Alarms::default();
    let mut hand_over = HandOver::offer(&config.state_dir, sockets.shared()?)
        .inspect_err(
            |error| warn!(target: "hand-over", "nobody can take over from this daemon: {error}"),
        )
        .ok();
    raise_limit(config.connections(), &alarms);
    let audit = audit::Writer::start(config.audit.clone(), alarms.clone(), Clock::System);
    let audit = audit.map_err(|error| Failure::Setup {
        text: format!("cannot write {error}"),
        hint: "make the folder writable, or set `[audit] file` or `[[output]] to` to another path"
            .to_owned(),
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
    // Until the last session has ended: what it tells of its sender goes to the disk, too.
    let tending = tokio::spawn(tend_senders(Arc::clone(&engine)));
    // Until a zone has answered for its test entries it is not asked.
    zones.first_probes(config.dns.budget).await;
    let quarantine = quarantine(&config, &alarms);
    tasks.spawn(tend_quarantine(Arc::clone(&quarantine), audit.clone(), until_stop(&stopping)));
    scores::load(&engine, &config.state_dir);
    // What is decided while the daemon ends is counted by nobody.
    let counting =
        tend_scores(Arc::clone(&engine), config.state_dir.clone(), until_stop(&stopping));
    tasks.spawn(counting);
    tasks.spawn(tend_levels(levels.clone(), audit.clone(), until_stop(&stopping)));
    let fronts = fronts::fronts(&config, &engine, refresher.known(), &quarantine, &alarms)?;
    let top = TopTalkers::new(Clock::System);
    let sight = Sight::new(config.xdp.clone(), Arc::clone(&engine), top.clone(), Clock::System);
    let sources = Arc::new(admin::Sources {
        started: Instant::now(),
        clock: ClockWatch::begin(),
        levels,
        engine: Arc::clone(&engine),
        rules: refresher.status(),
        xdp: config.xdp.clone(),
        attachments: refresher.attachments(),
        fronts: fronts.clone(),
        top,
        fetching,
        zones,
        quarantine,
        config: ArcSwap::from_pointee(config.clone()),
        rights,
        alarms: alarms.clone(),
        live: admin::Live::default(),
        memory: admin::Memory {
            state_dir: config.state_dir.clone(),
            audit: Some(config.audit.file.clone()),
        },
        requests: requests.clone(),
        stop: stopping.clone(),
    });
    let pages = fronts::serve(&fronts, sockets, &mut tasks, &stopping)?;
    let web = Web::serve(&config, pages, &sources)?;
    let writing = Writing::start(refresher, (requests.clone(), inbox), sight, alarms.clone())?;
    let mut held = Some(Held::new(lock, Some(writing), admin_socket, Arc::clone(&sources)));
    notify(&[NotifyState::Ready]);
    info!(target: "start", "ready version={} pid={}", env!("CARGO_PKG_VERSION"), std::process::id());
    if let Some(earlier) = earlier
        && let Err(error) = earlier.serving()
    {
        warn!(target: "start", "the earlier daemon does not hear that this one serves: {error}");
    }
    set_all(&paths, false);
    let reloader = Reloader { started: config, reach, requests, sources, fronts, names, web };
    let mut end = End::Stop;
    loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            step = asked_to_hand_over(&mut hand_over) => match step {
                Step::Release(done) => {
                    set_all(&paths, true);
                    if let Some(held) = held.take() {
                        held.give_up().await;
                    }
                    // Who asked may be gone already, which the next step says.
                    done.send(()).unwrap_or_default();
                    continue;
                }
                Step::Serving => {
                    end = End::HandedOver;
                    break;
                }
                Step::Lost => {
                    set_all(&paths, false);
                    alarms.raise(HAND_OVER, HALF_WAY);
                    held = reclaim(&reloader);
                    continue;
                }
            },
        };
        match asked {
            Asked::Reload => reloader.reload().await,
            Asked::Stop => break,
        }
    }
    let drain = reloader.sources.config.load().drain;
    info!(
        target: "stop",
        "{}: connections may finish for {} s, a second signal ends them; what is in the kernel stays",
        end.word(),
        drain.as_secs()
    );
    notify(&[NotifyState::Stopping]);
    if let Some(hand_over) = hand_over {
        hand_over.withdraw();
    }
    stop.send_replace(Some(Instant::now() + drain));
    reloader.web.end().await;
    tokio::select! {
        () = async { while tasks.join_next().await.is_some() {} } => {}
        () = async { while signals.next().await == Asked::Reload {} } => {}
    }
    tending.abort();
    flush_senders(&engine).await;
    if let Some(held) = held {
        held.give_up().await;
    }
    audit.close();
    info!(target: "stop", "stopped");
    Ok(())
}

/// Takes back what a daemon had that died before it served: commands can ask again.
fn reclaim(reloader: &Reloader) -> Option<Held> {
    let config = &reloader.started;
    let lock = lock(&config.state_dir);
    let lock = lock.inspect_err(|error| warn!(target: "hand-over", "{error}")).ok()?;
    let admin = AdminSocket::bind(&config.admin_socket).map_err(admin_failure);
    let admin = admin.inspect_err(|error| warn!(target: "hand-over", "{error}")).ok()?;
    Some(Held::new(lock, None, admin, Arc::clone(&reloader.sources)))
}

fn admin_failure(error: UnixSocketError) -> Failure {
    Failure::of_socket(&error, "[admin] socket")
}

/// The subject of the alarm of a hand-over.
const HAND_OVER: &str = "hand-over";

/// What is so when the daemon that took over is gone before it served anybody.
const HALF_WAY: &str = "the daemon that took over died before it served; this one takes mail by its last rules, which change no more: start `portcullis run --take-over` again, or restart";

/// Why the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stop,
    HandedOver,
}

impl End {
    const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stopping",
            Self::HandedOver => "handed over",
        }
    }
}

/// What the daemon that takes over asks for next; never anything where nobody can take over.
async fn asked_to_hand_over(hand_over: &mut Option<HandOver>) -> Step {
    match hand_over {
        Some(hand_over) => hand_over.next().await,
        None => std::future::pending().await,
    }
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

/// Says of all sockets with a name whether they are another daemon's now, which then are not removed.
fn set_all(names: &[HandedOver], are_handed_over: bool) {
    for name in names {
        name.set(are_handed_over);
    }
}
