//! TLS to the server of a feed: who is believed, and the handshake.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;

use super::connect::Stream;
use super::error::FetchError;
use crate::tls::{TlsError, authorities};

/// Speaks TLS over `stream` with the server `host`, which needs a certificate of an authority that the system or `ca_file`
/// names. Both are read anew each time: they change while a daemon runs, and it is done once in an interval.
pub(super) async fn handshake(
    stream: Box<dyn Stream>,
    host: &str,
    ca_file: Option<PathBuf>,
) -> Result<TlsStream<Box<dyn Stream>>, FetchError> {
    let failed = |error| FetchError::Tls { host: host.to_owned(), error };
    let roots = move || authorities(ca_file.as_deref(), false).map_err(unbelieved);
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

fn unbelieved(error: TlsError) -> FetchError {
    let (file, why) = match error {
        TlsError::File { file, why } => (Some(file), why),
        TlsError::NoAuthorities(why) => (None, why),
        TlsError::Rustls(error) => (None, error.to_string()),
    };
    FetchError::Authorities { file, why }
}
