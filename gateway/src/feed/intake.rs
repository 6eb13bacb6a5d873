//! Takes new content of one source in, or refuses it: what is broken or poisoned never takes the last good entries away.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Head, LastGood};
use crate::clock::Timestamp;
use crate::list::{
    Changes, Entries, Format, List, Origin, Parsed, Part, Reading, Rejected, doubt_entries, doubt_text, parse,
};

/// One source of a list, with what it held when it was last good.
#[derive(Debug)]
pub struct Intake {
    list: Arc<List>,
    origin: Arc<Origin>,
    copy: LastGood,
    keeps_copy: bool,
    entries: Arc<Entries>,
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
    /// The source `origin` of `list`, whose last good copy is `copy`.
    pub fn new(list: Arc<List>, origin: Arc<Origin>, copy: LastGood) -> Self {
        let (entries, format, digest, refused) = Default::default();
        Self { list, origin, copy, keeps_copy: true, entries, format, digest, refused }
    }

    /// The same, that writes nothing.
    pub fn reader(list: Arc<List>, origin: Arc<Origin>, copy: LastGood) -> Self {
        Self { keeps_copy: false, ..Self::new(list, origin, copy) }
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
    pub fn set_since(&mut self, since: impl FnMut(crate::net::Prefix) -> Timestamp) {
        Arc::make_mut(&mut self.entries).set_since(since);
    }

    /// Takes `content` in, if it can replace what is in force.
    pub fn take(&mut self, content: Content, now: Timestamp) -> Load {
        let digest = Sha256::digest(&content.octets).into();
        if self.digest == Some(digest) {
            self.refused = None;
            return Load { rejected: self.read(&content).rejected, ..Load::default() };
        }
        let doubt = doubt_text(&content.octets);
        let parsed = if doubt.is_none() { Some(self.read(&content)) } else { None };
        let before = self.before();
        let doubt = doubt.or_else(|| {
            parsed.as_ref().and_then(|parsed| doubt_entries(parsed, before, self.list.guard))
        });
        match (doubt, parsed) {
            (None, Some(parsed)) => self.put_in_force(&content, parsed, digest, now),
            (doubt, _) => {
                let doubt = doubt.map(|doubt| format!("{} {doubt}", self.origin));
                let load = self.keep(&doubt.unwrap_or_default(), now);
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

    /// Goes on with the last good entries, those of the copy where nothing is in force yet; `why` there is nothing new.
    pub fn keep(&mut self, why: &str, now: Timestamp) -> Load {
        if !self.entries.is_empty() {
            let count = self.entries.len();
            let fault = format!("{why}; the last good {count} entries stay");
            return Load { fault: Some(fault), ..Load::default() };
        }
        if !self.restore(now) {
            let fault = format!("{why}; there is no earlier copy, the list is empty");
            return Load { fault: Some(fault), ..Load::default() };
        }
        let count = self.entries.len();
        let fault = format!("{why}; the {count} entries of {} are in force", self.copy.path().display());
        Load { changed: true, fault: Some(fault), ..Load::default() }
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
        let digest = Sha256::digest(&content.octets).into();
        self.succeed(parsed, digest, now);
        true
    }

    /// What the last good copy says about itself.
    pub fn copy_head(&self) -> Option<Head> {
        self.copy.read().map(|(head, _octets)| head)
    }

    fn read(&self, content: &Content) -> Parsed {
        let foreign = self.origin.is_foreign();
        parse(&content.octets, Reading { format: self.list.format, as_of: content.as_of, foreign })
    }

    /// The number of entries that new content is compared with.
    fn before(&self) -> usize {
        if !self.entries.is_empty() {
            return self.entries.len();
        }
        let Some((head, octets)) = self.copy.read() else { return 0 };
        self.read(&Content::local(octets, head.as_of)).entries.len()
    }

    fn put_in_force(&mut self, content: &Content, parsed: Parsed, digest: [u8; 32], now: Timestamp) -> Load {
        self.refused = None;
        let rejected = parsed.rejected.clone();
        let fault = self.keep_copy(content).err().map(|error| {
            format!("in force, but its copy {} cannot be written: {error}", self.copy.path().display())
        });
        let (changed, changes) = self.succeed(parsed, digest, now);
        Load { changed, changes, rejected, fault, can_accept: false }
    }

    fn succeed(&mut self, parsed: Parsed, digest: [u8; 32], now: Timestamp) -> (bool, Changes) {
        let mut entries = parsed.entries;
        let changes = entries.succeed(&self.entries, now);
        let changed = entries != *self.entries;
        self.entries = Arc::new(entries);
        self.format = Some(parsed.format);
        self.digest = Some(digest);
        (changed, changes)
    }

    fn keep_copy(&self, content: &Content) -> std::io::Result<()> {
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
