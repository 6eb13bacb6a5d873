//! The table `[audit]`: where decisions are recorded, and for how long.

use std::path::Path;

use super::reader::Reader;
use super::resolve::path;
use super::values::{boolean, integer, long_duration, size};
use crate::audit::{Retention, Rotation, Settings, StoreSettings};

/// Reads `[audit]`.
pub(super) fn audit(mut reader: Reader<'_>, folder: &Path, state_dir: &Path) -> Settings {
    let file = path(&mut reader, "file", folder, state_dir.join("audit.jsonl"));
    let rotation = Rotation {
        size: reader.or("rotate_size", Rotation::DEFAULT.size, size(0..=1 << 50)),
        keep: reader.or("rotate_keep", Rotation::DEFAULT.keep, integer(1..=1000)),
    };
    let is_stored = reader.or("store", true, boolean);
    let retention = Retention {
        keep: reader.or("keep", Retention::DEFAULT.keep, long_duration),
        max_size: reader.or("max_size", Retention::DEFAULT.max_size, size(1 << 20..=1 << 50)),
    };
    reader.finish();
    let store = StoreSettings { retention, ..StoreSettings::new(state_dir.join("audit")) };
    Settings {
        file,
        rotation: (rotation.size > 0).then_some(rotation),
        store: is_stored.then_some(store),
    }
}
