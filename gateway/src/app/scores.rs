//! Keeps the counts of scores over restarts, so that the slider knows of the whole last day.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::warn;

use crate::engine::Engine;
use crate::file;
use crate::json;
use crate::policy::Tally;

/// Between two writings: so much is lost when the host is.
const EVERY: Duration = Duration::from_mins(1);
/// The longest file that is read: all scores under a dozen of thresholds in each hour are some MiB.
const LONGEST: u64 = 64 << 20;

/// Where they are kept.
fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("scores.json")
}

/// Gives `engine` what was counted before; what cannot be read counts from now on.
pub(super) fn load(engine: &Engine, state_dir: &Path) {
    let path = path(state_dir);
    let tally = match read(&path) {
        Ok(tally) => tally,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            let path = path.display();
            warn!(target: "slider", "counts of scores begin anew: {path}: {error}");
            return;
        }
    };
    engine.set_tally(tally);
}

fn read(path: &Path) -> io::Result<Tally> {
    if fs::metadata(path)?.len() > LONGEST {
        return Err(io::Error::other("it is too long"));
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Writes them down again and again until `stop`, and then once more.
pub(super) async fn tend_scores(
    engine: Arc<Engine>,
    state_dir: PathBuf,
    stop: impl Future<Output = ()>,
) {
    let mut stop = std::pin::pin!(stop);
    let mut is_well = true;
    loop {
        let ends = tokio::select! {
            () = sleep(EVERY) => false,
            () = &mut stop => true,
        };
        let (tally, path) = (engine.tally(), path(&state_dir));
        let written = spawn_blocking(move || write(&path, &tally)).await;
        if let Ok(Err(error)) = &written
            && is_well
        {
            // On a full disk nothing else is lost by it, so once is enough.
            let folder = state_dir.display();
            warn!(target: "slider", "counts of scores are not kept in {folder}: {error}");
        }
        is_well = matches!(written, Ok(Ok(())));
        if ends {
            return;
        }
    }
}

fn write(path: &Path, tally: &Tally) -> io::Result<()> {
    file::replace(path, 0o666, json::to_string(tally)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_what_is_broken_is_told() {
        let folder = TempDir::new().unwrap();
        let path = path(folder.path());
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        let tally = Tally::begin(jiff::Timestamp::UNIX_EPOCH);
        write(&path, &tally).unwrap();
        assert_eq!(read(&path).unwrap(), tally);
        fs::write(&path, "{").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("EOF"));
    }
}
