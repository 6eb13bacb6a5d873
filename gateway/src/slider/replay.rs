//! What thresholds would have said of the scores in the audit trail.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::audit::JudgedTrail;
use crate::clock::{Clock, Timestamp};
use crate::policy::{Judged, Replay, Replayed, Thresholds};

/// The phases in which there are scores.
pub const PHASES: [&str; 3] = ["connect", "recipient", "message"];

/// What is replayed.
#[derive(Clone, Copy, Debug)]
pub struct Replaying<'a> {
    /// The audit trail.
    pub trail: &'a Path,
    /// The most octets of its end that are read.
    pub most: u64,
    /// The thresholds.
    pub thresholds: Thresholds,
    /// How far to look back.
    pub last: Duration,
    /// The decisions that are judged.
    pub phase: &'static str,
}

/// What the trail says, and what the thresholds would say.
#[derive(Debug, Serialize)]
pub struct ReplayAnswer {
    /// The audit trail.
    pub trail: PathBuf,
    /// The time of the first record that is still in the file.
    pub trail_begins: Option<Timestamp>,
    /// Where the time in question begins.
    pub since: Timestamp,
    /// Where it ends.
    pub until: Timestamp,
    /// False: a part of that time was not read, since it is too much or in earlier files.
    pub complete: bool,
    /// The decisions that are judged.
    pub phase: &'static str,
    /// How many decisions there are.
    pub phases: [PhaseCount; PHASES.len()],
    /// Lines that are no records.
    pub broken_lines: u64,
    /// What would change.
    #[serde(flatten)]
    pub replayed: Replayed,
}

/// How many decisions a phase has.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PhaseCount {
    /// The phase.
    pub phase: &'static str,
    /// All of them.
    pub decisions: u64,
    /// Those that were decided by their scores.
    pub scored: u64,
}

/// The trail cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the audit trail {}: {error}", trail.display())]
pub struct ReplayError {
    trail: PathBuf,
    error: io::Error,
}

impl ReplayError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.error.kind() {
            io::ErrorKind::NotFound => {
                "the daemon writes it with its first decision; `[audit] file` and `--config` say where it is"
            }
            io::ErrorKind::PermissionDenied => {
                "run as root, or as a member of the group that the file belongs to"
            }
            _ => "`[audit] file` of the configuration says which file it is",
        }
    }
}

impl Replaying<'_> {
    /// Judges the decisions of the time that ends now again.
    pub fn run(self) -> Result<ReplayAnswer, ReplayError> {
        let Self { trail, most, thresholds, last, phase } = self;
        let until = Clock::System.now();
        let since = until.checked_sub(last).unwrap_or(Timestamp::MIN);
        let unreadable = |error| ReplayError { trail: trail.to_owned(), error };
        let mut records = JudgedTrail::open(trail, since, most).map_err(unreadable)?;
        let mut phases = PHASES.map(|phase| PhaseCount { phase, decisions: 0, scored: 0 });
        let mut replay = Replay::new(thresholds);
        for record in records.by_ref() {
            let record = record.map_err(unreadable)?;
            if let Some(count) = phases.iter_mut().find(|count| *count.phase == *record.phase) {
                count.decisions += 1;
                count.scored += u64::from(matches!(record.judged, Judged::Scored { .. }));
            }
            if record.phase == phase {
                replay.add(record.address, record.judged, 1);
            }
        }
        Ok(ReplayAnswer {
            trail: trail.to_owned(),
            trail_begins: records.begins(),
            since,
            until,
            complete: records.is_complete(),
            phase,
            phases,
            broken_lines: records.broken(),
            replayed: replay.finish(),
        })
    }
}
