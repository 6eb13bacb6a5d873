//! Diagnosis of a host that runs: levels raised for a while, an address that is followed, what `doctor` finds.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use gateway::admin;
use harness::daemon::Daemon;
use harness::deadline::{Deadline, wait_for};
use harness::dns_server::DnsServer;
use harness::needs;
use harness::site::Site;
use harness::smtp_client::Attempt;
use harness::stage::Stage;
use serde_json::{Value, json};

const SHORT: Duration = Duration::from_millis(700);
const LONG: Duration = Duration::from_secs(20);

/// Refused by the kernel filter, by the daemon, by nobody; another network that nobody follows.
const REFUSED: &str = "198.18.3.3";
const REJECTED: &str = "198.18.3.5";
const CLEAN: &str = "198.18.3.9";
const OTHER: &str = "198.18.1.2";

fn lists(site: Site) -> Site {
    site.list("bad", "local-bad", "", "198.18.3.3\n").list(
        "rejected",
        "local-bad",
        "kernel = \"off\"",
        "198.18.3.5\n",
    )
}

fn deliver(stage: &Stage, client: &str) {
    let mut session = stage.greeted(client).unwrap();
    let message = "Received: from x ([203.0.113.77]) by y; x\nSubject: x\n\nbody\n";
    let sent = session.deliver("a@example.com", &["b@example.org"], message).unwrap();
    assert_eq!(sent.code, 250, "{sent}");
}

/// What a command says in JSON, typed by `ada`.
fn say(stage: &Stage, arguments: &[&str]) -> Value {
    let output = stage.home.cli_command(arguments).env("SUDO_USER", "ada").output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The exit code of a command, and all that it said.
fn said(stage: &Stage, arguments: &[&str]) -> (Option<i32>, String) {
    let output = stage.home.cli(arguments).unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// The lines of the log that a component said at debug level.
fn debug_lines(daemon: &Daemon, component: &str) -> usize {
    let beginning = format!("DEBUG {component}: ");
    daemon.log().lines().filter(|line| line.contains(&beginning)).count()
}

fn level_event(stage: &Stage, event: &str) -> Value {
    let is_meant = |record: &Value| record["phase"] == "log" && record["event"] == event;
    stage.home.wait_for_audit(event, LONG, is_meant).unwrap()
}

#[test]
fn a_component_says_more_for_a_while_and_falls_back_by_itself() {
    if !needs::root() {
        return;
    }
    let stage = lists(Site::without_kernel()).stage(&[CLEAN]).unwrap();
    let daemon = stage.start().unwrap();
    deliver(&stage, CLEAN);
    stage.records(CLEAN, "message", 1).unwrap();
    assert_eq!(debug_lines(&daemon, "scan"), 0);

    let answer = say(&stage, &["log", "set", "scan=debug", "--for", "4s", "--json"]);
    let begun = Deadline::after(LONG);
    let scan = |answer: &Value| {
        let mut components = answer["components"].as_array().unwrap().iter();
        components.find(|it| it["name"] == "scan").unwrap().clone()
    };
    let raised = scan(&answer);
    assert_eq!((&raised["level"], &raised["raised"]["author"]), (&json!("debug"), &json!("ada")));
    deliver(&stage, CLEAN);
    daemon.wait_for_log("DEBUG scan: client=[198.18.3.9] logical=0 hops=2", LONG).unwrap();
    // Whoever has no shell on the host sees the same lines.
    let (_, lines) = said(&stage, &["log", "lines", "--component", "scan", "--limit", "1"]);
    assert!(lines.contains(" debug scan: client=[198.18.3.9] logical=0 hops=2"), "{lines}");
    let grave = say(&stage, &["log", "lines", "--level", "warn", "--json"]);
    let grave = grave["lines"].as_array().unwrap();
    assert!(
        grave.iter().any(|it| it["text"].as_str().unwrap().starts_with("raised component=scan"))
    );
    assert!(grave.iter().all(|it| it["level"] == "warn" || it["level"] == "error"), "{grave:#?}");
    assert_eq!(debug_lines(&daemon, "decision"), 0, "nothing else is raised");
    let status = stage.status().unwrap();
    let is_over = begun.elapsed() > Duration::from_secs(3);
    assert!(is_over || status["log"]["raised"][0]["name"] == "scan", "{status:#}");
    let (_, text) = said(&stage, &["status"]);
    assert!(is_over || text.contains("scan=debug for "), "{text}");
    let event = level_event(&stage, "raised");
    assert_eq!((&event["component"], &event["level"]), (&json!("scan"), &json!("debug")));
    assert_eq!((&event["author"], &event["schema"]), (&json!("ada"), &json!(1)));

    daemon.wait_for_log("fell-back component=scan level=info: its time is over", LONG).unwrap();
    assert!(begun.elapsed() > Duration::from_secs(3));
    let event = level_event(&stage, "fell-back");
    assert_eq!((&event["author"], &event["before"]), (&Value::Null, &json!("debug")));
    let lines = debug_lines(&daemon, "scan");
    deliver(&stage, CLEAN);
    stage.records(CLEAN, "message", 3).unwrap();
    assert_eq!(debug_lines(&daemon, "scan"), lines);
    assert_eq!(stage.status().unwrap()["log"], json!({"level": "info", "raised": []}));
    daemon.wait_for_log("raised component=scan level=debug", LONG).unwrap();
}

#[test]
fn a_reload_keeps_what_is_raised_a_restart_does_not_and_faults_change_nothing() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel();
    let stage = site.stage(&[CLEAN]).unwrap();
    let mut daemon = stage.start().unwrap();
    say(&stage, &["log", "set", "scan=debug", "zone=trace", "--json"]);
    let quiet = site.config().unwrap() + "[log]\nlevel = \"warn\"\n";
    stage.configure(&quiet).unwrap();
    daemon.hang_up().unwrap();
    daemon.wait_for_notification("RELOADING=1", LONG).unwrap();
    daemon.wait_for_notification("READY=1", LONG).unwrap();
    let raised = |stage: &Stage| {
        let log = stage.status().unwrap()["log"].clone();
        let raised = log["raised"].as_array().unwrap().iter();
        let raised = raised.map(|it| format!("{}={}", it["name"], it["level"]).replace('"', ""));
        (log["level"].as_str().unwrap().to_owned(), raised.collect::<Vec<_>>().join(" "))
    };
    assert_eq!(raised(&stage), ("warn".to_owned(), "scan=debug zone=trace".to_owned()));
    stage.wait_for_no_alarm("restart").unwrap();
    deliver(&stage, CLEAN);
    daemon.wait_for_log("DEBUG scan: client=[198.18.3.9]", LONG).unwrap();
    for (arguments, words) in [
        (
            &["log", "set", "moon=debug"][..],
            "component \"moon\", expected one of alarm, audit, decision",
        ),
        (&["log", "set", "smtp=loud"], "level \"loud\", expected error, warn"),
        (&["log", "set", "smtp=error"], "smtp=error says no more than warn"),
        (&["log", "set", "smtp=debug", "--for", "25h"], "for 90000 s, expected at most 24 h"),
        (&["log", "set", "hickory_proto=trace"], "component \"hickory_proto\""),
        (&["log", "reset", "moon"], "component \"moon\""),
        (&["log", "lines", "--component", "moon"], "component \"moon\""),
        (&["log", "lines", "--level", "loud"], "level \"loud\""),
        (&["log", "lines", "--limit", "0"], "expected 1 to 1000"),
        (&["log", "set", "smtp"], "`smtp`, expected a component and its level"),
    ] {
        let (code, text) = said(&stage, arguments);
        assert_ne!(code, Some(0), "{arguments:?}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
    say(&stage, &["log", "reset", "zone", "--json"]);
    assert_eq!(raised(&stage).1, "scan=debug");
    assert_eq!(level_event(&stage, "reset")["author"], "ada");
    daemon.terminate().unwrap();
    let _daemon = stage.start().unwrap();
    assert_eq!(raised(&stage), ("warn".to_owned(), String::new()));
    let (code, text) = said(&stage, &["log"]);
    assert!(code == Some(0) && text.starts_with("all components say warn\n"), "{text}");
}

/// A command that follows, and the file that it writes to; dropping it hangs up.
struct Following {
    child: Child,
    file: PathBuf,
}

impl Following {
    fn start(stage: &Stage, name: &str, arguments: &[&str]) -> Self {
        let file = stage.home.path().join(name);
        let out = File::create(&file).unwrap();
        let mut command = stage.home.cli_command(&["tap"]);
        command.args(arguments).env("SUDO_USER", "ada");
        let error = out.try_clone().unwrap();
        let child = command.stdout(Stdio::from(out)).stderr(Stdio::from(error)).spawn().unwrap();
        let following = Self { child, file };
        let begun = || {
            let text = following.text();
            Ok((text.contains("\"begin\"") || text.contains("following ")).then_some(()))
        };
        wait_for("the beginning", LONG, begun).unwrap();
        following
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// What was told so far under that name.
    fn told(&self, event: &str) -> Vec<Value> {
        let text = self.text();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["event"] == event).map(|line| line["record"].clone()).collect()
    }

    fn wait_for(&self, event: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        let found = || Ok(self.told(event).into_iter().find(|record| is_meant(record)));
        wait_for(event, LONG, found).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

fn refuse(stage: &Stage) {
    let attempt = stage.attempt(REFUSED.parse().unwrap(), SHORT).unwrap();
    assert!(matches!(attempt, Attempt::Refused), "the kernel filter resets");
}

#[test]
fn an_address_is_followed_through_kernel_connection_and_message() {
    if !needs::root() {
        return;
    }
    let stage = lists(Site::with_kernel()).stage(&[REFUSED, REJECTED, CLEAN, OTHER]).unwrap();
    let _daemon = stage.start().unwrap();
    let json = Following::start(&stage, "json", &["198.18.3.0/24", "--for", "1m", "--json"]);
    let text = Following::start(&stage, "text", &["198.18.3.0/24"]);
    let header = Following::start(&stage, "header", &["203.0.113.77", "--json"]);
    assert_eq!(stage.status_number("/taps").unwrap(), 3);
    refuse(&stage);
    let told = json.wait_for("kernel", |record| record["client"] == REFUSED);
    assert_eq!((&told["list"], &told["kernel"]["outcome"]), (&json!("bad"), &json!("reset")));
    let refusal = stage.connect(REJECTED.parse().unwrap()).unwrap().reply().unwrap();
    assert_eq!(refusal.code, 554);
    let told = json.wait_for("decision", |record| record["client"] == REJECTED);
    assert_eq!((&told["phase"], &told["list"]), (&json!("connect"), &json!("rejected")));
    assert!(refusal.text().contains(told["reference"].as_str().unwrap()), "{refusal}");
    deliver(&stage, OTHER);
    deliver(&stage, CLEAN);
    let told = json.wait_for("decision", |record| record["phase"] == "message");
    assert_eq!((&told["client"], &told["code"]), (&json!(CLEAN), &json!("accept")));
    assert!(told["next_hop"].as_str().unwrap().starts_with("250"), "{told:#}");
    assert_eq!(told["addresses"].as_array().unwrap().len(), 2);
    // Nobody else is told of, and what stands in a message is found by that, whoever sent it.
    assert!(!json.text().contains(OTHER), "{}", json.text());
    header.wait_for("decision", |record| record["client"] == OTHER);
    header.wait_for("decision", |record| record["client"] == CLEAN);
    assert!(header.told("kernel").is_empty());

    let order = ["kernel    reset 198.18.3.3:", "connect   ", "(sys-deny-ip), reject: 198.18.3.5:"];
    let order = [&order[..], &["message   ", "hop       203.0.113.77 received", "next hop  250"]];
    let words = order.concat();
    let shown = || {
        let shown = text.text();
        let mut rest = shown.as_str();
        for word in &words {
            let Some((_, after)) = rest.split_once(word) else { return Ok(None) };
            rest = after;
        }
        Ok(Some(()))
    };
    wait_for("all lines in order", LONG, shown)
        .unwrap_or_else(|error| panic!("{error}: {}", text.text()));
    assert!(text.text().contains("tells of at most 100 packets a second"), "{}", text.text());

    let tap = |event: &'static str| {
        let is_meant = move |record: &Value| record["phase"] == "tap" && record["event"] == event;
        stage.home.wait_for_audit(event, LONG, is_meant).unwrap()
    };
    let begun = tap("begun");
    assert_eq!((&begun["prefix"], &begun["author"]), (&json!("198.18.3.0/24"), &json!("ada")));
    assert_eq!((&begun["for_s"], &begun["lines"]), (&json!(60), &Value::Null));
    drop(json);
    let ended = tap("ended");
    assert!(ended["lines"].as_u64().unwrap() >= 3, "{ended:#}");
    drop((text, header));
    wait_for("the end of all", LONG, || Ok((stage.status_number("/taps")? == 0).then_some(())))
        .unwrap();
}

#[test]
fn who_is_followed_is_told_of_beyond_the_records_of_a_second() {
    const MANY: usize = 300;
    if !needs::root() {
        return;
    }
    let many = "interfaces = [\"eth0\"]\naction = \"reset\"\nanswers_per_network = 0\nevents_per_second = 100000\n";
    let stage = lists(Site::with_kernel().xdp(many)).stage(&[REFUSED]).unwrap();
    let _daemon = stage.start().unwrap();
    let tap = Following::start(&stage, "json", &[REFUSED, "--json"]);
    let begun = Deadline::after(LONG);
    (0..MANY).for_each(|_| refuse(&stage));
    let all = || Ok((tap.told("kernel").len() >= MANY).then_some(()));
    wait_for("each packet", LONG, all).unwrap();
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert_eq!(tap.told("kernel").len(), MANY);
    let records = stage.home.audit().unwrap().into_iter();
    let records = records.filter(|record| record["kernel"].is_object()).count();
    assert!(records <= 50 * (seconds + 2), "{records} records in {seconds} s");
}

#[test]
fn a_few_follow_and_each_ends_by_itself() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel().stage(&[OTHER]).unwrap();
    let daemon = stage.start().unwrap();
    let begun = Deadline::after(LONG);
    let (code, text) = said(&stage, &["tap", OTHER, "--for", "2s"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("there is no kernel filter") && text.contains("the time is over: 0 lines")
    );
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let names = ["a", "b", "c", "d"];
    let all: Vec<_> = names.iter().map(|it| Following::start(&stage, it, &["::/0"])).collect();
    let (code, text) = said(&stage, &["tap", OTHER]);
    assert_ne!(code, Some(0));
    assert!(text.contains("4 follow an address already, which is the most"), "{text}");
    assert!(said(&stage, &["status"]).1.contains("4 follow an address"));
    for (arguments, words) in [
        (&["tap", OTHER, "--for", "25h"][..], "for 90000 s, expected 1 s to 24 h"),
        (&["tap", "moon"], "moon"),
    ] {
        let (code, text) = said(&stage, arguments);
        assert!(code != Some(0) && text.contains(words), "{arguments:?}: {text}");
    }
    // Whoever follows does not keep the daemon from ending, and hears that it did.
    assert!(daemon.terminate().unwrap().success());
    for following in &all {
        let ended = || Ok(following.text().contains("the daemon ended").then_some(()));
        wait_for("the end of the daemon", LONG, ended).unwrap();
    }
}

const ZONES: &str = "[dns]\nresolvers = [\"127.0.0.1\"]\nbudget = \"2s\"\n[[zone]]\nname = \"zen\"\ndomain = \"zen.example\"\nclass = \"third-party-bad\"\n";

/// What `doctor` found under a name: its state, what it found, the remedy.
fn found(answer: &Value, name: &str) -> (String, String, String) {
    let of_interfaces = answer["interfaces"].as_array().unwrap().iter();
    let of_interfaces = of_interfaces.flat_map(|it| it["checks"].as_array().unwrap());
    let mut all = answer["checks"].as_array().unwrap().iter().chain(of_interfaces);
    let check = all.find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no {name} in {answer:#}"));
    let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
    (text("state"), text("found"), text("remedy"))
}

fn doctor(stage: &Stage) -> (Value, Option<i32>) {
    let output = stage.home.cli(&["doctor", "--json"]).unwrap();
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.code())
}

#[test]
fn doctor_names_what_is_broken_with_what_to_do() {
    if !needs::root() {
        return;
    }
    let site = lists(Site::with_kernel().tables(ZONES));
    let stage = site.stage(&[]).unwrap();
    stage.configure(&site.config().unwrap().replace("{next_hop}", "127.0.0.1:9")).unwrap();
    let (answer, code) = doctor(&stage);
    assert_eq!((code, &answer["ok"]), (Some(1), &json!(false)));
    for (name, state, words, remedy) in [
        ("resolver 127.0.0.1:53", "bad", "it does not answer", "`dig @127.0.0.1 -p 53"),
        ("zone zen", "bad", "no answer in time", "portcullis zones test zen"),
        (
            "127.0.0.1:9",
            "bad",
            "cannot connect",
            "start the mail server that listens on 127.0.0.1:9",
        ),
        ("daemon", "unseen", "no answer from the daemon", "portcullis run"),
        ("filter", "doubtful", "no filter of ours", "portcullis xdp attach"),
        ("MTU", "ok", "1500", ""),
        ("driver", "ok", "veth", ""),
        ("offloads", "ok", "generic-receive-offload", ""),
        ("bad", "ok", "1 entries", ""),
    ] {
        let found = found(&answer, name);
        assert_eq!(found.0, state, "{name}: {found:?}");
        assert!(found.1.contains(words) && found.2.contains(remedy), "{name}: {found:?}");
    }
    let (code, text) = said(&stage, &["doctor"]);
    assert_eq!(code, Some(1));
    for line in
        ["\nDNS\n", "\nNext hop\n", "  bad       127.0.0.1:9: cannot connect", "what to do: "]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
    for check in answer["checks"].as_array().unwrap() {
        assert_eq!(check["remedy"].is_null(), check["state"] == "ok", "{check:#}");
    }

    // The resolver is there, and the zone does not answer it; a list is gone.
    stage.configure(&site.config().unwrap()).unwrap();
    let server = stage.edge.run(|| DnsServer::start(([127, 0, 0, 1], 53).into())).unwrap().unwrap();
    let point = "127.0.0.2".parse().unwrap();
    server.list_zone("zen.example", &[(point, [127, 255, 255, 254].into(), None)]);
    fs::remove_file(stage.home.path().join("bad.txt")).unwrap();
    let (answer, code) = doctor(&stage);
    assert_eq!(code, Some(1));
    assert_eq!(found(&answer, "resolver 127.0.0.1:53").0, "ok", "{answer:#}");
    let zone = found(&answer, "zone zen");
    assert!(
        zone.1.contains("127.255.255.254") && zone.2.contains("a resolver of your own"),
        "{zone:?}"
    );
    assert_eq!(found(&answer, "bad").0, "bad");
    let hop = found(&answer, &stage.next_hop.address().to_string());
    assert!(hop.0 == "ok" && hop.1.contains("XCLIENT"), "{hop:?}");
}

#[test]
fn doctor_sees_a_daemon_that_is_well() {
    if !needs::root() {
        return;
    }
    let stage = lists(Site::with_kernel().tables(ZONES)).stage(&[]).unwrap();
    let server = stage.edge.run(|| DnsServer::start(([127, 0, 0, 1], 53).into())).unwrap().unwrap();
    server.test_points("zen.example");
    let _daemon = stage.start().unwrap();
    sleep(Duration::from_millis(100));
    let (answer, code) = doctor(&stage);
    assert_eq!((code, &answer["ok"]), (Some(0), &json!(true)), "{answer:#}");
    for name in ["zone zen", "filter", "clock since its start", "open files", "audit trail"] {
        assert_eq!(found(&answer, name).0, "ok", "{name} in {answer:#}");
    }
    assert_eq!(found(&answer, "filter").1, "native");
    assert_eq!(found(&answer, "runs as").0, "doubtful", "it runs as root");
    let states = ["ok", "doubtful", "bad", "unseen"];
    for feature in answer["features"].as_array().unwrap() {
        assert!(states.contains(&feature["state"].as_str().unwrap()), "{feature:#}");
    }
}

/// What the daemon itself finds, and how long that takes.
fn asked(stage: &Stage) -> (Value, Duration) {
    let begun = Deadline::after(LONG);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let socket = stage.home.path().join("admin.sock");
    let answer = runtime.block_on(admin::get(&socket, "/api/v1/doctor")).unwrap();
    (answer, begun.elapsed())
}

#[test]
fn a_confined_daemon_looks_at_its_host_with_its_own_rights() {
    if !needs::root() {
        return;
    }
    let stage =
        lists(Site::with_kernel().top("user = \"nobody\"").tables(ZONES)).stage(&[]).unwrap();
    let server = stage.edge.run(|| DnsServer::start(([127, 0, 0, 1], 53).into())).unwrap().unwrap();
    server.test_points("zen.example");
    stage.home.give_to(65_534).unwrap();
    let daemon = stage.start().unwrap();
    let (answer, _took) = asked(&stage);
    assert_eq!(answer["ok"], true, "{answer:#}");
    for name in ["daemon", "configuration", "zone zen", "filter", "bad", "open files", "runs as"] {
        assert_eq!(found(&answer, name).0, "ok", "{name} in {answer:#}");
    }
    assert!(found(&answer, "bad").1.starts_with("1 entries, changed "), "{answer:#}");
    for feature in answer["features"].as_array().unwrap() {
        assert_eq!(feature["state"], "ok", "{feature:#}");
    }
    let printed = doctor(&stage).0;
    let names = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&answer), names(&printed));
    // It is kept for a while, whatever happens.
    fs::remove_file(stage.home.path().join("bad.txt")).unwrap();
    assert_eq!(asked(&stage).0, answer);
    daemon.terminate().unwrap();
}

#[test]
fn a_daemon_says_in_time_what_does_not_answer_it() {
    if !needs::root() {
        return;
    }
    // Nobody has these addresses, so that what is sent there is lost.
    let tables = ZONES.replace("127.0.0.1", "192.0.2.98").replace("\"2s\"", "\"30s\"");
    let site = Site::without_kernel().tables(&tables).next_hop_at("198.18.77.1:25");
    let stage = site
        .top("recipient_domains = [\"example.org\"]")
        .passes_client_by("none")
        .stage(&[])
        .unwrap();
    let _daemon = stage.start().unwrap();
    let (answer, took) = asked(&stage);
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(found(&answer, "resolver 192.0.2.98:53").0, "bad", "{answer:#}");
    let zones = found(&answer, "zones");
    assert!(zones.0 == "unseen" && zones.1 == "it takes longer than 3 s", "{zones:?}");
    assert!(["unseen", "bad"].contains(&&*hop(&answer)), "{answer:#}");
}

/// The state of the one next hop.
fn hop(answer: &Value) -> String {
    let mut checks = answer["checks"].as_array().unwrap().iter();
    let hop = checks.find(|check| check["area"] == "next-hop").unwrap();
    hop["state"].as_str().unwrap().to_owned()
}
