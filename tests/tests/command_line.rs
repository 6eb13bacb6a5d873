//! What can be typed: output for people and machines, exit codes, with a configuration file alone.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use harness::daemon::{Home, binary};
use harness::needs;
use harness::site::Site;
use serde_json::{Value, json};

const CONFIG: &str = r#"
state_dir = "{dir}/state"
trusted_relays = ["198.51.100.25"]

[xdp]
pin_dir = "{dir}/no-pins"

[admin]
socket = "{dir}/admin.sock"

[[listener]]
address = "127.0.0.1:2525"

[next_hop]
address = "127.0.0.1:10025"

[limits]
header = 2000
received = 5

[[list]]
name = "good"
class = "local-good"
file = "good.txt"

[[list]]
name = "bad"
label = "Our own list"
class = "local-bad"
file = "bad.txt"

[[list]]
name = "proxies"
class = "open-proxy"
action = "reject-message"
file = "proxies.txt"

[[list]]
name = "suspects"
class = "global-bad"
action = "score"
weight = 550
file = "suspects.txt"

[[list]]
name = "dry"
class = "global-bad"
enforce = false
file = "dry.txt"
"#;

const MESSAGE: &str = "Received: from a.example.net (a.example.net [10.1.2.3]) by b.example.net; Mon, 1 Jan 2024 12:00:00 +0000
Received: from c.example.net (c.example.net [198.18.99.7]) by a.example.net; Mon, 1 Jan 2024 12:00:00 +0000
Subject: x

Received: from no-header.example.net ([203.0.113.200])
";

/// A configuration with its lists, and no daemon.
fn home() -> Home {
    let home = Home::new(CONFIG, None).unwrap();
    for (name, text) in [
        ("good.txt", "203.0.113.10\n"),
        ("bad.txt", "203.0.113.0/24 # a bad network\n2001:db8:bad::/48\n"),
        ("proxies.txt", "198.18.99.0/24\n"),
        ("suspects.txt", "198.18.0.50\n"),
        ("dry.txt", "198.18.4.0/24\n"),
    ] {
        home.write(name, text).unwrap();
    }
    home
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The names in an object, sorted: whether the parser sorts them depends on what else is built.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Runs a command that reads `input`.
fn fed(home: &Home, arguments: &[&str], input: &str) -> Output {
    let mut command = home.cli_command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have read enough before the end.
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap_or_default();
    child.wait_with_output().unwrap()
}

#[test]
fn lookup_says_what_would_be_decided_and_why() {
    let home = home();
    for (address, exit, verdict, code, action, enforced) in [
        ("198.18.1.2", 0, "Accepted", "accept", "accept", true),
        ("203.0.113.77", 1, "System denied IP", "sys-deny-ip", "reject", true),
        ("203.0.113.10", 0, "System allowed IP", "sys-allow-ip", "accept", true),
        ("2001:db8:bad::66", 1, "System denied IP", "sys-deny-ip", "reject", true),
        ("::ffff:203.0.113.77", 1, "System denied IP", "sys-deny-ip", "reject", true),
        ("198.18.0.50", 1, "IP reputation tempfail", "iprep-delay", "defer", true),
        ("198.18.4.4", 0, "System denied IP", "global-deny-ip", "reject", false),
        ("127.0.0.1", 0, "Accepted", "accept", "accept", true),
    ] {
        let output = home.cli(&["lookup", address, "--json"]).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{address}: {output:?}");
        let answer = json(&output);
        assert_eq!(answer.as_array().unwrap().len(), 1);
        let found = &answer[0];
        let expected = [
            "action",
            "band",
            "code",
            "decisions",
            "delay_from",
            "enforced",
            "evidence",
            "history",
            "ip",
            "kernel",
            "kernel_fault",
            "listings",
            "matches",
            "past_faults",
            "paused",
            "reject_above",
            "reviews",
            "route",
            "score",
            "skipped",
            "unanswered",
            "verdict",
        ];
        assert_eq!(keys(found), expected, "{address}");
        assert_eq!(
            (&found["verdict"], &found["code"], &found["action"], &found["enforced"]),
            (&json!(verdict), &json!(code), &json!(action), &json!(enforced)),
            "{address}"
        );
        assert_eq!(found["kernel"], Value::Null);
        let text = home.cli(&["lookup", address]).unwrap();
        assert_eq!(text.status.code(), Some(exit));
        assert!(out(&text).contains(verdict), "{}", out(&text));
        assert!(!out(&text).contains('\u{1b}'), "no colour where nobody looks");
    }
    let output =
        home.cli(&["lookup", "--json", "203.0.113.77", "198.18.0.50", "127.0.0.1"]).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let answer = json(&output);
    assert_eq!(answer[0]["ip"], "203.0.113.77");
    let found = &answer[0]["matches"][0];
    assert_eq!(
        (&found["list"], &found["class"], &found["entry"], &found["reason"]),
        (&json!("bad"), &json!("local-bad"), &json!("203.0.113.0/24"), &json!("a bad network"))
    );
    assert_eq!((&answer[0]["score"], &answer[0]["skipped"]), (&json!(0), &Value::Null));
    assert_eq!((&answer[1]["score"], &answer[1]["band"]), (&json!(550), &json!("delay")));
    assert_eq!(answer[1]["evidence"], json!([{"name": "list:suspects", "weight": 550}]));
    assert_eq!(answer[2]["skipped"], "protected");
    assert_eq!((&answer[2]["score"], &answer[2]["band"]), (&Value::Null, &Value::Null));
}

#[test]
fn scan_says_what_each_hop_means() {
    let home = home();
    let file = home.write("message.eml", MESSAGE).unwrap();
    let file = file.to_str().unwrap();
    let expected = [
        "action",
        "addresses",
        "band",
        "client",
        "code",
        "enforced",
        "evidence",
        "logical_client",
        "offending",
        "reply",
        "score",
        "verdict",
    ];
    let from_file = home.cli(&["scan", file, "--client", "198.18.1.2", "--json"]).unwrap();
    assert_eq!(from_file.status.code(), Some(1), "{from_file:?}");
    let answer = json(&from_file);
    assert_eq!(keys(&answer), expected);
    assert_eq!(
        (&answer["code"], &answer["action"]),
        (&json!("open-proxy"), &json!("reject-message"))
    );
    assert_eq!(answer["offending"], json!({"ip": "198.18.99.7", "hop": "received[1]"}));
    assert_eq!(
        (&answer["client"], &answer["logical_client"]),
        (&json!("198.18.1.2"), &json!("198.18.1.2"))
    );
    assert!(answer["reply"].as_str().unwrap().starts_with("550 5.7.1 "), "{answer:#}");
    let addresses = answer["addresses"].as_array().unwrap();
    let hops: Vec<_> = addresses.iter().map(|address| &address["hop"]).collect();
    assert_eq!(hops, ["connect", "received[0]", "received[1]"]);
    let of_address = ["authenticated", "hop", "ip", "listings", "matches", "skipped", "unanswered"];
    assert!(addresses.iter().all(|address| keys(address) == of_address));
    assert_eq!(
        (&addresses[0]["skipped"], &addresses[1]["skipped"]),
        (&Value::Null, &json!("private"))
    );
    // The same from standard input, with CRLF too; the reference alone differs.
    for input in [MESSAGE.to_owned(), MESSAGE.replace('\n', "\r\n")] {
        let output = fed(&home, &["scan", "-", "--client", "198.18.1.2", "--json"], &input);
        assert_eq!(json(&output)["addresses"], answer["addresses"]);
        assert_eq!(output.status.code(), Some(1));
    }
    // Clean, and behind a relay of ours.
    let clean = fed(&home, &["scan", "-", "--client", "198.18.1.2", "--json"], "Subject: x\n\nx\n");
    assert_eq!(clean.status.code(), Some(0));
    let answer = json(&clean);
    assert_eq!(keys(&answer), expected);
    assert_eq!((&answer["offending"], &answer["reply"]), (&Value::Null, &Value::Null));
    let behind = MESSAGE.replace("10.1.2.3", "203.0.113.77");
    let relayed = fed(&home, &["scan", "-", "--client", "198.51.100.25", "--json"], &behind);
    assert_eq!(relayed.status.code(), Some(1));
    let answer = json(&relayed);
    assert_eq!(
        (&answer["logical_client"], &answer["code"]),
        (&json!("203.0.113.77"), &json!("sys-deny-ip"))
    );
    assert!(
        answer["reply"].as_str().unwrap().starts_with("554 5.7.1 you are not allowed"),
        "{answer:#}"
    );
    // What the proxy would refuse for its form.
    let long = format!("X-Long: a\n{}\n\nx\n", " folded\n".repeat(500));
    let looping = format!("{}Subject: x\n\n", "Received: by x.example.net\n".repeat(6));
    for (input, start) in [(long, "552 5.3.4"), (looping, "554 5.4.6")] {
        let output = fed(&home, &["scan", "-", "--client", "198.18.1.2", "--json"], &input);
        assert_eq!(output.status.code(), Some(1));
        let answer = json(&output);
        assert_eq!(keys(&answer), expected);
        assert!(answer["reply"].as_str().unwrap().starts_with(start), "{answer:#}");
    }
    assert_eq!(
        home.cli(&["scan", "/none", "--client", "198.18.1.2"]).unwrap().status.code(),
        Some(69)
    );
}

#[test]
fn lists_are_shown_and_checked() {
    let home = home();
    let shown = json(&home.cli(&["list", "show", "--json"]).unwrap());
    let names: Vec<_> = shown.as_array().unwrap().iter().map(|list| &list["name"]).collect();
    assert_eq!(names, ["good", "bad", "proxies", "suspects", "dry"]);
    assert_eq!((&shown[1]["kernel"], &shown[4]["kernel"]), (&json!("refuse"), &json!("count")));
    let entries = json(&home.cli(&["list", "show", "bad", "--json"]).unwrap());
    assert_eq!(
        entries[0],
        json!({
            "prefix": "203.0.113.0/24",
            "line": 1,
            "value": null,
            "reason": "a bad network",
            "author": null,
            "added": null,
            "expires": null,
            "origin": format!("{}:1", home.path().join("bad.txt").display()),
        })
    );
    assert!(out(&home.cli(&["list", "show", "bad"]).unwrap()).contains("2001:db8:bad::/48"));
    assert_eq!(home.cli(&["list", "show", "none"]).unwrap().status.code(), Some(2));

    assert_eq!(home.cli(&["list", "check"]).unwrap().status.code(), Some(0));
    home.write("bad.txt", "203.0.113.1\nnonsense here\n0.0.0.0/0\n").unwrap();
    for arguments in [&["list", "check"][..], &["list", "check", "bad"]] {
        let output = home.cli(arguments).unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = out(&output);
        assert!(
            text.contains("bad.txt:2: `nonsense here`: ") && text.contains("expected"),
            "{text}"
        );
        assert!(text.contains("bad.txt:3: `0.0.0.0/0`: "), "{text}");
    }
    let file = home.path().join("bad.txt").display().to_string();
    let checked = json(&home.cli(&["list", "check", &file, "--json"]).unwrap());
    assert_eq!((&checked["entries"], &checked["rejected"][0]["line"]), (&json!(1), &json!(2)));
    assert_eq!(home.cli(&["list", "check", "good"]).unwrap().status.code(), Some(0));
    fs::remove_file(&file).unwrap();
    assert_eq!(home.cli(&["list", "check", "bad"]).unwrap().status.code(), Some(69));
}

#[test]
fn the_slider_converts_both_ways() {
    let home = home();
    let percent = |allow: u16, delay: u16, reject: u16| {
        [
            "--allow",
            &allow.to_string(),
            "--delay",
            &delay.to_string(),
            "--reject",
            &reject.to_string(),
        ]
        .map(ToOwned::to_owned)
        .to_vec()
    };
    let scores = |from: u16, above: u16| {
        ["--delay-from", &from.to_string(), "--reject-above", &above.to_string()]
            .map(ToOwned::to_owned)
            .to_vec()
    };
    for (arguments, parts, limits, score, band) in [
        (vec![], [0, 20, 80], [500, 600], 499, "allow"),
        (vec![], [0, 20, 80], [500, 600], 500, "delay"),
        (vec![], [0, 20, 80], [500, 600], 600, "delay"),
        (vec![], [0, 20, 80], [500, 600], 601, "reject"),
        (percent(50, 10, 40), [50, 10, 40], [750, 800], 749, "allow"),
        (percent(50, 10, 40), [50, 10, 40], [750, 800], 750, "delay"),
        (percent(50, 10, 40), [50, 10, 40], [750, 800], 801, "reject"),
        (scores(750, 800), [50, 10, 40], [750, 800], 800, "delay"),
        (percent(100, 0, 0), [100, 0, 0], [1000, 1000], 999, "allow"),
    ] {
        let score = score.to_string();
        let mut all = vec!["slider", "--json", "--score", &score];
        all.extend(arguments.iter().map(String::as_str));
        let output = home.cli(&all).unwrap();
        assert_eq!(output.status.code(), Some(0), "{all:?}: {output:?}");
        let answer = json(&output);
        let [allow, delay, reject] = parts;
        assert_eq!(answer["percent"], json!({"allow": allow, "delay": delay, "reject": reject}));
        assert_eq!(
            [&answer["delay_from"], &answer["reject_above"]],
            limits.map(|limit| json!(limit)).each_ref()
        );
        assert_eq!(answer["band"], band, "{all:?}");
    }
    assert_eq!(json(&home.cli(&["slider", "--json"]).unwrap())["band"], Value::Null);
    let point = json!({"score": 750, "normalised": 250, "percent": 50, "band": "reject"});
    for wanted in [["--score", "750"], ["--percent", "50"]] {
        let answer = json(&home.cli(&["slider", "--json", wanted[0], wanted[1]]).unwrap());
        assert_eq!((&answer["point"], &answer["band"]), (&point, &point["band"]), "{wanted:?}");
    }
}

#[test]
fn the_slider_shows_the_chart() {
    let home = home();
    let arguments = ["slider", "--delay-from", "725", "--reject-above", "800", "--percent", "60.2"];
    let text = out(&home.cli(&arguments).unwrap());
    for words in [
        "  allow     45 %  0 to 724\n",
        "\n                                ^\n",
        "\n  500                   725     800             1000\n",
        "  Real score | Normalised (-500) | Percent (/5) | Band\n",
        "         500 |                 0 |            0 | allow\n",
        "         725 |               225 |           45 | delay, from here on\n",
        "         800 |               300 |           60 | delay, up to here\n",
        "        1000 |               500 |          100 | reject\n",
        "  a score of 801 is 301 normalised, 60.2 %, and means: reject\n",
    ] {
        assert!(text.contains(words), "`{words}` in {text}");
    }
    assert!(text.is_ascii(), "{text}");
    let answer = json(&home.cli(&["slider", "--json"]).unwrap());
    let chart = answer["chart"].as_array().unwrap();
    let scores: Vec<_> = chart.iter().map(|row| row["score"].as_u64().unwrap()).collect();
    assert_eq!(scores, (500..=1000).step_by(50).collect::<Vec<_>>());
    let expected = json!({
        "score": 600,
        "normalised": 100,
        "percent": 20,
        "band": "delay",
        "is_delay_from": false,
        "is_reject_above": true,
    });
    assert_eq!(chart[2], expected);
}

/// A record of an audit trail that is `age` seconds old.
fn scored(age: u64, phase: &str, code: &str, client: &str, score: Option<u16>) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let seconds = format!("@{}", now - age);
    let time = Command::new("date").args(["-u", "+%FT%TZ", "-d", &seconds]).output().unwrap();
    let time = out(&time);
    let band = score.map(|score| match score {
        ..500 => "allow",
        500..=600 => "delay",
        _ => "reject",
    });
    let limits = score.map(|_score| [500, 600]);
    let record = json!({
        "time": time.trim_end(),
        "phase": phase,
        "code": code,
        "enforced": true,
        "client": client,
        "logical_client": client,
        "score": score,
        "band": band,
        "delay_from": limits.map(|limits| limits[0]),
        "reject_above": limits.map(|limits| limits[1]),
    });
    format!("{record}\n")
}

#[test]
fn the_slider_tries_thresholds_on_what_was_recorded() {
    let home = home();
    let dry_run = |arguments: &[&str]| {
        let thresholds = ["--allow", "50", "--delay", "10", "--reject", "40"];
        home.cli(&[&["slider", "--dry-run"][..], &thresholds, arguments].concat()).unwrap()
    };
    let output = dry_run(&[]);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("audit.jsonl") && said.contains("\nhint: "), "{said}");

    let lines = [
        scored(100_000, "connect", "iprep-reject", "198.18.0.1", Some(900)),
        scored(7200, "connect", "iprep-delay", "198.18.0.2", Some(550)),
        "torn {\"time\n".to_owned(),
        scored(600, "connect", "accept", "198.18.0.3", Some(0)),
        scored(600, "connect", "iprep-reject", "198.18.0.4", Some(760)),
        scored(600, "connect", "iprep-reject", "198.18.0.4", Some(1000)),
        scored(600, "connect", "sys-deny-ip", "198.18.0.5", Some(0)),
        scored(600, "connect", "sys-allow-ip", "198.18.0.6", None),
        scored(600, "message", "iprep-delay", "198.18.0.7", Some(600)),
        scored(600, "kernel", "sys-deny-ip", "198.18.0.8", None),
    ];
    fs::create_dir_all(home.path().join("state")).unwrap();
    fs::write(home.path().join("state/audit.jsonl"), lines.concat()).unwrap();
    let bands = |allow, delay, reject| json!({"allow": allow, "delay": delay, "reject": reject});
    for (arguments, counts, recorded, now, changed, addresses) in [
        (&[][..], [6, 4], bands(1, 1, 2), bands(2, 1, 1), 2, [3, 2]),
        (&["--last", "2d"], [7, 5], bands(1, 1, 3), bands(2, 1, 2), 2, [4, 2]),
        (&["--last", "1h"], [5, 3], bands(1, 0, 2), bands(1, 1, 1), 1, [2, 1]),
        (&["--phase", "message"], [1, 1], bands(0, 1, 0), bands(1, 0, 0), 1, [1, 1]),
        (&["--phase", "recipient"], [0, 0], bands(0, 0, 0), bands(0, 0, 0), 0, [0, 0]),
    ] {
        let output = dry_run(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        let answer = json(&output);
        let found = ["decisions", "scored"].map(|name| answer[name].clone());
        assert_eq!(found, counts.map(Value::from), "{arguments:?}: {answer:#}");
        assert_eq!((&answer["recorded"], &answer["now"]), (&recorded, &now), "{arguments:?}");
        assert_eq!(answer["changed"], changed, "{arguments:?}");
        let found = ["addresses", "addresses_changed"].map(|name| answer[name].clone());
        assert_eq!(found, addresses.map(Value::from), "{arguments:?}");
        assert_eq!(answer["broken_lines"], 1);
        assert_eq!(answer["histogram"].as_array().unwrap().len(), 20);
    }
    let answer = json(&dry_run(&["--json"]));
    let expected = json!([
        {"from": "delay", "to": "allow", "count": 1},
        {"from": "reject", "to": "delay", "count": 1},
    ]);
    assert_eq!(answer["changes"], expected);
    let expected = json!([{"delay_from": 500, "reject_above": 600, "count": 4}]);
    assert_eq!(answer["recorded_thresholds"], expected);
    let text = out(&dry_run(&[]));
    for words in [
        "Dry run of 750/800, phase connect\n",
        "6 decisions, 4 by their scores\n",
        "2 of 4\n",
        "1 from delay to allow\n",
        "     0 to   49         1  ........................................\n",
        "   750 to  799         1  ========================================\n",
    ] {
        assert!(text.contains(words), "`{words}` in {text}");
    }
    // Without thresholds of its own it tries those of the configuration, which change nothing here.
    let answer = json(&home.cli(&["slider", "--dry-run", "--json"]).unwrap());
    assert_eq!((&answer["delay_from"], &answer["changed"]), (&json!(500), &json!(0)));
}

#[test]
fn what_makes_no_sense_is_exit_2_and_a_faulty_configuration_78() {
    let home = home();
    for arguments in [
        &["frobnicate"][..],
        &[],
        &["lookup"],
        &["lookup", "203.0.113"],
        &["lookup", "203.0.113.0/24"],
        &["scan", "-"],
        &["slider", "--allow", "50"],
        &["slider", "--allow", "50", "--delay", "10", "--reject", "50"],
        &[
            "slider",
            "--allow",
            "50",
            "--delay",
            "10",
            "--reject",
            "40",
            "--delay-from",
            "1",
            "--reject-above",
            "2",
        ],
        &["slider", "--delay-from", "800", "--reject-above", "700"],
        &["slider", "--score", "1001"],
        &["slider", "--percent", "50.1"],
        &["slider", "--percent", "50", "--score", "750"],
        &["slider", "--last", "1h"],
        &["slider", "--dry-run", "--last", "1"],
        &["slider", "--dry-run", "--phase", "kernel"],
        &["slider", "--dry-run", "--score", "750"],
        &["status", "extra"],
    ] {
        let output = home.cli(arguments).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    let output = home.cli(&["status"]).unwrap();
    assert_eq!(output.status.code(), Some(69), "there is no daemon");
    assert!(String::from_utf8_lossy(&output.stderr).contains("hint: "), "{output:?}");
    let check = home.cli(&["check", "--json"]).unwrap();
    assert_eq!(check.status.code(), Some(0), "{check:?}");
    assert_eq!(json(&check)["ok"], true);
    home.configure("hostnam = 1\n[[list]]\nname = 7\n").unwrap();
    for command in [&["check"][..], &["check", "--json"], &["lookup", "192.0.2.1"], &["run"]] {
        let output = home.cli(command).unwrap();
        assert_eq!(output.status.code(), Some(78), "{command:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        for words in
            ["portcullis.toml:1:hostnam: ", "portcullis.toml:3:list.name: ", "list.class: missing"]
        {
            assert!(said.contains(words), "{words} in {said}");
        }
    }
    fs::remove_file(home.path().join("portcullis.toml")).unwrap();
    assert_eq!(home.cli(&["check"]).unwrap().status.code(), Some(78));
}

#[test]
fn nobody_reading_is_no_fault() {
    let home = home();
    let entries = (0..200_000).map(|n| format!("2001:db8:0:{n:x}::/64\n"));
    home.write("bad.txt", &entries.take(60_000).collect::<String>()).unwrap();
    for arguments in [&["list", "show", "bad"][..], &["list", "show", "bad", "--json"]] {
        let mut command = home.cli_command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

/// What needs no rights works without any: the program and its files are open to everybody, the process is nobody's.
#[test]
fn lookup_and_scan_need_no_rights() {
    if !needs::root() || !needs::program("setpriv") {
        return;
    }
    let home = home();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    let program = home.path().join("portcullis");
    fs::copy(binary().unwrap(), &program).unwrap();
    for (arguments, exit) in [
        (&["lookup", "203.0.113.77", "--json"][..], 1),
        (&["lookup", "198.18.1.2"], 0),
        (&["scan", "message.eml", "--client", "198.18.1.2", "--json"], 1),
        (&["list", "show"], 0),
        (&["check"], 0),
        (&["slider"], 0),
    ] {
        home.write("message.eml", MESSAGE).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"]);
        command
            .arg(&program)
            .args(arguments)
            .arg("--config")
            .arg(home.path().join("portcullis.toml"));
        let output = command.current_dir(home.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn status_shows_people_what_it_tells_machines() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel().list("bad", "local-bad", "", "198.51.100.66\nnonsense\n");
    let stage = site.stage(&["198.51.100.66", "198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    let mut client = stage.greeted("198.18.1.2").unwrap();
    client.deliver("a@example.com", &["b@example.org"], "Subject: x\n\nx\n").unwrap();
    stage.attempt("198.51.100.66".parse().unwrap(), harness::smtp_client::PATIENCE).unwrap();
    stage.records("198.18.1.2", "message", 1).unwrap();
    stage.records("198.51.100.66", "kernel", 1).unwrap();
    let status = stage.status().unwrap();
    let expected = [
        "alarms",
        "audit",
        "clock_jumped_ms",
        "decisions",
        "enforce",
        "hostname",
        "log",
        "milter",
        "next_hops",
        "paused",
        "pid",
        "postfix_policy",
        "quarantine",
        "rights",
        "rules",
        "senders",
        "smtp",
        "taps",
        "uptime_s",
        "version",
        "xdp",
        "zones",
    ];
    assert_eq!(keys(&status), expected);
    assert_eq!(keys(&status["xdp"]), ["counters", "interfaces", "mode", "reason"]);
    let decisions =
        json!([{"verdict": "Accepted", "code": "accept", "action": "accept", "count": 2}]);
    assert_eq!(status["decisions"], decisions);
    let output = stage.home.cli(&["status"]).unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = out(&output);
    for words in [
        "on mx1.example.org",
        "native",
        "eth0",
        "1 now, 1 in all",
        "0 dropped, 1 reset; ",
        "127.0.0.1:10025 up",
        "3 written, 0 lost",
        "runs as          root; files out of reach (Landlock): ",
        "rejected lines: 1",
        "alarm list:bad: rejected lines: 1, the first in ",
    ] {
        assert!(text.contains(words), "`{words}` in {text}");
    }
    assert!(!text.contains(['{', '}']), "{text}");
    let looked = stage.home.cli_json(&["lookup", "--json", "198.51.100.66"]).unwrap();
    assert_eq!(
        (&looked[0]["kernel"]["list"], &looked[0]["kernel"]["action"]),
        (&json!("bad"), &json!("reset"))
    );
}

#[test]
fn a_list_is_exported_and_read_again() {
    let home = home();
    home.write(
        "bad.txt",
        "203.0.113.0/24 # a bad network\n203.0.113.0/24\n2001:db8:bad::/48\n10.0.0.1\n",
    )
    .unwrap();
    for (format, read_as, first) in [
        ("plain", Some("plain"), "# list bad\n10.0.0.1\n203.0.113.0/24"),
        ("json", Some("drop-json"), "{\"cidr\":\"10.0.0.1\""),
        ("csv", Some("csv"), "value,scope,type,expires,reason\n10.0.0.1,ip,ban,,\n"),
        ("nftables", None, "table inet portcullis_bad {\n\tset v4 {"),
        ("rbldnsd", None, "# list bad\n$DATASET ip4trie @\n10.0.0.1 :127.0.0.2:\n"),
    ] {
        let printed = home.cli(&["list", "export", "bad", "--format", format]).unwrap();
        assert!(printed.status.success(), "{format}: {printed:?}");
        assert!(out(&printed).starts_with(first), "{format}: {}", out(&printed));
        let file = home.path().join(format);
        let file = file.to_str().unwrap();
        let arguments = ["list", "export", "bad", "--format", format, "--output", file];
        // The second time it replaces what is there.
        for _ in 0..2 {
            let said = out(&home.cli(&arguments).unwrap());
            assert_eq!(said, format!("{file}: list bad as {format}, entries: 3\n"));
        }
        assert_eq!(fs::read_to_string(file).unwrap(), out(&printed), "{format}");
        if let Some(read_as) = read_as {
            let checked = json(&home.cli(&["list", "check", file, "--json"]).unwrap());
            let found = (&checked["format"], &checked["entries"], &checked["rejected"]);
            assert_eq!(found, (&json!(read_as), &json!(3), &json!([])), "{format}");
        }
    }
    let somewhere = home.path().join("no-folder").join("..");
    for (arguments, code) in [
        (&["list", "export", "none", "--format", "plain"][..], 2),
        (&["list", "export", "bad", "--format", "yaml"], 2),
        (&["list", "export", "bad"], 2),
        (
            &["list", "export", "bad", "--format", "csv", "--output", somewhere.to_str().unwrap()],
            69,
        ),
    ] {
        let output = home.cli(arguments).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    }
}
