//! `portcullis xdp` beside a running filter: what it says with a daemon, without one, and without a filter.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use harness::daemon::Home;
use harness::deadline::wait_for;
use harness::needs;
use harness::netns::run;
use harness::site::Site;
use harness::stage::Stage;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const SHORT: Duration = Duration::from_millis(700);
const LONG: Duration = Duration::from_secs(10);

const REFUSED: [&str; 2] = ["198.51.100.66", "2001:db8:bad::66"];
const DROPPED: [&str; 2] = ["198.19.7.7", "2001:db8:bad:1::7"];
const CLEAN: &str = "198.18.1.2";

/// What is said where nothing has changed since the tables were made.
const SHUT: &str = "GATE gate shut: the delta is not asked";

/// Lists in both families, and a good host inside a bad network.
fn stage() -> Stage {
    let site = Site::with_kernel()
        .list("good", "local-good", "", "198.51.100.70\n")
        .list("bad", "local-bad", "", "198.51.100.64/26\n2001:db8:bad::/64\n2001:db8:bad::66/127\n")
        .list(
            "drop",
            "open-proxy",
            "kernel = \"drop\"",
            "198.19.0.0/16\n2001:db8:bad:1::/64\n2001:db8:c000::/34\n",
        );
    site.stage(&[REFUSED[0], REFUSED[1], DROPPED[0], DROPPED[1], CLEAN, "198.51.100.70"]).unwrap()
}

fn attempts(stage: &Stage, addresses: &[&str]) {
    for address in addresses {
        drop(stage.attempt(address.parse().unwrap(), SHORT).unwrap());
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed(stage: &Stage, arguments: &[&str]) -> String {
    let output = stage.home.cli(arguments).unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The packets that a list counted, by family and action.
fn counted(stats: &Value, list: &str) -> BTreeMap<(String, String), u64> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = stats["lists"].as_array().unwrap().iter().filter(|row| row["list"] == list);
    let counts = rows
        .map(|row| ((text(row, "family"), text(row, "action")), row["packets"].as_u64().unwrap()));
    counts.filter(|(_, packets)| *packets > 0).collect()
}

#[test]
fn stats_say_what_was_counted_with_and_without_a_daemon() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let daemon = stage.start().unwrap();
    attempts(&stage, &[REFUSED[0], REFUSED[1], REFUSED[1], DROPPED[0], "198.51.100.70", CLEAN]);
    for with_daemon in [true, false] {
        let stats = stage.home.cli_json(&["xdp", "stats", "--json"]).unwrap();
        let key = |family: &str, action: &str| (family.to_owned(), action.to_owned());
        let bad = BTreeMap::from([(key("ipv4", "reset"), 1), (key("ipv6", "reset"), 2)]);
        assert_eq!(counted(&stats, "bad"), bad, "{with_daemon}");
        let drop = counted(&stats, "drop");
        assert_eq!(drop.keys().collect::<Vec<_>>(), [&key("ipv4", "drop")]);
        assert_eq!(counted(&stats, "good"), BTreeMap::from([(key("ipv4", "off"), 1)]));
        let rows = stats["lists"].as_array().unwrap();
        // The fourth is the list of protected hosts.
        assert_eq!(rows.len(), 4 * 2 * 5, "each list, family and action has its row");
        let outcome = |name: &str| {
            let rows = stats["outcomes"].as_array().unwrap();
            rows.iter().find(|row| row["outcome"] == name).unwrap()["packets"].as_u64().unwrap()
        };
        assert_eq!(outcome("reset"), 3);
        assert_eq!(stats["events"], json!({"written": outcome("dropped") + 3, "lost": 0}));
        assert_eq!(stats["copies"], json!({"written": 0, "lost": 0}));
        let text = printed(&stage, &["xdp", "stats"]);
        let row = text.lines().find(|line| line.contains("bad") && line.contains("ipv6")).unwrap();
        assert_eq!(
            row.split_whitespace().take(4).collect::<Vec<_>>(),
            ["bad", "ipv6", "reset", "2"]
        );
        assert!(!text.contains("jumbo") && !text.contains("too-many"), "{text}");
        if with_daemon {
            stage.status().unwrap();
        }
    }
    daemon.terminate().unwrap();
    // What was told one by one, and the counts, are in the audit trail.
    for (client, code, list, entry) in [
        (REFUSED[0], "sys-deny-ip", "bad", "198.51.100.64/26"),
        (REFUSED[1], "sys-deny-ip", "bad", "2001:db8:bad::66/127"),
        (DROPPED[0], "open-proxy", "drop", "198.19.0.0/16"),
    ] {
        let records = stage.home.audit().unwrap();
        let record = records.iter().find(|record| record["client"] == client).unwrap();
        assert_eq!(
            (&record["phase"], &record["code"], &record["list"], &record["entry"]),
            (&json!("kernel"), &json!(code), &json!(list), &json!(entry))
        );
        assert_eq!(record["offending"], json!({"ip": client, "hop": "connect"}));
        assert_eq!(
            (&record["action"], &record["kernel"]["packets"]),
            (&json!("reject"), &json!(1))
        );
    }
    let records = stage.home.audit().unwrap();
    let counts: Vec<_> = records.iter().filter(|record| record["packets"].is_u64()).collect();
    let found: Vec<_> = counts
        .iter()
        .map(|r| (r["list"].as_str().unwrap(), r["family"].as_str().unwrap(), &r["kernel_action"]))
        .collect();
    assert_eq!(
        found,
        [
            ("bad", "ipv4", &json!("reset")),
            ("bad", "ipv6", &json!("reset")),
            ("drop", "ipv4", &json!("drop")),
            ("good", "ipv4", &json!("off")),
        ]
    );
    assert_eq!(counts[1]["packets"], 2);
    assert_eq!(counts[2]["verdict"], "Open proxy");
    assert_eq!(counts[2]["phase"], "kernel");
}

#[test]
fn status_says_what_runs_and_what_it_holds_with_and_without_a_daemon() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let daemon = stage.start().unwrap();
    let look = || {
        let status = stage.home.cli_json(&["xdp", "status", "--json"]).unwrap();
        let [interface] = &status["interfaces"].as_array().unwrap()[..] else {
            panic!("{status:#}");
        };
        assert_eq!(
            (&interface["interface"], &interface["mode"]),
            (&json!("eth0"), &json!("native"))
        );
        assert_eq!(interface["running"], true);
        assert!(interface["program"].as_u64().unwrap() > 0);
        assert_eq!(interface["tag"].as_str().unwrap().len(), 16);
        assert!(interface["verified"].as_u64().unwrap() > 1000);
        let tables = status["tables"].as_array().unwrap();
        assert_eq!((&tables[0]["prefixes"], &tables[1]["prefixes"]), (&json!(2), &json!(3)));
        assert!(status["good"].as_u64().unwrap() >= 1);
        assert_eq!(status["key_ages_s"].as_array().unwrap().len(), 2);
        assert!(status["key_ages_s"][0].as_u64().unwrap() < 60);
        assert_eq!(status["capturing"], false);
        let maps = status["maps"].as_array().unwrap();
        let sum: u64 = maps.iter().map(|map| map["memory_bytes"].as_u64().unwrap()).sum();
        assert_eq!(status["memory_bytes"].as_u64().unwrap(), sum);
        // The table for IPv4 alone has 2^17 lines and more.
        let table = maps.iter().find(|map| map["name"] == "BAD_V4").unwrap();
        assert!(table["memory_bytes"].as_u64().unwrap() > 64 << 17);
        status
    };
    let before = look();
    daemon.kill().unwrap();
    let after = look();
    for fact in ["program", "tag", "verified", "bytes"] {
        assert_eq!(after["interfaces"][0][fact], before["interfaces"][0][fact], "{fact}");
    }
    let text = printed(&stage, &["xdp", "status"]);
    for part in ["eth0", "native, program", "2 bad prefixes", "3 bad prefixes", "EVENTS", "KiB"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn why_shows_each_step_to_the_answer() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let daemon = stage.start().unwrap();
    daemon.kill().unwrap();
    for (address, steps, decision, list) in [
        (CLEAN, &[SHUT, "BAD_V4 gate nothing"][..], "pass", Value::Null),
        (
            REFUSED[0],
            &[
                SHUT,
                "BAD_V4 gate entries for hosts and networks",
                "BAD_V4 bucket nothing",
                "BAD_V4 bucket class",
                "BAD_V4 row list bad, reset",
                "GOOD_V4 trie nothing",
            ],
            "reset",
            json!("bad"),
        ),
        (
            "198.51.100.70",
            &[
                SHUT,
                "BAD_V4 gate entries for hosts and networks",
                "BAD_V4 bucket nothing",
                "BAD_V4 bucket class",
                "BAD_V4 row list bad, reset",
                "GOOD_V4 trie list good, off",
            ],
            "pass",
            json!("good"),
        ),
        (
            DROPPED[0],
            &[
                SHUT,
                "BAD_V4 gate the class of the /16",
                "BAD_V4 wide class",
                "BAD_V4 row list drop, drop",
                "GOOD_V4 trie nothing",
            ],
            "drop",
            json!("drop"),
        ),
        ("2001:db9::1", &[SHUT, "BAD_V6 gate nothing"], "pass", Value::Null),
        ("::ffff:198.18.1.2", &[SHUT, "BAD_V4 gate nothing"], "pass", Value::Null),
    ] {
        let answer = stage.home.cli_json(&["xdp", "why", address, "--json"]).unwrap();
        let found: Vec<String> = answer["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| {
                let text = |name: &str| step[name].as_str().unwrap();
                // Which number a class has does not matter.
                let found = text("found").trim_end_matches(|c: char| c.is_ascii_digit());
                let found = if found == "class " { "class" } else { text("found") };
                format!("{} {} {found}", text("map"), text("part"))
            })
            .collect();
        assert_eq!(found, steps, "{address}");
        assert_eq!((&answer["decision"], &answer["list"]), (&json!(decision), &list), "{address}");
    }
    // Where entries lie depends on chance, the answer does not.
    for (address, last, decision) in [
        (REFUSED[1], "bucket", "reset"),
        ("2001:db8:bad::1", "bucket", "reset"),
        (DROPPED[1], "bucket", "drop"),
        ("2001:db8:ffff::1", "bucket", "drop"),
        ("2001:db8:bfff::1", "", "pass"),
    ] {
        let answer = stage.home.cli_json(&["xdp", "why", address, "--json"]).unwrap();
        assert_eq!(answer["decision"], decision, "{answer:#}");
        let steps = answer["steps"].as_array().unwrap();
        if let [.., entry, row, good] = &steps[..]
            && decision != "pass"
        {
            assert!(entry["part"].as_str().unwrap().ends_with(last), "{answer:#}");
            assert_eq!((&row["part"], &good["map"]), (&json!("row"), &json!("GOOD_V6")));
        }
        let text = printed(&stage, &["xdp", "why", address]);
        assert!(text.contains("2. BAD_V6 gate line ") && text.contains(decision), "{text}");
    }
}

#[test]
fn top_says_who_it_is_and_without_a_daemon_that_nobody_knows() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let daemon = stage.start().unwrap();
    attempts(&stage, &[REFUSED[0], REFUSED[0], REFUSED[0], REFUSED[1]]);
    let top = wait_for("all four", LONG, || {
        let top = stage.home.cli_json(&["xdp", "top", "--once", "--json"])?;
        Ok((top["recent"]["events"] == 4).then_some(top))
    })
    .unwrap();
    assert_eq!(top["daemon_fault"], Value::Null);
    assert_eq!(
        (&top["recent"]["packets"], &top["recent"]["estimated"]),
        (&json!(4), &json!(false))
    );
    let row = |prefix: &str, packets: u64| json!({"prefix": prefix, "packets": packets, "error": 0, "events": packets});
    for part in ["recent", "all"] {
        assert_eq!(top[part]["sources"], json!([row(REFUSED[0], 3), row(REFUSED[1], 1)]));
        assert_eq!(
            top[part]["networks"],
            json!([row("198.51.100.0/24", 3), row("2001:db8:bad::/64", 1)])
        );
    }
    let list = &top["lists"][0];
    assert_eq!((&list["list"], &list["packets"]), (&json!("bad"), &json!(3)));
    let text = printed(&stage, &["xdp", "top", "--once"]);
    assert!(text.contains("198.51.100.66") && !text.contains("estimated"), "{text}");
    daemon.kill().unwrap();
    let top = stage.home.cli_json(&["xdp", "top", "--once", "--json"]).unwrap();
    assert_eq!((&top["recent"], &top["all"]), (&Value::Null, &Value::Null));
    assert!(top["daemon_fault"].as_str().unwrap().contains("no answer from the daemon"));
    assert_eq!(top["lists"][0]["list"], "bad");
    let text = printed(&stage, &["xdp", "top", "--once"]);
    assert!(text.contains("the daemon's to tell: no answer"), "{text}");
}

/// Starts a capture and waits until it is on.
fn capture(stage: &Stage, arguments: &[&str]) -> std::process::Child {
    let mut command = stage.home.cli_command(&[&["xdp", "capture"], arguments].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the capture", LONG, || {
        let status = stage.home.cli_json(&["xdp", "status", "--json"])?;
        Ok((status["capturing"] == true).then_some(()))
    })
    .unwrap();
    child
}

/// The frames in a pcapng file.
fn frames(file: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let word = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().unwrap());
        let length = usize::try_from(word(4)).unwrap();
        if word(0) == 6 {
            let kept = usize::try_from(word(20)).unwrap();
            frames.push(rest[28..28 + kept].to_vec());
        }
        rest = &rest[length..];
    }
    frames
}

#[test]
fn a_capture_can_be_read_and_says_how_it_ended() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let daemon = stage.start().unwrap();
    daemon.kill().unwrap();
    let file = stage.home.path().join("seen.pcapng");
    let name = file.to_str().unwrap();
    let rows: [(&[&str], &str, &[&str]); 4] = [
        (&["--count", "2"], "count", &[REFUSED[0], REFUSED[1]]),
        (&["--for", "3s"], "time", &[REFUSED[0], REFUSED[1]]),
        (&["--address", "2001:db8::/32", "--for", "3s"], "time", &[REFUSED[1]]),
        (&["--address", REFUSED[0], "--address", "192.0.2.0/24"], "signal", &[REFUSED[0]]),
    ];
    for (arguments, ended, sources) in rows {
        let child = capture(&stage, &[&[name, "--json"], arguments].concat());
        let busy = stage.home.cli(&["xdp", "capture", "/dev/null"]).unwrap();
        assert_eq!(busy.status.code(), Some(69));
        assert!(said(&busy).contains("another capture is going on"), "{busy:?}");
        attempts(&stage, &[CLEAN, REFUSED[0], REFUSED[1]]);
        if ended == "signal" {
            sleep(Duration::from_millis(100));
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            answer,
            json!({"file": name, "written": sources.len(), "lost": 0, "ended": ended})
        );
        let frames = frames(&fs::read(&file).unwrap());
        assert_eq!(frames.len(), sources.len(), "{arguments:?}");
        for (frame, source) in frames.iter().zip(sources) {
            let written: Vec<u8> = match source.parse().unwrap() {
                std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
                std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            let at = if source.contains(':') { 22 } else { 26 };
            assert_eq!(frame[at..at + written.len()], written[..], "{source}");
        }
        if needs::find("tcpdump").is_some() {
            let read = run(Command::new("tcpdump").args(["-nZ", "root", "-r", name])).unwrap();
            let text = String::from_utf8(read.stdout).unwrap();
            assert_eq!(text.lines().count(), sources.len(), "{text}");
            assert!(text.lines().all(|line| line.contains("Flags [S]")), "{text}");
        }
        let status = stage.home.cli_json(&["xdp", "status", "--json"]).unwrap();
        assert_eq!(status["capturing"], false);
    }
    let full = stage.home.cli(&["xdp", "capture", "/dev/full", "--for", "100ms"]).unwrap();
    assert_eq!(full.status.code(), Some(69));
    assert!(said(&full).contains("cannot write /dev/full: No space left"), "{full:?}");
    // One that is killed ends all the same.
    let mut child = capture(&stage, &[name]);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("the end of the capture", LONG, || {
        let status = stage.home.cli_json(&["xdp", "status", "--json"])?;
        Ok((status["capturing"] == false).then_some(()))
    })
    .unwrap();
}

#[test]
fn without_a_filter_each_command_says_what_to_do() {
    let config = "[xdp]\npin_dir = \"{dir}/no-pins\"\n\n[admin]\nsocket = \"{dir}/admin.sock\"\n";
    let home = Home::new(config, None).unwrap();
    for arguments in [
        &["status"][..],
        &["stats"],
        &["stats", "--json"],
        &["stats", "--watch"],
        &["top"],
        &["top", "--once", "--json"],
        &["why", "192.0.2.1"],
        &["capture", "-", "--for", "1s"],
    ] {
        let output = home.cli(&[&["xdp"], arguments].concat()).unwrap();
        assert_eq!(output.status.code(), Some(69), "{arguments:?}: {output:?}");
        let text = said(&output);
        assert!(text.contains("no-pins: nothing is pinned there"), "{arguments:?}: {text}");
        assert!(text.contains("hint: start the daemon with `portcullis run`"), "{text}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    for (arguments, words) in [
        (&["capture", "-", "--json"][..], "--json needs a file"),
        (&["capture", "x", "--for", "soon"], "expected a time like 10s or 5m"),
        (&["capture", "x", "--for=-3s"], "expected a time like 10s or 5m"),
        (&["capture", "x", "--address", "192.0.2.0/33"], "33"),
        (&["why", "somebody"], "invalid IP address"),
    ] {
        let output = home.cli(&[&["xdp"], arguments].concat()).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(said(&output).contains(words), "{arguments:?}: {}", said(&output));
    }
}
