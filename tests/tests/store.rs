//! The embedded store on a disk that is full or cannot be written, and in a process that is killed.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write, stdout};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use gateway::clock::Timestamp;
use gateway::net::Prefix;
use gateway::review::{Ask, Outcome, Resolution, State};
use gateway::store::{Change, Kind, ManualEntry, Page, Requested, Store};
use harness::needs;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use tempfile::TempDir;

/// A small disk of its own.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        mount("none", folder.path(), "tmpfs", MountFlags::empty(), c"size=1m").unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut file = File::create(self.path().join("filler")).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }

    fn forbid_writing(&self) {
        mount_remount(self.path(), MountFlags::RDONLY, c"").unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(self.path(), UnmountFlags::DETACH).unwrap();
    }
}

fn open(folder: &Path) -> Store {
    let opened = Store::open(folder, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(opened.damaged, None);
    opened.store
}

fn entry(number: u32) -> ManualEntry {
    ManualEntry {
        list: "bad".into(),
        prefix: Prefix::host(Ipv4Addr::from(number).into()),
        kind: Kind::Listed,
        reason: None,
        author: "anna".into(),
        added: Timestamp::UNIX_EPOCH,
        expires: None,
    }
}

fn kept(store: &Store) -> Vec<ManualEntry> {
    store.manual(Timestamp::UNIX_EPOCH).unwrap()
}

#[test]
fn a_full_disk_refuses_what_is_new_and_keeps_what_is_there() {
    if !needs::root() {
        return;
    }
    let disk = Disk::new();
    let store = open(disk.path());
    store.add(&entry(1)).unwrap();
    disk.fill();
    let added: Vec<_> = (0..10_000).map(|number| entry(number).prefix).collect();
    let at = Timestamp::UNIX_EPOCH;
    let first =
        Change { list: "bad", at, by: "fetch", entries: 0, added: &[], removed: &[], untold: 0 };
    for error in [
        store.add(&entry(2)).unwrap_err(),
        store.set_enabled("bad", false, "anna", at).unwrap_err(),
        store
            .record(&first)
            .and_then(|()| store.record(&Change { added: &added, ..first }))
            .unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(text.ends_with("database or disk is full"), "{text}");
        let hint = error.hint().unwrap();
        assert!(hint.starts_with("make room on the file system of `state_dir`"), "{hint}");
    }
    assert_eq!(kept(&store), [entry(1)]);
    assert_eq!(kept(&Store::open_read_only(disk.path()).unwrap().unwrap()), [entry(1)]);
    disk.make_room();
    store.add(&entry(2)).unwrap();
    drop(store);
    assert_eq!(kept(&open(disk.path())), [entry(1), entry(2)]);
}

#[test]
fn a_disk_that_was_full_from_the_first_can_be_used_later() {
    if !needs::root() {
        return;
    }
    let disk = Disk::new();
    disk.fill();
    let error = Store::open(disk.path(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    disk.make_room();
    assert_eq!(kept(&open(disk.path())), []);
}

#[test]
fn a_disk_that_cannot_be_written_can_be_read() {
    if !needs::root() {
        return;
    }
    let disk = Disk::new();
    let odd = disk.path().join("50% of what? #1");
    fs::create_dir(&odd).unwrap();
    open(&odd).add(&entry(1)).unwrap();
    disk.forbid_writing();
    assert_eq!(kept(&Store::open_read_only(&odd).unwrap().unwrap()), [entry(1)]);
    for folder in [&odd, disk.path()] {
        let error = Store::open(folder, Timestamp::UNIX_EPOCH).unwrap_err();
        let hint = error.hint().unwrap_or_else(|| panic!("{error:?}"));
        assert!(hint.ends_with("make `state_dir` a folder that can be written"), "{error}: {hint}");
    }
}

/// Where the test below finds the folder when it runs as the process that is killed.
const VICTIM: &str = "PORTCULLIS_STORE_TO_FILL";

#[test]
fn what_was_kept_survives_a_kill() {
    if let Some(folder) = env::var_os(VICTIM) {
        return add_until_killed(Path::new(&folder));
    }
    let folder = TempDir::new().unwrap();
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "what_was_kept_survives_a_kill", "--nocapture"])
        .env(VICTIM, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut kept_numbers = lines.filter_map(|line| line.split_once("kept ")?.1.parse().ok());
    assert_eq!(kept_numbers.by_ref().nth(99), Some(100));
    victim.kill().unwrap();
    let last = kept_numbers.last().unwrap_or(100);
    victim.wait().unwrap();
    let survived = kept(&open(folder.path()));
    let promised: Vec<_> = (1..=last).map(entry).collect();
    assert!(survived.starts_with(&promised), "{} of {last}", survived.len());
    assert!(survived.len() <= promised.len() + 1, "{} of {last}", survived.len());
}

fn add_until_killed(folder: &Path) {
    let store = open(folder);
    let mut out = stdout().lock();
    for number in 1.. {
        store.add(&entry(number)).unwrap();
        writeln!(out, "kept {number}").unwrap();
    }
}

fn ask() -> Ask {
    Ask {
        at: Timestamp::UNIX_EPOCH,
        author: "anna".into(),
        reference: None,
        note: Some("x".repeat(500).into()),
        contact: None,
    }
}

#[test]
fn a_full_disk_refuses_reviews_and_keeps_those_that_are_there() {
    if !needs::root() {
        return;
    }
    let disk = Disk::new();
    let store = open(disk.path());
    let host = |number: u32| Prefix::host(Ipv4Addr::from(number).into());
    store.request_review(host(1), &ask()).unwrap();
    disk.fill();
    let resolution = Resolution {
        result: Outcome::Refused,
        note: "x".repeat(500).into(),
        author: "anna".into(),
        at: Timestamp::UNIX_EPOCH,
        until: None,
        done: Vec::new(),
    };
    // A page of the log may have room left for the first few.
    let error = (2..10_000).find_map(|number| store.request_review(host(number), &ask()).err());
    for error in [error.unwrap(), store.resolve_review(1, &resolution).unwrap_err()] {
        assert!(error.to_string().ends_with("database or disk is full"), "{error}");
        assert!(error.hint().unwrap().starts_with("make room"), "{error}");
    }
    assert_eq!(store.review(1).unwrap().unwrap().state, State::Open);
    disk.make_room();
    assert!(store.resolve_review(1, &resolution).unwrap().is_some());
}

#[test]
fn more_requests_for_reviews_than_fit_are_refused() {
    if !needs::root() {
        return;
    }
    let folder = TempDir::new().unwrap();
    mount("none", folder.path(), "tmpfs", MountFlags::empty(), c"size=64m").unwrap();
    let disk = Disk(folder);
    let store = open(disk.path());
    let mut kept = 0;
    for number in 0..20_000_u32 {
        // Every tenth is about the same address.
        let host = if number % 10 == 0 { 7 } else { number };
        let asked =
            store.request_review(Prefix::host(Ipv4Addr::from(host).into()), &ask()).unwrap();
        kept += u32::from(!matches!(asked, Requested::Full { .. }));
    }
    let page = Page { state: None, before: None, limit: usize::MAX >> 1 };
    let reviews = store.reviews(&page).unwrap();
    assert_eq!((reviews.open, reviews.resolved, reviews.rows.len()), (10_000, 0, 10_000));
    assert_eq!(kept, 9_999 + 2_001, "the first of the others, and all of one address");
    assert_eq!(reviews.rows.iter().map(|review| review.asks.len()).max(), Some(5));
    let octets = fs::metadata(disk.path().join("portcullis.db")).unwrap().len();
    assert!(octets < 16 << 20, "{octets}");
}
