//! TLS to the server of a feed: who is believed, and the handshake.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::connect::Stream;
use super::error::FetchError;

/// Speaks TLS over `stream` with the server `host`, which needs a certificate of an authority that the system or `ca_file`
/// names. Both are read anew each time: they change while a daemon runs, and it is done once in an interval.
pub(super) async fn handshake(
    stream: Box<dyn Stream>,
    host: &str,
    ca_file: Option<PathBuf>,
) -> Result<TlsStream<Box<dyn Stream>>, FetchError> {
    let failed = |error| FetchError::Tls { host: host.to_owned(), error };
    let roots = move || authorities(ca_file.as_deref());
    let roots = tokio::task::spawn_blocking(roots).await.map_err(FetchError::Stopped)??;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(io::Error::other(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // In a URL an IPv6 address stands in brackets, in a certificate it does not.
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(|error| failed(io::Error::other(error)))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(failed)
}

fn authorities(ca_file: Option<&Path>) -> Result<RootCertStore, FetchError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    // Among a system's certificates there may be some that nobody can read; the others are good.
    let (_added, _unreadable) = roots.add_parsable_certificates(system.certs);
    if let Some(file) = ca_file {
        let wrong = |why| FetchError::Authorities { file: Some(file.to_owned()), why };
        let pem = fs::read(file).map_err(|error| wrong(error.to_string()))?;
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        if roots.len() == before {
            return Err(wrong("no certificate".to_owned()));
        }
    }
    if roots.is_empty() {
        let why = system.errors.first().map_or_else(|| "none".to_owned(), ToString::to_string);
        return Err(FetchError::Authorities { file: None, why });
    }
    Ok(roots)
}
