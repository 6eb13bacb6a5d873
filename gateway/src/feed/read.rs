//! Reads the files of lists: regular ones, plain or compressed with gzip, of bounded size.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use rustix::fs::OFlags;

/// A larger list is refused, before decompression or after it: at ten octets a line this is a hundred million entries.
pub const SIZE_LIMIT: u64 = 1 << 30;

/// The first octets of what gzip has compressed (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Reads a file that may be a list: a regular one of at most 1 GiB; one that gzip has compressed is decompressed.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a FIFO would wait for its writer; of a regular file the flag changes nothing.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    decompressed(bounded(file, SIZE_LIMIT)?, SIZE_LIMIT)
}

/// Reads `source` to its end, at most `limit` octets.
pub fn bounded(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    source.take(limit.saturating_add(1)).read_to_end(&mut octets)?;
    if u64::try_from(octets.len()).is_ok_and(|length| length > limit) {
        let text = format!("it is larger than {} MiB", limit >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(octets)
}

/// `octets`, decompressed where gzip has compressed them, at most `limit`.
pub fn decompressed(octets: Vec<u8>, limit: u64) -> io::Result<Vec<u8>> {
    if !octets.starts_with(&GZIP) {
        return Ok(octets);
    }
    bounded(MultiGzDecoder::new(octets.as_slice()), limit)
}
