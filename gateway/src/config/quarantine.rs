//! The table `[quarantine]`: where messages are held back, and how many.

use std::path::Path;

use super::QuarantineConfig;
use super::reader::Reader;
use super::resolve::path;
use super::values::{Wrong, integer, long_duration, size};
use crate::quarantine::Settings;

/// Reads `[quarantine]`; `longest` is the longest message that comes in.
pub(super) fn quarantine(
    mut reader: Reader<'_>,
    folder: &Path,
    state_dir: &Path,
    longest: u64,
) -> QuarantineConfig {
    let default = Settings::default();
    let folder = path(&mut reader, "folder", folder, state_dir.join("quarantine"));
    let max_size = reader.optional("max_size", size(1 << 10..=1 << 50));
    let settings = Settings {
        max_size: max_size.as_ref().map_or(default.max_size, |at| at.value),
        max_messages: reader.or("max_messages", default.max_messages, integer(1..=100_000)),
        keep_for: reader.or("keep_for", default.keep_for, long_duration),
    };
    if settings.max_size < longest {
        let found = format!("{} with [limits] message = {longest}", settings.max_size);
        let place = max_size.map_or_else(|| reader.place().clone(), |at| at.place);
        let wrong = Wrong::expected(&found, "at least as much, else a long message waits for ever");
        reader.wrong("max_size", place, wrong);
    }
    reader.finish();
    QuarantineConfig { folder, settings }
}
