//! What `portcullis explain` makes of real bounces, of log lines, and of what people paste.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use harness::daemon::Home;
use harness::dns_record::{Data, Record};
use harness::dns_server::DnsServer;
use harness::needs;
use harness::postfix::{Options, POSTFIX, Postfix};
use harness::site::Site;
use harness::smtp_client::SmtpClient;
use harness::stage::{EDGE_V4, Stage};
use serde_json::Value;

/// How long something may take on a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// Where the sending Postfix takes mail.
const SUBMISSION: &str = "127.0.0.1:2525";
const SENDER: &str = "198.51.100.66";

/// A host without a daemon.
const CONFIG: &str = r#"
hostname = "mx1.example.org"
state_dir = "{dir}/state"

[xdp]
pin_dir = "{dir}/no-pins"

[admin]
socket = "{dir}/admin.sock"

[audit]
file = "{dir}/audit.jsonl"

[[list]]
name = "partners"
class = "local-good"
file = "partners.txt"

[[list]]
name = "office-bad"
label = "Our own list"
class = "local-bad"
file = "office-bad.txt"

[[list]]
name = "proxies"
label = "Example proxies"
class = "open-proxy"
action = "reject-message"
file = "proxies.txt"
"#;

/// The records of what the samples tell, as far as they matter here.
const RECORDS: &str = r#"{"schema":1,"time":"2026-11-29T10:12:15.123456Z","reference":"3Y15F2JPVHMW4","front":"smtp","phase":"connect","verdict":"System denied IP","code":"sys-deny-ip","action":"reject","enforced":true,"client":"198.51.100.66","client_port":40001,"local":"192.0.2.1:25","logical_client":"198.51.100.66","offending":{"ip":"198.51.100.66","hop":"connect"},"list":"office-bad","entry":"198.51.100.64/28","entry_origin":"office-bad.txt:1","entry_added":"2026-11-20T08:00:00Z","entry_reason":"sends spam","zone":null,"score":null,"envelope":null,"reply":"554 5.7.1 you are not allowed to connect; client [198.51.100.66]; System denied IP: Our own list; reference 3Y15F2JPVHMW4"}
{"schema":1,"time":"2026-11-29T10:12:16.5Z","reference":"5C0PE1N8ZQ7RD","front":"smtp","phase":"message","verdict":"Open proxy","code":"open-proxy","action":"reject-message","enforced":true,"client":"203.0.113.5","client_port":40001,"local":"192.0.2.1:25","logical_client":"203.0.113.5","offending":{"ip":"198.51.100.9","hop":"received[1]"},"list":"proxies","entry":"198.51.100.9/32","entry_origin":"proxies.txt:1","entry_added":"2026-11-28T09:00:00Z","entry_reason":null,"zone":null,"score":null,"envelope":{"helo":"mail.example.com","sender":"ann@example.com","recipients":["bob@example.org"]},"reply":"550 5.7.1 message refused because of received[1]; client [198.51.100.9]; Open proxy: Example proxies; reference 5C0PE1N8ZQ7RD"}
{"schema":1,"time":"2026-11-29T10:12:17.25Z","reference":"6G1VB9S3Y7F5E","front":"smtp","phase":"message","verdict":"Open proxy","code":"open-proxy","action":"tag","enforced":true,"client":"203.0.113.5","client_port":40001,"local":"192.0.2.1:25","logical_client":"203.0.113.5","offending":{"ip":"198.51.100.9","hop":"received[2]"},"list":"proxies","entry":"198.51.100.9/32","entry_origin":"proxies.txt:1","entry_added":"2026-11-28T09:00:00Z","entry_reason":null,"zone":null,"score":null,"envelope":{"helo":"mail.example.com","sender":"ann@example.com","recipients":["bob@example.org"]},"reply":null}
"#;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/bounces")
}

/// A home whose list has what the record tells of.
fn home() -> Home {
    let home = Home::new(CONFIG, None).unwrap();
    for (name, text) in [
        ("partners.txt", "203.0.113.10\n"),
        ("office-bad.txt", "198.51.100.64/28 # sends spam\n"),
        ("proxies.txt", "198.51.100.9\n"),
        ("audit.jsonl", RECORDS),
    ] {
        home.write(name, text).unwrap();
    }
    home
}

/// Explains `text`, given on standard input.
fn fed(home: &Home, arguments: &[&str], text: &[u8]) -> Output {
    let mut command = home.cli_command(&[&["explain", "-"], arguments].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have read enough before the end.
    child.stdin.take().unwrap().write_all(text).unwrap_or_default();
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// What people see is written down in `data/explain`; `UPDATE_GOLDEN=1` writes it anew, to be read before it is committed.
#[test]
fn what_people_read() {
    let home = home();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/explain");
    let updating = std::env::var_os("UPDATE_GOLDEN").is_some();
    for (sample, exit) in [
        ("postfix.eml", 1),
        ("exim.eml", 1),
        ("sendmail.eml", 1),
        ("other.eml", 0),
        ("tagged.eml", 1),
        ("sendmail.log", 1),
        ("pasted-quoted.txt", 1),
        ("old-gateway.txt", 0),
        ("old-proxy.txt", 0),
    ] {
        let path = samples().join(sample);
        let output = home.cli(&["explain", "--no-dns", path.to_str().unwrap()]).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{sample}: {output:?}");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(!shown.contains(['\u{1b}', '\0']), "{sample}: {shown:?}");
        let file = golden.join(format!("{sample}.out"));
        if updating {
            fs::create_dir_all(&golden).unwrap();
            fs::write(&file, &shown).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap();
        assert_eq!(shown, expected, "{sample}; UPDATE_GOLDEN=1 takes the new text");
    }
}

#[test]
fn no_field_is_left_out() {
    let home = home();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let all = json(&fed(
        &home,
        &["--json", "--no-dns"],
        &fs::read(samples().join("postfix.eml")).unwrap(),
    ));
    let none = json(&fed(&home, &["--json", "--no-dns"], b""));
    assert_eq!(keys(&all), keys(&none));
    assert_eq!(keys(&all["bounce"]), keys(&none["bounce"]));
    assert_eq!(all["whose"], "us");
    assert_eq!(all["decision"]["reference"], "3Y15F2JPVHMW4");
    assert_eq!(all["decision"]["entry"], "198.51.100.64/28");
    assert_eq!(all["now"]["code"], "sys-deny-ip");
    let absent: Vec<_> = ["decision", "address", "now", "origin"]
        .into_iter()
        .filter(|name| !none[name].is_null())
        .collect();
    assert_eq!((none["whose"].as_str(), absent), (Some("unknown"), Vec::new()));
}

#[test]
fn hostile_and_endless_texts() {
    let home = home();
    for (text, cut) in [
        (b"554 5.7.1 \x1b[2J\x9b31m\xff you are not allowed to connect\x07".to_vec(), false),
        (b"Remote-MTA: dns; \x1b]0;title\x07.example.org\nDiagnostic-Code: smtp; 554 5.7.1 \xe2\x80\xae".to_vec(), false),
        (b"From: a\nTo: b\nContent-Type: message/rfc822\n\n".repeat(5000), false),
        (vec![b'x'; 11 << 20], true),
    ] {
        for arguments in [&["--no-dns"][..], &["--no-dns", "--json"]] {
            let output = fed(&home, arguments, &text);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let shown = String::from_utf8(output.stdout).unwrap();
            let has_control = shown.chars().any(|letter| letter.is_control() && letter != '\n');
            assert!(!has_control, "{shown:?}");
            let warned = String::from_utf8_lossy(&output.stderr).contains("longer than 10 MiB");
            assert_eq!(warned, cut, "{:?}", output.stderr);
        }
    }
    let output = home.cli(&["explain", "not-there.eml"]).unwrap();
    assert_eq!(output.status.code(), Some(69), "{output:?}");
}

/// S1.7, with the advice of article 001: a real refusal, a real bounce, the very record, and DNS of the sender's domain.
#[test]
fn a_bounce_of_postfix_leads_to_the_very_record() {
    let Some(packages) = packages() else { return };
    let site = Site::without_kernel()
        .tables("[dns]\nresolvers = [\"127.0.0.1:53\"]")
        .list("partners", "local-good", "", "203.0.113.10\n")
        .list("bad", "local-bad", "label = \"Our own list\"", &format!("{SENDER}\n"));
    let stage = site.stage(&[SENDER]).unwrap();
    let resolver =
        stage.edge.run(|| DnsServer::start("127.0.0.1:53".parse().unwrap())).unwrap().unwrap();
    for (name, data) in [
        ("example.com", Data::Mx(10, "mail.example.com".to_owned())),
        ("example.com", Data::Txt("v=spf1 mx -all".to_owned())),
        ("mail.example.com", Data::A([203, 0, 113, 5].into())),
    ] {
        resolver.add(name, Record { ttl: 60, data });
    }
    let _daemon = stage.start().unwrap();
    let sender = sending(&stage, &packages);
    let words = ["to=<b@example.org>", "status=bounced", "you are not allowed to connect"];
    let line = sender.wait_for_log(&words, LONG).unwrap();
    let bounce = sender.wait_for_delivered(1, LONG).unwrap().remove(0);
    let record = stage.records(SENDER, "connect", 1).unwrap().remove(0);
    let quoted = format!("> {}\r\n", bounce.trim_end().replace('\n', "\r\n> "));
    for (name, text) in [("bounce", &bounce), ("log", &line), ("quoted", &quoted)] {
        let output = fed(&stage.home, &["--json"], text.as_bytes());
        assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
        let answer = json(&output);
        assert_eq!(answer["whose"], "us", "{name}: {answer:#}");
        assert_eq!(answer["decision"]["found_by"], "reference", "{name}: {answer:#}");
        for field in ["reference", "time", "client", "list", "entry", "reply"] {
            assert_eq!(answer["decision"][field], record[field], "{name} {field}: {answer:#}");
        }
        let origin = &answer["origin"];
        // A log line of this kind does not say who the sender is.
        if name == "log" {
            assert!(origin.is_null(), "{answer:#}");
        } else {
            assert_eq!(origin["belongs"], "no", "{answer:#}");
            assert_eq!((&origin["spf"], &origin["is_exchanger"]), (&"fail".into(), &false.into()));
        }
    }
    stage.home.cli_json(&["list", "remove", "bad", SENDER, "--json"]).unwrap();
    let output = fed(&stage.home, &["--json"], bounce.as_bytes());
    let answer = json(&output);
    assert_eq!(output.status.code(), Some(0), "{answer:#}");
    assert_eq!(answer["decision"]["entry_removed"]["prefix"], SENDER, "{answer:#}");
    // DNS that fails is told, and nothing else is lost.
    drop(resolver);
    let answer = json(&fed(&stage.home, &["--json"], bounce.as_bytes()));
    assert_eq!(answer["origin"]["belongs"], "untold", "{answer:#}");
    assert!(!answer["origin"]["faults"].as_array().unwrap().is_empty(), "{answer:#}");
}

#[test]
fn a_refusal_by_the_kernel_is_ours_too() {
    let Some(packages) = packages() else { return };
    let site = Site::with_kernel().xdp("interfaces = [\"eth0\"]\n").list(
        "bad",
        "local-bad",
        "",
        &format!("{SENDER}\n"),
    );
    let stage = site.stage(&[SENDER]).unwrap();
    let _daemon = stage.start().unwrap();
    let sender = sending(&stage, &packages);
    sender.wait_for_log(&["status=bounced", "] ref "], LONG).unwrap();
    let bounce = sender.wait_for_delivered(1, LONG).unwrap().remove(0);
    let output = fed(&stage.home, &["--json", "--no-dns"], bounce.as_bytes());
    let answer = json(&output);
    assert_eq!(output.status.code(), Some(1), "{answer:#}");
    let decision = &answer["decision"];
    let told = ["decided_by", "list", "client", "code"].map(|name| decision[name].as_str());
    assert_eq!(
        told,
        [Some("kernel"), Some("bad"), Some(SENDER), Some("sys-deny-ip")],
        "{answer:#}"
    );
}

fn packages() -> Option<PathBuf> {
    needs::root_with(&POSTFIX, &[])
}

/// A Postfix on the sender host that has sent a message to the edge host; bounces come back to it.
fn sending(stage: &Stage, packages: &Path) -> Postfix {
    let options = Options {
        listen: Some(SUBMISSION.parse().unwrap()),
        relay_to: Some(SocketAddr::new(EDGE_V4, 25)),
        keeps: Some("example.com"),
        settings: vec![
            format!("smtp_bind_address = {SENDER}"),
            "smtp_skip_5xx_greeting = no".to_owned(),
        ],
        ..Options::default()
    };
    let postfix = Postfix::start(packages, Some(&stage.sender), &options).unwrap();
    let submit = || {
        let mut client = SmtpClient::connect(None, SUBMISSION.parse().unwrap()).unwrap();
        client.greet("user.example.com").unwrap();
        let message = "Subject: x\nFrom: <a@example.com>\n\nx\n";
        let reply = client.deliver("a@example.com", &["b@example.org"], message).unwrap();
        assert!(reply.is_positive(), "{reply}");
    };
    stage.sender.run(submit).unwrap();
    postfix
}
