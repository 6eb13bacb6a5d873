//! Feeds: where the entries of lists come from, with the last good copy of each.

mod copy;
mod fetch;
mod fetching;
mod hash;
mod intake;
mod read;
mod schedule;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::list::{Origin, Source};

pub use copy::{CopyFault, Head, LastGood};
pub use fetch::{FetchError, Fetched, Fetcher, RedirectFault, SignatureFault};
pub use fetching::{Delivery, FeedStatus, Fetching};
pub use intake::{Content, HeldBack, Intake, Load, Refused, copy_path};
pub use read::{SIZE_LIMIT, bounded, decompressed, read};
pub use schedule::Schedule;

/// The list at `path`: a file, or the last good copy of a source without its first line.
pub fn read_list(path: &Path) -> io::Result<Vec<u8>> {
    let octets = read(path)?;
    Ok(copy::content(&octets).map_or_else(|| octets.clone(), <[u8]>::to_vec))
}

/// The places that a list has entries from now: one, or each file of its folder.
pub fn origins(source: &Source) -> io::Result<Vec<Origin>> {
    Ok(match source {
        Source::File(path) => vec![Origin::File(path.clone())],
        Source::Folder(path) => files(path)?,
        Source::Url(download) => vec![Origin::Url(download.url.clone())],
        Source::Put => vec![Origin::Put],
    })
}

/// The files of a folder, in order of their names; those whose names begin with a dot are somebody's work in progress.
fn files(folder: &Path) -> io::Result<Vec<Origin>> {
    let is_shown = |name: &OsStr| !name.as_bytes().starts_with(b".");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(is_shown) && path.is_file() {
            files.push(Origin::File(path));
        }
    }
    files.sort_unstable();
    Ok(files)
}
