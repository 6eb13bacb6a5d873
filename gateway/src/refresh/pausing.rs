//! Begins and ends pauses: in the daemon, in the kernel, in a file for the next daemon, and before the operator's eyes.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::kernel::Kernel;
use crate::alarm::Alarms;
use crate::engine::Engine;
use crate::file;
use crate::host;
use crate::pause::Pause;
use crate::xdp::XdpError;

/// The subject of the alarm that lasts as long as the pause.
const ALARM: &str = "pause";

/// What is wrong with the file.
const FILE_ALARM: &str = "pause-file";

/// The pause that lasts, if one does, and the file that says so to the next daemon.
#[derive(Debug)]
pub(super) struct Pausing {
    current: Option<Arc<Pause>>,
    file: Option<PathBuf>,
    engine: Arc<Engine>,
    alarms: Alarms,
}

impl Pausing {
    pub(super) fn new(engine: Arc<Engine>, alarms: Alarms) -> Self {
        Self { current: None, file: None, engine, alarms }
    }

    /// Goes on with the pause of an earlier daemon, and keeps pauses in `state_dir` from now on.
    pub(super) fn resume(&mut self, state_dir: &Path, kernel: &mut Kernel) {
        self.file = Some(file(state_dir));
        match saved_pause(state_dir) {
            Ok(pause) => {
                let pause = pause.map(Arc::new);
                if let Some(pause) = &pause {
                    warn!(target: "pause", "goes on: {pause}");
                }
                // What fails is an alarm, and is tried again.
                self.put(pause, kernel).unwrap_or_default();
            }
            Err(error) => {
                let path = file(state_dir).display().to_string();
                warn!(target: "pause", "{path}: {error}; a pause of an earlier daemon is over");
                self.put(None, kernel).unwrap_or_default();
            }
        }
        if self.current.is_none() {
            // Whatever the file says is over.
            self.save();
        }
    }

    /// Begins a pause, in the place of one that lasts, or ends the one that does. It is so in the daemon in any case, and
    /// an error says that the kernel does not know it yet.
    pub(super) fn set(
        &mut self,
        pause: Option<Pause>,
        kernel: &mut Kernel,
    ) -> Result<(), XdpError> {
        match (&pause, &self.current) {
            (Some(pause), _) => warn!(target: "pause", "begin: {pause}"),
            (None, Some(_)) => info!(target: "pause", "end: early, since somebody asked for it"),
            (None, None) => {}
        }
        let done = self.put(pause.map(Arc::new), kernel);
        self.save();
        done
    }

    /// Clears up after a pause that has ended by itself.
    pub(super) fn look(&mut self, kernel: &mut Kernel) {
        if self.current.as_ref().is_some_and(|pause| pause.is_over()) {
            info!(target: "pause", "end: its time is over");
            self.put(None, kernel).unwrap_or_default();
            self.save();
        }
    }

    fn put(&mut self, pause: Option<Arc<Pause>>, kernel: &mut Kernel) -> Result<(), XdpError> {
        let text = pause.as_ref().map(|pause| format!("{pause}; `portcullis pause --end` ends it"));
        self.alarms.set(ALARM, text.as_deref());
        self.engine.set_pause(pause.clone());
        let until = pause.as_ref().map_or(0, |pause| pause.until_uptime());
        self.current = pause;
        kernel.pause_until(until)
    }

    /// Writes the file or removes it. A full disk is no reason not to let everything pass, or not to end that.
    fn save(&self) {
        let Some(file) = &self.file else { return };
        let text = match &self.current {
            Some(pause) => write(file, pause).err().map(|error| {
                format!(
                    "cannot write {}: {error}; a restart of the daemon ends the pause",
                    file.display()
                )
            }),
            None => remove(file).err().map(|error| {
                format!(
                    "cannot remove {}: {error}; a restart of the daemon goes on with the pause",
                    file.display()
                )
            }),
        };
        self.alarms.set(FILE_ALARM, text.as_deref());
    }
}

/// The pause in which an earlier daemon is, or was until it ended; `None` where there is none that lasts.
pub fn saved_pause(state_dir: &Path) -> io::Result<Option<Pause>> {
    let text = match fs::read_to_string(file(state_dir)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let Saved::<String, Pause> { boot, pause } = serde_json::from_str(&text)?;
    // Since another start of the host its seconds are counted anew; and then nothing is left in the kernel, either.
    let lasts = boot == host::boot_id()? && !pause.is_over() && pause.is_possible();
    Ok(lasts.then_some(pause))
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Saved<Text, Value> {
    /// The start of the host from which on seconds are counted.
    boot: Text,
    pause: Value,
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("pause.json")
}

fn write(file: &Path, pause: &Pause) -> io::Result<()> {
    let saved = serde_json::to_vec(&Saved { boot: host::boot_id()?, pause })?;
    file::replace(file, 0o666, &saved)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_a_whole_pause_of_this_start_that_lasts_is_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let pause = Pause::lasting(Duration::from_mins(10), "root", Some("why")).unwrap();
        assert_eq!(saved_pause(folder.path()).unwrap(), None, "no file");
        write(&file(folder.path()), &pause).unwrap();
        assert_eq!(saved_pause(folder.path()).unwrap(), Some(pause));
        let whole = fs::read_to_string(file(folder.path())).unwrap();
        let boot = host::boot_id().unwrap();
        let saved = |until: u32| {
            format!(
                r#"{{"boot":"{boot}","pause":{{"until":{until},"author":"root","reason":null}}}}"#
            )
        };
        for (text, expected) in [
            (whole.replace(&boot, "another"), Ok(None)),
            (saved(1), Ok(None)),
            (saved(u32::MAX), Ok(None)),
            (whole.get(..whole.len() / 2).unwrap().to_owned(), Err(())),
            (String::new(), Err(())),
        ] {
            fs::write(file(folder.path()), &text).unwrap();
            assert_eq!(saved_pause(folder.path()).map_err(drop), expected, "{text}");
        }
        remove(&file(folder.path())).unwrap();
        remove(&file(folder.path())).unwrap();
        assert_eq!(saved_pause(folder.path()).unwrap(), None);
    }
}
