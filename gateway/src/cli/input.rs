//! Reads what a command is given: a file, or standard input for `-`, never more than it wants.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::Failure;

/// The first `most` octets and, where there are more, one of those; `hint` says what to give.
pub(super) fn read(path: &Path, most: usize, hint: &str) -> Result<Vec<u8>, Failure> {
    let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut octets = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut octets)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_end(&mut octets))
    };
    read.map_err(|error| Failure::Unavailable {
        text: format!("cannot read {}: {error}", path.display()),
        hint: hint.to_owned(),
    })?;
    Ok(octets)
}
