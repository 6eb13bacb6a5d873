//! The HTTP API over the daemon's socket says what the commands say: why, records, lists; for pages and programs.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

#[path = "api/document.rs"]
mod document;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use harness::needs;
use harness::site::Site;
use harness::stage::Stage;
use serde_json::{Value, json};

use document::Document;

const REFUSED: &str = "198.51.100.66";
const CLEAN: &str = "198.18.0.2";
const LONG: Duration = Duration::from_secs(20);

/// What the daemon answers: its status, and its JSON.
fn ask(stage: &Stage, method: &str, path: &str, body: &str) -> (u16, Value) {
    let [head, body] = stage.request(method, path, "", body).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

/// What the daemon answers to a request that it does.
fn get(stage: &Stage, path: &str) -> Value {
    let (status, answer) = ask(stage, "GET", path, "");
    assert_eq!(status, 200, "{path}: {answer:#}");
    answer
}

fn prefixes(entries: &Value) -> Vec<&str> {
    let entries = entries.as_array().unwrap().iter();
    entries.map(|entry| entry["prefix"].as_str().unwrap()).collect()
}

#[test]
fn the_api_says_of_records_what_the_commands_say() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel()
        .top("recipient_domains = [\"example.org\"]")
        .tables("[audit.privacy]\nsender = \"hash\"")
        .list("bad", "local-bad", "", &format!("{REFUSED} sends spam\n"))
        .stage(&[REFUSED, CLEAN])
        .unwrap();
    let daemon = stage.start().unwrap();
    stage.connect(REFUSED.parse().unwrap()).unwrap().expect(554).unwrap();
    let mut session = stage.greeted(CLEAN).unwrap();
    let message = "Message-ID: <one@example.com>\nSubject: hello\n\nx\n";
    session.deliver("a@example.com", &["b@example.org"], message).unwrap();
    let refused = stage.wait_for_search(&["--address", REFUSED], 1).unwrap().remove(0);
    stage.wait_for_search(&["--phase", "message"], 1).unwrap();

    // Why, by all of its names, as the command tells it.
    let reference = refused["reference"].as_str().unwrap();
    let answer = get(&stage, &format!("/api/v1/why/{reference}"));
    assert_eq!(answer["kind"], "records");
    let told = stage.home.cli_json(&["why", reference, "--json"]).unwrap();
    assert_eq!(answer["stories"], json!([told]));
    assert_eq!(told["story"]["stands"]["stands"], true, "{told:#}");
    let answer = get(&stage, "/api/v1/why/%3Cone@example.com%3E");
    assert_eq!(answer["stories"][0]["client"], CLEAN);
    let answer = get(&stage, &format!("/api/v1/why/{REFUSED}"));
    let told = stage.home.cli_json(&["why", REFUSED, "--json"]).unwrap();
    assert_eq!(
        (&answer["kind"], &answer["address"]["summary"]),
        (&json!("address"), &told["summary"])
    );
    assert_eq!(answer["stories"], told["stories"]);
    let then = refused["time"].as_str().unwrap();
    let answer = get(&stage, &format!("/api/v1/why/{REFUSED}?at={then}"));
    assert_eq!(answer["address"]["entries"][0]["list"], "bad");
    let (status, fault) = ask(&stage, "GET", "/api/v1/why/x?at=never", "");
    assert_eq!((status, fault["hint"].is_string()), (422, true), "{fault:#}");

    // The search by words that are veiled in the trail, too.
    for (query, arguments, count) in [
        ("sender=a@example.com", &["--sender", "a@example.com"][..], 1),
        ("address=198.51.100.0/24&code=sys-deny-ip", &["--code", "sys-deny-ip"], 1),
        ("list=bad&phase=connect&since=1h", &["--list", "bad"], 1),
        ("recipient_domain=example.net", &["--recipient-domain", "example.net"], 0),
    ] {
        let answer = get(&stage, &format!("/api/v1/audit/search?{query}"));
        assert_eq!(answer["records"], json!(stage.search(arguments).unwrap()), "{query}");
        assert_eq!(answer["records"].as_array().unwrap().len(), count, "{query}");
        assert_eq!(answer["faults"], json!([]));
    }
    let all = stage.search(&[]).unwrap();
    let mut seen = Vec::new();
    let mut path = "/api/v1/audit/search?limit=1".to_owned();
    loop {
        let answer = get(&stage, &path);
        seen.extend(answer["records"].as_array().unwrap().clone());
        let Some(next) = answer["next"].as_str() else { break };
        path = format!("/api/v1/audit/search?limit=1&after={next}");
    }
    assert_eq!(seen, all);
    let stats = get(&stage, "/api/v1/audit/stats");
    assert_eq!((&stats["complete"], &stats["records"]), (&json!(true), &json!(all.len())));
    assert_eq!(stats["lists"]["bad"], 1);
    daemon.terminate().unwrap();
}

#[test]
fn a_reference_of_the_kernel_is_decoded() {
    if !needs::root() {
        return;
    }
    let stage = Site::with_kernel()
        .xdp("interfaces = [\"eth0\"]\nmode = \"native\"\n")
        .list("bad", "local-bad", "", &format!("{REFUSED} sends spam\n"))
        .stage(&[REFUSED])
        .unwrap();
    let daemon = stage.start().unwrap();
    let mut client = stage.connect(REFUSED.parse().unwrap()).unwrap();
    let greeting = client.expect(554).unwrap().text();
    let reference = greeting.rsplit(' ').next().unwrap();
    stage.records(REFUSED, "kernel", 1).unwrap();
    for (client, is_theirs) in [(REFUSED, true), (CLEAN, false)] {
        let answer = get(&stage, &format!("/api/v1/why/{reference}?client={client}"));
        let kernel = &answer["kernel"];
        assert_eq!(
            json!([answer["kind"], kernel["list"], kernel["action"], kernel["client"]]),
            json!(["kernel", "bad", "refuse", is_theirs]),
            "{answer:#}"
        );
    }
    let lists = get(&stage, "/api/v1/lists");
    assert_eq!(lists["lists"][0]["in_kernel"], true, "{lists:#}");
    // The filter itself, as the commands see it.
    let command = |arguments: &[&str]| stage.home.cli_json(arguments).unwrap();
    let (filter, seen) = (get(&stage, "/api/v1/xdp"), command(&["xdp", "status", "--json"]));
    for name in ["schema", "interfaces"] {
        assert!(!filter[name].is_null() && filter[name] == seen[name], "{name}: {filter:#}");
    }
    let why = get(&stage, &format!("/api/v1/xdp/why/{REFUSED}"));
    assert_eq!(why, command(&["xdp", "why", REFUSED, "--json"]));
    assert_eq!(why["decision"], "refuse", "{why:#}");
    assert_eq!(ask(&stage, "GET", "/api/v1/xdp/why/mars", "").0, 422);
    daemon.terminate().unwrap();
}

#[test]
fn the_api_shows_lists_their_entries_and_what_a_copy_would_change() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel()
        .list("bad", "local-bad", "", &format!("{REFUSED} sends spam\n203.0.113.0/24\n"))
        .tables("[[list]]\nname = \"given\"\nclass = \"local-bad\"\nmax_shrink = 50")
        .stage(&[REFUSED])
        .unwrap();
    let daemon = stage.start().unwrap();
    let put = |text: &str| {
        let file = stage.home.write("given.txt", text).unwrap();
        let output = stage.home.cli(&["list", "put", "given", file.to_str().unwrap()]).unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    put("192.0.2.10 one\n192.0.2.11\n192.0.2.12\n");
    let added =
        stage.home.cli(&["list", "add", "bad", "203.0.113.9", "--reason", "by hand"]).unwrap();
    assert!(added.status.success(), "{added:?}");

    let answer = get(&stage, "/api/v1/lists");
    let status = stage.status().unwrap();
    for (list, known) in
        answer["lists"].as_array().unwrap().iter().zip(status["rules"]["lists"].as_array().unwrap())
    {
        for (name, value) in known.as_object().unwrap() {
            assert_eq!(&list[name], value, "{name}");
        }
        assert_eq!(list["sources"].as_array().unwrap().len(), 1);
        assert_eq!(list["in_kernel"], false);
    }
    let answer = get(&stage, "/api/v1/lists/bad/entries");
    assert_eq!(prefixes(&answer["entries"]), [REFUSED, "203.0.113.0/24", "203.0.113.9"]);
    let answer = get(&stage, "/api/v1/lists/bad/entries?prefix=203.0.113.9");
    assert_eq!(prefixes(&answer["entries"]), ["203.0.113.0/24", "203.0.113.9"]);
    assert_eq!(answer["entries"][1]["reason"], "by hand");

    let copy = "192.0.2.11\n192.0.2.13\nnonsense\n";
    let (status, preview) = ask(&stage, "POST", "/api/v1/lists/given/preview", copy);
    assert_eq!(status, 200, "{preview:#}");
    let told = ["come", "go", "stay"].map(|side| &preview[side]["first"]);
    assert_eq!(
        told,
        [&json!(["192.0.2.13"]), &json!(["192.0.2.10", "192.0.2.12"]), &json!(["192.0.2.11"])]
    );
    assert_eq!((&preview["rejected"], &preview["doubt"]), (&json!(1), &Value::Null));
    let (_, empty) = ask(&stage, "POST", "/api/v1/lists/given/preview", "");
    assert!(empty["doubt"].as_str().unwrap().contains("has no entries"), "{empty:#}");
    assert_eq!(get(&stage, "/api/v1/lists/given/entries")["matching"], 3);

    put(copy);
    let history = get(&stage, "/api/v1/lists/given/history");
    let newest = &history["changes"][0];
    assert_eq!((&newest["added"], &newest["removed"]), (&json!(1), &json!(2)), "{history:#}");
    assert_eq!(prefixes(&history["events"])[..3], ["192.0.2.10", "192.0.2.12", "192.0.2.13"]);
    let output = stage.home.cli(&["list", "disable", "given"]).unwrap();
    assert!(output.status.success(), "{output:?}");
    let off = get(&stage, "/api/v1/lists/given/entries");
    assert_eq!(prefixes(&off["entries"]), ["192.0.2.11", "192.0.2.13"]);
    daemon.terminate().unwrap();
}

#[test]
fn answers_have_the_fields_that_the_document_names() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel()
        .top("recipient_domains = [\"example.org\"]")
        .list("bad", "open-proxy", "", &format!("{REFUSED} sends spam\n198.51.100.0/28\n"))
        .tables("[[list]]\nname = \"given\"\nclass = \"local-bad\"")
        .stage(&[REFUSED, CLEAN])
        .unwrap();
    let daemon = stage.start().unwrap();
    stage.connect(REFUSED.parse().unwrap()).unwrap().expect(554).unwrap();
    let mut session = stage.greeted(CLEAN).unwrap();
    session.deliver("a@example.com", &["b@example.org"], "Subject: hello\n\nx\n").unwrap();
    stage.wait_for_search(&["--phase", "message"], 1).unwrap();
    for arguments in [
        &["review", "request", REFUSED, "--note", "it is mine"][..],
        &["list", "add", "bad", "203.0.113.9", "--reason", "by hand"],
        &["senders", "pass", "198.51.100.0/24"],
        &["slider", "set", "--delay-from", "600", "--reject-above", "800"],
        &["log", "set", "audit=debug", "--for", "1h"],
        &["pause", "--for", "1h"],
    ] {
        let output = stage.home.cli(arguments).unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    // A copy that is held back, and an exception.
    assert_eq!(ask(&stage, "PUT", "/api/v1/lists/given/entries?author=me", "<html>").0, 422);
    stage.home.cli(&["list", "remove", "bad", "198.51.100.7"]).unwrap();

    let document = Document::new(get(&stage, "/api/v1/openapi.json"));
    let paths = document.paths_of_json();
    let plain: Vec<_> = paths.iter().filter(|path| !path.contains('{')).collect();
    assert!(plain.len() > 15, "{plain:?}");
    let (status, fault) = ask(&stage, "GET", "/api/v1/xdp", "");
    assert!(status == 503 && fault["detail"].is_string(), "there is no filter: {fault:#}");
    for path in plain.into_iter().filter(|path| **path != "/api/v1/xdp") {
        document.check(path, &get(&stage, path));
    }
    for (path, wanted) in [
        ("/api/v1/lists/{list}/entries", "/api/v1/lists/bad/entries"),
        ("/api/v1/lists/{list}/history", "/api/v1/lists/bad/history"),
        ("/api/v1/lists/{list}/exceptions", "/api/v1/lists/bad/exceptions"),
        ("/api/v1/lists/{list}/held-back", "/api/v1/lists/given/held-back"),
        ("/api/v1/lookup/{ip}", "/api/v1/lookup/198.51.100.66"),
        ("/api/v1/lookup/{ip}/letter", "/api/v1/lookup/198.51.100.66/letter"),
        ("/api/v1/reviews/{id}", "/api/v1/reviews/1"),
        ("/api/v1/reviews/{id}/hits", "/api/v1/reviews/1/hits"),
        ("/api/v1/reviews/{id}/letter", "/api/v1/reviews/1/letter"),
        ("/api/v1/why/{what}", "/api/v1/why/198.51.100.66"),
        ("/api/v1/why/{what}", "/api/v1/why/nothing"),
    ] {
        assert!(paths.contains(&path), "{path}");
        document.check(path, &get(&stage, wanted));
    }
    for wanted in ["/api/v1/lookup/mars", "/api/v1/nowhere", "/api/v1/reviews?colour=red"] {
        let (status, fault) = ask(&stage, "GET", wanted, "");
        document.check_fault(&fault);
        assert_eq!(fault["status"], status, "{fault:#}");
    }
    daemon.terminate().unwrap();
}

#[test]
fn records_are_followed_as_they_come() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel()
        .list("bad", "local-bad", "", &format!("{REFUSED}\n"))
        .stage(&[REFUSED, CLEAN])
        .unwrap();
    let daemon = stage.start().unwrap();
    let follow = || {
        let mut socket = UnixStream::connect(stage.home.path().join("admin.sock")).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let path = "/api/v1/audit/follow?action=reject";
        write!(socket, "GET {path} HTTP/1.1\r\nhost: portcullis\r\n\r\n").unwrap();
        let mut lines = BufReader::new(socket).lines().map(|line| line.unwrap());
        assert_eq!(lines.next().as_deref(), Some("HTTP/1.1 200 OK"));
        lines
    };
    let mut followers: Vec<_> = (0..8).map(|_| follow()).collect();
    let [head, fault] = stage.request("GET", "/api/v1/audit/follow", "", "").unwrap();
    assert!(head.starts_with("HTTP/1.1 503") && fault.contains("eight follow"), "{head} {fault}");
    drop(stage.greeted(CLEAN).unwrap());
    stage.connect(REFUSED.parse().unwrap()).unwrap().expect(554).unwrap();
    let mut events = followers[3].by_ref().skip_while(|line| !line.starts_with("event:"));
    assert_eq!(events.next().as_deref(), Some("event: record"));
    let data = events.next().unwrap();
    let record: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&record["client"], &record["action"]), (&json!(REFUSED), &json!("reject")));
    daemon.terminate().unwrap();
}
