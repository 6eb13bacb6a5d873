//! What becomes of last good copies: over restarts, failed writes, damage and changed configurations.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::hash::sha256;
use super::{Content, CopyFault, Intake};
use crate::clock::Timestamp;
use crate::list::{Class, Download, FeedUrl, Format, List, ListAction, Origin, Source};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const ONE: &str = "192.0.2.1\n";
const TWO: &str = "192.0.2.1\n192.0.2.2\n";

/// The configuration of a list that is fetched.
fn fetched() -> (List, Download) {
    let download = Download {
        url: FeedUrl::parse("https://lists.example/bad.txt").unwrap(),
        interval: Duration::from_hours(1),
        timeout: Duration::from_secs(10),
        max_size: 1 << 20,
        proxy: None,
        ca_file: None,
        sha256: None,
        signature: None,
    };
    (List::new("bad", Class::LocalBad, ListAction::Reject), download)
}

/// A start with that configuration: the copy is put in force.
fn start((list, download): (List, Download), copies: &Path) -> Intake {
    let origin = Origin::Url(download.url.clone());
    let list = List { source: Source::Url(Arc::new(download)), ..list };
    let mut intake = Intake::new(Arc::new(list), origin, copies);
    intake.restore(NOW);
    intake
}

fn content(text: &str, etag: &str) -> Content {
    let etag = Some(etag.to_owned());
    Content { etag, ..Content::local(text.as_bytes().to_vec(), NOW) }
}

fn etag(intake: &Intake) -> Option<String> {
    intake.copy().head()?.etag
}

#[test]
fn a_damaged_copy_is_none_and_a_fault() {
    let folder = TempDir::new().unwrap();
    let intake = || start(fetched(), folder.path());
    assert_eq!(intake().load(NOW).fault, None);
    intake().take(content(TWO, "two"), NOW);
    let path = intake().copy().path().to_owned();
    let whole = fs::read(&path).unwrap();
    let text = str::from_utf8(&whole).unwrap();
    assert_eq!((intake().entries().len(), etag(&intake()).as_deref()), (2, Some("two")));
    for (name, octets, said) in [
        ("cut off", &whole[..whole.len() - 4], "is damaged: sha256 "),
        ("another octet", text.replace("0.2.2", "0.2.3").as_bytes(), "is damaged: sha256 "),
        ("more", &[&whole[..], b"192.0.2.9\n"].concat(), "is damaged: sha256 "),
        ("no head", TWO.as_bytes(), "is damaged: no first line that says of what it is a copy"),
        ("nothing", b"", "is damaged: no first line that says of what it is a copy"),
        ("a hole", &vec![0; whole.len()], "is damaged: no first line that says of what it is a "),
    ] {
        fs::write(&path, octets).unwrap();
        let mut intake = intake();
        assert_eq!((intake.entries().len(), etag(&intake)), (0, None), "{name}");
        assert_eq!(intake.copy().age(NOW), None, "{name}");
        let fault = intake.load(NOW).fault.unwrap();
        let expected = format!("its last good copy {} {said}", path.display());
        assert!(fault.starts_with(&expected) && fault.ends_with(", the list is empty"), "{fault}");
        // What comes next makes up for it.
        assert_eq!(intake.take(content(TWO, "three"), NOW).fault, None, "{name}");
        assert_eq!((intake.entries().len(), etag(&intake).as_deref()), (2, Some("three")));
    }
    let other = super::LastGood::new(path.clone(), "elsewhere".to_owned());
    assert!(matches!(other.read(), Ok(None)) && other.head().is_none());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(intake().copy().read(), Err(CopyFault::Read(_))));
}

#[test]
fn an_earlier_copy_is_not_that_of_the_content_in_force() {
    let folder = TempDir::new().unwrap();
    let mut intake = start(fetched(), folder.path());
    assert_eq!(intake.take(content(ONE, "one"), NOW).fault, None);
    // Where the copy is written before it takes its place, there is something else.
    let in_the_way = intake.copy().path().with_extension("new");
    fs::create_dir(&in_the_way).unwrap();
    let failed = |fault: Option<String>| {
        let fault = fault.unwrap();
        assert!(
            fault.starts_with("in force, but its copy ") && fault.contains(" cannot be written: "),
            "{fault}"
        );
    };
    let load = intake.take(content(TWO, "two"), NOW);
    assert!(load.changed);
    failed(load.fault);
    assert_eq!((intake.entries().len(), etag(&intake).as_deref()), (2, Some("one")));
    // As long as it stays so, that is said, whoever asks.
    failed(intake.take(content(TWO, "two"), NOW).fault);
    failed(intake.load(NOW).fault);
    assert_eq!(start(fetched(), folder.path()).entries().len(), 1);

    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(intake.take(content(TWO, "two"), NOW).fault, None);
    assert_eq!(etag(&intake).as_deref(), Some("two"));
    assert_eq!(start(fetched(), folder.path()).entries().len(), 2);
}

#[test]
fn a_source_that_goes_back_to_an_earlier_copy_is_followed() {
    let folder = TempDir::new().unwrap();
    let mut intake = start(fetched(), folder.path());
    intake.take(content(ONE, "one"), NOW);
    let in_the_way = intake.copy().path().with_extension("new");
    fs::create_dir(&in_the_way).unwrap();
    intake.take(content(TWO, "two"), NOW);
    fs::remove_dir(&in_the_way).unwrap();
    // The server was asked what is new since the first.
    let load = intake.stay(NOW);
    assert_eq!((load.changed, load.fault, intake.entries().len()), (true, None, 1));
}

#[test]
fn what_was_refused_waits_over_reloads_until_the_source_goes_back() {
    let folder = TempDir::new().unwrap();
    let mut intake = start(fetched(), folder.path());
    intake.take(content(TWO, "two"), NOW);
    let refused = intake.take(content("<html>", "page"), NOW);
    let said = "https://lists.example/bad.txt is a web page, no list; the last good 2 entries stay";
    assert_eq!((refused.fault.as_deref(), refused.can_accept), (Some(said), true));
    for _ in 0..2 {
        assert_eq!(intake.load(NOW), refused);
    }
    let stays = intake.stay(NOW);
    assert_eq!((stays.changed, stays.fault, stays.can_accept), (false, None, false));
    assert_eq!(intake.load(NOW).fault, None);
    assert!(intake.accept(None, NOW).is_none());
    assert_eq!(intake.entries().len(), 2);
}

#[test]
fn a_copy_of_no_use_under_another_configuration_is_void_and_a_fault() {
    let pinned = |text: &str| Some(Sha256::digest(text).into());
    let folder = TempDir::new().unwrap();
    start(fetched(), folder.path()).take(content(TWO, "two"), NOW);
    let (list, download) = fetched();
    let format = |format| List { format: Some(format), ..list.clone() };
    let pin = |text| Download { sha256: pinned(text), ..download.clone() };
    for (list, download, said) in [
        (list.clone(), download.clone(), None),
        (format(Format::Plain), pin(TWO), None),
        (
            format(Format::DropJson),
            download.clone(),
            Some("has no entries as drop-json".to_owned()),
        ),
        (
            list.clone(),
            pin(ONE),
            Some(format!(
                "has sha256 {}, expected {}",
                sha256(TWO.as_bytes()),
                sha256(ONE.as_bytes())
            )),
        ),
    ] {
        let mut intake = start((list, download), folder.path());
        let entries = if said.is_none() { 2 } else { 0 };
        assert_eq!(intake.entries().len(), entries, "{said:?}");
        // Without it the server is asked for all, at once.
        assert_eq!(intake.copy().age(Timestamp::now()).is_some(), said.is_none(), "{said:?}");
        assert_eq!(etag(&intake).is_some(), said.is_none(), "{said:?}");
        let path = intake.copy().path().display().to_string();
        let fault = said.map(|said| format!("its last good copy {path} {said}, the list is empty"));
        assert_eq!(intake.load(NOW).fault, fault);
        // A change that is taken back finds it again.
        assert_eq!(start(fetched(), folder.path()).entries().len(), 2);
    }
    // What says that it is empty is no fault.
    start(fetched(), folder.path()).take(content("# empty\n", "none"), NOW);
    let mut intake = start(fetched(), folder.path());
    assert_eq!((intake.load(NOW).fault, etag(&intake).as_deref()), (None, Some("none")));
}

#[test]
fn a_restored_copy_is_told_once_as_a_change() {
    let folder = TempDir::new().unwrap();
    start(fetched(), folder.path()).take(content(TWO, "two"), NOW);
    let mut intake = start(fetched(), folder.path());
    assert_eq!([intake.load(NOW).changed, intake.load(NOW).changed], [true, false]);
}

#[test]
fn a_copy_is_as_old_as_the_last_word_of_its_source() {
    let folder = TempDir::new().unwrap();
    let mut intake = start(fetched(), folder.path());
    let at = |second| Timestamp::from_second(second).unwrap();
    assert_eq!(intake.copy().age(at(0)), None);
    intake.take(content(ONE, "one"), NOW);
    let file = File::options().append(true).open(intake.copy().path()).unwrap();
    file.set_modified(at(1000).into()).unwrap();
    for (now, seconds) in [(1000, 0), (1060, 60), (900, 0)] {
        assert_eq!(intake.copy().age(at(now)), Some(Duration::from_secs(seconds)), "{now}");
    }
    // The same again is a word of the source.
    intake.take(content(ONE, "one"), at(2000));
    assert_eq!(intake.copy().age(at(2060)), Some(Duration::from_mins(1)));
    intake.copy().touch(at(3000)).unwrap();
    assert_eq!(intake.copy().age(at(3060)), Some(Duration::from_mins(1)));
    assert_eq!(intake.copy().read().unwrap().unwrap().1, ONE.as_bytes());
}

#[test]
fn a_copy_is_forgotten_only_by_who_may_write() {
    let folder = TempDir::new().unwrap();
    let mut intake = start(fetched(), folder.path());
    intake.forget_copy();
    intake.take(content(ONE, "one"), NOW);
    let (list, origin) = (Arc::clone(intake.list()), Origin::clone(intake.origin()));
    Intake::reader(list, origin, folder.path()).forget_copy();
    assert!(intake.copy().path().exists());
    intake.forget_copy();
    assert!(!intake.copy().path().exists());
}
