//! The store of records: of a daemon that is killed, of two that hand over, searched by the command line.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use harness::deadline::wait_for;
use harness::faketime::{FAKETIME, FakeTime};
use harness::needs;
use harness::netns::run;
use harness::site::Site;
use harness::smtp_client::Attempt;
use harness::stage::Stage;
use serde_json::Value;
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(20);
/// How long a connection may take to come about.
const SHORT: Duration = Duration::from_secs(5);
const CLIENT: &str = "198.18.1.2";
const LISTED: &str = "198.51.100.66";
/// What may be missing after a daemon was killed.
const MAY_BE_MISSING: Duration = Duration::from_millis(200);

fn stage() -> Option<Stage> {
    let site = Site::without_kernel().list("bad", "local-bad", "", "198.51.100.0/24\n");
    needs::root().then(|| site.stage(&[CLIENT, LISTED]).unwrap())
}

fn said(stage: &Stage, arguments: &[&str]) -> String {
    let output = stage.home.cli(arguments).unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn deliver(stage: &Stage, sender: &str, header: &str) {
    let mut client = stage.greeted(CLIENT).unwrap();
    let message = format!("{header}\n\nbody\n");
    assert_eq!(client.deliver(sender, &["b@example.org"], &message).unwrap().code, 250);
    client.finish().unwrap();
}

/// The reference that a refused client reads; `None` where the daemon is gone.
fn refused(stage: &Stage) -> Option<String> {
    let listed: IpAddr = LISTED.parse().unwrap();
    let Ok(Attempt::Connected(mut client)) = stage.attempt(listed, SHORT) else { return None };
    let text = client.reply().ok()?.text();
    let (_, reference) = text.rsplit_once("reference ").or_else(|| text.rsplit_once(' '))?;
    Some(reference.trim_matches(|letter: char| !letter.is_ascii_alphanumeric()).to_owned())
}

#[test]
fn a_killed_daemon_has_written_all_but_the_last_moment() {
    let Some(stage) = stage() else { return };
    let mut all = Vec::new();
    for round in 0..3 {
        let daemon = stage.start().unwrap();
        let told = Mutex::new(Vec::new());
        let killed = thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(reference) = refused(&stage) {
                        told.lock().unwrap().push((Instant::now(), reference));
                    }
                });
            }
            thread::sleep(Duration::from_millis(1500 + 130 * round));
            let killed = Instant::now();
            daemon.kill().unwrap();
            killed
        });
        let told = told.into_inner().unwrap();
        let old = told.into_iter().filter(|(at, _)| *at + MAY_BE_MISSING < killed);
        all.extend(old.map(|(_at, reference)| reference));
        assert!(all.len() > 20, "{} refusals", all.len());
        let found = stage.search(&["--code", "sys-deny-ip"]).unwrap();
        let mut counts = HashMap::<&str, usize>::new();
        for record in &found {
            *counts.entry(record["reference"].as_str().unwrap()).or_default() += 1;
        }
        for reference in &all {
            let count = counts.get(reference.as_str());
            assert_eq!(count, Some(&1), "{reference} of {}", found.len());
        }
    }
    let daemon = stage.start().unwrap();
    let stats = stage.home.cli_json(&["audit", "stats", "--json"]).unwrap();
    assert_eq!(stats["store"]["damaged"], Value::Array(Vec::new()), "{stats:#}");
    assert_eq!(stats["store"]["segments"], 1, "each daemon goes on where the last one ended");
    assert!(stats["codes"]["sys-deny-ip"].as_u64().unwrap() >= u64::try_from(all.len()).unwrap());
    for reference in all.iter().take(3) {
        let found = stage.search(&["--reference", &reference.to_ascii_lowercase()]).unwrap();
        assert_eq!(found.len(), 1, "{reference}");
        assert_eq!(found[0]["list"], "bad");
    }
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn a_clock_that_jumps_costs_no_records() {
    let Some(packages) = needs::root_with(&FAKETIME, &[]) else { return };
    let Some(stage) = stage() else { return };
    let clock = FakeTime::new(&packages, stage.home.path()).unwrap();
    let start = || {
        let mut command = stage.home.command();
        clock.apply(&mut command);
        stage.home.start_with(command, &[]).unwrap()
    };
    let daemon = start();
    let mut references = Vec::new();
    // Ahead by more than records are kept, then back behind where it began.
    for ahead in ["+0", "+40d", "-3d", "+0"] {
        clock.set(ahead).unwrap();
        thread::sleep(Duration::from_millis(300));
        references.push(refused(&stage).unwrap());
        stage.wait_for_search(&["--code", "sys-deny-ip"], references.len()).unwrap();
    }
    // What was a day old by that clock is sealed, and was not removed as too old.
    let sealed = stage.home.path().join("state/audit/00000001.sealed");
    wait_for("a sealed segment", LONG, || Ok(sealed.exists().then_some(()))).unwrap();
    daemon.kill().unwrap();
    let daemon = start();
    for (index, reference) in references.iter().enumerate() {
        let found = stage.search(&["--reference", reference]).unwrap();
        assert_eq!(found.len(), 1, "{index}: {reference}");
        let story = said(&stage, &["why", reference]);
        assert!(story.contains(LISTED), "{story}");
    }
    assert_eq!(stage.search(&["--since", "1h", "--code", "sys-deny-ip"]).unwrap().len(), 3);
    assert_eq!(stage.search(&["--until", "1d", "--code", "sys-deny-ip"]).unwrap().len(), 1);
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn an_operator_finds_what_became_of_a_message() {
    let Some(stage) = stage() else { return };
    let daemon = stage.start().unwrap();
    deliver(&stage, "Some.One@Example.com", "Message-ID: <abc.1@x>\nSubject: \u{1b}[2Jhello");
    deliver(&stage, "=1+1@example.com", "Received: from x ([203.0.113.9]) by y; x\nSubject: two");
    refused(&stage).unwrap();
    stage.wait_for_search(&[], 5).unwrap();
    for (arguments, count) in [
        (&["--phase", "message"] as &[&str], 2),
        (&["--message-id", "<abc.1@x>"], 1),
        (&["--sender", "some.one@example.COM"], 1),
        (&["--sender-domain", "example.com"], 2),
        (&["--recipient", "b@example.org"], 2),
        (&["--recipient-domain", "example.net"], 0),
        (&["--address", "203.0.113.0/24"], 1),
        (&["--address", LISTED], 1),
        (&["--address", "198.18.0.0/15", "--phase", "connect"], 2),
        (&["--code", "sys-deny-ip", "--action", "reject", "--list", "bad"], 1),
        (&["--since", "1h"], 5),
        (&["--until", "1h"], 0),
        (&["--oldest-first", "--limit", "2"], 2),
    ] {
        let all = [&["audit", "search", "--json"], arguments].concat();
        let found = stage.home.cli_json(&all).unwrap();
        assert_eq!(found.as_array().unwrap().len(), count, "{arguments:?}");
    }
    let record = &stage.search(&["--message-id", "abc.1@x"]).unwrap()[0];
    assert_eq!(
        (&record["message_id"], &record["subject"]),
        (&"abc.1@x".into(), &" [2Jhello".into())
    );
    assert_eq!((&record["tls"], &record["details"]), (&Value::Null, &Value::Bool(true)));
    let table = said(&stage, &["audit", "search"]);
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(table.contains("<Some.One@Example.com> -> <b@example.org>"), "{table}");
    let csv = said(&stage, &["audit", "search", "--csv", "--phase", "message"]);
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.contains(",'=1+1@example.com,"), "{csv}");
    assert!(!csv.chars().any(|letter| letter.is_control() && letter != '\n'), "{csv:?}");
    let lines = said(&stage, &["audit", "export", "--action", "accept"]);
    assert_eq!(lines.lines().filter(|it| serde_json::from_str::<Value>(it).is_ok()).count(), 4);
    let page = stage.home.cli(&["audit", "search", "--limit", "2"]).unwrap();
    let note = String::from_utf8(page.stderr).unwrap();
    let (_, next) = note.trim().rsplit_once("--after ").unwrap();
    let rest = said(&stage, &["audit", "search", "--limit", "100", "--after", next]);
    assert_eq!(rest.lines().count(), 3, "{rest}");
    assert!(daemon.terminate().unwrap().success());
    assert_eq!(stage.search(&[]).unwrap().len(), 5, "without a daemon, too");
    fs::remove_dir_all(stage.home.path().join("state/audit")).unwrap();
    let output = stage.home.cli(&["audit", "search"]).unwrap();
    assert_eq!(output.status.code(), Some(69), "{output:?}");
}

#[test]
fn who_follows_sees_what_comes() {
    let Some(stage) = stage() else { return };
    let daemon = stage.start().unwrap();
    refused(&stage).unwrap();
    stage.wait_for_search(&[], 1).unwrap();
    let mut command = stage.home.cli_command(&["audit", "tail", "--follow", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["code"], "sys-deny-ip");
    deliver(&stage, "a@example.com", "Subject: x");
    assert_eq!((&next()["phase"], &next()["phase"]), (&"connect".into(), &"message".into()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn a_daemon_that_takes_over_writes_into_a_segment_of_its_own() {
    let Some(stage) = stage() else { return };
    let mut first = stage.start().unwrap();
    deliver(&stage, "first@example.com", "Subject: x");
    let mut in_hand = stage.greeted(CLIENT).unwrap();
    let second = stage.home.start_with(stage.home.command(), &["--take-over"]).unwrap();
    first.wait_for_notification("STOPPING=1", LONG).unwrap();
    // Whoever the first one has still accepted is told to come again, as mail servers do.
    wait_for("the second daemon", LONG, || {
        let Ok(mut client) = stage.greeted(CLIENT) else { return Ok(None) };
        let told = client.deliver("second@example.com", &["b@example.org"], "Subject: x\n\nbody\n");
        Ok(told.is_ok_and(|reply| reply.code == 250).then_some(()))
    })
    .unwrap();
    stage.wait_for_search(&["--sender", "second@example.com"], 1).unwrap();
    // Whoever is still with the first one is recorded by it.
    let code = in_hand.command("NOOP").unwrap().code;
    assert!([250, 421].contains(&code), "{code}");
    drop(in_hand);
    assert!(first.wait(LONG).unwrap().success(), "{}", first.log());
    assert_eq!(stage.search(&["--phase", "message"]).unwrap().len(), 2);
    let stats = stage.home.cli_json(&["audit", "stats", "--json"]).unwrap();
    assert_eq!(stats["store"]["segments"], 2, "{stats:#}");
    assert!(second.terminate().unwrap().success());
}

/// A small disk where the store is, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=512k", "none"];
        run(Command::new("mount").args(options).arg(folder)).unwrap();
        Self(folder.to_owned())
    }

    /// Takes all the room that is left; gives it back when what comes back is removed.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let of = format!("of={}", ballast.display());
        let filled = run(Command::new("dd").args(["if=/dev/zero", "bs=1k"]).arg(of));
        assert!(filled.is_err(), "the disk is full");
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(run(Command::new("umount").arg("-l").arg(&self.0)));
    }
}

#[test]
fn records_wait_for_a_store_without_room_and_mail_does_not() {
    let Some(stage) = stage() else { return };
    // A folder of the state can only be there beside the mark of an earlier daemon.
    assert!(stage.start().unwrap().terminate().unwrap().success());
    fs::remove_dir_all(stage.home.path().join("state/audit")).unwrap();
    let disk = SmallDisk::new(&stage.home.path().join("state/audit"));
    let daemon = stage.start().unwrap();
    refused(&stage).unwrap();
    stage.wait_for_search(&[], 1).unwrap();
    let ballast = disk.fill();
    let mut told = 1;
    wait_for("an alarm about the store", LONG, || {
        refused(&stage).unwrap();
        told += 1;
        stage.alarm("audit-store")
    })
    .unwrap();
    deliver(&stage, "a@example.com", "Subject: x");
    told += 2;
    let waiting = stage.status_number("/audit/waiting").unwrap();
    assert!(waiting > 0, "they wait");
    fs::remove_file(ballast).unwrap();
    stage.wait_for_no_alarm("audit-store").unwrap();
    stage.wait_for_search(&[], told).unwrap();
    let count = |name: &str| stage.status_number(&format!("/audit/{name}")).unwrap();
    assert_eq!((count("lost"), count("written")), (0, u64::try_from(told).unwrap()));
    assert!(daemon.terminate().unwrap().success());
}
