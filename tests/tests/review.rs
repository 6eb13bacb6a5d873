//! Reviews: asked for by reference or address, listed, and ended as removed, good-listed or refused.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::process::Output;
use std::time::Duration;

use harness::deadline::wait_for;
use harness::needs;
use harness::site::Site;
use harness::stage::Stage;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);

/// One that is listed by hand, one that a file lists, one that both do, an open proxy of a file.
const BY_HAND: &str = "198.51.100.66";
const BY_FILE: &str = "198.51.100.67";
const BY_BOTH: &str = "198.51.100.68";
const PROXY: &str = "198.51.100.69";

fn stage() -> Stage {
    let site = Site::without_kernel()
        .list("bad", "local-bad", "", &format!("# ours\n{BY_FILE}\n{BY_BOTH}\n"))
        .list("proxies", "open-proxy", "label = \"Open proxies\"", &format!("{PROXY}\n"))
        .tables("[[list]]\nname = \"given\"\nclass = \"local-bad\"")
        .tables("[[list]]\nname = \"good\"\nclass = \"local-good\"");
    site.stage(&[BY_HAND, BY_FILE, BY_BOTH, PROXY]).unwrap()
}

fn cli(stage: &Stage, arguments: &[&str]) -> Output {
    stage.home.cli(arguments).unwrap()
}

fn review(stage: &Stage, arguments: &[&str]) -> Value {
    let output = cli(stage, &[&["review"], arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn complaint(stage: &Stage, arguments: &[&str]) -> (Option<i32>, String) {
    let output = cli(stage, &[&["review"], arguments].concat());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn add(stage: &Stage, list: &str, prefix: &str) {
    let output = cli(stage, &["list", "add", list, prefix, "--reason", "spam"]);
    assert!(output.status.success(), "{output:?}");
}

fn code(stage: &Stage, client: &str) -> u16 {
    stage.connect(client.parse().unwrap()).unwrap().reply().unwrap().code
}

/// Lets `client` be refused; the reference that it reads.
fn refused(stage: &Stage, client: &str) -> String {
    let reply = stage.connect(client.parse().unwrap()).unwrap().reply().unwrap();
    assert_eq!(reply.code, 554, "{reply}");
    let text = reply.text();
    let reference = text.rsplit_once("reference ").unwrap().1.to_owned();
    let is_it = |record: &Value| record["reference"] == reference.as_str();
    stage.home.wait_for_audit("the record", LONG, is_it).unwrap();
    reference
}

fn event(stage: &Stage, event: &str, id: u64) -> Value {
    let is_it = |record: &Value| {
        record["phase"] == "review" && record["event"] == event && record["review"] == id
    };
    stage.home.wait_for_audit(event, LONG, is_it).unwrap()
}

#[test]
fn what_was_entered_by_hand_is_removed_and_the_next_connection_passes() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let daemon = stage.start().unwrap();
    add(&stage, "given", BY_HAND);
    add(&stage, "given", "198.51.100.0/28");
    let reference = refused(&stage, BY_HAND);

    let note = "we cleaned\u{1b}[2J it\r\nyesterday \u{202e}";
    let by = ["request", &reference.to_lowercase(), "--note", note, "--contact", "p@example.com"];
    let asked = review(&stage, &by);
    let first = &asked["review"];
    assert_eq!(
        (&asked["joined"], &first["id"], &first["state"]),
        (&json!(false), &json!(1), &json!("open"))
    );
    assert_eq!((&first["prefix"], &first["references"]), (&json!(BY_HAND), &json!([reference])));
    assert_eq!(first["resolution"], Value::Null);
    assert_eq!(first["asks"][0]["note"], "we cleaned [2J it  yesterday \u{202e}");
    let joined = review(&stage, &["request", BY_HAND]);
    assert_eq!((&joined["joined"], &joined["review"]["requests"]), (&json!(true), &json!(2)));
    let listed = review(&stage, &["list"]);
    assert_eq!((&listed["open"], &listed["rows"][0]["id"]), (&json!(1), &json!(1)));
    for arguments in [&["review", "list"][..], &["review", "show", "1"], &["lookup", BY_HAND]] {
        let shown = String::from_utf8(cli(&stage, arguments).stdout).unwrap();
        assert!(shown.contains("we cleaned [2J it  yesterday \\u{202e}"), "{shown}");
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
    }
    let requested = event(&stage, "requested", 1);
    assert_eq!(
        (&requested["references"], &requested["contact"]),
        (&json!([reference]), &json!("p@example.com"))
    );
    assert!(requested["author"].is_string(), "{requested}");
    event(&stage, "joined", 1);

    // All of it is there after a kill; a second daemon has no say.
    daemon.kill().unwrap();
    let found = stage.home.cli_json(&["lookup", BY_HAND, "--json"]).unwrap();
    assert_eq!(found[0]["reviews"][0]["id"], 1, "without a daemon: {found:#}");
    assert_eq!(complaint(&stage, &["request", BY_HAND]).0, Some(69));
    let daemon = stage.start().unwrap();
    assert_ne!(stage.home.run_in_vain(LONG).unwrap().status.code(), Some(0));
    assert_eq!(code(&stage, BY_HAND), 554);

    let ended = review(&stage, &["resolve", "1", "removed", "--note", "it is clean"]);
    let resolution = &ended["review"]["resolution"];
    assert_eq!((&resolution["result"], &resolution["until"]), (&json!("removed"), &Value::Null));
    assert_eq!(resolution["done"], json!([format!("given: removed {BY_HAND}")]));
    assert_eq!((&ended["still"], &ended["now"]["action"]), (&json!([]), &json!("accept")));
    assert_eq!(code(&stage, BY_HAND), 220);
    let resolved = event(&stage, "resolved", 1);
    assert_eq!(
        (&resolved["references"], &resolved["result"]),
        (&json!([reference]), &json!("removed"))
    );

    // Of a network that was entered, the address alone is taken out.
    let host = "198.51.100.3";
    review(&stage, &["request", host]);
    let ended = review(&stage, &["resolve", "2", "removed", "--note", "x"]);
    let done = format!("given: excepted {host} from the list");
    assert_eq!(ended["review"]["resolution"]["done"], json!([done]));
    let found = stage.home.cli_json(&["lookup", host, "198.51.100.4", "--json"]).unwrap();
    assert_eq!((&found[0]["action"], &found[1]["action"]), (&json!("accept"), &json!("reject")));

    // What was before stays known.
    let found = stage.home.cli_json(&["lookup", BY_HAND, "--json"]).unwrap();
    assert_eq!(found[0]["reviews"][0]["state"], "resolved", "{found:#}");
    let decisions = found[0]["decisions"].as_array().unwrap();
    assert!(decisions.iter().any(|seen| seen["reference"] == reference.as_str()), "{found:#}");
    let events = found[0]["history"]["events"].as_array().unwrap();
    assert_eq!((&events[0]["added"], &events[0]["list"]), (&json!(false), &json!("given")));
    assert_eq!(found[0]["past_faults"], json!([]));
    let why = stage.home.cli_json(&["why", &reference, "--json"]).unwrap();
    assert_eq!(why["phase"], "connect", "the record, not what was said of it: {why}");
    let (status, text) = complaint(&stage, &["resolve", "1", "refused", "--note", "x"]);
    assert!(status == Some(2) && text.contains("was resolved as removed"), "{text}");
    daemon.terminate().unwrap();
}

#[test]
fn what_a_file_has_cannot_be_removed_and_can_be_good_for_a_while() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let daemon = stage.start().unwrap();
    add(&stage, "given", BY_BOTH);
    add(&stage, "bad", BY_BOTH);
    for client in [BY_FILE, BY_BOTH] {
        review(&stage, &["request", client]);
    }
    let (status, text) = complaint(&stage, &["resolve", "1", "removed", "--note", "x"]);
    assert_eq!(status, Some(2), "{text}");
    for part in [
        &format!("nothing about {BY_FILE} was entered by hand"),
        "take it out of line 2 of ",
        "bad.txt, which is read again at once",
        "review resolve 1 good-listed",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(review(&stage, &["show", "1"])["state"], "open");
    assert_eq!(code(&stage, BY_FILE), 554);

    // What was entered by hand goes, what the file has is told.
    let ended = review(&stage, &["resolve", "2", "removed", "--note", "x"]);
    let done = ended["review"]["resolution"]["done"].as_array().unwrap();
    assert_eq!(done.len(), 2, "{ended:#}");
    assert_eq!(ended["still"].as_array().unwrap().len(), 1, "{ended:#}");
    assert_eq!(
        (&ended["still"][0]["list"], &ended["now"]["action"]),
        (&json!("bad"), &json!("reject"))
    );
    assert_eq!(code(&stage, BY_BOTH), 554);

    let resolve = ["resolve", "1", "good-listed", "--note", "a partner", "--for", "3s"];
    let ended = review(&stage, &resolve);
    assert_eq!(ended["review"]["resolution"]["done"], json!([format!("good: added {BY_FILE}")]));
    assert!(ended["review"]["resolution"]["until"].is_string(), "{ended:#}");
    assert_eq!((&ended["still"], &ended["now"]["code"]), (&json!([]), &json!("sys-allow-ip")));
    let found = stage.home.cli_json(&["list", "find", BY_FILE, "--json"]).unwrap();
    assert_eq!(found[0]["matches"][0]["reason"], "review 1", "{found:#}");
    assert_eq!(code(&stage, BY_FILE), 220);
    wait_for(
        "the end of the good entry",
        LONG,
        || Ok((code(&stage, BY_FILE) == 554).then_some(())),
    )
    .unwrap();
    daemon.terminate().unwrap();
}

#[test]
fn a_refusal_changes_nothing_and_nonsense_is_told() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let daemon = stage.start().unwrap();
    let reference = refused(&stage, PROXY);
    review(&stage, &["request", &reference]);
    let ended = review(&stage, &["resolve", "1", "refused", "--note", "it sends still"]);
    assert_eq!(ended["review"]["resolution"]["done"], json!([]));
    assert_eq!((&ended["still"][0]["list"], code(&stage, PROXY)), (&json!("proxies"), 554));

    let (long, other) = ("x".repeat(501), "0".repeat(13));
    for (arguments, expected) in [
        (&["request", "moon"][..], "expected an address, a prefix, or the 13 letters"),
        (&["request", &other], "is not in the newest part of the audit trail"),
        (&["request", BY_HAND, "--reference", &reference], "was given to another address"),
        (&["request", BY_HAND, "--reference", "x"], "that is no reference"),
        (&["request", BY_HAND, "--note", &long], "the note has 501 characters"),
        (&["show", "99"], "there is no review 99"),
        (&["resolve", "99", "refused", "--note", "x"], "there is no review 99"),
        (&["resolve", "1", "refused", "--note", "x", "--for", "1d"], "only a good entry has"),
        (&["resolve", "1", "moon", "--note", "x"], "invalid value 'moon'"),
    ] {
        let (status, text) = complaint(&stage, arguments);
        assert!(status == Some(2) && text.contains(expected), "{arguments:?}: {text}");
    }
    let asked = review(&stage, &["request", BY_HAND, "--reference", &other]);
    assert!(asked["warnings"][0].as_str().unwrap().contains("newest part"), "{asked}");
    for (list, expected) in [("bad", "is a list of bad senders"), ("moon", "is no list")] {
        let resolve = ["resolve", "2", "good-listed", "--note", "x", "--list", list];
        let (status, text) = complaint(&stage, &resolve);
        assert!(status == Some(2) && text.contains(expected), "{text}");
    }
    daemon.terminate().unwrap();
}

#[test]
fn an_open_proxy_has_a_letter_with_and_without_a_daemon() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let daemon = stage.start().unwrap();
    let reference = refused(&stage, PROXY);
    let letter = || {
        let output = cli(&stage, &["lookup", PROXY, "--letter"]);
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("whois {PROXY}")));
        String::from_utf8(output.stdout).unwrap()
    };
    review(&stage, &["request", PROXY]);
    let of_review = String::from_utf8(cli(&stage, &["review", "letter", "1"]).stdout).unwrap();
    assert!(of_review.contains("and name review 1."), "{of_review}");
    let of_daemon = letter();
    daemon.terminate().unwrap();
    for text in [of_daemon, letter()] {
        for part in ["\"Open proxies\"", &reference, "postmaster@mx1.example.org", PROXY] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.lines().all(|line| line.len() <= 72), "{text}");
    }
    let output = cli(&stage, &["lookup", BY_FILE, "--letter"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
