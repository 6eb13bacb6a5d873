//! What is set while the daemon runs, and counts in the place of its files: the slider above all.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::process::Output;
use std::time::Duration;

use gateway::admin::{self, ClientError, Method};
use harness::needs;
use harness::site::Site;
use harness::stage::Stage;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(20);

/// Whoever connects from there has a score of 650.
const DOUBTFUL: &str = "198.18.3.3";

fn site() -> Site {
    let keys = "action = \"score\"\nweight = 650\n";
    Site::without_kernel()
        .tables("[score]\ndelay_mode = \"static\"\n")
        .list("suspects", "global-bad", keys, "198.18.3.3\n")
        .list("bad", "local-bad", "", "198.18.3.4\n")
}

fn block_on<T>(asked: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(asked)
}

fn get(stage: &Stage, path: &str) -> Result<Value, ClientError> {
    block_on(admin::get(&stage.home.path().join("admin.sock"), path))
}

fn send(stage: &Stage, method: Method, path: &str, wanted: &Value) -> Result<Value, ClientError> {
    block_on(admin::send(&stage.home.path().join("admin.sock"), method, path, wanted))
}

/// A command, typed by `ada`.
fn type_in(stage: &Stage, arguments: &[&str]) -> Output {
    stage.home.cli_command(arguments).env("SUDO_USER", "ada").output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr].concat()).unwrap()
}

/// What a doubtful client reads first.
fn greeting(stage: &Stage) -> u16 {
    stage.connect(DOUBTFUL.parse().unwrap()).unwrap().reply().unwrap().code
}

fn scores(answer: &Value) -> String {
    format!("{}/{}", answer["delay_from"], answer["reject_above"])
}

#[test]
fn the_slider_counts_at_once_and_outlives_reloads_and_restarts_until_it_is_reset() {
    if !needs::root() {
        return;
    }
    let stage = site().stage(&[DOUBTFUL]).unwrap();
    let mut daemon = stage.start().unwrap();
    assert_eq!(greeting(&stage), 554);
    let answer = get(&stage, "/api/v1/slider").unwrap();
    assert_eq!((scores(&answer), &answer["set"]), ("500/600".to_owned(), &Value::Null));
    assert_eq!(answer["in_force"], "configured");

    let said =
        type_in(&stage, &["slider", "set", "--allow", "20", "--delay", "30", "--reject", "50"]);
    let words = "600/750 from now on; the configuration says 500/600\n";
    assert_eq!(text(&said), words, "{said:?}");
    assert_eq!(greeting(&stage), 421, "from the next connection on");
    let wanted = json!({"author": "bob", "delay_from": 700, "reject_above": 800});
    let answer = send(&stage, Method::PUT, "/api/v1/slider", &wanted).unwrap();
    assert_eq!(
        (scores(&answer), scores(&answer["configured"])),
        ("700/800".into(), "500/600".into())
    );
    assert_eq!((&answer["set"]["author"], &answer["in_force"]), (&json!("bob"), &json!("set")));
    assert_eq!(answer["percent"], json!({"allow": 40, "delay": 20, "reject": 40}));
    assert_eq!(greeting(&stage), 220);

    stage
        .configure(
            &site().config().unwrap().replace("static\"", "static\"\ndelay = 10\nreject = 90"),
        )
        .unwrap();
    daemon.hang_up().unwrap();
    daemon.wait_for_notification("RELOADING=1", LONG).unwrap();
    daemon.wait_for_notification("READY=1", LONG).unwrap();
    let answer = get(&stage, "/api/v1/slider").unwrap();
    assert_eq!(
        (scores(&answer), scores(&answer["configured"])),
        ("700/800".into(), "500/550".into())
    );
    assert_eq!(greeting(&stage), 220);
    daemon.terminate().unwrap();
    // Without a daemon it is known, too.
    let shown = text(&type_in(&stage, &["slider"]));
    assert!(shown.starts_with("700/800 set by bob at "), "{shown}");
    assert!(shown.contains("; the configuration says 500/550\n"), "{shown}");
    let _daemon = stage.start().unwrap();
    assert_eq!(greeting(&stage), 220);

    let said = type_in(&stage, &["slider", "reset"]);
    assert_eq!(text(&said), "500/550 from now on, by the configuration\n");
    assert_eq!(greeting(&stage), 554);
    let again = send(&stage, Method::DELETE, "/api/v1/slider", &json!({"author": "bob"})).unwrap();
    assert_eq!((&again["set"], scores(&again)), (&Value::Null, "500/550".to_owned()));
    let is_meant = |record: &Value| record["phase"] == "slider" && record["event"] == "reset";
    stage.home.wait_for_audit("the end", LONG, is_meant).unwrap();
    let mut events = stage.home.audit().unwrap();
    events.retain(|record| record["phase"] == "slider");
    let events: Vec<_> = events
        .iter()
        .map(|it| format!("{} {} {} {}", it["event"], it["author"], it["set"], it["before"]))
        .collect();
    let expected = [
        r#""set" "ada" {"delay_from":600,"reject_above":750} null"#,
        r#""set" "bob" {"delay_from":700,"reject_above":800} {"delay_from":600,"reject_above":750}"#,
        r#""reset" "ada" null {"delay_from":700,"reject_above":800}"#,
    ];
    assert_eq!(events, expected);
}

#[test]
fn other_thresholds_are_tried_over_the_socket_and_what_makes_no_sense_is_refused() {
    if !needs::root() {
        return;
    }
    let stage = site().stage(&[DOUBTFUL]).unwrap();
    let daemon = stage.start().unwrap();
    for _ in 0..3 {
        assert_eq!(greeting(&stage), 554);
    }
    stage.records(DOUBTFUL, "connect", 3).unwrap();
    let tried = "/api/v1/slider/replay?allow=20&delay=30&reject=50";
    let answer = get(&stage, tried).unwrap();
    let told = (&answer["complete"], &answer["scored"], &answer["phases"][0]["scored"]);
    assert_eq!(told, (&json!(false), &json!(3), &json!(3)), "it has not run for a day: {answer:#}");
    // The next daemon goes on counting.
    daemon.terminate().unwrap();
    let _daemon = stage.start().unwrap();
    let answer = get(&stage, tried).unwrap();
    assert_eq!(answer["scored"], json!(3), "{answer:#}");
    assert_eq!((&answer["now"]["delay"], &answer["changed"]), (&json!(3), &json!(3)));
    let path = "/api/v1/slider/replay?delay_from=500&reject_above=600&hours=1&phase=message";
    assert_eq!(get(&stage, path).unwrap()["decisions"], 0);
    let answer = get(&stage, "/api/v1/slider/replay").unwrap();
    assert_eq!((scores(&answer), &answer["changed"]), ("500/600".to_owned(), &json!(0)));
    let printed = ["slider", "--dry-run", "--json"];
    let printed: Value = serde_json::from_slice(&type_in(&stage, &printed).stdout).unwrap();
    // The command reads the trail, which has the same.
    for name in ["scored", "now", "recorded", "changes", "histogram", "phases"] {
        assert_eq!(answer[name], printed[name], "{name}");
    }

    for (query, words) in [
        ("allow=20", "allow alone, expected delay_from and reject_above"),
        ("allow=20&delay=30&reject=60", "is 110 percent, expected 100"),
        ("delay_from=400&reject_above=600", "expected 500 <= delay_from"),
        ("hours=0", "hours=0, expected 1 to 24"),
        ("hours=soon", "hours"),
        ("phase=kernel", "phase=kernel, expected one of connect, recipient, message"),
        ("moon=1", "unknown field `moon`"),
    ] {
        let fault = get(&stage, &format!("/api/v1/slider/replay?{query}")).unwrap_err();
        assert!(matches!(&fault, ClientError::Refused(it) if it.is_of_request()), "{fault:?}");
        assert!(fault.to_string().contains(words), "{query}: {fault}");
    }
    for (wanted, words) in [
        (json!({"author": "ada"}), "no thresholds are named"),
        (json!({"author": "ada", "allow": 100, "delay": 0}), "allow, delay alone, expected"),
        (json!({"delay_from": 700, "reject_above": 800}), "missing field `author`"),
        (json!({"author": "x".repeat(101), "delay_from": 700, "reject_above": 800}), "the author"),
    ] {
        let fault = send(&stage, Method::PUT, "/api/v1/slider", &wanted).unwrap_err();
        assert!(fault.to_string().contains(words), "{wanted}: {fault}");
    }
    let said = type_in(&stage, &["slider", "set"]);
    assert_eq!(said.status.code(), Some(2), "{said:?}");
    assert_eq!(get(&stage, "/api/v1/slider").unwrap()["set"], Value::Null);
}

#[test]
fn check_says_what_commands_set_in_the_place_of_the_file() {
    if !needs::root() {
        return;
    }
    let stage = site().stage(&[]).unwrap();
    let daemon = stage.start().unwrap();
    assert_eq!(stage.home.cli_json(&["check", "--json"]).unwrap()["overrides"], json!([]));
    for arguments in [
        &["slider", "set", "--delay-from", "700", "--reject-above", "800"][..],
        &["list", "disable", "bad"],
        &["zones", "add", "zen.example", "--no-test-points"],
    ] {
        let said = type_in(&stage, arguments);
        assert!(said.status.success(), "{arguments:?}: {said:?}");
    }
    daemon.terminate().unwrap();
    let answer = stage.home.cli_json(&["check", "--json"]).unwrap();
    let found: Vec<_> = answer["overrides"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            format!("{} {} {} {} {}", it["about"], it["file"], it["set"], it["author"], it["wins"])
        })
        .collect();
    let expected = [
        r#""slider" "500/600" "700/800" "ada" "set""#,
        r#""list bad" "on" "off" "ada" "set""#,
        r#""zone zen.example" "not there" "added" "ada" "set""#,
    ];
    assert_eq!(found, expected);
    let said = text(&type_in(&stage, &["check"]));
    for line in [
        "slider: the file says 500/600; set to 700/800 by ada at ",
        "list bad: the file says on; set to off by ada at ",
        "; what was set counts\n",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
}

#[test]
fn the_configuration_in_force_is_shown_with_its_places_and_without_its_secrets() {
    if !needs::root() {
        return;
    }
    let feed = "[[list]]\nname = \"feed\"\nclass = \"global-bad\"\nurl = \"https://me:s3cret@127.0.0.1:9/a?key=s3cret\"\n";
    let stage = site().tables(feed).stage(&[]).unwrap();
    let _daemon = stage.start().unwrap();
    assert!(type_in(&stage, &["list", "disable", "bad"]).status.success());
    let answer = get(&stage, "/api/v1/config").unwrap();
    let table = |name: &str, index: usize| {
        let mut tables = answer["tables"].as_array().unwrap().iter();
        tables.by_ref().filter(|table| table["table"] == name).nth(index).unwrap().clone()
    };
    let key = |table: &Value, name: &str| {
        let mut keys = table["keys"].as_array().unwrap().iter();
        keys.find(|key| key["key"] == name).unwrap().clone()
    };
    let mode = key(&table("score", 0), "delay_mode");
    assert_eq!((&mode["value"], &mode["said"]), (&json!("static"), &json!(true)));
    let place = mode["place"].as_str().unwrap();
    assert!(place.contains("/portcullis.toml:"), "{place}");
    let delay = key(&table("score", 0), "delay");
    assert_eq!((&delay["value"], &delay["said"]), (&json!(20), &json!(false)));
    let url = key(&table("list", 2), "url");
    assert_eq!((&url["value"], &url["masked"]), (&json!("https://127.0.0.1:9/a?…"), &json!(true)));
    assert_eq!(answer["overrides"][0]["about"], "list bad");
    assert_eq!(stage.home.cli_json(&["check", "--show", "--json"]).unwrap(), answer);
    let shown = text(&type_in(&stage, &["check", "--show"]));
    for line in [
        "hostname = \"mx1.example.org\"  # ",
        "\n[score]  # ",
        "\ndelay = 20  # default\n",
        "\n[[list]]  # ",
        "\nurl = \"https://127.0.0.1:9/a?…\"  # ",
        "\nlist bad: the file says on; set to off by ada at ",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    assert!(!shown.contains("s3cret") && !answer.to_string().contains("s3cret"), "{shown}");
}
