//! How TLS is spoken with clients: the certificate of this host, read from its files.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::SupportedProtocolVersion;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::TlsError;
use super::pem::certificates;

/// The certificate of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The file with the chain, in PEM, our own first.
    pub certificate: PathBuf,
    /// The file with its private key, in PEM; it may be the same.
    pub key: PathBuf,
    /// The oldest version of TLS that is spoken.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

impl TlsVersion {
    /// This version, with those that came after it.
    fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        static FROM_1_2: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
        static FROM_1_3: [&SupportedProtocolVersion; 1] = [&TLS13];
        match self {
            Self::V1_2 => &FROM_1_2,
            Self::V1_3 => &FROM_1_3,
        }
    }
}

impl Certificate {
    /// When each of its files was last written; `None` for one that is not there.
    pub fn written(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key]
            .map(|file| fs::metadata(file).and_then(|about| about.modified()).ok())
    }
}

/// Reads the files of `certificate`. It blocks for as long as that takes.
pub fn server_config(certificate: &Certificate) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(&certificate.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&certificate.key).map_err(|error| {
        TlsError::file(&certificate.key, format!("{error}, expected a private key in PEM"))
    })?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(certificate.min_version.and_later())?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}
