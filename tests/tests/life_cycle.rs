//! The daemon from start to stop: service manager, reload, drain, faults of configuration, lists and disk.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use harness::daemon::Home;
use harness::deadline::wait_for;
use harness::memory::TightMemory;
use harness::needs;
use harness::netns::run;
use harness::site::Site;
use harness::smtp_client::{Attempt, End, SmtpClient};
use harness::smtp_server::{Options, SmtpServer};
use harness::stage::{EDGE_V4, Stage};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);
const MESSAGE: &str = "Subject: x\n\nbody\n";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The code of the first reply that a client at `address` hears.
fn greeting(stage: &Stage, address: &str) -> u16 {
    stage.connect(address.parse().unwrap()).unwrap().reply().unwrap().code
}

/// What `status` says about the list `name`.
fn list(stage: &Stage, name: &str) -> Value {
    let status = stage.status().unwrap();
    let lists = status["rules"]["lists"].as_array().unwrap();
    lists.iter().find(|list| list["name"] == name).unwrap().clone()
}

/// Waits until the list `name` has a fault with `text` in it.
fn wait_for_fault(stage: &Stage, name: &str, text: &str) {
    wait_for(&format!("`{text}` about {name}"), LONG, || {
        let fault = list(stage, name)["fault"].as_str().map(ToOwned::to_owned);
        Ok(fault.filter(|fault| fault.contains(text)))
    })
    .unwrap();
    stage.wait_for_alarm(&format!("list:{name}"), text).unwrap();
}

#[test]
fn the_service_manager_hears_of_each_step_and_a_reload_is_over_when_it_says_so() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel().list("bad", "local-bad", "", "203.0.113.1\n");
    let stage = site.stage(&["198.18.1.2", "198.51.100.66"]).unwrap();
    let mut daemon = stage.start().unwrap();
    assert_eq!(greeting(&stage, "198.18.1.2"), 220);
    // Another list, other words, another score: all of it is in force at READY.
    for round in 0..3 {
        let mut entries = "# many, so that reading takes a while\n198.51.100.66\n".to_owned();
        for number in 0..20_000 {
            writeln!(entries, "2001:db8:{round}:{number:x}::/64").unwrap();
        }
        let name = format!("more{round}");
        let site = site.clone().list(&name, "global-bad", "", "");
        stage.home.write(&format!("{name}.txt"), &entries).unwrap();
        stage.configure(&site.config().unwrap()).unwrap();
        daemon.hang_up().unwrap();
        daemon.wait_for_notification("RELOADING=1", LONG).unwrap();
        daemon.wait_for_notification("READY=1", LONG).unwrap();
        assert_eq!(list(&stage, &name)["entries"], 20_001);
        let attempt = stage.attempt("198.51.100.66".parse().unwrap(), LONG).unwrap();
        assert!(matches!(attempt, Attempt::Refused), "{attempt:?}");
    }
    daemon.signal(rustix::process::Signal::TERM).unwrap();
    daemon.wait_for_notification("STOPPING=1", LONG).unwrap();
    assert!(daemon.wait(LONG).unwrap().success());
    assert!(!stage.home.path().join("admin.sock").exists());
}

#[test]
fn a_reload_changes_what_it_can_and_a_faulty_one_changes_nothing() {
    if !needs::root() {
        return;
    }
    let site = |keys: &str| {
        Site::without_kernel().tables("[reply]\nbare = true").list(
            "bad",
            "local-bad",
            keys,
            "198.51.100.66\n",
        )
    };
    let stage = site("").stage(&["198.51.100.66"]).unwrap();
    let mut daemon = stage.start().unwrap();
    let mut reload = |config: &str| {
        stage.configure(config).unwrap();
        daemon.hang_up().unwrap();
        daemon.wait_for_notification("RELOADING=1", LONG).unwrap();
        daemon.wait_for_notification("READY=1", LONG).unwrap();
    };
    assert_eq!(greeting(&stage, "198.51.100.66"), 554);
    reload(&site("action = \"defer\"").config().unwrap());
    assert_eq!(greeting(&stage, "198.51.100.66"), 421);
    reload(&site("action = \"tag\"").config().unwrap());
    assert_eq!(greeting(&stage, "198.51.100.66"), 220);
    // A faulty one: what was in force stays, and an alarm says what is wrong, with its place.
    for (faulty, words) in [
        (site("action = \"explode\"").config().unwrap(), "list.action: \"explode\", expected"),
        (site("").config().unwrap() + "[[listener\n", "portcullis.toml:"),
        (
            site("").config().unwrap().replace("[[listener]]\naddress = \"[::]:25\"\n", ""),
            "listener: missing",
        ),
    ] {
        reload(&faulty);
        stage.wait_for_alarm("config", words).unwrap();
        assert_eq!(greeting(&stage, "198.51.100.66"), 220);
    }
    fs::remove_file(stage.home.path().join("portcullis.toml")).unwrap();
    daemon.hang_up().unwrap();
    daemon.wait_for_notification("RELOADING=1", LONG).unwrap();
    daemon.wait_for_notification("READY=1", LONG).unwrap();
    assert_eq!(greeting(&stage, "198.51.100.66"), 220);
    let mut reload = |config: &str| {
        stage.configure(config).unwrap();
        daemon.hang_up().unwrap();
        daemon.wait_for_notification("RELOADING=1", LONG).unwrap();
        daemon.wait_for_notification("READY=1", LONG).unwrap();
    };
    // What only a restart can change is said, the rest is in force.
    let other_log = format!("{}\n[log]\nformat = \"json\"\n", site("").config().unwrap());
    reload(&other_log);
    stage.wait_for_no_alarm("config").unwrap();
    stage.wait_for_alarm("restart", "[log] format").unwrap();
    assert_eq!(greeting(&stage, "198.51.100.66"), 554);
    // It still holds when the same is read again, and no longer when all is as it was at the start.
    reload(&other_log);
    assert!(stage.alarm("restart").unwrap().is_some());
    reload(&site("").config().unwrap());
    stage.wait_for_no_alarm("restart").unwrap();
}

#[test]
fn a_stop_lets_mail_in_hand_finish_and_sends_the_others_away() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel().stage(&["198.18.1.2", "198.18.1.3"]).unwrap();
    let mut daemon = stage.start().unwrap();
    let mut idle = stage.greeted("198.18.1.3").unwrap();
    let mut busy = stage.greeted("198.18.1.2").unwrap();
    for (command, code) in
        [("MAIL FROM:<a@example.com>", 250), ("RCPT TO:<b@example.org>", 250), ("DATA", 354)]
    {
        busy.send_line(command).unwrap();
        busy.expect(code).unwrap();
    }
    busy.send_raw(b"Subject: in hand\r\n\r\nfirst half\r\n").unwrap();
    daemon.signal(rustix::process::Signal::TERM).unwrap();
    daemon.wait_for_notification("STOPPING=1", LONG).unwrap();
    idle.expect(421).unwrap();
    assert_eq!(idle.ended().unwrap(), End::Closed);
    wait_for("no new connections", LONG, || {
        let attempt = stage.attempt("198.18.1.3".parse()?, LONG)?;
        Ok(matches!(attempt, Attempt::Refused).then_some(()))
    })
    .unwrap();
    busy.send_raw(b"second half\r\n.\r\n").unwrap();
    busy.expect(250).unwrap();
    busy.expect(421).unwrap();
    assert_eq!(busy.ended().unwrap(), End::Closed);
    assert!(daemon.wait(LONG).unwrap().success());
    assert!(stage.next_hop.delivered()[0].message().contains("second half"));
    // The last record was written before the end.
    assert_eq!(stage.records("198.18.1.2", "message", 1).unwrap()[0]["code"], "accept");
}

#[test]
fn there_is_one_daemon_for_a_state_folder_a_socket_and_a_port() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel().stage(&["198.18.1.2"]).unwrap();
    let daemon = stage.start().unwrap();
    let socket = stage.home.path().join("admin.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let own = fs::read_to_string(stage.home.path().join("portcullis.toml")).unwrap();
    let folder = stage.home.path().display().to_string();
    // Each of the others shares one thing with the first.
    let elsewhere = own.replace(&folder, "{dir}").replace("[::]:25", "[::]:26");
    let state = elsewhere.replace("{dir}/state", &format!("{folder}/state"));
    let admin = elsewhere.replace("{dir}/admin.sock", &format!("{folder}/admin.sock"));
    let port = elsewhere.replace("[::]:26", "[::]:25");
    for (config, words) in [
        (state, "another daemon keeps its state in"),
        (admin, "another daemon answers at"),
        (port, "cannot listen on [::]:25"),
    ] {
        let other = Home::new(&config, Some(&stage.edge)).unwrap();
        let output = other.run_in_vain(LONG).unwrap();
        assert_eq!(output.status.code(), Some(69), "{output:?}");
        assert!(said(&output).contains(words), "{}", said(&output));
        assert!(said(&output).contains("hint: "), "{}", said(&output));
    }
    // The first never noticed.
    assert_eq!(stage.status_number("/pid").unwrap(), u64::from(daemon_id(&stage)));
    assert_eq!(greeting(&stage, "198.18.1.2"), 220);
    drop(daemon);
    // What has the name and is no socket is left alone.
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "precious").unwrap();
    let output = stage.home.run_in_vain(LONG).unwrap();
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

/// The process that listens on port 25 of the edge host.
fn daemon_id(stage: &Stage) -> u32 {
    let output = run(stage.edge.command("ss").args(["-Hltnp", "sport", "=", ":25"])).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let id = text.split("pid=").nth(1).and_then(|rest| rest.split(',').next());
    id.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

#[test]
fn both_wildcard_addresses_can_be_listened_on() {
    if !needs::root() {
        return;
    }
    for order in [["0.0.0.0:25", "[::]:25"], ["[::]:25", "0.0.0.0:25"]] {
        let stage = Site::without_kernel().stage(&["198.18.1.2", "2001:db8:feed::1"]).unwrap();
        let config = Site::without_kernel().config().unwrap();
        let [first, second] = order.map(|address| format!("address = \"{address}\"\n"));
        let both = format!("{first}[[listener]]\n{second}");
        stage.configure(&config.replace("address = \"[::]:25\"\n", &both)).unwrap();
        let _daemon = stage.start().unwrap();
        for client in ["198.18.1.2", "2001:db8:feed::1"] {
            assert_eq!(greeting(&stage, client), 220);
        }
    }
}

#[test]
fn all_faults_of_a_configuration_are_told_at_once_and_nothing_is_started() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel()
        .top("hostnam = \"typo\"")
        .tables("[score]\nallow = 50\ndelay = 50\nreject = 50")
        .tables("[limits]\nheader = \"huge\"")
        .list("bad", "locl-bad", "", "")
        .list("bad", "local-bad", "action = \"score\"", "");
    let stage = site.stage(&["198.18.1.2"]).unwrap();
    let output = stage.home.run_in_vain(LONG).unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = said(&output);
    for words in [
        ":hostnam: unknown key",
        "did you mean `hostname`?",
        ":score",
        ":limits.header: \"huge\"",
        ":list.class: \"locl-bad\"",
        ":list.action: \"score\" without weight",
        "list.name: \"bad\"",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    let file = stage.home.path().join("portcullis.toml").display().to_string();
    assert!(said.matches(&file).count() >= 6, "{said}");
    for left in ["state", "admin.sock", "audit.jsonl"] {
        assert!(!stage.home.path().join(left).exists(), "{left}");
    }
    assert!(!stage.pin_dir().exists());
    // What no parser can know: places that cannot be written.
    let site = Site::without_kernel().config().unwrap();
    for (config, words) in [
        (
            site.replace("{dir}/audit.jsonl", "/proc/none/audit.jsonl"),
            "cannot write /proc/none/audit.jsonl",
        ),
        (site.replace("{dir}/state", "/proc/none/state"), "cannot write /proc/none/state"),
    ] {
        stage.configure(&config).unwrap();
        let output = stage.home.run_in_vain(LONG).unwrap();
        assert_eq!(output.status.code(), Some(78), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(words) && said.contains("hint: "), "{said}");
    }
}

/// What happens to a file, how, and what is said about it.
type Accident<'a> = (&'a str, &'a dyn Fn(), &'a str);

/// A small file system that can be full, unmounted in the end.
struct Small(PathBuf);

impl Small {
    fn new(folder: &Path) -> Self {
        fs::create_dir(folder).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=64k", "none"];
        run(Command::new("mount").args(options).arg(folder)).unwrap();
        Self(folder.to_owned())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(run(Command::new("umount").arg("-l").arg(&self.0)));
    }
}

#[test]
fn on_a_full_disk_records_wait_and_mail_does_not() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel();
    let stage = site.stage(&["198.18.1.2"]).unwrap();
    let small = Small::new(&stage.home.path().join("small"));
    let config = site.config().unwrap().replace("{dir}/audit.jsonl", "{dir}/small/audit.jsonl");
    stage.configure(&config).unwrap();
    let trail = small.0.join("audit.jsonl");
    symlink(&trail, stage.home.path().join("audit.jsonl")).unwrap();
    let daemon = stage.start().unwrap();
    let deliver = || {
        let mut client = stage.greeted("198.18.1.2").unwrap();
        assert_eq!(client.deliver("a@example.com", &["b@example.org"], MESSAGE).unwrap().code, 250);
    };
    deliver();
    stage.records("198.18.1.2", "message", 1).unwrap();
    let ballast = small.0.join("ballast");
    let filled = run(Command::new("dd")
        .args(["if=/dev/zero", "bs=1k"])
        .arg(format!("of={}", ballast.display())));
    assert!(filled.is_err(), "the disk is full");
    let mut delivered = 1;
    // The last block of the trail may still have room.
    wait_for("an alarm about the trail", LONG, || {
        deliver();
        delivered += 1;
        stage.alarm("audit")
    })
    .unwrap();
    assert_eq!(stage.next_hop.delivered().len(), delivered);
    stage.wait_for_alarm("audit", "No space left").unwrap();
    assert!(stage.status_number("/audit/waiting").unwrap() > 0);
    // The store is on another disk, and goes on.
    let found = stage.home.cli(&["audit", "export", "--phase", "message"]).unwrap();
    let found = String::from_utf8(found.stdout).unwrap().lines().count();
    assert!(found + 1 >= delivered, "{found} of {delivered}");
    // With room again the trail goes on: every line is whole but the one that was torn.
    fs::remove_file(&ballast).unwrap();
    deliver();
    stage.wait_for_no_alarm("audit").unwrap();
    let all = 2 * (u64::try_from(delivered).unwrap() + 1);
    wait_for("all records to be written", LONG, || {
        Ok((stage.status_number("/audit/written")? == all).then_some(()))
    })
    .unwrap();
    assert_eq!(stage.status_number("/audit/lost").unwrap(), 0, "none is forgotten");
    let text = fs::read_to_string(&trail).unwrap();
    let whole = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count();
    assert!(text.lines().count() - whole <= 1, "{text}");
    assert_eq!(u64::try_from(whole).unwrap(), all);
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn a_list_keeps_its_last_good_entries_through_accidents_and_a_restart() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel().list("bad", "local-bad", "", "198.51.100.66\n203.0.113.0/24\n");
    let stage = site.stage(&["198.51.100.66", "198.18.1.2"]).unwrap();
    let mut daemon = stage.start().unwrap();
    let file = stage.home.path().join("bad.txt");
    let refused = |what: &str| {
        let attempt = stage.attempt("198.51.100.66".parse().unwrap(), LONG).unwrap();
        assert!(matches!(attempt, Attempt::Refused), "{what}: {attempt:?}");
        assert_eq!(list(&stage, "bad")["entries"], 2, "{what}");
    };
    let remove = || {
        // A folder may have the name by now.
        if fs::remove_file(&file).is_err() {
            fs::remove_dir(&file).unwrap();
        }
    };
    let good = || {
        stage.home.write("bad.txt", "198.51.100.66\n203.0.113.0/24\n").unwrap();
        stage.wait_for_no_alarm("list:bad").unwrap();
    };
    let accidents: [Accident<'_>; 6] = [
        ("removed", &remove, "No such file"),
        ("emptied", &|| fs::write(&file, "").unwrap(), "has no entries"),
        ("only comments left", &|| fs::write(&file, "# all gone\n").unwrap(), "has no entries"),
        ("only nonsense left", &|| fs::write(&file, "not found\n").unwrap(), "rejected lines: 1"),
        (
            "a web page",
            &|| fs::write(&file, "<html>\n192.0.2.9\n</html>\n").unwrap(),
            "is a web page, no list",
        ),
        (
            "a folder",
            &|| {
                remove();
                fs::create_dir(&file).unwrap();
            },
            "regular file",
        ),
    ];
    for (what, accident, words) in accidents {
        accident();
        wait_for_fault(&stage, "bad", words);
        refused(what);
        // A reload and a restart fall back to the same entries.
        daemon.hang_up().unwrap();
        daemon.wait_for_notification("RELOADING=1", LONG).unwrap();
        daemon.wait_for_notification("READY=1", LONG).unwrap();
        refused(what);
        daemon.kill().unwrap();
        daemon = stage.start().unwrap();
        wait_for_fault(&stage, "bad", words);
        refused(what);
        let looked = stage.home.cli_json(&["lookup", "--json", "198.51.100.66"]).unwrap();
        assert_eq!(looked[0]["code"], "sys-deny-ip", "{what}");
        if what == "a folder" {
            remove();
        }
        good();
    }
    assert_eq!(greeting(&stage, "198.18.1.2"), 220);
}

#[test]
fn a_malformed_line_is_reported_and_the_others_are_in_force() {
    if !needs::root() {
        return;
    }
    let hostile = format!("{}\n", "x".repeat(100_000));
    let lines = format!(
        "198.51.100.66\n300.1.2.3 spam\n\u{1b}[31mred\n203.0.113.0/24/24\n10.0.0.0/7\n::/0\n{hostile}198.51.100.67-198.51.100.68\n"
    );
    let site = Site::with_kernel().list("bad", "local-bad", "", &lines).list(
        "good",
        "local-good",
        "",
        "0.0.0.0/0\n128.0.0.0/1\n198.51.100.68\n",
    );
    let stage = site.stage(&["198.51.100.66", "198.51.100.67", "198.51.100.68"]).unwrap();
    let daemon = stage.start().unwrap();
    for (client, refused) in
        [("198.51.100.66", true), ("198.51.100.67", true), ("198.51.100.68", false)]
    {
        let attempt = stage.attempt(client.parse().unwrap(), LONG).unwrap();
        assert_eq!(matches!(attempt, Attempt::Refused), refused, "{client}");
    }
    assert_eq!(list(&stage, "bad")["rejected"], 6);
    assert_eq!(list(&stage, "good")["rejected"], 2);
    let bad = stage.home.path().join("bad.txt").display().to_string();
    let good = stage.home.path().join("good.txt").display().to_string();
    for words in [
        format!("{bad}:2: `300.1.2.3 spam`: `300.1.2.3` is no IP address, expected one like"),
        format!(
            "{bad}:5: `10.0.0.0/7`: 10.0.0.0/7 covers too much, expected a prefix of /8 or longer"
        ),
        format!("{bad}:6: `::/0`: "),
        format!("{good}:1: `0.0.0.0/0`: "),
    ] {
        assert!(daemon.log().contains(&words), "{words} in {}", daemon.log());
    }
    assert!(!daemon.log().contains('\u{1b}'), "control characters are escaped");
    assert!(daemon.log().len() < 20_000, "what a line shows is capped");
    stage.wait_for_alarm("list:bad", "rejected lines: 6, the first in ").unwrap();
    stage.wait_for_alarm("list:good", "good.txt is line 1: ").unwrap();
    let output = stage.home.cli(&["list", "check"]).unwrap();
    assert_eq!(output.status.code(), Some(1));
    // Once they are put right the alarm goes.
    stage.home.write("good.txt", "198.51.100.68\n").unwrap();
    stage.wait_for_no_alarm("list:good").unwrap();
}

#[test]
fn what_this_host_depends_on_is_a_hole_in_every_list() {
    if !needs::root() {
        return;
    }
    let relay = "198.51.100.25";
    let site = Site::with_kernel()
        .xdp("interfaces = [\"eth0\"]\naction = \"drop\"\n")
        .top("trusted_relays = [\"198.51.100.25\"]")
        .list(
            "world",
            "global-bad",
            "",
            "192.0.2.0/24\n198.51.100.0/24\n127.0.0.0/8\n2001:db8:25::/64\n::1\n",
        );
    let stage = site.stage(&[relay, "198.51.100.66", "192.0.2.77"]).unwrap();
    let _daemon = stage.start().unwrap();
    // The gateway, and the relay.
    for client in ["192.0.2.2", "2001:db8:25::2", relay] {
        assert_eq!(greeting(&stage, client), 220, "{client}");
    }
    // The host itself, over its loopback and over its own address.
    for own in ["127.0.0.1", "192.0.2.1", "::1", "2001:db8:25::1"] {
        let (from, to) = (own.parse().unwrap(), SocketAddr::new(own.parse().unwrap(), 25));
        let mut client = stage.edge.run(|| SmtpClient::connect(Some(from), to).unwrap()).unwrap();
        client.expect(220).unwrap();
    }
    // Their neighbours in the same entries are refused.
    for client in ["198.51.100.66", "192.0.2.77"] {
        let attempt = stage.attempt(client.parse().unwrap(), Duration::from_millis(500)).unwrap();
        assert!(matches!(attempt, Attempt::TimedOut), "{client}: {attempt:?}");
    }
    let protected = stage.status().unwrap()["rules"]["protected"].clone();
    for expected in ["127.0.0.0/8", "192.0.2.1", "192.0.2.2", "198.51.100.25", "2001:db8:25::1"] {
        assert!(protected.as_array().unwrap().contains(&json!(expected)), "{protected}");
    }
    let looked = stage.home.cli_json(&["lookup", "--json", "192.0.2.2"]).unwrap();
    assert_eq!(
        (&looked[0]["skipped"], &looked[0]["action"]),
        (&json!("protected"), &json!("accept"))
    );
    assert_eq!(looked[0]["kernel"]["list"], "(protected)");
    // An address that the host gets later is protected as well, within a few seconds.
    stage.edge.addresses("eth0", &["198.51.100.200/32"]).unwrap();
    wait_for("the new address to be protected", LONG, || {
        let protected = stage.status()?["rules"]["protected"].clone();
        Ok(protected
            .as_array()
            .is_some_and(|all| all.contains(&json!("198.51.100.200")))
            .then_some(()))
    })
    .unwrap();
    let to = SocketAddr::new("198.51.100.200".parse().unwrap(), 25);
    stage.sender.ip("route add 198.51.100.200 via 192.0.2.1").unwrap();
    let attempt = |from: &str, to| {
        let from = Some(from.parse().unwrap());
        stage
            .sender
            .run(|| SmtpClient::attempt(from, to, Duration::from_millis(500)).unwrap())
            .unwrap()
    };
    // And it is an address whose port 25 is filtered.
    assert!(matches!(attempt("198.51.100.66", to), Attempt::TimedOut));
    assert!(matches!(attempt("192.0.2.2", to), Attempt::Connected(_)));
    assert!(matches!(attempt("192.0.2.2", SocketAddr::new(EDGE_V4, 25)), Attempt::Connected(_)));
}

#[test]
fn a_next_hop_given_by_its_address_is_protected_too() {
    if !needs::root() {
        return;
    }
    let behind = "198.51.100.9:10025";
    let site = Site::without_kernel().next_hop_at(behind).list(
        "world",
        "global-bad",
        "",
        "198.51.100.0/24\n",
    );
    let stage = site.stage(&["198.51.100.9", "198.51.100.10"]).unwrap();
    let behind = behind.parse().unwrap();
    let next_hop =
        stage.sender.run(|| SmtpServer::start(behind, Options::default()).unwrap()).unwrap();
    stage.edge.ip("route add 198.51.100.0/24 via 192.0.2.2").unwrap();
    let _daemon = stage.start().unwrap();
    assert_eq!(greeting(&stage, "198.51.100.10"), 554);
    let mut client = stage.greeted("198.51.100.9").unwrap();
    assert_eq!(client.deliver("a@example.com", &["b@example.org"], MESSAGE).unwrap().code, 250);
    assert_eq!(next_hop.delivered().len(), 1);
}

/// The kernel has no memory for a new table: the old one stays in force, the daemon decides by the new rules, and once
/// there is memory the kernel follows.
#[test]
fn without_memory_for_a_new_table_the_old_one_stays() {
    if !needs::root() || !needs::memory_groups() {
        return;
    }
    let site = Site::with_kernel().list("bad", "local-bad", "", "198.51.100.66\n");
    let stage = site.stage(&["198.51.100.66", "198.51.100.67", "198.18.1.2"]).unwrap();
    let daemon = stage.start().unwrap();
    let meets = |client: &str| match stage.attempt(client.parse().unwrap(), LONG).unwrap() {
        Attempt::Refused => 0,
        Attempt::Connected(mut client) => client.reply().unwrap().code,
        other => panic!("{client}: {other:?}"),
    };
    assert_eq!((meets("198.51.100.66"), meets("198.51.100.67")), (0, 220));
    // The smallest table takes 4 MiB.
    let tight = TightMemory::new(&daemon, "refresh", 2 << 20).unwrap();
    stage.home.write("bad.txt", "198.51.100.66\n198.51.100.67\n").unwrap();
    let alarm = stage.wait_for_alarm("xdp-rules", "the kernel has not all of the rules").unwrap();
    assert!(alarm.contains("map BAD_V4: ") && alarm.contains("Cannot allocate memory"), "{alarm}");
    assert!(tight.refusals().unwrap() > 0);
    assert_eq!(meets("198.51.100.66"), 0, "the old table stays");
    assert_eq!(meets("198.51.100.67"), 554, "the daemon decides by the new list");
    assert_eq!(meets("198.18.1.2"), 220);
    // One that is taken out is good for the daemon, and for the kernel only when it follows.
    stage.home.write("bad.txt", "198.51.100.67\n").unwrap();
    wait_for("the new list in the daemon", LONG, || {
        Ok((list(&stage, "bad")["entries"] == 1).then_some(()))
    })
    .unwrap();
    assert_eq!(meets("198.51.100.66"), 0, "still the old table");
    tight.relax().unwrap();
    stage.wait_for_no_alarm("xdp-rules").unwrap();
    assert_eq!((meets("198.51.100.66"), meets("198.51.100.67")), (220, 0));
    assert!(daemon.terminate().unwrap().success());
}
