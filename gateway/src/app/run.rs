//! The life of the daemon: everything is bound before anything is served, the kernel is filled before it is switched on.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::fs::{FlockOperation, flock};
use rustix::net::sockopt::set_ipv6_v6only;
use sd_notify::NotifyState;
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Failure;
use super::descriptors::raise_limit;
use super::signals::{Asked, Signals};
use crate::admin;
use crate::alarm::Alarms;
use crate::audit;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Engine;
use crate::front::Listener;
use crate::front::smtp::Front;
use crate::refresh::{Refresher, Request, SharedFilter};
use crate::xdp::{Attachment, Filter, Mode};

/// How long connections may take to finish after SIGTERM.
const DRAIN: Duration = Duration::from_secs(30);
/// Connections that may wait to be accepted; the system caps it.
const BACKLOG: u32 = 1024;

/// Runs the daemon until it is told to stop.
pub async fn run(config: Config) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let _lock = lock(&config.state_dir)?;
    let bound = Bound::bind(&config).await?;
    let alarms = Alarms::default();
    raise_limit(config.limits.connections, &alarms);
    let audit = audit::Writer::open(&config.audit_file, alarms.clone()).map_err(|error| {
        Failure::Setup {
            text: format!("cannot write {}: {error}", config.audit_file.display()),
            hint: "make the folder writable, or set `[audit] file` to another path".to_owned(),
        }
    })?;
    let engine = Arc::new(Engine::new(config.engine_settings(), audit.clone(), Clock::System));
    let filter: SharedFilter = Arc::new(Mutex::new(open_filter(&config, &alarms)));
    let mut refresher =
        Refresher::new(Arc::clone(&engine), Arc::clone(&filter), alarms.clone(), Clock::System);
    // Blocks this thread for as long as the lists take to read: there is nobody to serve before.
    refresher.reload(config.sources());
    let attachments = attach(&filter, &alarms);
    let front = Arc::new(Front::new(config.front_settings()?, Arc::clone(&engine), alarms.clone()));
    let sources = Arc::new(admin::Sources {
        hostname: config.hostname.clone(),
        started: Instant::now(),
        engine,
        rules: refresher.status(),
        filter,
        attachments: ArcSwap::from_pointee(attachments),
        front: Arc::clone(&front),
        alarms: alarms.clone(),
    });
    let (requests, inbox) = channel();
    let refresh_thread = std::thread::Builder::new()
        .name("refresh".to_owned())
        .spawn(move || refresher.run(&inbox))?;
    let (stop, stopping) = watch::channel(None);
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&front).watch_next_hop(stopping.clone()));
    for (socket, listener) in bound.listeners {
        info!(target: "start", "listening address={}", listener.address);
        tasks.spawn(Arc::clone(&front).serve(socket, listener, stopping.clone()));
    }
    let admin_stop = stopping.clone();
    let admin_task = tokio::spawn(serve_admin(bound.admin, Arc::clone(&sources), admin_stop));
    notify(&[NotifyState::Ready]);
    info!(target: "start", "ready version={} pid={}", env!("CARGO_PKG_VERSION"), std::process::id());
    let reloader = Reloader { started: config, requests, sources, front };
    while signals.next().await == Asked::Reload {
        reloader.reload().await;
    }
    info!(target: "stop", "stopping: connections may finish for {} s, the kernel filter stays", DRAIN.as_secs());
    notify(&[NotifyState::Stopping]);
    stop.send_replace(Some(Instant::now() + DRAIN));
    while tasks.join_next().await.is_some() {}
    finish(reloader, refresh_thread, &audit);
    admin_task.abort();
    info!(target: "stop", "stopped");
    Ok(())
}

/// The sockets of the daemon.
struct Bound {
    listeners: Vec<(TcpListener, Listener)>,
    admin: UnixListener,
}

impl Bound {
    async fn bind(config: &Config) -> Result<Self, Failure> {
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            let address = listener.address;
            let socket =
                listen(address, &config.listeners).map_err(|error| Failure::Unavailable {
                    text: format!("cannot listen on {address}: {error}"),
                    hint:
                        "see with `ss -ltnp` who has the port, or run as root for ports below 1024"
                            .to_owned(),
                })?;
            listeners.push((socket, listener.clone()));
        }
        Ok(Self { listeners, admin: admin::bind(&config.admin_socket).await? })
    }
}

/// `[::]` takes IPv4 clients, too, unless another listener is there for them, which it would exclude.
fn listen(address: SocketAddr, all: &[Listener]) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of an earlier daemon may linger on the port.
    socket.set_reuseaddr(true)?;
    let has_v4 =
        all.iter().any(|other| other.address.is_ipv4() && other.address.port() == address.port());
    if address.is_ipv6() && has_v4 {
        set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
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

/// Loads the kernel filter. Without it the daemon still decides everything, so mail goes on.
fn open_filter(config: &Config, alarms: &Alarms) -> Option<Filter> {
    if config.xdp.mode == Mode::Off {
        return None;
    }
    Filter::open(&config.xdp)
        .inspect_err(|error| {
            let text = format!("there is no kernel filter: {error}; the daemon decides everything");
            alarms.raise("xdp", &text);
        })
        .ok()
}

/// Switches the filter on, now that it is filled.
fn attach(filter: &SharedFilter, alarms: &Alarms) -> Vec<Attachment> {
    let mut filter = filter.lock().unwrap_or_else(PoisonError::into_inner);
    let attached = filter.as_mut().map_or_else(|| Ok(Vec::new()), Filter::attach);
    let attachments = attached.unwrap_or_else(|error| {
        let text =
            format!("the kernel filter runs nowhere: {error}; the daemon decides everything");
        alarms.raise("xdp", &text);
        Vec::new()
    });
    for attachment in &attachments {
        let about = format!("xdp:{}", attachment.interface);
        alarms.set(&about, attachment.reason.as_deref());
        let (interface, mode, adopted) =
            (&attachment.interface, attachment.mode.name(), attachment.adopted);
        info!(target: "start", "xdp interface={interface} mode={mode} adopted={adopted}");
    }
    attachments
}

async fn serve_admin(
    listener: UnixListener,
    sources: Arc<admin::Sources>,
    mut stop: watch::Receiver<Option<Instant>>,
) {
    let alarms = sources.alarms.clone();
    let stopped = async move {
        // An error means that the daemon is gone, which is a stop too.
        drop(stop.wait_for(Option::is_some).await);
    };
    if let Err(error) = admin::serve(listener, sources, stopped).await {
        alarms.raise("admin", &format!("the admin socket is not served any more: {error}"));
    }
}

/// Everything that a reload touches.
struct Reloader {
    /// The one of the start, which the sockets and all else are bound by that only a restart can change.
    started: Config,
    requests: Sender<Request>,
    sources: Arc<admin::Sources>,
    front: Arc<Front>,
}

impl Reloader {
    /// Reads the configuration again; a faulty one changes nothing.
    async fn reload(&self) {
        let now = NotifyState::monotonic_usec_now();
        notify(&[Some(NotifyState::Reloading), now.ok()].into_iter().flatten().collect::<Vec<_>>());
        match self.try_reload().await {
            Ok(()) => info!(target: "reload", "done"),
            Err(failure) => error!(target: "reload", "nothing changed: {failure}"),
        }
        notify(&[NotifyState::Ready]);
    }

    async fn try_reload(&self) -> Result<(), Failure> {
        let alarms = &self.sources.alarms;
        let loaded = Config::load(&self.started.file)
            .map_err(Failure::from)
            .and_then(|(config, notices)| Ok((config.front_settings()?, config, notices)));
        let (front_settings, config, notices) = loaded.inspect_err(|failure| {
            alarms.raise("config", &format!("the earlier configuration stays: {failure}"));
        })?;
        alarms.clear("config");
        for notice in notices {
            warn!(target: "reload", "{notice}");
        }
        let needs_restart = config.needs_restart(&self.started);
        alarms.set(
            "restart",
            needs_restart.map(|keys| format!("changes of {keys} need a restart")).as_deref(),
        );
        self.sources.engine.set_settings(config.engine_settings());
        self.front.set_settings(front_settings);
        let (in_force, lists) = oneshot::channel();
        // The thread is there until `finish`. A reload is over when its lists are in force: READY says so.
        drop(self.requests.send(Request::Reload(config.sources(), in_force)));
        drop(lists.await);
        Ok(())
    }
}

/// Ends what has threads of its own, and takes the names of our sockets away.
fn finish(reloader: Reloader, refresh_thread: JoinHandle<()>, audit: &audit::Writer) {
    drop(reloader.requests.send(Request::Stop));
    if refresh_thread.join().is_err() {
        error!(target: "stop", "the refresh thread had died");
    }
    audit.close();
    // A socket that is already gone is what is wanted.
    drop(fs::remove_file(&reloader.started.admin_socket));
}

/// Tells the service manager, if there is one.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(target: "start", "the service manager cannot be told: {error}");
    }
}
