//! Opens the file of the trail to be read.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// The file at `path` with its length, when it is a regular file: one that has an end.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    // Opening a FIFO would wait for its writer; of a regular file the flag changes nothing.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok((file, metadata.len()))
}
