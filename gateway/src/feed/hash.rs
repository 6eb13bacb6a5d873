//! The SHA-256 of content, as `sha256sum` prints it.

use std::io::{self, BufRead};

use sha2::{Digest, Sha256};

/// The hash of `octets`.
pub(super) fn sha256(octets: &[u8]) -> String {
    hex(Sha256::digest(octets).into())
}

/// The hash of all that is left in `source`, however large.
pub(super) fn sha256_of_rest(mut source: impl BufRead) -> io::Result<String> {
    let mut hasher = Sha256::new();
    loop {
        let octets = source.fill_buf()?;
        if octets.is_empty() {
            return Ok(hex(hasher.finalize().into()));
        }
        hasher.update(octets);
        let length = octets.len();
        source.consume(length);
    }
}

/// A hash in hexadecimal digits.
pub(super) fn hex(hash: [u8; 32]) -> String {
    hash.map(|octet| format!("{octet:02x}")).concat()
}
