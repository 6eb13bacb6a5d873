//! Lists changed at run time: by hand, by switches, by folders, by what is put; in force at once, kept, remembered.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

use std::fs;
use std::time::Duration;

use harness::deadline::wait_for;
use harness::needs;
use harness::site::Site;
use harness::smtp_client::Attempt;
use harness::stage::Stage;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);

/// A sender that no list names at first, one that the list `bad` does, one in the network that it names.
const NOBODY: &str = "198.18.1.2";
const BAD: &str = "198.51.100.66";
const NEIGHBOUR: &str = "203.0.113.9";

fn stage(site: Site) -> Stage {
    site.stage(&[NOBODY, BAD, NEIGHBOUR]).unwrap()
}

fn usual() -> Site {
    Site::with_kernel()
        .list("bad", "local-bad", "", "198.51.100.66 sends spam\n203.0.113.0/24\n")
        .tables("[[list]]\nname = \"good\"\nclass = \"local-good\"")
        .tables("[[list]]\nname = \"given\"\nclass = \"local-bad\"")
}

/// Whether the kernel refuses `client`, which it does with a reset here.
fn is_refused(stage: &Stage, client: &str) -> bool {
    matches!(stage.attempt(client.parse().unwrap(), LONG).unwrap(), Attempt::Refused)
}

fn list(stage: &Stage, arguments: &[&str]) -> Value {
    let arguments = [&["list"], arguments, &["--json"]].concat();
    let output = stage.home.cli(&arguments).unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a command complains about, with its exit code.
fn complaint(stage: &Stage, arguments: &[&str]) -> (Option<i32>, String) {
    let output = stage.home.cli(arguments).unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn matches_of(stage: &Stage, address: &str) -> Vec<Value> {
    let found = list(stage, &["find", address]);
    found[0]["matches"].as_array().unwrap().clone()
}

#[test]
fn what_is_added_and_removed_by_hand_is_in_force_when_the_command_returns() {
    if !needs::root() {
        return;
    }
    let stage = stage(usual());
    let daemon = stage.start().unwrap();
    assert!(!is_refused(&stage, NOBODY) && is_refused(&stage, BAD));

    let added = list(&stage, &["add", "bad", "198.18.1.0/24", "--reason", "a wave of spam"]);
    assert_eq!((&added["entries"], &added["warnings"]), (&json!(3), &json!([])));
    assert!(is_refused(&stage, NOBODY));
    let found = matches_of(&stage, NOBODY);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["entry"], &found[0]["reason"]),
        (&json!("198.18.1.0/24"), &json!("a wave of spam"))
    );
    assert!(found[0]["origin"].as_str().unwrap().starts_with("added by "), "{found:?}");
    assert!(found[0]["added"].is_string(), "{found:?}");

    // Good beats bad, for as long as it lasts; an exception takes a host out of a network of the file.
    list(&stage, &["add", "good", NOBODY]);
    assert!(!is_refused(&stage, NOBODY));
    assert!(is_refused(&stage, NEIGHBOUR));
    let removed = list(&stage, &["remove", "bad", NEIGHBOUR]);
    assert_eq!(removed["done"], json!(format!("excepted {NEIGHBOUR} from the list")));
    assert!(!is_refused(&stage, NEIGHBOUR));
    assert_eq!(matches_of(&stage, NEIGHBOUR), [] as [Value; 0]);

    // All of it is there after a kill, in the kernel and in the daemon.
    daemon.kill().unwrap();
    let daemon = stage.start().unwrap();
    for (client, refused) in [(NOBODY, false), (BAD, true), (NEIGHBOUR, false)] {
        assert_eq!(is_refused(&stage, client), refused, "{client}");
    }
    list(&stage, &["remove", "good", NOBODY]);
    assert!(is_refused(&stage, NOBODY));
    // An exception is shown with who made it, and ends by word: what the source has counts again, as it says it.
    let excepted = list(&stage, &["show", "bad", "--exceptions"]);
    assert_eq!(
        (&excepted[0]["prefix"], excepted.as_array().unwrap().len()),
        (&json!(NEIGHBOUR), 1)
    );
    assert!(excepted[0]["origin"].as_str().unwrap().starts_with("taken out by "), "{excepted}");
    let restored = list(&stage, &["restore", "bad", NEIGHBOUR]);
    assert_eq!(restored["done"], json!(format!("ended the exception of {NEIGHBOUR}")));
    assert!(is_refused(&stage, NEIGHBOUR));
    assert_eq!(list(&stage, &["show", "bad", "--exceptions"]), json!([]));
    list(&stage, &["remove", "bad", NEIGHBOUR]);
    assert!(!is_refused(&stage, NEIGHBOUR));
    // The last word counts: what is added after an exception is not cut by it.
    list(&stage, &["add", "bad", NEIGHBOUR]);
    assert!(is_refused(&stage, NEIGHBOUR));
    let removed = list(&stage, &["remove", "bad", "198.18.1.0/24"]);
    assert_eq!(removed["done"], "removed 198.18.1.0/24");
    assert!(!is_refused(&stage, NOBODY));

    // What is gone is remembered: who, when.
    let found = list(&stage, &["find", NOBODY]);
    let history = found[0]["history"]["events"].as_array().unwrap();
    let shown: Vec<_> = history
        .iter()
        .map(|event| {
            (
                event["list"].as_str().unwrap(),
                event["prefix"].as_str().unwrap(),
                event["added"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("bad", "198.18.1.0/24", false),
            ("good", NOBODY, false),
            ("good", NOBODY, true),
            ("bad", "198.18.1.0/24", true),
        ]
    );
    daemon.terminate().unwrap();
}

/// A decision stays explainable after the entry is gone: the record has when it came, `why` when it went, and by what.
#[test]
fn why_says_when_the_entry_was_removed() {
    let site =
        Site::without_kernel().list("bad", "local-bad", "", "198.51.100.66\n198.51.100.67\n");
    if !needs::root() {
        return;
    }
    let stage = stage(site);
    let daemon = stage.start().unwrap();
    let mut client = stage.connect(BAD.parse().unwrap()).unwrap();
    let reply = client.reply().unwrap();
    assert_eq!(reply.code, 554);
    let text = reply.text();
    let (_words, reference) = text.rsplit_once("reference ").unwrap();
    stage.records(BAD, "connect", 1).unwrap();
    let why = || stage.home.cli_json(&["why", reference, "--json"]).unwrap();
    let record = why();
    assert_eq!((&record["entry"], &record["entry_removed"]), (&json!(BAD), &Value::Null));
    assert!(record["entry_added"].is_string(), "{record:#}");
    stage.home.write("bad.txt", "198.51.100.67\n").unwrap();
    let removed = wait_for("the removal", LONG, || {
        Ok(Some(why()["entry_removed"].clone()).filter(Value::is_object))
    })
    .unwrap();
    assert!(removed["by"].as_str().unwrap().ends_with("bad.txt"), "{removed}");
    assert!(removed["at"].is_string() && removed["prefix"] == BAD, "{removed}");
    daemon.terminate().unwrap();
}

#[test]
fn what_is_made_good_warns_of_the_other_hops_of_recent_messages() {
    if !needs::root() {
        return;
    }
    let (proxy, other, third) = ("198.51.100.7", "203.0.113.9", "203.0.113.10");
    let site = Site::without_kernel()
        .list("proxies", "open-proxy", "action = \"reject-message\"", "198.51.100.0/24\n")
        .list("doubtful", "local-bad", "action = \"tag\"", "203.0.113.0/24\n")
        .tables("[[list]]\nname = \"good\"\nclass = \"local-good\"")
        .tables("[[list]]\nname = \"given\"\nclass = \"local-bad\"");
    let stage = stage(site);
    let daemon = stage.start().unwrap();
    let send = |hops: &[&str]| {
        let hop = |ip: &&str| format!("Received: from a.example.net ([{ip}]) by b.example.net\n");
        let message = hops.iter().map(hop).collect::<String>() + "Subject: x\n\nx\n";
        stage
            .greeted(NOBODY)
            .unwrap()
            .deliver("a@example.net", &["b@example.org"], &message)
            .unwrap();
    };
    send(&[other, proxy]);
    let reference = stage.records(NOBODY, "message", 1).unwrap()[0]["reference"].clone();
    let reference = reference.as_str().unwrap();
    send(&[third, "198.18.1.3"]);
    stage.records(NOBODY, "message", 2).unwrap();

    // The address of the tag is cleared, that of the open proxy is not.
    let added = list(&stage, &["add", "good", other]);
    let warnings = added["warnings"].as_array().unwrap();
    let [warning] = &warnings[..] else { unreachable!("one warning: {warnings:?}") };
    let warning = warning.as_str().unwrap();
    assert!(warning.starts_with(&format!("message {reference} of 20")), "{warning}");
    let end = format!(
        "Z, with {other} as received[0], would still be refused: {proxy} (received[1]) is on proxies (open-proxy): 198.51.100.0/24"
    );
    assert!(warning.ends_with(&end), "{warning}");
    // It is judged by the lists that are in force now: with the first one good, nothing else is left.
    assert_eq!(list(&stage, &["add", "good", proxy])["warnings"], json!([]));
    list(&stage, &["remove", "good", other]);
    let added = list(&stage, &["add", "good", "198.51.100.0/28"]);
    let warning = added["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("would still be tagged: 203.0.113.9 (received[0]) is on doubtful"),
        "{warning}"
    );
    assert_eq!(added["warnings"].as_array().unwrap().len(), 1);
    // Nobody asks that of a bad list, or of an address that was in no message.
    assert_eq!(
        list(&stage, &["add", "given", "198.51.100.8"])["warnings"].as_array().unwrap().len(),
        1
    );
    assert_eq!(list(&stage, &["add", "good", "198.18.7.7"])["warnings"], json!([]));

    // Where it cannot look it says so, and adds the entry all the same.
    fs::remove_file(stage.home.path().join("audit.jsonl")).unwrap();
    let added = list(&stage, &["add", "good", "198.18.7.8"]);
    let warning = added["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("whether other hops of recent messages are still hit is not known"),
        "{warning}"
    );
    assert_eq!(added["done"], "added 198.18.7.8");
    daemon.terminate().unwrap();
}

#[test]
fn an_entry_ends_by_itself_also_without_the_daemon() {
    if !needs::root() {
        return;
    }
    let stage = stage(usual());
    let daemon = stage.start().unwrap();
    list(&stage, &["add", "bad", NOBODY, "--for", "4s"]);
    assert!(is_refused(&stage, NOBODY));
    daemon.kill().unwrap();
    assert!(is_refused(&stage, NOBODY), "the kernel goes on");
    // Nobody listens, so that a reset comes from the host, too: the filter's counter tells them apart.
    let resets = || {
        let stats = stage.home.cli_json(&["xdp", "stats", "--json"]).unwrap();
        let rows = stats["outcomes"].as_array().unwrap();
        let row = rows.iter().find(|row| row["outcome"] == "reset").unwrap();
        row["packets"].as_u64().unwrap()
    };
    wait_for("the end of the entry", LONG, || {
        let before = resets();
        is_refused(&stage, NOBODY);
        Ok((resets() == before).then_some(()))
    })
    .unwrap();
    let daemon = stage.start().unwrap();
    // The kernel counts whole seconds since the host started, the daemon those of the day: they differ by less than one.
    wait_for("the end of the entry", LONG, || Ok((!is_refused(&stage, NOBODY)).then_some(())))
        .unwrap();
    assert_eq!(matches_of(&stage, NOBODY), [] as [Value; 0]);

    list(&stage, &["add", "bad", NOBODY, "--for", "3s"]);
    assert!(is_refused(&stage, NOBODY));
    wait_for("the end of the entry", LONG, || Ok((!is_refused(&stage, NOBODY)).then_some(())))
        .unwrap();
    wait_for("a line in the journal", LONG, || {
        let found = list(&stage, &["find", NOBODY]);
        Ok((found[0]["history"]["events"][0]["by"] == "its end").then_some(()))
    })
    .unwrap();
    daemon.terminate().unwrap();
}

#[test]
fn a_list_is_switched_off_and_on_and_stays_so() {
    if !needs::root() {
        return;
    }
    let stage = stage(usual());
    let daemon = stage.start().unwrap();
    list(&stage, &["disable", "bad"]);
    assert!(!is_refused(&stage, BAD));
    let shown = list(&stage, &["show"]);
    assert_eq!((&shown[0]["enabled"], &shown[0]["entries"]), (&json!(false), &json!(2)));
    daemon.kill().unwrap();
    let daemon = stage.start().unwrap();
    assert!(!is_refused(&stage, BAD));
    list(&stage, &["enable", "bad"]);
    assert!(is_refused(&stage, BAD));
    daemon.terminate().unwrap();
}

#[test]
fn what_is_put_replaces_what_was_put_before() {
    if !needs::root() {
        return;
    }
    let stage = stage(usual());
    let daemon = stage.start().unwrap();
    let text = stage.home.write("given", "198.18.1.2\nnonsense\n").unwrap();
    let dry = list(&stage, &["put", "given", text.to_str().unwrap(), "--dry-run"]);
    assert_eq!((&dry["come"]["first"], &dry["rejected"]), (&json!([NOBODY]), &json!(1)), "{dry:#}");
    assert!(!is_refused(&stage, NOBODY));
    let put = list(&stage, &["put", "given", text.to_str().unwrap()]);
    assert_eq!((&put["entries"], &put["rejected"]), (&json!(1), &json!(1)));
    assert!(is_refused(&stage, NOBODY));
    daemon.kill().unwrap();
    let daemon = stage.start().unwrap();
    assert!(is_refused(&stage, NOBODY));

    fs::write(&text, "<html>502 Bad Gateway</html>").unwrap();
    let (code, said) = complaint(&stage, &["list", "put", "given", text.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(said.contains("is a web page, no list; the last good 1 entries stay"), "{said}");
    assert!(is_refused(&stage, NOBODY));
    stage.wait_for_alarm("list:given", "list accept given").unwrap();
    fs::write(&text, "198.18.1.3\n").unwrap();
    list(&stage, &["put", "given", text.to_str().unwrap()]);
    assert!(!is_refused(&stage, NOBODY));
    stage.wait_for_no_alarm("list:given").unwrap();

    for (arguments, code, words) in [
        (&["list", "put", "bad", text.to_str().unwrap()][..], 2, "bad has its entries from "),
        (
            &["list", "add", "none", NOBODY],
            2,
            "`none` is no list, expected one of: bad, good, given",
        ),
        (&["list", "add", "bad", "0.0.0.0/0"], 2, "0.0.0.0/0 covers too much"),
        (&["list", "add", "bad", "mail.example.org"], 2, "`mail.example.org` is no IP address"),
        (&["list", "add", "../bad", NOBODY], 2, "`../bad` is no name of a list"),
        (&["list", "remove", "bad", NOBODY], 2, "bad has no entry for 198.18.1.2"),
        (&["list", "accept", "bad"], 2, "nothing of bad was refused"),
        (&["list", "held-back", "bad"], 2, "nothing of bad was refused"),
        (&["list", "restore", "bad", NOBODY], 2, "bad has no exception for 198.18.1.2"),
        (
            &["list", "put", "bad", text.to_str().unwrap(), "--dry-run"],
            2,
            "bad has its entries from ",
        ),
        (
            &["list", "add", "bad", NOBODY, "--for", "soon"],
            2,
            "`soon`, expected a number with a unit",
        ),
    ] {
        let (found, said) = complaint(&stage, arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert_eq!(found, Some(code), "{arguments:?}: {said}");
    }
    daemon.terminate().unwrap();
    let (code, said) = complaint(&stage, &["list", "add", "bad", NOBODY]);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("no answer from the daemon"), "{said}");
}

#[test]
fn a_copy_that_changes_too_much_waits_for_a_human() {
    if !needs::root() {
        return;
    }
    let hosts = |count: u32| -> String {
        let host = |host: u32| format!("{}\n", std::net::Ipv4Addr::from_bits(0xcb00_7100 + host));
        (0..count).map(host).collect()
    };
    let keys = "max_growth = 50\nmax_shrink = 50";
    let site = Site::with_kernel().list("bad", "local-bad", keys, &hosts(200));
    let stage = stage(site);
    let daemon = stage.start().unwrap();
    assert!(is_refused(&stage, NEIGHBOUR));
    // Poisoned: mostly gone, or everybody in it.
    for (text, words) in [
        (hosts(5), "has 5 entries after 200, more than the 50 % loss that `max_shrink` allows"),
        (hosts(5) + &hosts(400), "more than the 50 % growth that `max_growth` allows"),
    ] {
        stage.home.write("bad.txt", &text).unwrap();
        stage.wait_for_alarm("list:bad", words).unwrap();
        assert!(is_refused(&stage, NEIGHBOUR));
        let status = stage.status().unwrap();
        assert_eq!(status.pointer("/rules/lists/0/can_accept"), Some(&json!(true)));
    }
    // He looks first, and accepts what he has seen.
    let held_back = list(&stage, &["held-back", "bad"]);
    let copy = &held_back["copies"][0];
    let counts = ["come", "go", "stay"].map(|side| &copy[side]["count"]);
    assert_eq!(counts, [&json!(200), &json!(0), &json!(200)], "{held_back:#}");
    let shown = stage.home.cli(&["list", "held-back", "bad"]).unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let sha256 = copy["sha256"].as_str().unwrap();
    for words in ["would come       200  203.0.113.200 ", &format!("--sha256 {sha256}`")] {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    let other = "0".repeat(64);
    let (code, said) = complaint(&stage, &["list", "accept", "bad", "--sha256", &other]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("that was looked at is held back no more"), "{said}");
    list(&stage, &["accept", "bad", "--sha256", sha256]);
    stage.wait_for_no_alarm("list:bad").unwrap();
    let shown = list(&stage, &["show"]);
    assert_eq!(shown[0]["entries"], json!(400));
    // What a human accepted is the last good copy.
    daemon.kill().unwrap();
    let daemon = stage.start().unwrap();
    assert_eq!(stage.alarm("list:bad").unwrap(), None);
    daemon.terminate().unwrap();
}

#[test]
fn the_files_of_a_folder_are_one_list() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel()
        .tables("[[list]]\nname = \"bad\"\nclass = \"local-bad\"\nfolder = \"bad.d\"");
    let stage = stage(site);
    let folder = stage.home.path().join("bad.d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a"), "198.51.100.66\n").unwrap();
    fs::write(folder.join(".b.tmp"), "198.18.1.2\n").unwrap();
    let daemon = stage.start().unwrap();
    assert!(is_refused(&stage, BAD) && !is_refused(&stage, NOBODY));
    fs::rename(folder.join(".b.tmp"), folder.join("b")).unwrap();
    wait_for("the second file", LONG, || Ok(is_refused(&stage, NOBODY).then_some(()))).unwrap();
    let found = matches_of(&stage, NOBODY);
    assert!(found[0]["origin"].as_str().unwrap().ends_with("/bad.d/b:1"), "{found:?}");
    fs::remove_file(folder.join("a")).unwrap();
    wait_for("the end of the first", LONG, || Ok((!is_refused(&stage, BAD)).then_some(())))
        .unwrap();
    // No file at all is an accident, such as a disk that is not mounted.
    fs::remove_file(folder.join("b")).unwrap();
    stage.wait_for_alarm("list:bad", "has no files any more; the last good entries stay").unwrap();
    assert!(is_refused(&stage, NOBODY));
    fs::remove_dir(&folder).unwrap();
    stage.wait_for_alarm("list:bad", "No such file or directory").unwrap();
    assert!(is_refused(&stage, NOBODY));
    daemon.terminate().unwrap();
}

/// A file that leaves the folder leaves nothing behind; one that comes back as it was counts again.
#[test]
fn a_file_comes_back_into_its_folder() {
    if !needs::root() {
        return;
    }
    let table = "[[list]]\nname = \"bad\"\nclass = \"local-bad\"\nfolder = \"bad.d\"";
    let stage = stage(Site::with_kernel().tables(table));
    let folder = stage.home.path().join("bad.d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a"), "198.51.100.66\n").unwrap();
    fs::write(folder.join("b"), "203.0.113.0/24\n").unwrap();
    let daemon = stage.start().unwrap();
    let away = stage.home.path().join("away");
    let turns = |refused: bool| {
        wait_for("a turn", LONG, || Ok((is_refused(&stage, BAD) == refused).then_some(())))
            .unwrap();
    };
    for _ in 0..2 {
        turns(true);
        fs::rename(folder.join("a"), &away).unwrap();
        turns(false);
        fs::rename(&away, folder.join("a")).unwrap();
    }
    turns(true);
    fs::remove_file(folder.join("a")).unwrap();
    turns(false);
    // An empty file of the same name is another one.
    fs::write(folder.join("a"), "").unwrap();
    fs::write(folder.join("c"), "198.18.1.2\n").unwrap();
    wait_for("the third file", LONG, || Ok(is_refused(&stage, NOBODY).then_some(()))).unwrap();
    assert!(!is_refused(&stage, BAD));
    daemon.terminate().unwrap();
}

/// An entry that ends gives back the exception inside it; an end that nobody saw is written down all the same.
#[test]
fn what_ends_leaves_what_was_there_before() {
    if !needs::root() {
        return;
    }
    let stage = stage(usual());
    let daemon = stage.start().unwrap();
    list(&stage, &["remove", "bad", NEIGHBOUR]);
    assert!(!is_refused(&stage, NEIGHBOUR));
    list(&stage, &["add", "bad", "203.0.113.0/24", "--for", "4s"]);
    assert!(is_refused(&stage, NEIGHBOUR));
    wait_for("the end of the entry", LONG, || Ok((!is_refused(&stage, NEIGHBOUR)).then_some(())))
        .unwrap();

    list(&stage, &["add", "bad", NOBODY, "--for", "1s"]);
    daemon.kill().unwrap();
    // It ends with a whole second, so within two.
    std::thread::sleep(Duration::from_millis(2200));
    let daemon = stage.start().unwrap();
    let found = list(&stage, &["find", NOBODY]);
    let events = found[0]["history"]["events"].as_array().unwrap();
    assert_eq!(
        (&events[0]["added"], &events[0]["by"]),
        (&json!(false), &json!("its end")),
        "{found:#}"
    );
    let [ended, added] = [&events[0]["at"], &events[1]["at"]]
        .map(|at| at.as_str().unwrap().parse::<gateway::clock::Timestamp>().unwrap());
    let lasted = ended.duration_since(added).as_secs_f64();
    assert!((0.0..=2.1).contains(&lasted), "{lasted} s");
    daemon.terminate().unwrap();
}

#[test]
fn what_is_kept_of_no_list_is_told() {
    if !needs::root() {
        return;
    }
    let stage = stage(usual());
    let daemon = stage.start().unwrap();
    list(&stage, &["add", "given", NOBODY]);
    assert_eq!(stage.alarm("kept-lists").unwrap(), None);
    let site = Site::with_kernel().list("bad", "local-bad", "", "198.51.100.66\n");
    stage.configure(&site.config().unwrap()).unwrap();
    daemon.hang_up().unwrap();
    let alarm = stage.wait_for_alarm("kept-lists", "given").unwrap();
    assert!(alarm.contains("count again when such a list comes back"), "{alarm}");
    wait_for("the end of the list", LONG, || Ok((!is_refused(&stage, NOBODY)).then_some(())))
        .unwrap();
    stage.configure(&usual().config().unwrap()).unwrap();
    daemon.hang_up().unwrap();
    stage.wait_for_no_alarm("kept-lists").unwrap();
    wait_for("the list", LONG, || Ok(is_refused(&stage, NOBODY).then_some(()))).unwrap();
    daemon.terminate().unwrap();
}

#[test]
fn the_daemon_goes_on_without_a_store_and_says_so() {
    if !needs::root() {
        return;
    }
    let stage = stage(usual());
    fs::create_dir_all(stage.home.path().join("state/portcullis.db")).unwrap();
    let daemon = stage.start().unwrap();
    assert!(is_refused(&stage, BAD));
    stage.wait_for_alarm("store", "portcullis.db").unwrap();
    let (code, said) = complaint(&stage, &["list", "add", "bad", NOBODY]);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("nothing can be kept, since the store is not open"), "{said}");
    assert!(!is_refused(&stage, NOBODY));
    daemon.terminate().unwrap();
}
