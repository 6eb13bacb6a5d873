//! Where records go beside the file and the store, and what they keep of people.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use harness::crowdsec::{self, CROWDSEC};
use harness::deadline::wait_for;
use harness::fail2ban::{FAIL2BAN, found};
use harness::needs;
use harness::site::Site;
use harness::stage::Stage;
use serde_json::Value;

const LONG: Duration = Duration::from_secs(20);
const CLIENT: &str = "198.18.1.2";
const LISTED: &str = "198.51.100.66";

/// A message with that hop in its header.
fn message(hop: &str) -> String {
    format!(
        "Received: from x ([{hop}]) by y; x\nMessage-ID: <abc.1@x>\nSubject: About Ann\n\nbody\n"
    )
}

fn deliver(stage: &Stage, recipient: &str, hop: &str) -> u16 {
    let mut client = stage.greeted(CLIENT).unwrap();
    client.deliver("Ann@example.com", &[recipient], &message(hop)).unwrap().code
}

fn refuse(stage: &Stage) {
    let mut client = stage.connect(LISTED.parse().unwrap()).unwrap();
    assert_eq!(client.reply().unwrap().code, 554);
}

#[test]
fn fail2ban_and_crowdsec_find_who_was_refused_and_nobody_else() {
    let Some(packages) = needs::root_with(&FAIL2BAN, &["python3"]) else { return };
    let Some(crowdsec) = needs::mail_server(&CROWDSEC) else { return };
    let site = Site::without_kernel()
        .list("bad", "local-bad", "", "198.51.100.0/24\n")
        .list("hops", "local-bad", "action = \"reject-message\"", "192.0.2.128/25\n")
        .tables("[[output]]\nformat = \"postfix\"\nto = \"mail.log\"");
    let stage = site.stage(&[CLIENT, LISTED]).unwrap();
    let folder = stage.home.path();
    let daemon = stage.start().unwrap();
    refuse(&stage);
    refuse(&stage);
    assert_eq!(deliver(&stage, "bob@example.org", "203.0.113.9"), 250);
    // It is the hop that is listed, not the relay of the message.
    assert_eq!(deliver(&stage, "bob@example.org", "192.0.2.130"), 550);
    stage.wait_for_search(&["--phase", "message"], 2).unwrap();
    assert!(daemon.terminate().unwrap().success());
    let log = folder.join("mail.log");
    let lines = fs::read_to_string(&log).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    for (mode, expected) in [("more", 2), ("normal", 2), ("rbl", 2), ("aggressive", 2), ("auth", 0)]
    {
        let found = found(&packages, mode, &log).unwrap();
        assert_eq!(found, vec![LISTED.to_owned(); expected], "{mode}: {lines}");
    }
    let found = crowdsec::found(&crowdsec, &stage.edge, folder, &log).unwrap();
    assert_eq!(found, [LISTED, LISTED], "{lines}");
}

#[test]
fn a_system_log_gets_records_when_it_is_there() {
    if !needs::root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let output = format!("[[output]]\nformat = \"json\"\nto = \"syslog:{}\"", path.display());
    let site =
        Site::without_kernel().list("bad", "local-bad", "", "198.51.100.0/24\n").tables(&output);
    let stage = site.stage(&[CLIENT, LISTED]).unwrap();
    let daemon = stage.start().unwrap();
    refuse(&stage);
    let about = format!("audit-output:syslog at {}", path.display());
    stage.wait_for_alarm(&about, "cannot write records there: No such file").unwrap();
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let line = wait_for("a line in the system log", LONG, || {
        refuse(&stage);
        let mut octets = vec![0; 65_536];
        Ok(socket.recv(&mut octets).ok().map(|length| octets[..length].to_vec()))
    });
    let line = String::from_utf8(line.unwrap()).unwrap();
    let (start, record) = line.split_once(": ").unwrap();
    assert!(start.starts_with("<22>") && start.contains(" portcullis["), "{start}");
    let record: Value = serde_json::from_str(record).unwrap();
    assert_eq!(record["client"], LISTED);
    stage.wait_for_no_alarm(&about).unwrap();
    assert_eq!(stage.status_number("/audit/outputs_lost").unwrap(), 0, "what came before waited");
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn of_people_only_what_is_allowed_is_kept() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel().tables(
        "[audit.privacy]\nsender = \"hash\"\nrecipients = \"hash\"\nmessage_id = \"hash\"\nhelo = \"drop\"\nsubject = \"drop\"",
    );
    let stage = site.stage(&[CLIENT]).unwrap();
    let daemon = stage.start().unwrap();
    assert_eq!(deliver(&stage, "Bob@example.org", "203.0.113.9"), 250);
    let record = stage.wait_for_search(&["--phase", "message"], 1).unwrap().remove(0);
    assert_eq!((&record["subject"], &record["envelope"]["helo"]), (&Value::Null, &"~".into()));
    let sender = record["envelope"]["sender"].as_str().unwrap();
    assert!(sender.starts_with('~') && sender.ends_with("@example.com"), "{sender}");
    // Who knows the text finds the record; who has the record does not learn the text.
    for (arguments, count) in [
        (["--sender", "ann@example.com"], 1),
        (["--sender", sender], 1),
        (["--sender", "bob@example.com"], 0),
        (["--recipient", "bob@EXAMPLE.org"], 1),
        (["--recipient-domain", "example.org"], 1),
        (["--message-id", "<abc.1@x>"], 1),
    ] {
        let found = stage.search(&[&arguments[..], &["--phase", "message"]].concat()).unwrap();
        assert_eq!(found.len(), count, "{arguments:?}");
    }
    let why = stage.home.cli(&["why", "<abc.1@x>"]).unwrap();
    let story = String::from_utf8(why.stdout).unwrap();
    assert!(story.contains(sender) && !story.contains("Ann"), "{story}");
    assert!(daemon.terminate().unwrap().success());
    let folder = stage.home.path();
    let mut files = vec![folder.join("audit.jsonl")];
    let store = fs::read_dir(folder.join("state/audit")).unwrap();
    files.extend(store.map(|entry| entry.unwrap().path()));
    for file in files {
        let octets = fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&octets).to_lowercase();
        for name in ["ann@", "bob@", "abc.1@x", "about ann"] {
            assert!(!text.contains(name), "{name} in {}", file.display());
        }
    }
}
