//! TLS of this front: the certificate that clients see, taken up anew when its files change, and whom next hops must be.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{NextHop, Settings};
use crate::alarm::Alarms;
use crate::front::{NextHopTls, NextHopTlsMode, Stop, stopped};
use crate::tls::{Certificate, TlsError, Trust, client_config, server_config};

/// The subject of the alarm.
const ALARM: &str = "tls";
/// Between two looks at the files of the certificate.
const LOOK: Duration = Duration::from_secs(10);

/// What this front needs to speak TLS.
#[derive(Debug)]
pub(super) struct Tls {
    certificate: Mutex<Option<Shown>>,
    acceptor: ArcSwapOption<ServerConfig>,
    connector: ArcSwapOption<ClientConfig>,
    alarms: Alarms,
}

/// The certificate that clients see.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    files: Certificate,
    /// When they were written, as of the last look.
    written: [Option<SystemTime>; 2],
}

impl Shown {
    fn new(files: Certificate) -> Self {
        Self { written: files.written(), files }
    }
}

impl Tls {
    /// Reads what `settings` name.
    pub(super) fn load(settings: &Settings, alarms: Alarms) -> Result<Self, TlsError> {
        let shown = settings.certificate.clone().map(Shown::new);
        let acceptor = shown.as_ref().map(|shown| server_config(&shown.files)).transpose()?;
        let connector = connector(&settings.next_hop)?;
        Ok(Self {
            certificate: Mutex::new(shown),
            acceptor: ArcSwapOption::new(acceptor),
            connector: ArcSwapOption::new(connector),
            alarms,
        })
    }

    /// Reads what other `settings` name; what cannot be read changes nothing.
    pub(super) fn set(&self, settings: &Settings) -> Result<(), TlsError> {
        let fresh = Self::load(settings, self.alarms.clone())?;
        let shown = fresh.certificate.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        self.acceptor.store(fresh.acceptor.into_inner());
        self.connector.store(fresh.connector.into_inner());
        self.alarms.clear(ALARM);
        Ok(())
    }

    /// For clients; `None` without a certificate.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.acceptor.load_full().map(TlsAcceptor::from)
    }

    /// For next hops; `None` where TLS is not spoken with them.
    pub(super) fn connector(&self) -> Option<TlsConnector> {
        self.connector.load_full().map(TlsConnector::from)
    }

    /// Takes up the files of the certificate whenever they change, until `stop`.
    pub(super) async fn watch(&self, mut stop: Stop) {
        loop {
            tokio::select! {
                () = sleep(LOOK) => self.look().await,
                _deadline = stopped(&mut stop) => return,
            }
        }
    }

    /// Reads the files of the certificate again if they were written since; what cannot be read changes nothing.
    async fn look(&self) {
        let known = self.certificate.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(known) = known else { return };
        let files = known.files.clone();
        let looked = spawn_blocking(move || {
            let now = Shown::new(files);
            (now != known).then(|| (server_config(&now.files), now))
        });
        let Ok(Some((config, now))) = looked.await else { return };
        match config {
            Ok(config) => {
                self.acceptor.store(Some(config));
                *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
                self.alarms.clear(ALARM);
                tracing::info!(target: "tls", "new certificate in force");
            }
            // The next look tries again: certificate and key may be written one after the other.
            Err(error) => {
                self.alarms.raise(ALARM, &format!("the earlier certificate stays: {error}"));
            }
        }
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
