//! What the daemon may do once it has begun: who it is, what the kernel lets it do, which files it reaches.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::time::Duration;

use harness::daemon::{Daemon, Home};
use harness::deadline::wait_for;
use harness::needs;
use harness::site::Site;
use harness::smtp_client::Attempt;
use harness::stage::Stage;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);
const NOBODY: u32 = 65_534;
const MESSAGE: &str = "Subject: x\n\nbody\n";

/// `CAP_NET_ADMIN`, `CAP_PERFMON`, `CAP_BPF` (capability.h).
const FILTER: u64 = 1 << 12 | 1 << 38 | 1 << 39;

/// What each thread of `daemon` has under `name` in its status.
fn of_all_threads(daemon: &Daemon, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.id())).unwrap();
    let mut found: Vec<_> = tasks
        .filter_map(|task| {
            // A thread may end meanwhile.
            let status = fs::read_to_string(task.unwrap().path().join("status")).ok()?;
            let line = status.lines().find(|line| line.starts_with(&format!("{name}:")));
            let words = line.unwrap_or_else(|| panic!("{name}")).split_whitespace().skip(1);
            Some(words.collect::<Vec<_>>().join(" "))
        })
        .collect();
    assert!(found.len() > 3, "{found:?}");
    found.sort_unstable();
    found.dedup();
    found
}

#[track_caller]
fn assert_has_only(daemon: &Daemon, capabilities: u64) {
    let hexadecimal = |mask: u64| format!("{mask:016x}");
    for (name, expected) in [
        ("Uid", format!("{NOBODY} {NOBODY} {NOBODY} {NOBODY}")),
        ("Gid", format!("{NOBODY} {NOBODY} {NOBODY} {NOBODY}")),
        ("CapPrm", hexadecimal(capabilities)),
        ("CapEff", hexadecimal(capabilities)),
        ("CapInh", hexadecimal(0)),
        ("CapAmb", hexadecimal(0)),
        ("CapBnd", hexadecimal(capabilities)),
        ("NoNewPrivs", "1".to_owned()),
    ] {
        assert_eq!(of_all_threads(daemon, name), [expected], "{name}");
    }
}

fn refused(stage: &Stage, client: &str) -> bool {
    let attempt = stage.attempt(client.parse().unwrap(), LONG).unwrap();
    matches!(attempt, Attempt::Refused)
}

fn wait_until_refused(stage: &Stage, client: &str, expected: bool) {
    wait_for(&format!("{client}: refused {expected}"), LONG, || {
        Ok((refused(stage, client) == expected).then_some(()))
    })
    .unwrap();
}

/// A list with `entry` and `count` hosts far from each other: the more, the larger the tables in the kernel.
fn many(entry: &str, count: u32) -> String {
    const ODD: u32 = 0x9e37_79b1;
    let mut text = format!("{entry}\n");
    for number in 0..count {
        let [a, b, c, d] = number.wrapping_mul(ODD).to_be_bytes();
        writeln!(text, "11.{b}.{c}.{d}\n2a00:{a:x}{b:02x}:{c:x}{d:02x}::1").unwrap();
    }
    text
}

/// What lies in the folder of the pins; nothing, too, where the folder is gone.
fn pinned(stage: &Stage) -> Vec<String> {
    let names = match fs::read_dir(stage.pin_dir()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        names => names.unwrap(),
    };
    names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect()
}

/// How many lines the kernel's tables have.
fn lines(stage: &Stage) -> Vec<Value> {
    let shown = stage.home.cli_json(&["xdp", "status", "--json"]).unwrap();
    let tables = shown["tables"].as_array().unwrap();
    tables.iter().map(|table| table["lines"].clone()).collect()
}

#[test]
fn a_daemon_that_was_root_keeps_three_capabilities_and_does_all_of_its_work() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel().top("user = \"nobody\"").list(
        "bad",
        "local-bad",
        "",
        "198.51.100.66\n",
    );
    let stage = site.stage(&["198.18.1.2", "198.51.100.66", "198.51.100.67"]).unwrap();
    stage.home.give_to(NOBODY).unwrap();
    let daemon = stage.start().unwrap();
    assert_has_only(&daemon, FILTER);
    assert_eq!(of_all_threads(&daemon, "Groups"), [NOBODY.to_string()]);
    let rights = stage.status().unwrap()["rights"].clone();
    assert_eq!((&rights["user"], &rights["uid"]), (&json!("nobody"), &json!(NOBODY)));
    assert_eq!(rights["capabilities"], json!(["CAP_NET_ADMIN", "CAP_PERFMON", "CAP_BPF"]));
    assert_eq!(stage.status().unwrap()["xdp"]["mode"], "native", "{}", daemon.log());
    assert!(refused(&stage, "198.51.100.66"));
    let mut client = stage.greeted("198.18.1.2").unwrap();
    assert_eq!(client.deliver("a@example.com", &["b@example.org"], MESSAGE).unwrap().code, 250);
    stage.records("198.18.1.2", "message", 1).unwrap();
    let smallest = lines(&stage);
    // A few changes, then tables made anew, then larger ones with a program of their own.
    for (entries, count) in
        [("198.51.100.66\n198.51.100.67", 0), ("198.51.100.67", 500), ("198.51.100.67", 60_000)]
    {
        stage.home.write("bad.txt", &many(entries, count)).unwrap();
        wait_until_refused(&stage, "198.51.100.67", true);
        wait_until_refused(&stage, "198.51.100.66", entries.contains(".66"));
        assert_eq!(stage.alarm("xdp-rules").unwrap(), None, "{}", daemon.log());
    }
    wait_for("larger tables", LONG, || Ok((lines(&stage) != smallest).then_some(()))).unwrap();
    assert_eq!(stage.alarm("xdp-rules").unwrap(), None, "{}", daemon.log());
    // A reload, and a change by hand.
    daemon.hang_up().unwrap();
    daemon.wait_for_log("reload: done", LONG).unwrap();
    let added = stage.home.cli(&["list", "add", "bad", "198.51.100.66"]).unwrap();
    assert!(added.status.success(), "{added:?}");
    wait_until_refused(&stage, "198.51.100.66", true);
    // What it left is its own, and is adopted after a death.
    for name in ["state", "state/senders.db", "audit.jsonl"] {
        assert_eq!(fs::metadata(stage.home.path().join(name)).unwrap().uid(), NOBODY, "{name}");
    }
    daemon.kill().unwrap();
    assert!(refused(&stage, "198.51.100.67"), "the kernel refuses on its own");
    let daemon = stage.start().unwrap();
    assert!(!daemon.log().contains("not adopted"), "{}", daemon.log());
    let interfaces = stage.status().unwrap()["xdp"]["interfaces"].clone();
    assert_eq!(
        (&interfaces[0]["adopted"], &interfaces[0]["mode"]),
        (&json!(true), &json!("native"))
    );
    assert!(refused(&stage, "198.51.100.67"));
    // Commands of root find all of it.
    let shown = stage.home.cli_json(&["xdp", "status", "--json"]).unwrap();
    assert_eq!(shown["interfaces"][0]["running"], true, "{shown}");
    assert!(daemon.terminate().unwrap().success());
    assert_ne!(pinned(&stage), [""; 0]);
    assert!(stage.home.cli(&["xdp", "detach"]).unwrap().status.success());
    assert_eq!(pinned(&stage), [""; 0]);
}

#[test]
fn what_root_left_behind_is_taken_up_by_the_user() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel().list("bad", "local-bad", "", "198.51.100.66\n");
    let stage = site.stage(&["198.51.100.66", "198.18.1.2"]).unwrap();
    let daemon = stage.start().unwrap();
    assert_eq!(of_all_threads(&daemon, "Uid"), ["0 0 0 0"]);
    assert!(daemon.log().contains("runs as root"), "{}", daemon.log());
    daemon.kill().unwrap();
    stage.configure(&site.top("user = \"nobody\"").config().unwrap()).unwrap();
    // Its folder is the operator's business, the audit file in it, too.
    chown(stage.home.path(), Some(NOBODY), None).unwrap();
    for name in ["admin.sock", "audit.jsonl"] {
        chown(stage.home.path().join(name), Some(NOBODY), None).unwrap();
    }
    let daemon = stage.start().unwrap();
    assert_has_only(&daemon, FILTER);
    let interfaces = stage.status().unwrap()["xdp"]["interfaces"].clone();
    assert_eq!(interfaces[0]["adopted"], true, "{}", daemon.log());
    assert!(!daemon.log().contains("not adopted"), "{}", daemon.log());
    assert!(refused(&stage, "198.51.100.66"));
    assert_eq!(stage.alarm("xdp").unwrap(), None);
}

/// As a service manager does with `User=` and `AmbientCapabilities=`, and tmpfiles.d for the folders.
#[test]
fn a_daemon_that_was_never_root_needs_only_what_the_service_manager_gives() {
    if !needs::root() || !needs::program("setpriv") {
        return;
    }
    let site = Site::with_kernel().list("bad", "local-bad", "", "198.51.100.66\n");
    let stage = site.stage(&["198.51.100.66", "198.51.100.67", "198.18.1.2"]).unwrap();
    stage.home.give_to(NOBODY).unwrap();
    let pins = stage.pin_dir();
    let outer = fs::metadata("/sys/fs/bpf").unwrap().permissions().mode();
    fs::set_permissions("/sys/fs/bpf", Permissions::from_mode(outer | 0o001)).unwrap();
    fs::create_dir(pins).unwrap();
    chown(pins, Some(NOBODY), Some(NOBODY)).unwrap();
    let given = "+net_admin,+net_bind_service,+cap_38,+cap_39";
    let (inheritable, ambient) = (format!("--inh-caps={given}"), format!("--ambient-caps={given}"));
    let bounding = format!("--bounding-set=-all,{given}");
    let starter = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        &inheritable,
        &ambient,
        &bounding,
        "--",
    ];
    let daemon = stage.home.start_with(stage.home.command_by(&starter), &[]).unwrap();
    let with_port = FILTER | 1 << 10;
    assert_eq!(of_all_threads(&daemon, "CapEff"), [format!("{FILTER:016x}")]);
    assert_eq!(of_all_threads(&daemon, "CapPrm"), [format!("{FILTER:016x}")]);
    assert_eq!(of_all_threads(&daemon, "CapAmb"), [format!("{:016x}", 0)]);
    assert_eq!(of_all_threads(&daemon, "CapBnd"), [format!("{with_port:016x}")]);
    assert_eq!(stage.status().unwrap()["xdp"]["mode"], "native", "{}", daemon.log());
    assert!(refused(&stage, "198.51.100.66"));
    stage.home.write("bad.txt", &many("198.51.100.67", 500)).unwrap();
    wait_until_refused(&stage, "198.51.100.67", true);
    assert_eq!(stage.alarm("xdp-rules").unwrap(), None);
}

/// The daemon has no rights in the kernel at all: root puts the filter there, and the daemon keeps it up to date.
#[test]
fn a_daemon_without_capabilities_keeps_up_to_date_what_root_has_attached() {
    if !needs::root() || !needs::program("setpriv") {
        return;
    }
    let site = Site::with_kernel().top("user = \"nobody\"").list(
        "bad",
        "local-bad",
        "",
        "198.51.100.66\n",
    );
    let stage = site.stage(&["198.51.100.66", "198.51.100.67", "198.18.1.2"]).unwrap();
    stage.home.give_to(NOBODY).unwrap();
    let port = "--ambient-caps=+net_bind_service";
    let starter = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=+net_bind_service",
        port,
        "--bounding-set=-all,+net_bind_service",
        "--",
    ];
    let start = || stage.home.start_with(stage.home.command_by(&starter), &[]).unwrap();
    let attach = || stage.home.cli(&["xdp", "attach"]).unwrap();
    // Without a filter the daemon decides everything, and says why.
    let daemon = start();
    stage.wait_for_alarm("xdp", "`portcullis xdp attach`").unwrap();
    let code =
        |address: &str| stage.connect(address.parse().unwrap()).unwrap().reply().unwrap().code;
    assert_eq!((code("198.51.100.66"), code("198.18.1.2")), (554, 220));
    // Not beside a daemon.
    let output = attach();
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(daemon.terminate().unwrap().success());
    let output = attach();
    assert!(output.status.success(), "{output:?}");
    assert!(refused(&stage, "198.51.100.66"), "before there is a daemon");
    let daemon = start();
    assert_eq!(of_all_threads(&daemon, "CapEff"), [format!("{:016x}", 0)]);
    assert_eq!(of_all_threads(&daemon, "CapPrm"), [format!("{:016x}", 0)]);
    let status = stage.status().unwrap();
    assert_eq!(status["xdp"]["mode"], "native", "{}", daemon.log());
    assert_eq!(status["xdp"]["interfaces"][0]["adopted"], true);
    assert_eq!(stage.alarm("xdp").unwrap(), None);
    // Tables change places as often as is wanted, to and fro.
    for round in 0..4 {
        let (bad, good) = if round % 2 == 0 { ("67", "66") } else { ("66", "67") };
        stage.home.write("bad.txt", &many(&format!("198.51.100.{bad}"), 100 + round)).unwrap();
        wait_until_refused(&stage, &format!("198.51.100.{bad}"), true);
        wait_until_refused(&stage, &format!("198.51.100.{good}"), false);
        assert_eq!(stage.alarm("xdp-rules").unwrap(), None, "{round}: {}", daemon.log());
    }
    // A table that has to grow is root's business; the daemon decides by the new list meanwhile.
    let before = lines(&stage);
    stage.home.write("bad.txt", &many("198.51.100.67", 60_000)).unwrap();
    stage.wait_for_alarm("xdp-rules", "have outgrown the tables").unwrap();
    assert_eq!(code("198.51.100.67"), 554);
    assert!(refused(&stage, "198.51.100.66"), "the old table stays");
    assert!(daemon.terminate().unwrap().success());
    assert!(attach().status.success());
    let daemon = start();
    assert!(refused(&stage, "198.51.100.67"), "{}", daemon.log());
    assert_eq!(stage.alarm("xdp-rules").unwrap(), None, "{}", daemon.log());
    assert_ne!(before, lines(&stage));
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn files_that_the_configuration_did_not_name_are_out_of_reach_until_a_restart() {
    if !needs::root() {
        return;
    }
    let site = |keys: &str, file: &Path| {
        let list = format!("[[list]]\nname = \"bad\"\nclass = \"local-bad\"\nfile = {file:?}");
        Site::without_kernel().top(keys).tables(&list)
    };
    let elsewhere = tempfile::tempdir().unwrap();
    for (keys, confined) in [("", true), ("landlock = false", false)] {
        let stage = Site::without_kernel().stage(&["198.51.100.66", "198.51.100.67"]).unwrap();
        let near = stage.home.write("near.txt", "198.51.100.66\n").unwrap();
        let far = elsewhere.path().join("far.txt");
        fs::write(&far, "198.51.100.67\n").unwrap();
        stage.configure(&site(keys, &near).config().unwrap()).unwrap();
        let mut daemon = stage.start().unwrap();
        let reach = stage.status().unwrap()["rights"]["landlock"].clone();
        assert_eq!(reach, if confined { "full" } else { "off" }, "{}", daemon.log());
        let code =
            |address: &str| stage.connect(address.parse().unwrap()).unwrap().reply().unwrap().code;
        assert_eq!((code("198.51.100.66"), code("198.51.100.67")), (554, 220));
        stage.configure(&site(keys, &far).config().unwrap()).unwrap();
        daemon.hang_up().unwrap();
        daemon.wait_for_notification("RELOADING=1", LONG).unwrap();
        daemon.wait_for_notification("READY=1", LONG).unwrap();
        if confined {
            let alarm = stage.wait_for_alarm("restart", "cannot be read before a restart").unwrap();
            assert!(alarm.contains(&far.display().to_string()), "{alarm}");
            assert_eq!(code("198.51.100.66"), 554, "the last good copy stays");
            daemon.terminate().unwrap();
            let _again = stage.start().unwrap();
            assert_eq!((code("198.51.100.66"), code("198.51.100.67")), (220, 554));
            assert_eq!(stage.alarm("restart").unwrap(), None);
        } else {
            assert_eq!((code("198.51.100.66"), code("198.51.100.67")), (220, 554));
        }
    }
}

#[test]
fn what_cannot_be_is_said_at_once() {
    if !needs::root() {
        return;
    }
    let outer = tempfile::tempdir().unwrap();
    let foreign = outer.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    chown(&foreign, Some(1), None).unwrap();
    let shared = outer.path().join("shared");
    fs::create_dir_all(shared.join("others")).unwrap();
    let state = |folder: &Path| format!("user = \"nobody\"\n#{}", folder.display());
    for (keys, state_dir, words) in [
        (
            "user = \"no-such-user\"".to_owned(),
            None,
            "user `no-such-user`, expected one that this host knows",
        ),
        ("user = \"root\"".to_owned(), None, "user `root`, expected one that is not root"),
        (
            "user = \"nobody\"\ngroup = \"no-such-group\"".to_owned(),
            None,
            "group `no-such-group`, expected one",
        ),
        (state(&foreign), Some(&foreign), "belongs to user number 1, expected root or `nobody`"),
        (state(&shared), Some(&shared), "holds what is not the daemon's"),
    ] {
        let site = Site::without_kernel().top(&keys).next_hop_at("127.0.0.1:10025");
        let config = site.config().unwrap().replace("{pins}", "/sys/fs/bpf/x");
        let config = match state_dir {
            Some(folder) => config.replace("{dir}/state", &folder.display().to_string()),
            None => config,
        };
        let home = Home::new(&config, None).unwrap();
        for command in ["run", "check"] {
            // A look at folders is no part of `check`, which changes nothing.
            if command == "check" && state_dir.is_some() {
                continue;
            }
            let output =
                if command == "run" { home.run_in_vain(LONG) } else { home.cli(&["check"]) };
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(78), "{command}: {said}");
            assert!(said.contains(words) && said.contains("hint: "), "{command}: {said}");
        }
    }
}

#[test]
fn check_names_the_files_that_the_user_cannot_read() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel().top("user = \"nobody\"").list(
        "bad",
        "local-bad",
        "",
        "198.51.100.66\n",
    );
    let stage = site.stage(&["198.51.100.66"]).unwrap();
    let file = stage.home.path().join("bad.txt");
    fs::set_permissions(stage.home.path(), Permissions::from_mode(0o755)).unwrap();
    let notices = || stage.home.cli_json(&["check", "--json"]).unwrap()["notices"].to_string();
    assert!(!notices().contains("may not read"), "{}", notices());
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let told = format!("`nobody` may not read {}", file.display());
    assert!(notices().contains(&told), "{}", notices());
    let value: Value = stage.home.cli_json(&["check", "--json"]).unwrap();
    assert_eq!(value["ok"], true);
}
