//! Lists that are fetched: in force when they come, kept when what comes is bad, there after a start without the network.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::deadline::wait_for;
use harness::feed_server::{FeedServer, Request, Step, answer, text};
use harness::needs;
use harness::site::Site;
use harness::smtp_client::Attempt;
use harness::stage::Stage;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);
const BAD: &str = "198.51.100.66";
const NEIGHBOUR: &str = "203.0.113.9";

/// What the server answers from now on.
type Answer = Arc<Mutex<Vec<Step>>>;

fn is_refused(stage: &Stage, client: &str) -> bool {
    matches!(stage.attempt(client.parse().unwrap(), LONG).unwrap(), Attempt::Refused)
}

fn feed(stage: &Stage) -> Value {
    stage.home.cli_json(&["feeds", "status", "--json"]).unwrap()[0].clone()
}

/// Fetches now, and waits until that has been tried.
fn fetch(stage: &Stage) -> Value {
    let before = feed(stage)["last_try"].clone();
    stage.home.cli_json(&["feeds", "fetch", "bad", "--json"]).unwrap();
    let tried = |feed: &Value| feed["last_try"] != before && feed["fetching"] == json!(false);
    wait_for("a fetch", LONG, || Ok(Some(feed(stage)).filter(tried))).unwrap()
}

#[test]
fn a_feed_is_in_force_and_stays_so_whatever_comes() {
    if !needs::root() {
        return;
    }
    let answers = Answer::default();
    let stage = Site::with_kernel().stage(&[BAD, NEIGHBOUR]).unwrap();
    let serve = {
        let answers = Arc::clone(&answers);
        move |request: &Request| {
            if request.field("if-none-match") == Some("\"v1\"")
                && answers.lock().unwrap().is_empty()
            {
                return answer("304 Not Modified", "ETag: \"v1\"\r\n", "");
            }
            let steps = answers.lock().unwrap().clone();
            if steps.is_empty() {
                answer(
                    "200 OK",
                    "ETag: \"v1\"\r\nContent-Type: text/plain\r\n",
                    "198.51.100.66 ; SBL1\n10.0.0.0/8 ; a bogon\n0.0.0.0/0\n",
                )
            } else {
                steps
            }
        }
    };
    let server = stage.edge.run(|| FeedServer::new(serve).unwrap()).unwrap();
    let list = format!(
        "[[list]]\nname = \"bad\"\nclass = \"global-bad\"\nurl = \"{}\"",
        server.url("/drop.txt")
    );
    stage.configure(&Site::with_kernel().tables(&list).config().unwrap()).unwrap();
    let daemon = stage.start().unwrap();
    // Without any copy it is fetched at once.
    wait_for("the first fetch", LONG, || Ok(is_refused(&stage, BAD).then_some(()))).unwrap();
    // The kernel has it a moment before `status` says so.
    let told = |status: &Value| status.pointer("/rules/lists/0/entries") == Some(&json!(1));
    let status = wait_for("the status", LONG, || Ok(Some(stage.status()?).filter(told))).unwrap();
    assert_eq!(status.pointer("/rules/lists/0/rejected"), Some(&json!(2)));
    let alarm = stage.wait_for_alarm("list:bad", "rejected lines: 2").unwrap();
    assert!(alarm.contains("10.0.0.0/8 is private, expected public addresses"), "{alarm}");
    let found = stage.home.cli_json(&["list", "find", BAD, "--json"]).unwrap();
    assert_eq!(found[0]["matches"][0]["origin"], json!(server.url("/drop.txt") + ":1"));

    let now = fetch(&stage);
    assert_eq!(now["last_fault"], Value::Null);
    let asked = server.requests();
    assert_eq!(asked.last().unwrap().field("if-none-match"), Some("\"v1\""));

    for (steps, words) in [
        (answer("500 Oops", "", "sorry"), "500"),
        (answer("200 OK", "Content-Type: text/html\r\n", "<html>198.51.100.1</html>"), "text/html"),
        (text("<!doctype html>\n198.51.100.1\n"), "is a web page, no list"),
        (text(""), "has no entries, rejected lines: 0"),
        (
            vec![Step::Send(
                b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n198.51.100.1\n".to_vec(),
            )],
            "then the connection ended, expected 100",
        ),
    ] {
        *answers.lock().unwrap() = steps;
        fetch(&stage);
        let alarm = stage.wait_for_alarm("list:bad", words).unwrap();
        assert!(alarm.contains("the last good 1 entries stay"), "{alarm}");
        assert!(is_refused(&stage, BAD), "{words}");
    }
    // The server has again what the copy has: what was refused meanwhile waits no more.
    // An alarm comes a moment before the status that has the same.
    let wait_for_can_accept = |expected: bool| {
        let told =
            |status: &Value| status.pointer("/rules/lists/0/can_accept") == Some(&json!(expected));
        let look = || Ok(told(&stage.status()?).then_some(()));
        wait_for(&format!("can_accept = {expected}"), LONG, look).unwrap();
    };
    wait_for_can_accept(true);
    answers.lock().unwrap().clear();
    fetch(&stage);
    stage.wait_for_alarm("list:bad", "rejected lines: 2").unwrap();
    wait_for_can_accept(false);

    // A copy that is nothing in another format is of no use, so that the server is asked for all of it, at once.
    let reload = |keys: &str| {
        let tables = format!("{list}\n{keys}");
        stage.configure(&Site::with_kernel().tables(&tables).config().unwrap()).unwrap();
        daemon.hang_up().unwrap();
    };
    let before = server.requests().len();
    reload("format = \"drop-json\"");
    let alarm = stage.wait_for_alarm("list:bad", "ends before its last line").unwrap();
    assert!(alarm.contains("has no entries as drop-json, the list is empty"), "{alarm}");
    let asked = server.requests();
    assert_eq!((asked.len(), asked.last().unwrap().field("if-none-match")), (before + 1, None));
    assert!(!is_refused(&stage, BAD));
    reload("");
    wait_for("the copy again", LONG, || Ok(is_refused(&stage, BAD).then_some(()))).unwrap();
    wait_for_can_accept(false);

    *answers.lock().unwrap() = text("198.51.100.66\n203.0.113.0/24\n");
    fetch(&stage);
    wait_for("the new copy", LONG, || Ok(is_refused(&stage, NEIGHBOUR).then_some(()))).unwrap();
    stage.wait_for_no_alarm("list:bad").unwrap();

    // A start without the network, and with a file system that came back from a power failure, is a start with the last copy.
    daemon.kill().unwrap();
    drop(server);
    stage.home.cli(&["xdp", "detach"]).unwrap();
    let daemon = stage.start().unwrap();
    assert!(is_refused(&stage, BAD) && is_refused(&stage, NEIGHBOUR));
    fetch(&stage);
    stage.wait_for_alarm("list:bad", "the last good 2 entries stay").unwrap();
    daemon.terminate().unwrap();
}
