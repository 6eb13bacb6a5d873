//! Reads the file of a list; a file that is gone, broken or suddenly empty never takes its last good entries away.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use crate::list::{Entry, List, Rejected, parse};

/// A larger file is refused: at ten octets a line this is a hundred million entries.
const SIZE_LIMIT: u64 = 1 << 30;

/// One list file, with what it held when it was last good.
#[derive(Debug)]
pub struct FileFeed {
    list: Arc<List>,
    /// The copy that a later start falls back to.
    copy: PathBuf,
    keeps_copy: bool,
    octets: Vec<u8>,
    entries: Vec<Arc<Entry>>,
}

/// How reading a list went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Whether the entries are others than before.
    pub changed: bool,
    /// Lines of the file that are no entries.
    pub rejected: Rejected,
    /// Why the file's content is not in force; the last good entries are.
    pub fault: Option<String>,
}

impl FileFeed {
    /// A feed for `list` that keeps its last good copy in `copies`.
    pub fn new(list: Arc<List>, copies: &Path) -> Self {
        Self { keeps_copy: true, ..Self::reader(list, copies) }
    }

    /// A feed that falls back to the copy in `copies` as well, and writes nothing.
    pub fn reader(list: Arc<List>, copies: &Path) -> Self {
        let copy = copies.join(format!("{}.last-good", list.name));
        Self { list, copy, keeps_copy: false, octets: Vec::new(), entries: Vec::new() }
    }

    /// The list.
    pub fn list(&self) -> &Arc<List> {
        &self.list
    }

    /// Takes a changed description of the same list.
    pub fn set_list(&mut self, list: Arc<List>) {
        self.list = list;
    }

    /// The entries in force.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// Reads the file again.
    pub fn load(&mut self) -> Load {
        match self.read_good() {
            Ok(fresh) if fresh.octets == self.octets && !self.entries.is_empty() => {
                Load { rejected: fresh.rejected, ..Load::default() }
            }
            Ok(fresh) => {
                let fault = self.keep_copy(&fresh.octets).err().map(|error| {
                    format!(
                        "in force, but its copy {} cannot be written: {error}",
                        self.copy.display()
                    )
                });
                self.octets = fresh.octets;
                let changed = fresh.entries != self.entries;
                self.entries = fresh.entries;
                Load { changed, rejected: fresh.rejected, fault }
            }
            Err(fault) if self.entries.is_empty() => self.fall_back(&fault),
            Err(fault) => {
                let count = self.entries.len();
                Load {
                    fault: Some(format!("{fault}; the last good {count} entries stay")),
                    ..Load::default()
                }
            }
        }
    }

    /// The file, if it can replace what is in force.
    fn read_good(&self) -> Result<Fresh, String> {
        let path = &self.list.file;
        let octets =
            read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let fresh = Fresh::new(octets);
        let rejected = fresh.rejected.count;
        let had_entries = || !self.entries.is_empty() || self.read_copy().is_some();
        if fresh.entries.is_empty() && !fresh.says_empty && (rejected > 0 || had_entries()) {
            return Err(format!(
                "{} has no entries, rejected lines: {rejected} (a line `# empty` says that this is meant)",
                path.display()
            ));
        }
        Ok(fresh)
    }

    /// At the start there is nothing in memory yet, perhaps there is on the disk.
    fn fall_back(&mut self, fault: &str) -> Load {
        let Some(copy) = self.read_copy() else {
            return Load {
                fault: Some(format!("{fault}; there is no earlier copy, the list is empty")),
                ..Load::default()
            };
        };
        self.octets = copy.octets;
        self.entries = copy.entries;
        let count = self.entries.len();
        let fault = format!("{fault}; the {count} entries of {} are in force", self.copy.display());
        Load { changed: true, fault: Some(fault), ..Load::default() }
    }

    /// The copy, if it was made of this very file and has entries.
    fn read_copy(&self) -> Option<Fresh> {
        let octets = read(&self.copy).ok()?;
        let content = octets.strip_prefix(self.copy_head().as_bytes())?;
        Some(Fresh::new(content.to_vec())).filter(|copy| !copy.entries.is_empty())
    }

    /// The first line of the copy: a list that is given another file must not fall back to the entries of the first.
    fn copy_head(&self) -> String {
        format!("# the last good copy of {}\n", self.list.file.display())
    }

    /// Writes the copy whole or not at all.
    fn keep_copy(&self, octets: &[u8]) -> io::Result<()> {
        if !self.keeps_copy {
            return Ok(());
        }
        if let Some(folder) = self.copy.parent() {
            fs::create_dir_all(folder)?;
        }
        let fresh = self.copy.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(self.copy_head().as_bytes())?;
        file.write_all(octets)?;
        file.sync_all()?;
        fs::rename(fresh, &self.copy)
    }
}

/// A file as read and understood.
struct Fresh {
    octets: Vec<u8>,
    entries: Vec<Arc<Entry>>,
    rejected: Rejected,
    says_empty: bool,
}

impl Fresh {
    fn new(octets: Vec<u8>) -> Self {
        let parsed = parse(&octets);
        Self {
            octets,
            entries: parsed.entries.into_iter().map(Arc::new).collect(),
            rejected: parsed.rejected,
            says_empty: parsed.says_empty,
        }
    }
}

/// Reads a file that may be a list: a regular one of at most 1 GiB.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a FIFO would wait for its writer; of a regular file the flag changes nothing.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut octets = Vec::new();
    file.take(SIZE_LIMIT + 1).read_to_end(&mut octets)?;
    if u64::try_from(octets.len()).is_ok_and(|length| length > SIZE_LIMIT) {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 GiB"));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use gateway_ebpf::abi::KernelAction;
    use tempfile::TempDir;

    use super::*;
    use crate::list::{Class, HopScope, ListAction};

    fn feed(folder: &TempDir) -> FileFeed {
        let list = List {
            name: "bad".into(),
            label: "bad".into(),
            class: Class::LocalBad,
            action: ListAction::Reject,
            hops: HopScope::Connect,
            kernel: KernelAction::Reset,
            enforce: true,
            file: folder.path().join("bad.txt"),
        };
        FileFeed::new(Arc::new(list), &folder.path().join("lists"))
    }

    /// Puts `text` into the file (`None` removes it), loads, and shows what is in force and what was said.
    fn load(feed: &mut FileFeed, text: Option<&str>) -> (usize, Load) {
        match text {
            Some(text) => fs::write(&feed.list.file, text).unwrap(),
            None => fs::remove_file(&feed.list.file).unwrap(),
        }
        let load = feed.load();
        (feed.entries.len(), load)
    }

    #[test]
    fn the_last_good_entries_survive_every_accident() {
        let folder = TempDir::new().unwrap();
        let mut feed = feed(&folder);
        let (count, first) = load(&mut feed, Some("192.0.2.1\nnonsense\n192.0.2.2\n"));
        assert_eq!((count, first.changed, first.rejected.count, first.fault), (2, true, 1, None));
        let (count, same) = load(&mut feed, Some("192.0.2.1\nnonsense\n192.0.2.2\n"));
        assert_eq!((count, same.changed, same.rejected.count, same.fault), (2, false, 1, None));
        for (accident, said) in [
            (
                Some(""),
                "rejected lines: 0 (a line `# empty` says that this is meant); the last good 2 entries stay",
            ),
            (
                Some("<html>\nsorry\n"),
                "rejected lines: 2 (a line `# empty` says that this is meant); the last good 2 entries stay",
            ),
            (None, "No such file or directory (os error 2); the last good 2 entries stay"),
        ] {
            let (count, load) = load(&mut feed, accident);
            assert_eq!((count, load.changed), (2, false), "{accident:?}");
            assert!(load.fault.as_ref().unwrap().ends_with(said), "{accident:?}: {load:?}");
        }
        let (count, well) = load(&mut feed, Some("192.0.2.1\n"));
        assert_eq!((count, well.changed, well.fault), (1, true, None));
    }

    #[test]
    fn a_new_start_falls_back_to_the_copy_on_disk() {
        let folder = TempDir::new().unwrap();
        load(&mut feed(&folder), Some("192.0.2.1\n"));
        let mut next = feed(&folder);
        let (count, fallen) = load(&mut next, None);
        assert_eq!((count, fallen.changed), (1, true));
        assert!(fallen.fault.unwrap().contains("the 1 entries of"));
        let mut emptied = feed(&folder);
        assert_eq!(load(&mut emptied, Some("# all gone\n")).0, 1);
    }

    #[test]
    fn without_any_copy_the_list_is_empty_and_says_so() {
        let folder = TempDir::new().unwrap();
        let load = feed(&folder).load();
        assert!(load.fault.unwrap().ends_with("there is no earlier copy, the list is empty"));
        let empty_from_the_first = folder.path().join("bad.txt");
        fs::write(empty_from_the_first, "# nothing yet\n").unwrap();
        assert_eq!(feed(&folder).load().fault, None);
    }

    #[test]
    fn a_list_can_be_emptied_on_purpose() {
        let folder = TempDir::new().unwrap();
        let mut feed = feed(&folder);
        load(&mut feed, Some("192.0.2.1\n"));
        let (count, emptied) = load(&mut feed, Some("# empty\n"));
        assert_eq!((count, emptied.changed, emptied.fault), (0, true, None));
    }

    #[test]
    fn another_file_does_not_fall_back_to_the_entries_of_the_first() {
        let folder = TempDir::new().unwrap();
        let mut first = feed(&folder);
        load(&mut first, Some("192.0.2.1\n"));
        let mut list = List::clone(first.list());
        list.file = folder.path().join("other.txt");
        fs::write(&list.file, "# nothing yet\n").unwrap();
        let mut other = FileFeed::new(Arc::new(list), &folder.path().join("lists"));
        assert_eq!((other.load().fault, other.entries().len()), (None, 0));
    }

    #[test]
    fn a_folder_is_no_list() {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("bad.txt")).unwrap();
        assert!(feed(&folder).load().fault.unwrap().contains("it is no regular file"));
    }
}
