//! TLS of this front: who it is to clients, and whom next hops must be.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{NextHop, Settings};
use crate::alarm::Alarms;
use crate::front::{NextHopTls, NextHopTlsMode, Stop, stopped};
use crate::tls::{Identity, TlsError, Trust, client_config};

/// What this front needs to speak TLS.
#[derive(Debug)]
pub(super) struct Tls {
    identity: Identity,
    connector: ArcSwapOption<ClientConfig>,
}

impl Tls {
    /// Reads what `settings` name.
    pub(super) fn load(settings: &Settings, alarms: Alarms) -> Result<Self, TlsError> {
        Ok(Self {
            identity: Identity::load(settings.certificate.clone(), alarms)?,
            connector: ArcSwapOption::new(connector(&settings.next_hop)?),
        })
    }

    /// Reads what other `settings` name; what cannot be read changes nothing.
    pub(super) fn set(&self, settings: &Settings) -> Result<(), TlsError> {
        let connector = connector(&settings.next_hop)?;
        self.identity.set(settings.certificate.clone())?;
        self.connector.store(connector);
        Ok(())
    }

    /// For clients; `None` without a certificate.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.identity.acceptor()
    }

    /// For next hops; `None` where TLS is not spoken with them.
    pub(super) fn connector(&self) -> Option<TlsConnector> {
        self.connector.load_full().map(TlsConnector::from)
    }

    /// Takes up the files of the certificate whenever they change, until `stop`.
    pub(super) async fn watch(&self, mut stop: Stop) {
        let stopped = async {
            stopped(&mut stop).await;
        };
        self.identity.watch(stopped).await;
    }
}

fn connector(next_hop: &NextHop) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    match next_hop.tls.mode {
        NextHopTlsMode::Off => Ok(None),
        NextHopTlsMode::Opportunistic | NextHopTlsMode::Required => {
            client_config(&trust(&next_hop.tls)).map(Some)
        }
    }
}

fn trust(tls: &NextHopTls) -> Trust {
    if tls.verify { Trust::Authorities(tls.ca_file.clone()) } else { Trust::Anybody }
}
