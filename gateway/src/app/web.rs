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
use crate::web::{self, Listening, Public, Site, Token};

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
            let made = Arc::new(make(config, web, api.clone(), sources));
            tasks.spawn(web::serve(listening(socket, web.tls)?, made.router()));
            site = Some(made);
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

/// The control centre. Mail does not wait for its token, and whoever has a name and a password needs none.
fn make(config: &Config, web: &WebConfig, api: Inside, sources: &Sources) -> Site {
    let (folder, path) = (&config.state_dir, Token::path(&config.state_dir));
    let scheme = if web.tls { "https" } else { "http" };
    let made = Token::make(folder).and_then(|is_new| Ok((Token::read(folder)?, is_new)));
    let with = match &made {
        Ok((_token, true)) => format!("with the new token in {}, or ", path.display()),
        Ok((_token, false)) => format!("with the token in {}, or ", path.display()),
        Err(error) => {
            let path = path.display();
            let text = format!(
                "nobody logs in with the token in {path}: {error}; mend it and restart; a [[web_user]] has a password"
            );
            sources.alarms.raise("web", &text);
            String::new()
        }
    };
    info!(target: "web", "control centre at {scheme}://{}/: log in {with}as a [[web_user]]", web.address);
    let token = made.ok().map(|(token, _is_new)| token);
    let (audit, hostname) = (sources.engine.audit().clone(), config.hostname.clone());
    Site::new(api, audit, web.clone(), token, hostname)
}
