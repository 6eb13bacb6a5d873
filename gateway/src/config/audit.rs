//! The tables `[audit]` and `[[output]]`: where decisions are recorded, for how long, and what of them.

use std::path::{Path, PathBuf};

use super::reader::Reader;
use super::resolve::path;
use super::tree::Value;
use super::values::{Parsed, boolean, choice, integer, long_duration, size, text};
use crate::audit::{
    Format, Keep, Output, Privacy, Retention, Rotation, Settings, StoreSettings, Target,
};

/// Where a system log listens.
const SYSLOG: &str = "/dev/log";
/// Where the journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Reads `[audit]`, with what else records go to.
pub(super) fn audit(
    mut reader: Reader<'_>,
    outputs: Vec<Output>,
    hostname: &str,
    folder: &Path,
    state_dir: &Path,
) -> Settings {
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
    let privacy = privacy(reader.table("privacy"), state_dir);
    reader.finish();
    let store = StoreSettings { retention, ..StoreSettings::new(state_dir.join("audit")) };
    Settings {
        file,
        rotation: (rotation.size > 0).then_some(rotation),
        store: is_stored.then_some(store),
        outputs,
        hostname: hostname.to_owned(),
        privacy,
    }
}

fn privacy(mut reader: Reader<'_>, state_dir: &Path) -> Privacy {
    let keep = choice(&[("keep", Keep::Text), ("hash", Keep::Hash), ("drop", Keep::Nothing)]);
    let mut field = |name| reader.or(name, Keep::Text, &keep);
    let privacy = Privacy {
        helo: field("helo"),
        sender: field("sender"),
        recipients: field("recipients"),
        message_id: field("message_id"),
        subject: field("subject"),
        key: state_dir.join("audit.key"),
    };
    reader.finish();
    privacy
}

/// Reads `[[output]]`.
pub(super) fn outputs(readers: Vec<Reader<'_>>, folder: &Path) -> Vec<Output> {
    let output = |mut reader: Reader<'_>| {
        let format = choice(&[("json", Format::Json), ("postfix", Format::Postfix)]);
        let format = reader.required("format", "`json` or `postfix`", format);
        let to = reader.required("to", "`stdout`, `syslog`, `journald`, or a file", target(folder));
        reader.finish();
        Some(Output { format: format?.value, to: to?.value })
    };
    readers.into_iter().filter_map(output).collect()
}

fn target(folder: &Path) -> impl Fn(&Value) -> Parsed<Target> {
    move |value| {
        let text = text(value)?;
        let (word, path) = text.split_once(':').unwrap_or((&text, ""));
        let or = |usual: &str| PathBuf::from(if path.is_empty() { usual } else { path });
        Ok(match word {
            "stdout" => Target::Stdout,
            "syslog" => Target::Syslog(or(SYSLOG)),
            "journald" => Target::Journal(or(JOURNAL)),
            _ => Target::File(folder.join(&text)),
        })
    }
}
