//! What a fetch brought, signed and hashed as it should be, decompressed within its limit.

use std::io;

use super::error::{FetchError, SignatureFault};
use crate::feed::decompressed;
use crate::feed::hash::{hex, sha256};
use crate::list::Signature;

/// The content of `octets`, or what is wrong with them; `is_coded` when gzip was used on the way.
///
/// A signature is one of the octets as the server has them, since that is the file that its publisher signed; nothing that
/// is not signed is decompressed. A hash is one of the list itself, however it was compressed.
pub(super) fn check(
    octets: Vec<u8>,
    is_coded: bool,
    pin: Option<[u8; 32]>,
    signature: Option<&(Signature, Vec<u8>)>,
    limit: u64,
) -> Result<Vec<u8>, FetchError> {
    if let Some((expected, text)) = signature {
        verify(&octets, expected, text)?;
    }
    let decompressed = |octets| {
        decompressed(octets, limit).map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => FetchError::TooLarge { found: None, limit },
            _ => FetchError::Gzip(error),
        })
    };
    let octets = match is_coded {
        true if !octets.starts_with(&[0x1f, 0x8b]) => {
            return Err(FetchError::Gzip(io::Error::other("it begins with something else")));
        }
        true => decompressed(octets)?,
        false => octets,
    };
    // What was compressed on the way may be a compressed file.
    let octets = decompressed(octets)?;
    match pin {
        Some(pin) => pinned(octets, pin),
        None => Ok(octets),
    }
}

fn verify(octets: &[u8], expected: &Signature, text: &[u8]) -> Result<(), FetchError> {
    let wrong = |fault| FetchError::Signature { url: expected.url.clone(), fault };
    let text = str::from_utf8(text).map_err(|_no_text| wrong(SignatureFault::NoText))?;
    let signature = minisign_verify::Signature::decode(text);
    // The older form without a hash before it is as good; it only needs the whole file at once, and that is here.
    let verified =
        signature.and_then(|signature| expected.public_key.verify(octets, &signature, true));
    verified.map_err(|error| wrong(SignatureFault::Wrong(error)))
}

fn pinned(octets: Vec<u8>, pin: [u8; 32]) -> Result<Vec<u8>, FetchError> {
    let (found, expected) = (sha256(&octets), hex(pin));
    if found == expected {
        return Ok(octets);
    }
    Err(FetchError::Hash { found, expected })
}
