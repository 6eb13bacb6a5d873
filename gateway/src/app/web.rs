//! Serves the control centre and the page for blocked senders, where the configuration has them.

use std::cell::LazyCell;
use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::info;

use super::Failure;
use super::sockets::Pages;
use crate::admin::{self, Inside, Sources};
use crate::alarm::Alarms;
use crate::config::{Config, WebConfig};
use crate::tls::{Identity, TlsError};
use crate::web::{self, Listening, Public, Site};

/// What is served to browsers, for as long as it is there.
#[derive(Debug)]
pub(super) struct Web {
    site: Option<Arc<Site>>,
    identity: Option<Arc<Identity>>,
    tasks: JoinSet<()>,
}

impl Web {
    /// Serves both from now on.
    pub(super) fn serve(
        config: &Config,
        pages: Pages,
        sources: &Arc<Sources>,
    ) -> Result<Self, Failure> {
        let mut tasks = JoinSet::new();
        tasks.spawn(admin::take_samples(Arc::clone(sources)));
        let identity = identity(config, &sources.alarms)?.map(Arc::new);
        if let Some(identity) = identity.clone() {
            tasks.spawn(async move { identity.watch(std::future::pending()).await });
        }
        let listening = |socket, is_tls: bool| -> io::Result<Listening> {
            let tls = identity.clone().filter(|_identity| is_tls);
            Ok(Listening { socket: TcpListener::from_std(socket)?, tls })
        };
        // Only where there is a page.
        let api = LazyCell::new(|| Inside::new(Arc::clone(sources)));
        let mut site = None;
        if let (Some(web), Some(socket)) = (&config.web, pages.web) {
            // Mail does not wait for pages.
            site = make(config, web, &api, sources)
                .inspect_err(|error| {
                    let folder = config.state_dir.display();
                    let text = format!(
                        "there is no control centre: its token in {folder}: {error}; mend it and restart"
                    );
                    sources.alarms.raise("web", &text);
                })
                .ok();
            if let Some(site) = &site {
                tasks.spawn(web::serve(listening(socket, web.tls)?, site.router()));
            }
        }
        if let (Some(public), Some(socket)) = (&config.public_lookup, pages.public_lookup) {
            info!(target: "web", "public lookup address={}", public.address);
            let page = Public::new(api.clone(), config.hostname.clone(), public.tls);
            tasks.spawn(web::serve(listening(socket, public.tls)?, Arc::new(page).router()));
        }
        Ok(Self { site, identity, tasks })
    }

    /// Takes up what `config` says of users, times and certificates; addresses need a restart.
    pub(super) fn set(&self, config: &Config) -> Result<(), Failure> {
        // Without a certificate the one before stays, until a restart.
        if let (Some(identity), Some(certificate)) = (&self.identity, &config.tls) {
            identity.set(Some(certificate.clone()))?;
        }
        if let (Some(site), Some(web)) = (&self.site, &config.web) {
            site.set(web.clone());
        }
        Ok(())
    }

    /// Ends it: pages that are half way are broken off.
    pub(super) async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}

/// What is wrong with the files that TLS of pages needs.
pub(super) fn look_at_tls(config: &Config) -> Result<(), TlsError> {
    identity(config, &Alarms::default()).map(drop)
}

fn identity(config: &Config, alarms: &Alarms) -> Result<Option<Identity>, TlsError> {
    let is_tls = config.web.as_ref().is_some_and(|web| web.tls)
        || config.public_lookup.is_some_and(|public| public.tls);
    is_tls.then(|| Identity::load(config.tls.clone(), alarms.clone())).transpose()
}

fn make(
    config: &Config,
    web: &WebConfig,
    api: &Inside,
    sources: &Sources,
) -> io::Result<Arc<Site>> {
    let (path, is_new) = web::make_token(&config.state_dir)?;
    let scheme = if web.tls { "https" } else { "http" };
    let new = if is_new { "new " } else { "" };
    info!(
        target: "web",
        "control centre at {scheme}://{}/: log in with the {new}token in {}, or as a [[web_user]]",
        web.address,
        path.display()
    );
    let site = Site::new(api.clone(), sources.engine.audit().clone(), web.clone(), config)?;
    Ok(Arc::new(site))
}
