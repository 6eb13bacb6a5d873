//! The authorities that are believed.

use std::path::Path;

use tokio_rustls::rustls::RootCertStore;

use super::TlsError;
use super::pem::certificates;

/// The authorities of the system with those in `more`, or without the system's where `only_more` says so.
///
/// Both are read anew each time: they change while a daemon runs. It blocks for as long as that takes.
pub fn authorities(more: Option<&Path>, only_more: bool) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let mut fault = "none".to_owned();
    if !(only_more && more.is_some()) {
        let system = rustls_native_certs::load_native_certs();
        // Among a system's certificates there may be some that nobody can read; the others are good.
        let (_added, _unreadable) = roots.add_parsable_certificates(system.certs);
        fault = system.errors.first().map_or(fault, ToString::to_string);
    }
    if let Some(file) = more {
        add(&mut roots, file)?;
    }
    if roots.is_empty() { Err(TlsError::NoAuthorities(fault)) } else { Ok(roots) }
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), TlsError> {
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| TlsError::file(file, error))?;
    }
    Ok(())
}
