//! SIGHUP: the configuration is read again, and what can change in a running daemon changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use sd_notify::NotifyState;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::Failure;
use super::asking::hosts;
use super::notify::notify;
use super::run::{no_next_hop, sources};
use crate::admin;
use crate::config::Config;
use crate::dns::Names;
use crate::front::smtp::Front;
use crate::refresh::Request;
use crate::rights::Reach;

/// Everything that a reload touches.
pub(super) struct Reloader {
    /// The one of the start, which the sockets and all else are bound by that only a restart can change.
    pub(super) started: Config,
    /// The files that this process reaches; `None` where it reaches all that its user does.
    pub(super) reach: Option<Reach>,
    pub(super) requests: Sender<Request>,
    pub(super) sources: Arc<admin::Sources>,
    pub(super) front: Arc<Front>,
    pub(super) names: Names,
}

impl Reloader {
    /// Reads the configuration again; a faulty one changes nothing.
    pub(super) async fn reload(&self) {
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
        let loaded = Config::load_for_daemon(&self.started.file);
        let (config, notices) = loaded.inspect_err(|faults| {
            // One line, like every alarm.
            let faults = faults.to_string().replace('\n', "; ");
            alarms.raise("config", &format!("the earlier configuration stays: {faults}"));
        })?;
        let front_settings = config.front_settings().ok_or_else(no_next_hop)?;
        alarms.clear("config");
        for notice in notices {
            warn!(target: "reload", "{notice}");
        }
        let tls = self.front.set_settings(front_settings);
        tls.inspect_err(|fault| {
            alarms.raise("tls", &format!("the earlier settings stay: {fault}; {}", fault.hint()));
        })?;
        alarms.set("restart", self.needs_restart(&config).as_deref());
        self.sources.engine.set_settings(config.engine_settings());
        self.sources.quarantine.set_settings(config.quarantine.settings.clone());
        drop(self.requests.send(Request::Limit(config.xdp.limits.clone())));
        let (in_force, lists) = oneshot::channel();
        // The thread is there until the daemon stops. A reload is over when its lists are in force: READY says so.
        let sources = sources(&config, alarms);
        self.names.set(hosts(&config));
        self.sources.config.store(Arc::new(config));
        drop(self.requests.send(Request::Reload(sources, in_force)));
        drop(lists.await);
        Ok(())
    }

    /// What of `config` only a restart can put in force: keys, and files that this process can no longer reach.
    fn needs_restart(&self, config: &Config) -> Option<String> {
        let keys = config.needs_restart(&self.started);
        let keys = keys.map(|keys| format!("changes of {keys} need a restart"));
        let is_beyond =
            |file: &&PathBuf| self.reach.as_ref().is_some_and(|reach| !reach.can_read(file));
        let beyond = config.reads.iter().filter(is_beyond);
        let beyond: Vec<_> = beyond.map(|file| file.display().to_string()).collect();
        let files = (!beyond.is_empty()).then(|| {
            format!(
                "{} cannot be read before a restart, since Landlock keeps the daemon to the folders that its configuration named at the start",
                beyond.join(", ")
            )
        });
        let both: Vec<_> = keys.into_iter().chain(files).collect();
        (!both.is_empty()).then(|| both.join("; "))
    }
}
