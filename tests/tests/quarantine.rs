//! The quarantine of a running daemon: streamed, killed, full, read-only, released, expired.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]
#![expect(clippy::panic, reason = "helpers of tests fail the test that uses them")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::thread;
use std::time::Duration;

use harness::deadline::wait_for;
use harness::needs;
use harness::netns::run;
use harness::postfix::{self, POSTFIX, Postfix};
use harness::site::Site;
use harness::smtp_client::{Reply, SmtpClient};
use harness::smtp_server::{Answer, Stage as At};
use harness::stage::Stage;
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use serde_json::Value;

const CLIENT: &str = "198.18.1.2";
const LISTED: &str = "198.18.99.7";
const LONG: Duration = Duration::from_secs(20);
/// Where the Postfix is whose client the daemon is.
const BEHIND: &str = "127.0.0.1:10030";

/// A site whose list `proxies` sends messages into quarantine, with more lines for `[quarantine]`.
fn site(bounds: &str) -> Site {
    Site::without_kernel()
        .tables(&format!("[quarantine]\nfolder = \"{{dir}}/q\"\n{bounds}"))
        .tables("[limits]\nmessage = \"10M\"")
        .list("proxies", "open-proxy", "action = \"quarantine\"", "198.18.99.0/24\n")
}

fn stage(bounds: &str) -> Option<Stage> {
    needs::root().then(|| site(bounds).stage(&[CLIENT]).unwrap())
}

/// A message that was at a listed host.
fn listed(body: &str) -> String {
    format!("Received: from x ([{LISTED}]) by y; x\nSubject: \u{1b}[2Jhello\n\n{body}\n")
}

fn deliver(stage: &Stage, recipients: &[&str], body: &str) -> Reply {
    let mut client = stage.greeted(CLIENT).unwrap();
    client.deliver("a@example.com", recipients, &listed(body)).unwrap()
}

/// A message in quarantine; its name.
fn hold(stage: &Stage, recipients: &[&str]) -> String {
    let reply = deliver(stage, recipients, "body");
    assert_eq!(reply.code, 250, "{reply}");
    let (_, reference) =
        reply.text().split_once("reference ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    reference
}

fn list(stage: &Stage) -> Vec<Value> {
    let answer = stage.home.cli_json(&["quarantine", "list", "--json"]).unwrap();
    let rows = answer.get("rows").and_then(Value::as_array);
    rows.unwrap_or_else(|| panic!("{answer:#}")).clone()
}

fn count(stage: &Stage) -> u64 {
    stage.status_number("/quarantine/messages").unwrap()
}

fn cli(stage: &Stage, arguments: &[&str]) -> Output {
    let mut all = vec!["quarantine"];
    all.extend(arguments);
    stage.home.cli(&all).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The folders of messages that are on their way in or out.
fn on_their_way(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_on_its_way =
        |name: &String| matches!(name.rsplit_once('.'), Some((_, "coming" | "going")));
    names.filter(is_on_its_way).collect()
}

/// The record of what was done with a message.
fn event(stage: &Stage, event: &str) -> Value {
    let is_it = |record: &Value| record["phase"] == "quarantine" && record["event"] == event;
    stage.home.wait_for_audit(event, LONG, is_it).unwrap()
}

/// The octets of a message of some MiB, with lines that begin with dots.
fn long_body(mebibytes: usize) -> String {
    let line = format!(".{}\n", "x".repeat(62));
    line.repeat(mebibytes * 16 * 1024)
}

#[test]
fn a_long_message_goes_in_and_comes_out_as_it_was() {
    let Some(stage) = stage("") else { return };
    let daemon = stage.start().unwrap();
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap().to_owned();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    hold(&stage, &["b@example.org"]);
    let before = memory();
    let body = long_body(5);
    let reply = deliver(&stage, &["b@example.org"], &body);
    assert_eq!(reply.code, 250, "{reply}");
    let grown = memory().saturating_sub(before);
    assert!(grown < 3 * 1024, "the daemon took {grown} KiB for a message of 5 MiB");
    let id = list(&stage)[0]["id"].as_str().unwrap().to_owned();
    let raw = cli(&stage, &["show", &id, "--raw"]).stdout;
    let raw = String::from_utf8(raw).unwrap();
    assert!(
        raw.ends_with(&body.replace('\n', "\r\n"))
            || raw.ends_with(&format!("{}\r\n", body.replace('\n', "\r\n")))
    );
    let record = &stage.records(CLIENT, "message", 2).unwrap()[1];
    assert_eq!(
        (&record["action"], &record["quarantine"]),
        (&"quarantine".into(), &id.as_str().into())
    );
    assert_eq!(stage.next_hop.delivered().len(), 0);
    let output = cli(&stage, &["release", &id]);
    assert!(output.status.success(), "{}", said(&output));
    let delivered = stage.next_hop.delivered();
    assert_eq!(delivered[0].message(), raw);
    assert_eq!(event(&stage, "released")["octets"], raw.len());
}

/// What a terminal would obey comes out as letters.
#[test]
fn a_hostile_header_is_shown_safely() {
    let Some(stage) = stage("") else { return };
    let _daemon = stage.start().unwrap();
    let id = hold(&stage, &["b@example.org", "c@example.org"]);
    for arguments in [
        &["show", &id][..],
        &["list"],
        &["list", "--from", "EXAMPLE", "--to", "c@", "--since", "1h"],
    ] {
        let output = cli(&stage, arguments);
        let text = said(&output);
        assert!(output.status.success() && text.contains(&id), "{text}");
        assert!(!text.contains('\u{1b}') && text.contains("[2Jhello"), "{}", text.escape_debug());
    }
    let shown = said(&cli(&stage, &["show", &id]));
    for part in [
        "<a@example.com>",
        "<b@example.org>",
        "<c@example.org>",
        LISTED,
        "received[0]",
        "198.18.99.0/24",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    assert!(said(&cli(&stage, &["list", "--from", "nobody@"])).lines().count() == 1);
    for (arguments, code, text) in [
        (&["show", "0000000000000"][..], 2, "is not in quarantine"),
        (&["show", "../etc/passwd"], 2, "that is no message"),
        (&["release", "0000000000000", &id], 2, "is not in quarantine"),
        (&["delete", &id], 2, "is not in quarantine"),
    ] {
        let output = cli(&stage, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(text), "{}", said(&output));
    }
    assert_eq!(stage.next_hop.delivered().len(), 1);
}

/// What was answered 250 is there; what was not is gone, whenever the daemon dies.
#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    let Some(stage) = stage("") else { return };
    let folder = stage.home.path().join("q");
    let daemon = stage.start().unwrap();
    // Right after the 250.
    let first = hold(&stage, &["b@example.org"]);
    // In the middle of the data.
    let mut client = stage.greeted(CLIENT).unwrap();
    for line in ["MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA"] {
        assert!(client.command(line).unwrap().is_positive());
    }
    client.send_raw(listed(&long_body(1)).replace('\n', "\r\n").as_bytes()).unwrap();
    let is_begun = || {
        let all = on_their_way(&folder);
        all.iter().any(|name| folder.join(name).join("message.eml").exists()).then_some(())
    };
    wait_for("a half-written message", LONG, || Ok(is_begun())).unwrap();
    daemon.kill().unwrap();
    assert_eq!(on_their_way(&folder).len(), 1);
    let _daemon = stage.start().unwrap();
    assert_eq!(on_their_way(&folder), [""; 0]);
    let rows = list(&stage);
    assert_eq!((rows.len(), rows[0]["id"].as_str().unwrap()), (1, first.as_str()));
    assert!(said(&cli(&stage, &["show", &first, "--raw"])).ends_with("body\r\n"));
}

/// Many messages at once, the daemon killed among them, again and again: whoever read 250 finds his message, once.
#[test]
fn kills_at_any_moment_lose_nothing() {
    let Some(stage) = stage("") else { return };
    let mut acknowledged = Vec::new();
    for round in 0..6_u64 {
        let daemon = stage.start().unwrap();
        let clients: Vec<_> = (0..4).map(|_| stage.greeted(CLIENT).unwrap()).collect();
        let told: Vec<String> = thread::scope(|scope| {
            #[expect(clippy::needless_collect, reason = "all of them run at the same time")]
            let senders: Vec<_> = clients
                .into_iter()
                .map(|client| scope.spawn(move || send_until_the_end(client)))
                .collect();
            thread::sleep(Duration::from_millis(60 + 37 * round));
            daemon.kill().unwrap();
            senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
        });
        acknowledged.extend(told);
    }
    assert!(!acknowledged.is_empty());
    let _daemon = stage.start().unwrap();
    let answer =
        stage.home.cli_json(&["quarantine", "list", "--json", "--limit", "10000"]).unwrap();
    let rows = answer["rows"].as_array().unwrap();
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    for reference in &acknowledged {
        assert!(ids.contains(&reference.as_str()), "{reference} was acknowledged and is gone");
    }
    assert!(rows.iter().all(|row| row["fault"].is_null()), "{rows:#?}");
    // What was committed and not yet answered may be there, too: at most one for each client and kill.
    assert!(ids.len() <= acknowledged.len() + 24, "{} {}", ids.len(), acknowledged.len());
    // Who died before the file was made leaves an empty folder, which goes a minute later: it may be a living daemon's.
    let folder = stage.home.path().join("q");
    let has_message = |name: &String| folder.join(name).join("message.eml").exists();
    assert!(!on_their_way(&folder).iter().any(has_message));
}

/// The references of all messages that were acknowledged before the daemon died.
fn send_until_the_end(mut client: SmtpClient) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(reply) = client.deliver("a@example.com", &["b@example.org"], &listed("body")) {
        let text = reply.text();
        let Some((_, reference)) = text.split_once("reference ") else { break };
        told.push(reference.to_owned());
    }
    told
}

/// A small file system at the place of the quarantine, unmounted in the end.
struct Disk(PathBuf);

impl Disk {
    fn new(folder: &Path, size: &str) -> Self {
        fs::create_dir_all(folder).unwrap();
        let options = format!("size={size}");
        run(std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "none"])
            .arg(folder))
        .unwrap();
        Self(folder.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_defers_and_heals() {
    let Some(stage) = stage("") else { return };
    let folder = stage.home.path().join("q");
    let disk = Disk::new(&folder, "2m");
    let daemon = stage.start().unwrap();
    let reply = deliver(&stage, &["b@example.org"], &long_body(3));
    assert_eq!(reply.to_string(), "451 4.3.1 no room to keep the message, try again later");
    assert_eq!((count(&stage), on_their_way(&folder).len()), (0, 0));
    let record = stage.records(CLIENT, "message", 1).unwrap().remove(0);
    assert_eq!((&record["code"], &record["quarantine"]), (&"capacity".into(), &Value::Null));
    // It ends by itself: there is room again.
    stage.wait_for_no_alarm("quarantine").unwrap();
    assert!(
        daemon.log().contains("make room on the file system of the quarantine"),
        "{}",
        daemon.log()
    );
    fs::write(folder.join("filler"), vec![0; 1950 * 1024]).unwrap();
    for _message in 0..40 {
        let reply = deliver(&stage, &["b@example.org"], &"x\n".repeat(2000));
        if reply.code == 451 {
            break;
        }
    }
    let alarm = stage.wait_for_alarm("quarantine", "No space left").unwrap();
    assert!(alarm.contains("mail that should lie there is deferred"), "{alarm}");
    let (held, before) = (list(&stage), count(&stage));
    assert!(held.iter().all(|row| row["fault"].is_null()), "{held:#?}");
    // All other mail goes on.
    let mut client = stage.greeted(CLIENT).unwrap();
    assert_eq!(
        client.deliver("a@example.com", &["b@example.org"], "Subject: x\n\ny\n").unwrap().code,
        250
    );
    fs::remove_file(folder.join("filler")).unwrap();
    stage.wait_for_no_alarm("quarantine").unwrap();
    hold(&stage, &["b@example.org"]);
    assert_eq!(count(&stage), before + 1);
    drop((daemon, disk));
}

#[test]
fn a_read_only_folder_defers_and_heals() {
    let Some(stage) = stage("") else { return };
    let folder = stage.home.path().join("q");
    let disk = Disk::new(&folder, "10m");
    let daemon = stage.start().unwrap();
    let id = hold(&stage, &["b@example.org"]);
    mount_remount(&folder, MountFlags::RDONLY, c"").unwrap();
    assert_eq!(deliver(&stage, &["b@example.org"], "body").code, 451);
    stage.wait_for_alarm("quarantine", "Read-only file system").unwrap();
    // What could not be removed afterwards is not delivered.
    let output = cli(&stage, &["release", &id]);
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert_eq!(cli(&stage, &["delete", &id]).status.code(), Some(69));
    assert_eq!((stage.next_hop.delivered().len(), count(&stage)), (0, 1));
    mount_remount(&folder, MountFlags::empty(), c"").unwrap();
    stage.wait_for_no_alarm("quarantine").unwrap();
    let output = cli(&stage, &["release", &id]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!((stage.next_hop.delivered().len(), count(&stage)), (1, 0));
    drop((daemon, disk));
}

#[test]
fn over_the_bound_nothing_is_lost() {
    let Some(stage) = stage("max_messages = 2") else { return };
    let daemon = stage.start().unwrap();
    let first = hold(&stage, &["b@example.org"]);
    hold(&stage, &["b@example.org"]);
    assert_eq!(deliver(&stage, &["b@example.org"], "body").code, 451);
    stage.wait_for_alarm("quarantine", "max_messages = 2").unwrap();
    assert!(cli(&stage, &["delete", &first]).status.success());
    let record = event(&stage, "deleted");
    assert_eq!(
        (&record["reference"], record["author"].is_string()),
        (&first.as_str().into(), true)
    );
    stage.wait_for_no_alarm("quarantine").unwrap();
    hold(&stage, &["b@example.org"]);
    assert_eq!(stage.status_number("/quarantine/not_kept").unwrap(), 1);
    // A reload raises it.
    let config = site("max_messages = 3").config().unwrap();
    stage.configure(&config).unwrap();
    daemon.hang_up().unwrap();
    wait_for("the bound", LONG, || {
        Ok((stage.status_number("/quarantine/max_messages")? == 3).then_some(()))
    })
    .unwrap();
    hold(&stage, &["b@example.org"]);
}

#[test]
fn what_was_there_for_long_enough_expires() {
    let Some(stage) = stage("keep_for = \"2s\"") else { return };
    let _daemon = stage.start().unwrap();
    let id = hold(&stage, &["b@example.org"]);
    let record = event(&stage, "expired");
    assert_eq!((&record["reference"], &record["author"]), (&id.as_str().into(), &Value::Null));
    assert_eq!(
        (&record["sender"], &record["recipients"][0]),
        (&"a@example.com".into(), &"b@example.org".into())
    );
    assert_eq!((count(&stage), stage.status_number("/quarantine/expired").unwrap()), (0, 1));
    assert_eq!(on_their_way(&stage.home.path().join("q")), [""; 0]);
}

#[test]
fn a_dry_run_keeps_nothing() {
    if !needs::root() {
        return;
    }
    let site = site("").top("enforce = false");
    let stage = site.stage(&[CLIENT]).unwrap();
    let _daemon = stage.start().unwrap();
    assert_eq!(deliver(&stage, &["b@example.org"], "body").code, 250);
    let record = stage.records(CLIENT, "message", 1).unwrap().remove(0);
    assert_eq!((&record["action"], &record["enforced"]), (&"quarantine".into(), &false.into()));
    assert_eq!((&record["quarantine"], stage.next_hop.delivered().len()), (&Value::Null, 1));
    assert_eq!(count(&stage), 0);
}

/// S0.6. The plan: half of a message is sent, the list is switched off, the other half is sent.
#[test]
fn a_list_that_is_switched_off_in_the_middle_counts() {
    let Some(stage) = stage("") else { return };
    let _daemon = stage.start().unwrap();
    let mut client = stage.greeted(CLIENT).unwrap();
    for line in ["MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA"] {
        assert!(client.command(line).unwrap().is_positive());
    }
    client.send_raw(listed(&long_body(1)).replace('\n', "\r\n").as_bytes()).unwrap();
    let tmp = stage.home.path().join("q");
    wait_for("a half-written message", LONG, || Ok((!on_their_way(&tmp).is_empty()).then_some(())))
        .unwrap();
    let version = stage.status_number("/rules/version").unwrap();
    assert!(stage.home.cli(&["list", "disable", "proxies"]).unwrap().status.success());
    stage.wait_for_rules_after(version).unwrap();
    client.send_raw(b".\r\n").unwrap();
    let reply = client.expect(451).unwrap();
    assert!(reply.text().contains("rules changed"), "{reply}");
    assert_eq!((count(&stage), on_their_way(&tmp).len()), (0, 0));
    assert_eq!(
        client.deliver("a@example.com", &["b@example.org"], &listed("x")).unwrap().code,
        250
    );
    assert_eq!(stage.next_hop.delivered().len(), 1);
}

#[test]
fn what_the_next_hop_does_not_take_stays() {
    let Some(stage) = stage("") else { return };
    let _daemon = stage.start().unwrap();
    let id = hold(&stage, &["b@example.org", "c@example.org"]);
    stage.next_hop.answer(At::Greeting, "", Answer::ReplyAndClose("421 4.3.2 down".to_owned()));
    let output = cli(&stage, &["release", &id]);
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert!(said(&output).contains("nothing is lost"), "{}", said(&output));
    stage.next_hop.answer_normally();
    stage.next_hop.answer(At::Rcpt, "c@", Answer::Reply("550 5.1.1 no such user".to_owned()));
    let output = cli(&stage, &["release", &id]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("released <b@example.org>")
            && text.contains("not taken <c@example.org>: 550"),
        "{text}"
    );
    assert_eq!(
        event(&stage, "partly-released")["recipients"],
        serde_json::json!(["b@example.org"])
    );
    let shown = said(&cli(&stage, &["show", &id]));
    assert!(
        shown.contains("<c@example.org>, not taken: 550 5.1.1") && !shown.contains("<b@"),
        "{shown}"
    );
    stage.next_hop.answer_normally();
    let output = cli(&stage, &["release", &id]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(stage.next_hop.delivered().len(), 2);
    assert_eq!(count(&stage), 0);

    // For one of them, or for nobody.
    let other = hold(&stage, &["b@example.org", "c@example.org"]);
    let output = cli(&stage, &["release", &other, "--to", "d@example.org"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let words =
        "does not wait for <d@example.org>, expected one of 2: b@example.org, c@example.org";
    assert!(said(&output).contains(words), "{}", said(&output));
    let output = cli(&stage, &["release", &other, "--to", "c@example.org"]);
    assert!(output.status.success(), "{}", said(&output));
    let shown = said(&cli(&stage, &["show", &other]));
    assert!(shown.contains("<b@example.org>") && !shown.contains("<c@"), "{shown}");
    assert!(cli(&stage, &["release", &other]).status.success());
    let delivered = stage.next_hop.delivered();
    let to: Vec<_> = delivered.iter().skip(2).map(|it| it.recipients.clone()).collect();
    assert_eq!(to, [["<c@example.org>"], ["<b@example.org>"]]);
    assert_eq!(count(&stage), 0);
}

/// Whether `show` says that the message may be at the next hop already.
fn may_be_released(stage: &Stage, id: &str) -> bool {
    said(&cli(stage, &["show", id])).contains("the next hop may have the message")
}

/// A release that the next hop keeps waiting, as it was told to, and the command that waits for it.
fn begin_release(stage: &Stage, id: &str) -> Child {
    let mut release = stage.home.cli_command(&["quarantine", "release", id]);
    let release = release.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the release", LONG, || Ok(may_be_released(stage, id).then_some(()))).unwrap();
    release
}

/// Two people at once: one of them wins, and the message goes out once.
#[test]
fn a_message_is_released_once() {
    let Some(stage) = stage("") else { return };
    let _daemon = stage.start().unwrap();
    let id = hold(&stage, &["b@example.org"]);
    stage.next_hop.answer(At::Mail, "", Answer::Hang);
    let mut first = begin_release(&stage, &id);
    for arguments in [["delete", &id], ["release", &id]] {
        let output = cli(&stage, &arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("already"), "{}", said(&output));
    }
    // Nobody waits any more; the release goes on, and its next hop says nothing.
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(count(&stage), 1);
}

/// What the daemon had told the next hop when it died may be there, and `show` says so.
#[test]
fn a_kill_in_the_middle_of_a_release_is_told() {
    let Some(stage) = stage("") else { return };
    let daemon = stage.start().unwrap();
    let id = hold(&stage, &["b@example.org"]);
    stage.next_hop.answer(At::Message, "", Answer::Hang);
    let mut release = begin_release(&stage, &id);
    daemon.kill().unwrap();
    release.wait().unwrap();
    stage.next_hop.answer_normally();
    let _daemon = stage.start().unwrap();
    assert!(may_be_released(&stage, &id), "{}", said(&cli(&stage, &["show", &id])));
    assert!(cli(&stage, &["release", &id]).status.success());
    assert_eq!(count(&stage), 0);
}

#[test]
fn postfix_takes_what_is_released_from_the_client_that_sent_it() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = site("").next_hop_at(BEHIND).stage(&[CLIENT]).unwrap();
    let options =
        postfix::Options { listen: Some(BEHIND.parse().unwrap()), ..postfix::Options::default() };
    let behind = Postfix::start(&packages, Some(&stage.edge), &options).unwrap();
    let _daemon = stage.start().unwrap();
    let id = hold(&stage, &["b@example.org", "c@example.org"]);
    assert_eq!(behind.delivered().unwrap().len(), 0);
    let output = cli(&stage, &["release", &id]);
    assert!(output.status.success(), "{}", said(&output));
    behind.wait_for_log(&["smtpd", &format!("client=unknown[{CLIENT}]")], LONG).unwrap();
    let delivered = behind.wait_for_delivered(2, LONG).unwrap();
    let from = format!("from sender.example.com (unknown [{CLIENT}])");
    assert!(delivered.iter().all(|message| message.contains(&from)), "{delivered:#?}");
    let record = event(&stage, "released");
    assert!(record["next_hop"].as_str().unwrap().contains("queued as"), "{record:#}");
}

/// In whatever pieces it comes, it is kept as one.
#[test]
fn bdat_goes_there_too() {
    let Some(stage) = stage("") else { return };
    let _daemon = stage.start().unwrap();
    let mut client = stage.greeted(CLIENT).unwrap();
    for line in ["MAIL FROM:<a@example.com> BODY=8BITMIME", "RCPT TO:<b@example.org>"] {
        assert!(client.command(line).unwrap().is_positive());
    }
    let message = listed(".dot").replace('\n', "\r\n");
    let (start, end) = message.as_bytes().split_at(20);
    client.send_raw(&[format!("BDAT {}\r\n", start.len()).as_bytes(), start].concat()).unwrap();
    client.expect(250).unwrap();
    client.send_raw(&[format!("BDAT {} LAST\r\n", end.len()).as_bytes(), end].concat()).unwrap();
    let reply = client.expect(250).unwrap();
    let text = reply.text();
    let (_, id) = text.split_once("reference ").unwrap();
    let raw = cli(&stage, &["show", id, "--raw"]).stdout;
    assert!(String::from_utf8(raw).unwrap().ends_with("\r\n\r\n.dot\r\n"));
}
