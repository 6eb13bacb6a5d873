//! How the quarantine lies on the disk: a folder for each message, which comes and goes by one renaming.
//!
//! It is renamed within one folder: another one would take a right that Landlock does not give before Linux 5.19.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::Id;

/// What follows the name of a message that is on its way in.
const COMING: &str = "coming";
/// What follows the name of a message that is on its way out.
const GOING: &str = "going";
/// The message itself, as its sender wrote it.
const MESSAGE: &str = "message.eml";
/// Everything else that is known of it.
const RECORD: &str = "record.json";
/// The longest record that is read, in octets; some ten thousand recipients.
const LONGEST_RECORD: u64 = 32 << 20;
/// A folder without a message may be another daemon's that has just made it.
const YOUNG: Duration = Duration::from_mins(1);

/// The permissions of its folders: for nobody but the daemon.
pub const FOLDER_MODE: u32 = 0o700;

/// Makes the folder of a quarantine where there is none.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// The folder of the quarantine.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes what is missing.
    pub(super) fn prepare(&self) -> io::Result<()> {
        make_folder(&self.root)
    }

    /// The names of all messages.
    pub(super) fn names(&self) -> io::Result<Vec<Id>> {
        let mut names = Vec::new();
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
            entries => entries?,
        };
        for entry in entries {
            names.extend(entry?.file_name().to_str().and_then(|name| name.parse().ok()));
        }
        Ok(names)
    }

    /// The octets of a message with its record.
    pub(super) fn size(&self, id: &Id) -> io::Result<u64> {
        let record = fs::metadata(self.held(id).join(RECORD)).map_or(0, |record| record.len());
        Ok(fs::metadata(self.message(id))?.len() + record)
    }

    /// Where a message is.
    pub(super) fn message(&self, id: &Id) -> PathBuf {
        self.held(id).join(MESSAGE)
    }

    /// The record of a message.
    pub(super) fn record(&self, id: &Id) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        let file = File::open(self.held(id).join(RECORD))?;
        file.take(LONGEST_RECORD).read_to_end(&mut octets)?;
        Ok(octets)
    }

    /// A new message that is on its way in: its folder, and the file for its octets, locked for as long as it is open.
    pub(super) fn begin(&self, id: &Id) -> io::Result<(PathBuf, File)> {
        let folder = self.root.join(format!("{id}.{COMING}"));
        let make = || DirBuilder::new().mode(FOLDER_MODE).create(&folder);
        match make() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.prepare()?;
                make()?;
            }
            made => made?,
        }
        let file = create(&folder.join(MESSAGE)).and_then(|file| {
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            Ok(file)
        });
        match file {
            Ok(file) => Ok((folder, file)),
            Err(error) => {
                // The first error tells of it; what is left is swept later.
                drop(fs::remove_dir_all(&folder));
                Err(error)
            }
        }
    }

    /// Makes the message in `folder`, whose octets are in `message`, one of those that are held. It is on the disk afterwards.
    pub(super) fn commit(
        &self,
        id: &Id,
        folder: &Path,
        message: &File,
        record: &[u8],
    ) -> io::Result<()> {
        message.sync_all()?;
        put(&folder.join(RECORD), record)?;
        sync(folder)?;
        fs::rename(folder, self.held(id))?;
        sync(&self.root).inspect_err(|_error| {
            // Nobody is told that it lies here, so it must not.
            drop(self.remove(id));
        })
    }

    /// Replaces the record of a message, at once and only when all of the new one is on the disk.
    pub(super) fn update(&self, id: &Id, record: &[u8]) -> io::Result<()> {
        let (folder, fresh) = (self.held(id), self.held(id).join("record.json.new"));
        let write = || {
            put(&fresh, record)?;
            fs::rename(&fresh, folder.join(RECORD))?;
            sync(&folder)
        };
        write().inspect_err(|_error| {
            drop(fs::remove_file(&fresh));
        })
    }

    /// Takes a message out for good.
    pub(super) fn remove(&self, id: &Id) -> io::Result<()> {
        let gone = self.root.join(format!("{id}.{GOING}"));
        match fs::remove_dir_all(&gone) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(self.held(id), &gone)?;
        // A message that was released must not come back with the power.
        sync(&self.root)?;
        // It is out; what is left of it is swept later.
        drop(fs::remove_dir_all(&gone));
        Ok(())
    }

    /// Removes what is half written or half removed, and belongs to nobody who lives; how much that was.
    pub(super) fn sweep(&self) -> usize {
        let Ok(entries) = fs::read_dir(&self.root) else { return 0 };
        let is_on_its_way = |path: &PathBuf| {
            path.extension().is_some_and(|extension| extension == COMING || extension == GOING)
        };
        let paths = entries.flatten().map(|entry| entry.path()).filter(is_on_its_way);
        paths.filter(|path| is_abandoned(path) && fs::remove_dir_all(path).is_ok()).count()
    }

    /// Whether a message could be written now.
    pub(super) fn probe(&self) -> io::Result<()> {
        self.prepare()?;
        let path = self.root.join("probe");
        let written = put(&path, &[b'.'; 4096]);
        drop(fs::remove_file(&path));
        written
    }

    fn held(&self, id: &Id) -> PathBuf {
        self.root.join(id.as_str())
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Writes a file whole, and has it on the disk.
fn put(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(octets)?;
    file.sync_all()
}

/// Has the names in a folder on the disk.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Whoever writes a message has it locked, in this process or another; the lock goes with the process.
fn is_abandoned(path: &Path) -> bool {
    match File::open(path.join(MESSAGE)) {
        Ok(message) => flock(&message, FlockOperation::NonBlockingLockExclusive).is_ok(),
        Err(_none) => {
            let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|modified| modified.elapsed().ok());
            age.is_some_and(|age| age > YOUNG)
        }
    }
}
