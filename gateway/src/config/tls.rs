//! The certificate of this host: the table `[tls]`.

use std::path::Path;

use super::fault::Place;
use super::reader::Reader;
use super::values::{Wrong, choice};
use crate::tls::{Certificate, TlsVersion};

/// Reads `[tls]`, which the listeners at `needed` cannot do without. The files are read when the daemon starts.
pub(super) fn tls(mut reader: Reader<'_>, folder: &Path, needed: &[Place]) -> Option<Certificate> {
    let certificate = reader.file("certificate", folder);
    let key = reader.file("key", folder);
    let version = choice(&[("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)]);
    let min_version = reader.or("min_version", TlsVersion::V1_2, version);
    let found = match (certificate, key) {
        (Some(certificate), key) => {
            // Many keep both in one file.
            let key = key.map_or_else(|| certificate.value.clone(), |key| key.value);
            Some(Certificate { certificate: certificate.value, key, min_version })
        }
        (None, Some(key)) => {
            let wrong =
                Wrong::expected(&"a key without certificate", "certificate = \"FILE\" beside it");
            reader.wrong_at(&key, wrong);
            None
        }
        (None, None) => {
            if let Some(place) = needed.first() {
                let found = format!("missing for the listener at {place}");
                let wrong =
                    Wrong::expected(&found, "a file with the certificate of this host, in PEM");
                reader.wrong("certificate", place.clone(), wrong);
            }
            None
        }
    };
    reader.finish();
    found
}
