//! A pause: everything passes, in the kernel and in the daemon, until the same second, whoever is still there by then.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

mod program;

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Output;
use std::thread::sleep;
use std::time::Duration;

use gateway::clock::uptime;
use gateway::list::{Rule, Rules};
use gateway::xdp::{Config, Filter, Flood, Limits};
use gateway_ebpf::abi::KernelAction;
use gateway_ebpf::limit::FloodAction;
use harness::deadline::wait_for;
use harness::needs;
use harness::packet::Packet;
use harness::site::Site;
use harness::smtp_client::Attempt;
use harness::stage::Stage;
use serde_json::{Value, json};

use crate::program::{DROP, Kernel, PASS, TX};

const SHORT: Duration = Duration::from_millis(700);
const LONG: Duration = Duration::from_secs(10);

const HOSTS: [&str; 2] = ["192.0.2.25", "2001:db8:25::25"];

fn own() -> [IpAddr; 2] {
    HOSTS.map(|host| host.parse().unwrap())
}

/// A list for each action, and a good one.
fn rules() -> Rules {
    let rule = |prefix: &str, list, action| Rule {
        prefix: prefix.parse().unwrap(),
        list,
        action,
        expires: None,
    };
    let lists = ["good", "refused", "reset", "dropped", "counted", "left"];
    Rules {
        version: 1,
        lists: lists.map(Into::into).to_vec(),
        good: vec![rule("198.18.1.7", 0, KernelAction::Off)],
        bad: vec![
            rule("198.18.1.0/24", 1, KernelAction::Refuse),
            rule("198.18.2.0/24", 2, KernelAction::Reset),
            rule("198.18.3.0/24", 3, KernelAction::Drop),
            rule("198.18.4.0/24", 4, KernelAction::Count),
            rule("198.18.5.0/24", 5, KernelAction::Off),
            rule("2001:db8:1::/48", 1, KernelAction::Refuse),
            rule("2001:db8:2::/48", 2, KernelAction::Reset),
            rule("2001:db8:3::/48", 3, KernelAction::Drop),
        ],
    }
}

/// Sources; what becomes of their SYNs, outside of a pause and in one.
const SOURCES: [(&str, (&str, u32), &str); 10] = [
    ("198.18.1.1", ("refused-syn", TX), "counted"),
    ("198.18.2.1", ("reset", TX), "counted"),
    ("198.18.3.1", ("dropped", DROP), "counted"),
    ("198.18.4.1", ("counted", PASS), "counted"),
    ("198.18.5.1", ("off", PASS), "off"),
    ("198.18.1.7", ("good", PASS), "good"),
    ("203.0.113.1", ("unlisted", PASS), "unlisted"),
    ("2001:db8:1::1", ("refused-syn", TX), "counted"),
    ("2001:db8:2::1", ("reset", TX), "counted"),
    ("2001:db8:3::1", ("dropped", DROP), "counted"),
];

fn syn(source: &str) -> Vec<u8> {
    let source: IpAddr = source.parse().unwrap();
    let host = own()[usize::from(source.is_ipv6())];
    Packet::syn(SocketAddr::new(source, 40000), SocketAddr::new(host, 25)).bytes()
}

fn check(kernel: &Kernel, is_paused: bool) {
    for (source, (outcome, verdict), paused) in SOURCES {
        let frame = syn(source);
        let (found, answer, out) = kernel.outcome(&frame);
        if is_paused {
            assert_eq!((found, answer), (paused, PASS), "{source}, in the pause");
            assert_eq!(out, frame, "{source}: what passes is not touched");
        } else {
            assert_eq!((found, answer), (outcome, verdict), "{source}, outside of a pause");
        }
    }
}

fn wait_for_second(second: u32) {
    while uptime() < second {
        sleep(Duration::from_millis(20));
    }
}

/// The plan: a pause begins, outlives another sync and another daemon, is ended early; another one ends by itself while
/// nobody does anything.
#[test]
fn in_a_pause_the_kernel_counts_and_passes_and_ends_it_by_itself() {
    if !needs::root() {
        return;
    }
    let limits = Limits { answers_per_network: 0, ..Limits::default() };
    let mut kernel = Kernel::with(Config { limits, ..Config::default() });
    kernel.filter.sync(&rules(), &own()).unwrap();
    check(&kernel, false);
    kernel.filter.pause_until(uptime() + 60).unwrap();
    check(&kernel, true);
    let counted = &kernel.counters().lists["dropped"];
    assert_eq!((counted["drop"].packets, counted["count"].packets), (2, 2));
    kernel.filter.sync(&Rules { version: 2, ..rules() }, &own()).unwrap();
    kernel.filter = Filter::open(&kernel.config).unwrap();
    kernel.filter.sync(&rules(), &own()).unwrap();
    kernel.filter.renew_keys().unwrap();
    check(&kernel, true);
    kernel.filter.pause_until(0).unwrap();
    check(&kernel, false);

    let end = uptime() + 2;
    kernel.filter.pause_until(end).unwrap();
    check(&kernel, true);
    wait_for_second(end);
    check(&kernel, false);
}

#[test]
fn in_a_pause_a_flood_is_only_observed() {
    if !needs::root() {
        return;
    }
    let flood = Flood {
        action: FloodAction::Drop,
        engage_above: 0,
        per_network: 1,
        burst: 5,
        ..Flood::default()
    };
    let limits = Limits { flood, ..Limits::default() };
    let mut kernel = Kernel::with(Config { limits, ..Config::default() });
    kernel.filter.sync(&rules(), &own()).unwrap();
    let frame = syn("203.0.113.1");
    let dropped = || (0..50).filter(|_| kernel.run(&frame).0 == DROP).count();
    assert!(dropped() >= 40);
    let before = kernel.counters().outcomes["flood-observed"].packets;
    assert_eq!(before, 0);
    kernel.filter.pause_until(uptime() + 60).unwrap();
    let dropped = || (0..50).filter(|_| kernel.run(&frame).0 == DROP).count();
    assert_eq!(dropped(), 0);
    assert!(kernel.counters().outcomes["flood-observed"].packets >= 45);
}

#[test]
fn what_is_said_of_the_kernel_tells_of_the_pause() {
    if !needs::root() {
        return;
    }
    let mut kernel = Kernel::with(Config::default());
    kernel.filter.sync(&rules(), &own()).unwrap();
    let said = |kernel: &Kernel, source: &str| {
        let explained = gateway::xdp::explain(&kernel.config, source.parse().unwrap()).unwrap();
        let inspected = gateway::xdp::inspect(&kernel.config).unwrap();
        assert_eq!(explained.paused_until.is_some(), inspected.paused_until.is_some());
        (explained.decision, explained.paused_until.is_some())
    };
    for (paused_until, is_paused) in [(0, false), (uptime() + 60, true), (1, false)] {
        kernel.filter.pause_until(paused_until).unwrap();
        for (source, outside, inside) in [
            ("198.18.1.1", "refuse", "count"),
            ("2001:db8:3::1", "drop", "count"),
            ("198.18.1.7", "pass", "pass"),
            ("198.18.5.1", "pass", "pass"),
        ] {
            let decision = if is_paused { inside } else { outside };
            assert_eq!(said(&kernel, source), (decision, is_paused), "{source}");
        }
    }
}

const DROPPED: &str = "198.19.7.7";
const REJECTED: &str = "198.18.3.3";
const CLEAN: &str = "198.18.1.2";

fn site(site: Site) -> Site {
    let left_to_the_daemon = "kernel = \"off\"";
    site.list("drop", "global-bad", "kernel = \"drop\"", "198.19.0.0/16\n").list(
        "bad",
        "local-bad",
        left_to_the_daemon,
        "198.18.3.0/24\n",
    )
}

/// What a client at `address` meets at port 25: `refused`, `silence`, or the code that it is told.
fn meets(stage: &Stage, address: &str) -> String {
    match stage.attempt(address.parse().unwrap(), SHORT).unwrap() {
        Attempt::Refused => "refused".to_owned(),
        Attempt::TimedOut => "silence".to_owned(),
        Attempt::Unreachable(errno) => format!("unreachable: {errno}"),
        Attempt::Connected(mut client) => client.reply().unwrap().code.to_string(),
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Begins a pause; the answer's `paused`.
fn pause(stage: &Stage, time: &str) -> Value {
    let mut command = stage.home.cli_command(&["pause", "--json", "--for", time]);
    let output = command.args(["--reason", "a broken feed"]).env("SUDO_USER", "ada").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["paused"].clone()
}

#[test]
fn while_it_lasts_everybody_gets_through_loudly_and_then_all_is_as_before() {
    if !needs::root() {
        return;
    }
    let stage = site(Site::with_kernel()).stage(&[DROPPED, REJECTED, CLEAN]).unwrap();
    let daemon = stage.start().unwrap();
    let before = || [DROPPED, REJECTED, CLEAN].map(|address| meets(&stage, address));
    assert_eq!(before(), ["silence", "554", "220"]);
    assert_eq!(stage.status().unwrap()["paused"], Value::Null);

    let paused = pause(&stage, "1m");
    assert_eq!((&paused["author"], &paused["reason"]), (&json!("ada"), &json!("a broken feed")));
    assert_eq!(before(), ["220", "220", "220"]);
    let mut client = stage.greeted(DROPPED).unwrap();
    let sent = client.deliver("a@example.com", &["b@example.org"], "Subject: x\n\nbody\n");
    assert_eq!(sent.unwrap().code, 250);
    for phase in ["connect", "message"] {
        let records = stage.home.wait_for_audit("a record", LONG, |record| {
            record["client"] == DROPPED && record["phase"] == phase
        });
        let record = records.unwrap();
        assert_eq!(
            (&record["code"], &record["action"], &record["enforced"]),
            (&json!("global-deny-ip"), &json!("reject"), &json!(false)),
            "{phase}"
        );
    }
    // The protocol holds all the same.
    let mut client = stage.greeted(REJECTED).unwrap();
    assert_eq!(client.command("DATA").unwrap().code, 503);

    let until = paused["until"].as_str().unwrap();
    let alarm = stage.wait_for_alarm("pause", "by ada: a broken feed").unwrap();
    assert!(alarm.contains("`portcullis pause --end` ends it"), "{alarm}");
    let status = stage.status().unwrap();
    assert_eq!((&status["paused"]["author"], &status["enforce"]), (&json!("ada"), &json!(false)));
    for command in [
        &["status"][..],
        &["pause"],
        &["lookup", REJECTED],
        &["xdp", "status"],
        &["xdp", "why", DROPPED],
    ] {
        let output = stage.home.cli(command).unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        // A clock that is slewed may have put it a second off.
        let (minute, _) = until.split_at(until.len() - 4);
        let text = format!("everything passes until {minute}");
        assert!(said(&output).contains(&text), "{command:?} without `{text}`: {}", said(&output));
    }
    let lookup = stage.home.cli_json(&["lookup", "--json", DROPPED]).unwrap();
    assert_eq!(lookup[0]["paused"]["author"], "ada");
    assert_eq!((&lookup[0]["enforced"], &lookup[0]["action"]), (&json!(false), &json!("reject")));
    let why = stage.home.cli_json(&["xdp", "why", "--json", DROPPED]).unwrap();
    assert_eq!(why["decision"], "count");

    let output = stage.home.cli(&["pause", "--end"]).unwrap();
    assert!(said(&output).contains("nothing is paused"), "{output:?}");
    assert_eq!(before(), ["silence", "554", "220"]);
    stage.wait_for_no_alarm("pause").unwrap();
    assert_eq!(stage.home.cli(&["lookup", REJECTED]).unwrap().status.code(), Some(1));

    // And by itself.
    pause(&stage, "2s");
    assert_eq!(meets(&stage, REJECTED), "220");
    wait_for("the end", LONG, || Ok((meets(&stage, REJECTED) == "554").then_some(()))).unwrap();
    assert_eq!(meets(&stage, DROPPED), "silence");
    stage.wait_for_no_alarm("pause").unwrap();
    daemon.wait_for_log("end: its time is over", LONG).unwrap();
    daemon.wait_for_log("end: early", LONG).unwrap();
    assert!(!stage.home.path().join("state/pause.json").exists());
}

#[test]
fn the_kernel_ends_it_when_the_daemon_is_dead() {
    if !needs::root() {
        return;
    }
    let stage = site(Site::with_kernel()).stage(&[DROPPED]).unwrap();
    let daemon = stage.start().unwrap();
    assert_eq!(meets(&stage, DROPPED), "silence");
    let end = uptime() + 5;
    pause(&stage, "4s");
    daemon.kill().unwrap();
    // Nobody is at home, so the host itself refuses whom the kernel filter lets through.
    assert_eq!(meets(&stage, DROPPED), "refused");
    wait_for_second(end);
    assert_eq!(meets(&stage, DROPPED), "silence");
}

#[test]
fn the_next_daemon_goes_on_with_it_and_ends_it_with_and_without_a_kernel_filter() {
    if !needs::root() {
        return;
    }
    for (first, expected) in [(Site::with_kernel(), "silence"), (Site::without_kernel(), "554")] {
        let stage = site(first).stage(&[DROPPED]).unwrap();
        let daemon = stage.start().unwrap();
        pause(&stage, "6s");
        let end = uptime() + 7;
        daemon.kill().unwrap();
        let daemon = stage.start().unwrap();
        daemon.wait_for_log("goes on: everything passes until", LONG).unwrap();
        assert_eq!(stage.status().unwrap()["paused"]["author"], "ada");
        stage.wait_for_alarm("pause", "everything passes until").unwrap();
        assert_eq!(meets(&stage, DROPPED), "220");
        wait_for_second(end);
        assert_eq!(meets(&stage, DROPPED), expected);
        stage.wait_for_no_alarm("pause").unwrap();
    }
}

#[test]
fn a_pause_that_no_file_can_hold_lasts_all_the_same_and_half_a_file_is_none() {
    if !needs::root() {
        return;
    }
    let stage = site(Site::without_kernel()).stage(&[DROPPED]).unwrap();
    let daemon = stage.start().unwrap();
    let file = stage.home.path().join("state/pause.json");
    // Whatever is in the way, a full disk or this: root may write anywhere else.
    fs::create_dir_all(file.join("in-the-way")).unwrap();
    pause(&stage, "1m");
    assert_eq!(meets(&stage, DROPPED), "220");
    stage.wait_for_alarm("pause-file", "a restart of the daemon ends the pause").unwrap();
    fs::remove_dir_all(&file).unwrap();
    pause(&stage, "1m");
    stage.wait_for_no_alarm("pause-file").unwrap();
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, whole.get(..whole.len() / 2).unwrap()).unwrap();
    daemon.terminate().unwrap();
    let daemon = stage.start().unwrap();
    daemon.wait_for_log("a pause of an earlier daemon is over", LONG).unwrap();
    assert_eq!(meets(&stage, DROPPED), "554");
}

#[test]
fn what_is_no_pause_is_refused_with_what_was_expected() {
    if !needs::root() {
        return;
    }
    let stage = site(Site::without_kernel()).stage(&[DROPPED]).unwrap();
    let output = stage.home.cli(&["pause", "--for", "10m"]).unwrap();
    assert_eq!(output.status.code(), Some(69), "no daemon: {output:?}");
    let _daemon = stage.start().unwrap();
    let long = "x".repeat(501);
    for (arguments, words) in [
        (&["--for", "25h"][..], "a pause of 90000 s, expected 1 s to 24 h"),
        (&["--for", "10"], "`10`, expected a number with a unit"),
        (&["--for", "10m", "--end"], "cannot be used with"),
        (&["--reason", "why"], "--for"),
        (&["--for", "10m", "--reason", &long], "reason of 501 letters, expected at most 500"),
        (&["--for", "10m", "--reason", "a\nb"], "expected one line of text"),
    ] {
        let output = stage.home.cli(&[&["pause"], arguments].concat()).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(said(&output).contains(words), "{arguments:?}: {}", said(&output));
    }
    let json = "content-type: application/json\r\n";
    for (method, header, body, status, words) in [
        ("POST", json, "{", "400", "the request cannot be read"),
        ("POST", json, r#"{"for_s":60,"author":"a","more":1}"#, "422", "unknown field `more`"),
        ("POST", json, r#"{"for_s":-1,"author":"a"}"#, "422", "for_s: invalid value"),
        ("POST", json, r#"{"for_s":60,"author":""}"#, "422", "expected one line of text"),
        ("POST", json, r#"{"for_s":60}"#, "422", "missing field `author`"),
        ("POST", "", r#"{"for_s":60,"author":"a"}"#, "415", "the request cannot be read"),
        ("PUT", json, r#"{"for_s":60,"author":"a"}"#, "405", ""),
    ] {
        let answer = stage.request(method, "/api/v1/pause", header, body).unwrap().join("\n");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{body}: {answer}");
        assert!(answer.contains(words), "{body}: {answer}");
    }
    assert_eq!(stage.home.cli_json(&["pause", "--json"]).unwrap(), json!({"paused": null}));
    assert_eq!(meets(&stage, DROPPED), "554");
}
