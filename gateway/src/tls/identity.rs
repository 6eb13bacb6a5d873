//! The certificate that clients see, taken up anew when its files change.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::{Certificate, TlsError, server_config};
use crate::alarm::Alarms;

/// The subject of the alarm.
const ALARM: &str = "tls";
/// Between two looks at the files of the certificate.
const LOOK: Duration = Duration::from_secs(10);

/// The certificate that clients see, where there is one.
#[derive(Debug)]
pub struct Identity {
    shown: Mutex<Option<Shown>>,
    config: ArcSwapOption<ServerConfig>,
    alarms: Alarms,
}

/// The files that are shown.
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

impl Identity {
    /// Reads the files of `certificate`. It blocks for as long as that takes.
    pub fn load(certificate: Option<Certificate>, alarms: Alarms) -> Result<Self, TlsError> {
        let shown = certificate.map(Shown::new);
        let config = shown.as_ref().map(|shown| server_config(&shown.files)).transpose()?;
        Ok(Self { shown: Mutex::new(shown), config: ArcSwapOption::new(config), alarms })
    }

    /// Reads the files of another `certificate`; what cannot be read changes nothing.
    pub fn set(&self, certificate: Option<Certificate>) -> Result<(), TlsError> {
        let fresh = Self::load(certificate, self.alarms.clone())?;
        let shown = fresh.shown.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        self.config.store(fresh.config.into_inner());
        self.alarms.clear(ALARM);
        Ok(())
    }

    /// For clients; `None` without a certificate.
    pub fn acceptor(&self) -> Option<TlsAcceptor> {
        self.config.load_full().map(TlsAcceptor::from)
    }

    /// Takes up the files whenever they change, until `stop` is over.
    pub async fn watch(&self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = sleep(LOOK) => self.look().await,
                () = &mut stop => return,
            }
        }
    }

    /// Reads the files again if they were written since; what cannot be read changes nothing.
    async fn look(&self) {
        let known = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(known) = known else { return };
        let files = known.files.clone();
        let looked = spawn_blocking(move || {
            let now = Shown::new(files);
            (now != known).then(|| (server_config(&now.files), now))
        });
        let Ok(Some((config, now))) = looked.await else { return };
        match config {
            Ok(config) => {
                self.config.store(Some(config));
                *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
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
