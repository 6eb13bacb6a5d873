//! Makes the fronts that the configuration has, serves them, and gives them other settings.

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::info;

use super::sockets::{Open, Pages};
use crate::alarm::Alarms;
use crate::config::Config;
use crate::engine::Engine;
use crate::front::Fronts;
use crate::front::Stop;
use crate::front::milter::Milter;
use crate::front::postfix_policy::PolicyService;
use crate::front::smtp::{self, Front};
use crate::quarantine::Quarantine;
use crate::refresh::Known;
use crate::tls::TlsError;

/// The fronts of `config`, which serve nobody yet.
pub(super) fn fronts(
    config: &Config,
    engine: &Arc<Engine>,
    known: Known,
    quarantine: &Arc<Quarantine>,
    alarms: &Alarms,
) -> Result<Fronts, TlsError> {
    let (engine, alarms) = (|| Arc::clone(engine), || alarms.clone());
    let smtp = smtp_settings(config);
    let milter = config.milter_settings();
    let policy = config.postfix_policy_settings();
    let smtp = smtp
        .map(|it| Front::new(it, engine(), known, Arc::clone(quarantine), alarms()))
        .transpose();
    Ok(Fronts {
        smtp: smtp?.map(Arc::new),
        milter: milter.map(|it| Arc::new(Milter::new(it, engine(), alarms()))),
        postfix_policy: policy.map(|it| Arc::new(PolicyService::new(it, engine(), alarms()))),
    })
}

/// What is wrong with the files that TLS of these fronts needs.
pub(super) fn look_at_tls(config: &Config) -> Result<(), TlsError> {
    smtp_settings(config).map_or(Ok(()), |settings| Front::look_at_tls(&settings))
}

/// Those of the proxy, where there is one.
fn smtp_settings(config: &Config) -> Option<smtp::Settings> {
    config.front_settings().filter(|_settings| !config.listeners.is_empty())
}

/// Serves all of them, each in tasks of its own, until `stop`; gives back the sockets that are for people.
pub(super) fn serve(
    fronts: &Fronts,
    sockets: Open,
    tasks: &mut JoinSet<()>,
    stop: &Stop,
) -> io::Result<Pages> {
    let Open { listeners, milter, postfix_policy, pages } = sockets;
    if let Some(front) = &fronts.smtp {
        tasks.spawn(Arc::clone(front).watch_next_hops(stop.clone()));
        tasks.spawn(Arc::clone(front).watch_certificate(stop.clone()));
        tasks.spawn(Arc::clone(front).watch_majority(stop.clone()));
        for (socket, listener) in listeners {
            info!(target: "start", "listening address={}", listener.address);
            let socket = TcpListener::from_std(socket)?;
            tasks.spawn(Arc::clone(front).serve(socket, listener, stop.clone()));
        }
    }
    if let (Some(front), Some(socket)) = (&fronts.milter, milter) {
        info!(target: "start", "milter address={socket}");
        tasks.spawn(Arc::clone(front).serve(socket, stop.clone()));
    }
    if let (Some(front), Some(socket)) = (&fronts.postfix_policy, postfix_policy) {
        info!(target: "start", "postfix_policy address={socket}");
        tasks.spawn(Arc::clone(front).serve(socket, stop.clone()));
    }
    Ok(pages)
}

/// Puts what `config` says in force at those that run; one that comes or goes needs a restart. A certificate that cannot be had
/// leaves everything as it is.
pub(super) fn set_settings(fronts: &Fronts, config: &Config) -> Result<(), TlsError> {
    if let (Some(front), Some(settings)) = (&fronts.smtp, config.front_settings()) {
        front.set_settings(settings)?;
    }
    if let (Some(front), Some(settings)) = (&fronts.milter, config.milter_settings()) {
        front.set_settings(settings);
    }
    let policy = config.postfix_policy_settings();
    if let (Some(front), Some(settings)) = (&fronts.postfix_policy, policy) {
        front.set_settings(settings);
    }
    Ok(())
}
