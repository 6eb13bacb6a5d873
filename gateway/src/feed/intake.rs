//! Takes new content of one source in, or refuses it: what is broken or poisoned never takes the last good entries away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tracing::warn;

use super::hash::{hex, sha256};
use super::{Head, LastGood, read};
use crate::clock::Timestamp;
use crate::list::{
    Changes, Entries, Format, Guard, List, Origin, Parsed, Part, Reading, Rejected, Source,
    doubt_entries, doubt_text, parse,
};
use crate::net::Prefix;

/// One source of a list, with what it held when it was last good.
#[derive(Debug)]
pub struct Intake {
    list: Arc<List>,
    origin: Arc<Origin>,
    copy: LastGood,
    keeps_copy: bool,
    /// What is wrong with the last good copy: it is of no use, or an earlier one than the entries in force.
    copy_fault: Option<String>,
    /// Whether the copy was put in force, and nobody has been told.
    restored: bool,
    entries: Arc<Entries>,
    rejected: Rejected,
    format: Option<Format>,
    /// What the content in force hashes to.
    digest: Option<String>,
    /// When that was written or fetched.
    as_of: Option<Timestamp>,
    refused: Option<Refused>,
}

/// A copy that was refused, and waits for a human.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldBack {
    /// What speaks against it.
    pub why: String,
    /// How long it is.
    pub octets: usize,
    /// When it was written or fetched.
    pub as_of: Timestamp,
    /// What it hashes to, as `sha256sum` prints it.
    pub sha256: String,
}

/// Content that a human can put in force all the same.
#[derive(Clone, Debug)]
pub struct Refused {
    content: Arc<Content>,
    /// What speaks against it.
    doubt: String,
    digest: String,
}

impl Refused {
    /// The content.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// What there is to know of it without reading it.
    pub fn held_back(&self) -> HeldBack {
        HeldBack {
            why: self.doubt.clone(),
            octets: self.content.octets.len(),
            as_of: self.content.as_of,
            sha256: self.digest.clone(),
        }
    }
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

    fn of_copy(head: Head, octets: Vec<u8>) -> Self {
        let Head { as_of, etag, last_modified, .. } = head;
        Self { octets, as_of, etag, last_modified }
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
        let (copy_fault, restored, entries) = Default::default();
        let (rejected, format, digest, as_of, refused) = Default::default();
        Self {
            list,
            origin: Arc::new(origin),
            copy,
            keeps_copy: true,
            copy_fault,
            restored,
            entries,
            rejected,
            format,
            digest,
            as_of,
            refused,
        }
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

    /// When the content in force was written or fetched, `None` where there is none.
    pub fn as_of(&self) -> Option<Timestamp> {
        self.as_of
    }

    /// What was refused, if something was.
    pub fn refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }

    /// Sets since when the entries are known to be listed.
    pub fn set_added(&mut self, added: impl FnMut(Prefix) -> Option<Timestamp>) {
        Arc::make_mut(&mut self.entries).set_added(added);
    }

    /// Puts the last good copy in force; says whether it did. To be called once, before anything else is taken in, so that
    /// the host is protected by it where there is nothing better, and what has changed meanwhile is told apart.
    pub fn restore(&mut self, now: Timestamp) -> bool {
        let path = self.copy.path().display();
        let (head, content) = match self.copy.read() {
            Ok(Some((head, octets))) => (head.clone(), Content::of_copy(head, octets)),
            Ok(None) => return false,
            Err(fault) => {
                self.copy_fault = Some(format!("its last good copy {path} {fault}"));
                return false;
            }
        };
        let fault = match (self.pin(), self.read(&content)) {
            (Some(pin), _) if pin != head.sha256 => {
                format!("has sha256 {}, expected {pin}", head.sha256)
            }
            (_, parsed) if is_nothing(&parsed) => {
                format!("has no entries as {}", parsed.format.name())
            }
            (_, parsed) => {
                self.succeed(parsed, head.sha256, now);
                self.as_of = Some(head.as_of);
                self.restored = true;
                return true;
            }
        };
        self.copy_fault = Some(format!("its last good copy {path} {fault}"));
        self.copy.set_void(head.sha256);
        false
    }

    /// Reads the file; of what is fetched or put, says again how that stands. The first time, what [`Self::restore`] put in
    /// force is a change.
    pub fn load(&mut self, now: Timestamp) -> Load {
        let load = match self.origin.as_ref() {
            Origin::File(path) => match content(path) {
                Ok(content) => self.take(content, now),
                Err(error) => self.keep(&format!("cannot read {}: {error}", path.display())),
            },
            _ => self.standing(),
        };
        Load { changed: load.changed || std::mem::take(&mut self.restored), ..load }
    }

    /// Takes `content` in, if it can replace what is in force.
    pub fn take(&mut self, content: Content, now: Timestamp) -> Load {
        let digest = sha256(&content.octets);
        if self.digest.as_ref() == Some(&digest) {
            self.refused = None;
            let renewed = self.renew_copy(&content, digest, now);
            self.copy_fault = renewed.err().map(|error| self.no_copy(&error));
            return self.standing();
        }
        let parsed = doubt_text(&content.octets).map_or_else(|| Ok(self.read(&content)), Err);
        let parsed = parsed.and_then(|parsed| {
            let doubt = doubt_entries(&parsed, &self.entries, self.list.guard);
            doubt.map_or(Ok(parsed), Err)
        });
        match parsed {
            Ok(parsed) => self.put_in_force(&content, parsed, digest, now),
            Err(doubt) => {
                let doubt = format!("{} {doubt}", self.origin);
                self.refused = Some(Refused { content: Arc::new(content), doubt, digest });
                self.standing()
            }
        }
    }

    /// Goes on since the source has what the last good copy has, so that what was refused meanwhile is void.
    pub fn stay(&mut self, now: Timestamp) -> Load {
        self.refused = None;
        // A copy that could not be written is of earlier content, and the source has gone back to that.
        let earlier = self.copy_fault.as_ref().and_then(|_fault| self.copy.read().ok().flatten());
        match earlier {
            Some((head, octets)) => self.take(Content::of_copy(head, octets), now),
            None => self.standing(),
        }
    }

    /// Takes in what was refused, since a human says so; `None` when nothing was. Where `seen` is given, only that content, since
    /// another may have come after he looked.
    pub fn accept(&mut self, seen: Option<&str>, now: Timestamp) -> Option<Load> {
        let is_meant = |refused: &mut Refused| seen.is_none_or(|seen| refused.digest == seen);
        let Refused { content, digest, .. } = self.refused.take_if(is_meant)?;
        let parsed = self.read(&content);
        Some(self.put_in_force(&content, parsed, digest, now))
    }

    /// Goes on with the last good entries; `why` there is nothing new.
    pub fn keep(&self, why: &str) -> Load {
        let fault = match (self.entries.len(), &self.copy_fault) {
            (0, Some(fault)) if self.digest.is_none() => {
                format!("{why}; {fault}, the list is empty")
            }
            (0, _) => format!("{why}; there is no earlier copy, the list is empty"),
            (count, _) => format!("{why}; the last good {count} entries stay"),
        };
        Load { rejected: self.rejected.clone(), fault: Some(fault), ..Load::default() }
    }

    /// Removes the last good copy, since there is nothing any more that it is a copy of.
    pub fn forget_copy(&self) {
        if !self.keeps_copy {
            return;
        }
        if let Err(error) = self.copy.remove() {
            let path = self.copy.path().display();
            warn!(target: "list", "list={} cannot remove {path}: {error}", self.list.name);
        }
    }

    /// The last good copy.
    pub fn copy(&self) -> &LastGood {
        &self.copy
    }

    fn read(&self, content: &Content) -> Parsed {
        let foreign = self.origin.is_foreign();
        parse(&content.octets, Reading { format: self.list.format, as_of: content.as_of, foreign })
    }

    /// What the configuration says that the content must hash to.
    fn pin(&self) -> Option<String> {
        let Source::Url(download) = &self.list.source else { return None };
        download.sha256.map(hex)
    }

    /// How the source stands when nothing new has come.
    fn standing(&self) -> Load {
        if let Some(refused) = &self.refused {
            return Load { can_accept: true, ..self.keep(&refused.doubt) };
        }
        let empty = if self.digest.is_none() { ", the list is empty" } else { "" };
        let fault = self.copy_fault.as_ref().map(|fault| format!("{fault}{empty}"));
        Load { rejected: self.rejected.clone(), fault, ..Load::default() }
    }

    fn put_in_force(
        &mut self,
        content: &Content,
        parsed: Parsed,
        digest: String,
        now: Timestamp,
    ) -> Load {
        self.refused = None;
        let kept = self.keep_copy(content, content.as_of, digest.clone());
        self.copy_fault = kept.err().map(|error| self.no_copy(&error));
        let (changed, changes) = self.succeed(parsed, digest, now);
        self.as_of = Some(content.as_of);
        Load { changed, changes, ..self.standing() }
    }

    fn succeed(&mut self, parsed: Parsed, digest: String, now: Timestamp) -> (bool, Changes) {
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
    fn renew_copy(&self, content: &Content, digest: String, now: Timestamp) -> io::Result<()> {
        if !self.keeps_copy {
            return Ok(());
        }
        // What a write left that failed is a copy of something else.
        let same = self.copy.head().filter(|head| head.sha256 == digest);
        let Some(head) = same else { return self.keep_copy(content, content.as_of, digest) };
        if (&head.etag, &head.last_modified) == (&content.etag, &content.last_modified) {
            if matches!(*self.origin, Origin::Url(_)) {
                // One that cannot be touched only looks older.
                self.copy.touch(now).unwrap_or_default();
            }
            return Ok(());
        }
        // What is relative to the time of the content stays so.
        self.keep_copy(content, head.as_of, digest)
    }

    fn no_copy(&self, error: &io::Error) -> String {
        let copy = self.copy.path().display();
        format!("in force, but its copy {copy} cannot be written: {error}")
    }

    fn keep_copy(&self, content: &Content, as_of: Timestamp, sha256: String) -> io::Result<()> {
        if !self.keeps_copy {
            return Ok(());
        }
        let head = Head {
            origin: self.copy.origin().to_owned(),
            as_of,
            etag: content.etag.clone(),
            last_modified: content.last_modified.clone(),
            sha256,
        };
        self.copy.write(&head, &content.octets)
    }
}

/// Whether it has no entries where some were meant.
fn is_nothing(parsed: &Parsed) -> bool {
    parsed.entries.is_empty()
        && doubt_entries(parsed, &Entries::default(), Guard::default()).is_some()
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
    use crate::list::{Class, ListAction};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn intake_of(folder: &TempDir, file: &str, guard: Guard) -> Intake {
        let list = List { guard, ..List::new("bad", Class::LocalBad, ListAction::Reject) };
        let origin = Origin::File(folder.path().join(file));
        let mut intake = Intake::new(Arc::new(list), origin, &folder.path().join("lists"));
        intake.restore(NOW);
        intake
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
            assert_eq!(intake.copy().read().unwrap().unwrap().1, b"192.0.2.1\n");
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
            (Some("192.0.2.9\n\0\0"), "is binary or UTF-16, expected text in ASCII or UTF-8"),
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
        let seen = intake.refused().unwrap().held_back().sha256;
        load(&mut intake, Some(&lines(5001)));
        assert!(intake.accept(Some(&seen), NOW).is_none(), "another one than was looked at");
        load(&mut intake, Some(&lines(5000)));
        assert!(intake.refused().is_some_and(|refused| refused.held_back().sha256 == seen));
        assert!(intake.accept(None, NOW).unwrap().changed);
        assert_eq!(intake.entries().len(), 5000);
        assert!(intake.accept(None, NOW).is_none());
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
