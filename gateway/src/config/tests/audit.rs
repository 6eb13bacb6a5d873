//! What `[audit]` says.

use std::path::Path;
use std::time::Duration;

use super::{check_faults, config};
use crate::audit::{Retention, Rotation};

#[test]
fn the_audit_trail_resolves() {
    let default = config("state_dir = \"state\"").audit;
    assert_eq!(default.file, Path::new("/etc/portcullis/state/audit.jsonl"));
    assert_eq!(default.rotation, Some(Rotation::DEFAULT));
    let store = default.store.unwrap();
    assert_eq!(store.folder, Path::new("/etc/portcullis/state/audit"));
    assert_eq!(store.retention, Retention::DEFAULT);
    let said = "[audit]\nfile = \"/var/log/a.jsonl\"\nrotate_size = \"1M\"\nrotate_keep = 2\n\
                keep = \"90d\"\nmax_size = \"20G\"";
    let audit = config(said).audit;
    assert_eq!(audit.file, Path::new("/var/log/a.jsonl"));
    assert_eq!(audit.rotation, Some(Rotation { size: 1 << 20, keep: 2 }));
    let retention = Retention { keep: Duration::from_hours(90 * 24), max_size: 20 << 30 };
    assert_eq!(audit.store.unwrap().retention, retention);
    let off = config("[audit]\nstore = false\nrotate_size = 0").audit;
    assert_eq!((off.store, off.rotation), (None, None));
    let running = config("");
    assert_eq!(config(said).needs_restart(&running).as_deref(), Some("[audit]"));
    check_faults(
        "[audit]\nrotate_keep = 0\nkeep = \"400d\"\nmax_size = 5",
        &[
            "3:audit.rotate_keep: 0, expected a number from 1 to 1000",
            "4:audit.keep: \"400d\", expected a time like \"30m\", \"12h\" or \"7d\", from 1s to 365d",
            "5:audit.max_size: 5, expected a size like 65536, \"64K\" or \"1M\", from 1048576 to 1125899906842624 octets",
        ],
    );
}
