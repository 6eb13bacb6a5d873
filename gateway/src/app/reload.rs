//! SIGHUP: the configuration is read again, and what can change in a running daemon changes.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use sd_notify::NotifyState;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::asking::hosts;
use super::log::level;
use super::notify::notify;
use super::run::sources;
use super::web::Web;
use super::{Failure, fronts};
use crate::admin;
use crate::config::Config;
use crate::dns::Names;
use crate::front::Fronts;
use crate::list::Source;
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
    pub(super) fronts: Fronts,
    pub(super) names: Names,
    pub(super) web: Web,
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
        let (mut config, notices) = loaded.inspect_err(|faults| {
            // One line, like every alarm.
            let faults = faults.to_string().replace('\n', "; ");
            alarms.raise("config", &format!("the earlier configuration stays: {faults}"));
        })?;
        alarms.clear("config");
        for notice in notices {
            warn!(target: "reload", "{notice}");
        }
        // First of all, since it may be why the rest is not possible.
        alarms.set("restart", self.needs_restart(&config).as_deref());
        fronts::set_settings(&self.fronts, &config).inspect_err(|fault| {
            alarms.raise("tls", &format!("the earlier settings stay: {fault}; {}", fault.hint()));
        })?;
        self.web.set(&config)?;
        self.keep_lists_within_reach(&mut config);
        self.sources.levels.set_base(level(&config.log));
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

    /// A list whose new source is out of reach stays as it is: empty would be worse than late.
    fn keep_lists_within_reach(&self, config: &mut Config) {
        let running = self.sources.config.load();
        for list in &mut config.lists {
            let (Source::File(path) | Source::Folder(path)) = &list.source else { continue };
            let former = running.lists.iter().find(|former| former.name == list.name);
            if let Some(former) = former.filter(|_former| self.is_beyond(path)) {
                *list = Arc::clone(former);
            }
        }
    }

    fn is_beyond(&self, file: &Path) -> bool {
        self.reach.as_ref().is_some_and(|reach| !reach.can_read(file))
    }

    /// What of `config` only a restart can put in force: keys, and files that this process can no longer reach.
    fn needs_restart(&self, config: &Config) -> Option<String> {
        let keys = config.needs_restart(&self.started);
        let keys = keys.map(|keys| format!("changes of {keys} need a restart"));
        let beyond = config.reads.iter().filter(|file| self.is_beyond(file));
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
