//! Reads certificates from a file.

use std::fs;
use std::path::Path;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::TlsError;

/// All certificates in `file`, at least one. It blocks for as long as reading takes.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = fs::read(file).map_err(|error| TlsError::file(file, error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| TlsError::file(file, error))?;
    if found.is_empty() {
        return Err(TlsError::file(file, "no certificate, expected one in PEM"));
    }
    Ok(found)
}
