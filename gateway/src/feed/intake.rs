//! Takes new content of one source in, or refuses it: what is broken or poisoned never takes the last good entries away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Head, LastGood, read};
use crate::clock::Timestamp;
use crate::list::{
    Changes, Entries, Format, List, Origin, Parsed, Part, Reading, Rejected, Source, doubt_entries,
    doubt_text, parse,
};
use crate::net::Prefix;

/// One source of a list, with what it held when it was last good.
#[derive(Debug)]
pub struct Intake {
    list: Arc<List>,
    origin: Arc<Origin>,
    copy: LastGood,
    keeps_copy: bool,
    entries: Arc<Entries>,
    rejected: Rejected,
    format: Option<Format>,
    digest: Option<[u8; 32]>,
    refused: Option<Content>,
}

/// What a source holds at one time.
#[derive(Clone, Debug)]
pub struct Content {
    /// The list itself, decompressed.
    pub octets: Vec<u8>,
    /// When it was written or fetched.
    pub as_of: Timestamp,
    /// What the server calls this state of it.
    pub etag: Option<String>,
    /// When the server says that it changed last.
    pub last_modified: Option<String>,
}

impl Content {
    /// What a file or a command gives.
    pub const fn local(octets: Vec<u8>, as_of: Timestamp) -> Self {
        Self { octets, as_of, etag: None, last_modified: None }
    }
}

/// How taking content in went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Whether the entries are others than before.
    pub changed: bool,
    /// The prefixes that came and went.
    pub changes: Changes,
    /// Lines that are no entries.
    pub rejected: Rejected,
    /// Why the content is not in force, or what else is wrong; the last good entries are in force.
    pub fault: Option<String>,
    /// Whether a human can overrule the refusal.
    pub can_accept: bool,
}

impl Intake {
    /// The source `origin` of `list`, with its last good copy in `copies`.
    pub fn new(list: Arc<List>, origin: Origin, copies: &Path) -> Self {
        let copy = LastGood::new(copy_path(&list, &origin, copies), origin.identity());
        let (entries, rejected, format, digest, refused) = Default::default();
        let origin = Arc::new(origin);
        Self { list, origin, copy, keeps_copy: true, entries, rejected, format, digest, refused }
    }

    /// The same, that writes nothing.
    pub fn reader(list: Arc<List>, origin: Origin, copies: &Path) -> Self {
        Self { keeps_copy: false, ..Self::new(list, origin, copies) }
    }

    /// Takes a changed description of the same list.
    pub fn set_list(&mut self, list: Arc<List>) {
        self.list = list;
    }

    /// The list.
    pub fn list(&self) -> &Arc<List> {
        &self.list
    }

    /// Where the content comes from.
    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// The entries in force.
    pub fn entries(&self) -> &Arc<Entries> {
        &self.entries
    }

    /// The entries in force, with where they come from.
    pub fn part(&self) -> Part {
        Part { origin: Arc::clone(&self.origin), entries: Arc::clone(&self.entries) }
    }

    /// The format of the content in force, `None` when there is none.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// Sets since when the entries are known to be listed.
    pub fn set_added(&mut self, added: impl FnMut(Prefix) -> Option<Timestamp>) {
        Arc::make_mut(&mut self.entries).set_added(added);
    }

    /// Reads what of the source is on this host: the file; of what is fetched or put, the last good copy.
    ///
    /// The first time the last good copy comes before the file, so that what has changed meanwhile is told apart.
    pub fn load(&mut self, now: Timestamp) -> Load {
        let restored = self.digest.is_none() && self.restore(now);
        let load = match self.origin.as_ref() {
            Origin::File(path) => match content(path) {
                Ok(content) => self.take(content, now),
                Err(error) => self.keep(&format!("cannot read {}: {error}", path.display())),
            },
            Origin::Url(_) | Origin::Put | Origin::Manual => {
                Load { rejected: self.rejected.clone(), ..Load::default() }
            }
        };
        Load { changed: load.changed || restored, ..load }
    }

    /// Takes `content` in, if it can replace what is in force.
    pub fn take(&mut self, content: Content, now: Timestamp) -> Load {
        let digest = Sha256::digest(&content.octets).into();
        if self.digest == Some(digest) {
            self.refused = None;
            let fault = self.renew_copy(&content).err().map(|error| self.no_copy(&error));
            return Load { rejected: self.rejected.clone(), fault, ..Load::default() };
        }
        let parsed = doubt_text(&content.octets).map_or_else(|| Ok(self.read(&content)), Err);
        let parsed = parsed.and_then(|parsed| {
            let doubt = doubt_entries(&parsed, self.entries.len(), self.list.guard);
            doubt.map_or(Ok(parsed), Err)
        });
        match parsed {
            Ok(parsed) => self.put_in_force(&content, parsed, digest, now),
            Err(doubt) => {
                let load = self.keep(&format!("{} {doubt}", self.origin));
                self.refused = Some(content);
                Load { can_accept: true, ..load }
            }
        }
    }

    /// Takes in what was refused, since a human says so; `None` when nothing was.
    pub fn accept(&mut self, now: Timestamp) -> Option<Load> {
        let content = self.refused.take()?;
        let parsed = self.read(&content);
        let digest = Sha256::digest(&content.octets).into();
        Some(self.put_in_force(&content, parsed, digest, now))
    }

    /// Goes on with the last good entries; `why` there is nothing new.
    pub fn keep(&self, why: &str) -> Load {
        let fault = match self.entries.len() {
            0 => format!("{why}; there is no earlier copy, the list is empty"),
            count => format!("{why}; the last good {count} entries stay"),
        };
        Load { rejected: self.rejected.clone(), fault: Some(fault), ..Load::default() }
    }

    /// Puts the last good copy in force, if there is one with entries; says whether it did.
    pub fn restore(&mut self, now: Timestamp) -> bool {
        let Some((head, octets)) = self.copy.read() else { return false };
        let Head { as_of, etag, last_modified, .. } = head;
        let content = Content { octets, as_of, etag, last_modified };
        let parsed = self.read(&content);
        if parsed.entries.is_empty() {
            return false;
        }
        self.succeed(parsed, Sha256::digest(&content.octets).into(), now);
        true
    }

    /// The last good copy.
    pub fn copy(&self) -> &LastGood {
        &self.copy
    }

    fn read(&self, content: &Content) -> Parsed {
        let foreign = self.origin.is_foreign();
        parse(&content.octets, Reading { format: self.list.format, as_of: content.as_of, foreign })
    }

    fn put_in_force(
        &mut self,
        content: &Content,
        parsed: Parsed,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Load {
        self.refused = None;
        let fault = self.keep_copy(content).err().map(|error| self.no_copy(&error));
        let (changed, changes) = self.succeed(parsed, digest, now);
        let rejected = self.rejected.clone();
        Load { changed, changes, rejected, fault, can_accept: false }
    }

    fn succeed(&mut self, parsed: Parsed, digest: [u8; 32], now: Timestamp) -> (bool, Changes) {
        let mut entries = parsed.entries;
        let changes = entries.succeed(&self.entries, now);
        let changed = changes != Changes::default() || entries != *self.entries;
        self.entries = Arc::new(entries);
        self.rejected = parsed.rejected;
        self.format = Some(parsed.format);
        self.digest = Some(digest);
        (changed, changes)
    }

    /// What a server calls the same content now, so that it need not send it again.
    fn renew_copy(&self, content: &Content) -> io::Result<()> {
        let Some(head) = self.copy.head() else { return self.keep_copy(content) };
        let fresh = Head {
            etag: content.etag.clone(),
            last_modified: content.last_modified.clone(),
            ..head.clone()
        };
        if !self.keeps_copy || fresh == head {
            return Ok(());
        }
        self.copy.write(&fresh, &content.octets)
    }

    fn no_copy(&self, error: &io::Error) -> String {
        let copy = self.copy.path().display();
        format!("in force, but its copy {copy} cannot be written: {error}")
    }

    fn keep_copy(&self, content: &Content) -> io::Result<()> {
        if !self.keeps_copy {
            return Ok(());
        }
        let Content { as_of, etag, last_modified, .. } = content;
        let head = Head {
            origin: self.copy.origin().to_owned(),
            as_of: *as_of,
            etag: etag.clone(),
            last_modified: last_modified.clone(),
        };
        self.copy.write(&head, &content.octets)
    }
}

/// The file at `path`, and when it was written.
fn content(path: &Path) -> io::Result<Content> {
    let written = fs::metadata(path)?.modified()?;
    let as_of = Timestamp::try_from(written).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Content::local(read(path)?, as_of))
}

/// Where the last good copy of a source is: that of a file in a folder stands in a folder of its own.
pub fn copy_path(list: &List, origin: &Origin, copies: &Path) -> PathBuf {
    match (&list.source, origin) {
        (Source::Folder(_), Origin::File(path)) => {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            copies.join(format!("{}.d", list.name)).join(format!("{file}.last-good"))
        }
        _ => copies.join(format!("{}.last-good", list.name)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tempfile::TempDir;

    use super::*;
    use crate::list::{Class, Guard, ListAction};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn intake_of(folder: &TempDir, file: &str, guard: Guard) -> Intake {
        let list = List { guard, ..List::new("bad", Class::LocalBad, ListAction::Reject) };
        let origin = Origin::File(folder.path().join(file));
        Intake::new(Arc::new(list), origin, &folder.path().join("lists"))
    }

    fn intake(folder: &TempDir) -> Intake {
        intake_of(folder, "bad.txt", Guard::default())
    }

    /// Puts `text` into the file (`None` removes it), loads, and shows what is in force and what was said.
    fn load(intake: &mut Intake, text: Option<&str>) -> (usize, Load) {
        let Origin::File(path) = intake.origin().as_ref() else { panic!("no file") };
        match text {
            Some(text) => fs::write(path, text).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        let load = intake.load(NOW);
        (intake.entries().len(), load)
    }

    #[test]
    fn the_same_content_under_another_name_is_known_by_it() {
        let folder = TempDir::new().unwrap();
        let mut intake = intake(&folder);
        let content = |etag: &str, second| Content {
            etag: Some(etag.to_owned()),
            ..Content::local(b"192.0.2.1\n".to_vec(), Timestamp::from_second(second).unwrap())
        };
        for (etag, second) in [("one", 1), ("two", 2), ("two", 3)] {
            let load = intake.take(content(etag, second), NOW);
            assert_eq!((load.changed, load.fault), (etag == "one", None), "{etag} {second}");
            let head = intake.copy().head().unwrap();
            // What is relative to the time of the content stays so.
            assert_eq!((head.etag.as_deref(), head.as_of.as_second()), (Some(etag), 1));
            assert_eq!(intake.copy().read().unwrap().1, b"192.0.2.1\n");
        }
        fs::remove_file(intake.copy().path()).unwrap();
        assert!(intake.copy().head().is_none());
        intake.take(content("two", 4), NOW);
        assert_eq!(intake.copy().head().unwrap().etag.as_deref(), Some("two"));
    }

    #[test]
    fn the_last_good_entries_survive_every_accident() {
        let folder = TempDir::new().unwrap();
        let mut intake = intake(&folder);
        let (count, first) = load(&mut intake, Some("192.0.2.1\nnonsense\n192.0.2.2\n"));
        assert_eq!((count, first.changed, first.rejected.count, first.fault), (2, true, 1, None));
        let (count, same) = load(&mut intake, Some("192.0.2.1\nnonsense\n192.0.2.2\n"));
        assert_eq!((count, same.changed, same.rejected.count, same.fault), (2, false, 1, None));
        for (accident, said) in [
            (
                Some(""),
                "has no entries, rejected lines: 0 (a line `# empty` says that this is meant)",
            ),
            (
                Some("sorry\nno list\n"),
                "has no entries, rejected lines: 2 (a line `# empty` says that this is meant)",
            ),
            (Some("<html>\n192.0.2.9\n"), "is a web page, no list"),
            (Some("192.0.2.9\n\0\0"), "is no text in ASCII or UTF-8"),
            (Some("\u{feff}<!DOCTYPE html>"), "is a web page, no list"),
            (None, "No such file or directory (os error 2)"),
        ] {
            let (count, load) = load(&mut intake, accident);
            assert_eq!((count, load.changed), (2, false), "{accident:?}");
            let fault = load.fault.unwrap();
            assert!(fault.ends_with(&format!("{said}; the last good 2 entries stay")), "{fault}");
        }
        let (count, well) = load(&mut intake, Some("192.0.2.1\n"));
        assert_eq!((count, well.changed, well.fault), (1, true, None));
    }

    #[test]
    fn what_grows_or_shrinks_too_much_waits_for_a_human() {
        let folder = TempDir::new().unwrap();
        let guard = Guard { max_growth: Some(100), max_shrink: Some(50) };
        let mut intake = intake_of(&folder, "bad.txt", guard);
        let lines = |count: u32| -> String {
            let hosts = (0..count).map(|host| Ipv4Addr::from_bits(0x0a00_0000 + host).to_string());
            hosts.collect::<Vec<_>>().join("\n")
        };
        // Small lists may do as they like.
        assert_eq!(load(&mut intake, Some(&lines(10))).0, 10);
        assert_eq!(load(&mut intake, Some(&lines(200))).0, 200);
        for (count, is_refused) in
            [(400, false), (801, true), (200, false), (99, true), (100, false)]
        {
            let before = intake.entries().len();
            let (now, load) = load(&mut intake, Some(&lines(count)));
            assert_eq!(load.can_accept, is_refused, "{count} after {before}");
            assert_eq!(load.fault.is_some(), is_refused, "{count} after {before}");
            assert_eq!(now, if is_refused { before } else { count as usize });
        }
        load(&mut intake, Some(&lines(5000)));
        assert!(intake.accept(NOW).unwrap().changed);
        assert_eq!(intake.entries().len(), 5000);
        assert!(intake.accept(NOW).is_none());
    }

    #[test]
    fn what_came_and_went_is_told() {
        let folder = TempDir::new().unwrap();
        let mut intake = intake(&folder);
        load(&mut intake, Some("192.0.2.1\n192.0.2.0/24\n"));
        let (_, second) = load(&mut intake, Some("192.0.2.2\n192.0.2.0/24 for another reason\n"));
        let shown =
            |prefixes: &[Prefix]| prefixes.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(&second.changes.added), ["192.0.2.2"]);
        assert_eq!(shown(&second.changes.removed), ["192.0.2.1"]);
        // Also what changed while nobody looked.
        fs::write(folder.path().join("bad.txt"), "192.0.2.2\n").unwrap();
        let later = intake_of(&folder, "bad.txt", Guard::default()).load(NOW);
        assert_eq!(shown(&later.changes.removed), ["192.0.2.0/24"]);
        assert!(later.changes.added.is_empty());
    }

    #[test]
    fn a_new_start_falls_back_to_the_copy_on_disk() {
        let folder = TempDir::new().unwrap();
        load(&mut intake(&folder), Some("192.0.2.1\n"));
        let mut next = intake(&folder);
        let (count, fallen) = load(&mut next, None);
        assert_eq!((count, fallen.changed), (1, true));
        assert!(fallen.fault.unwrap().contains("the last good 1 entries stay"));
        assert_eq!(load(&mut intake(&folder), Some("# all gone\n")).0, 1);
    }

    #[test]
    fn without_any_copy_the_list_is_empty_and_says_so() {
        let folder = TempDir::new().unwrap();
        let load = intake(&folder).load(NOW);
        assert!(load.fault.unwrap().ends_with("there is no earlier copy, the list is empty"));
        fs::write(folder.path().join("bad.txt"), "# nothing yet\n").unwrap();
        assert_eq!(intake(&folder).load(NOW).fault, None);
    }

    #[test]
    fn a_list_can_be_emptied_on_purpose() {
        let folder = TempDir::new().unwrap();
        let mut intake = intake(&folder);
        load(&mut intake, Some("192.0.2.1\n"));
        let (count, emptied) = load(&mut intake, Some("# empty\n"));
        assert_eq!((count, emptied.changed, emptied.fault), (0, true, None));
    }

    #[test]
    fn another_file_does_not_fall_back_to_the_entries_of_the_first() {
        let folder = TempDir::new().unwrap();
        load(&mut intake(&folder), Some("192.0.2.1\n"));
        fs::write(folder.path().join("other.txt"), "# nothing yet\n").unwrap();
        let mut other = intake_of(&folder, "other.txt", Guard::default());
        assert_eq!((other.load(NOW).fault, other.entries().len()), (None, 0));
    }

    #[test]
    fn a_folder_is_no_list() {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("bad.txt")).unwrap();
        assert!(intake(&folder).load(NOW).fault.unwrap().contains("it is no regular file"));
    }
}
