//! What an old gateway allows and blocks, taken over: the example of its page, and what is decided afterwards.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::fs;
use std::process::Output;

use harness::daemon::Home;
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../gateway/docs/lists/allowedblockedlist.md");
const FILE: &str = "allowedblockedlist.txt";

const CONFIG: &str = r#"
state_dir = "{dir}/state"
hostname = "mx1.example.org"

[xdp]
pin_dir = "{dir}/no-pins"

[[listener]]
address = "127.0.0.1:2525"

[next_hop]
address = "127.0.0.1:10025"
"#;

/// The fenced blocks of the page in `language`.
fn blocks(language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut inside = None;
    for line in PAGE.lines() {
        match (line.strip_prefix("```"), &mut inside) {
            (Some(_), Some(_)) => blocks.extend(inside.take()),
            (Some(found), None) if found == language => inside = Some(String::new()),
            (_, Some(text)) => text.extend([line, "\n"]),
            (_, None) => {}
        }
    }
    blocks
}

fn home(text: &str) -> Home {
    let home = Home::new(CONFIG, None).unwrap();
    home.write(FILE, text).unwrap();
    home
}

/// Runs `import` of the file with the options; in the folder of the home, so that its name is short.
fn import(home: &Home, options: &[&str]) -> Output {
    let mut command = home.cli_command(&["import", FILE]);
    command.args(options).current_dir(home.path()).output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

fn check(home: &Home) -> Value {
    home.cli_json(&["check", "--json"]).unwrap()
}

#[test]
fn the_example_of_the_page_comes_to_what_the_page_says() {
    let [example, report] = &blocks("text")[..] else { unreachable!("two texts on the page") };
    let home = home(example);
    let output = import(&home, &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), format!("{}\n{report}", blocks("toml")[0]));
    let said = text(&output.stderr);
    assert!(said.contains("nothing is written without `--into FOLDER`"), "{said}");
    assert!(said.contains("its DNS lists are as old as the file"), "{said}");
    assert!(!home.path().join("conf.d").exists());
}

#[test]
fn what_is_written_passes_the_check_and_decides_as_the_file_says() {
    let home = home(&blocks("text")[0]);
    let folder = home.path().to_str().unwrap();
    let output = import(&home, &["--into", folder, "--json"]);
    assert!(output.status.success(), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let entries: Vec<_> = answer["lists"]
        .as_array()
        .unwrap()
        .iter()
        .map(|list| (list["name"].as_str().unwrap(), list["entries"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        entries,
        [
            ("allowed-connections", 1),
            ("allowed-connections-off", 1),
            ("blocked-connections", 1),
            ("blocked-connections-off", 1),
        ]
    );
    let lines: Vec<_> = answer["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| left["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [10, 11, 14, 15, 16]);
    assert_eq!(answer["written"].as_array().unwrap().len(), 5);
    for written in answer["written"].as_array().unwrap() {
        assert!(fs::metadata(written.as_str().unwrap()).unwrap().is_file());
    }

    let checked = check(&home);
    assert_eq!(checked["ok"], true, "{checked}");
    assert_eq!(checked["notices"], json!([]), "{checked}");

    for (address, verdict, action, enforced, line) in [
        ("198.51.100.9", "System allowed IP", "accept", true, Some(6)),
        ("203.0.113.78", "System denied IP", "reject", true, Some(8)),
        ("203.0.113.79", "Accepted", "accept", true, None),
        // Switched off there: recorded, nothing is done.
        ("192.0.2.25", "Accepted", "accept", true, Some(7)),
        ("2001:db8:bad::1", "System denied IP", "reject", false, Some(9)),
    ] {
        let found = home.cli_json(&["lookup", address, "--json"]).unwrap();
        let found = &found[0];
        let decided = (&found["verdict"], &found["action"], &found["enforced"]);
        assert_eq!(decided, (&json!(verdict), &json!(action), &json!(enforced)), "{found:#}");
        let reason = line.map(|line| format!("line {line} of {FILE}"));
        assert_eq!(found["matches"][0]["reason"], json!(reason), "{address}");
    }
    let kept = fs::read_to_string(home.path().join("allowed-connections.txt")).unwrap();
    assert!(kept.contains("## the branch office\n198.51.100.0/24 # line 6"), "{kept}");
}

#[test]
fn nothing_is_written_over_and_nothing_in_part() {
    let home = home("dn: x\nAC: 192.0.2.7\nRC: 192.0.2.9\n");
    let folder = home.path().to_str().unwrap().to_owned();
    let mine = home.write("blocked-connections.txt", "192.0.2.1\n").unwrap();
    let output = import(&home, &["--into", &folder]);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("blocked-connections.txt would be written over"), "{said}");
    assert!(said.contains("hint: `--force` writes over them"), "{said}");
    assert_eq!(fs::read_to_string(&mine).unwrap(), "192.0.2.1\n");
    assert!(!home.path().join("allowed-connections.txt").exists());
    assert!(!home.path().join("conf.d").exists());

    let output = import(&home, &["--into", &folder, "--force"]);
    assert!(output.status.success(), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.contains("list blocked-connections (local-bad), entries: 1\n"), "{said}");
    assert!(
        said.contains("taken over: connections: 2, DNS lists: 0; lines left out: 0\n"),
        "{said}"
    );
    assert!(fs::read_to_string(&mine).unwrap().contains("192.0.2.9 # line 3"));
    let nothing = json!({"ok": true, "faults": [], "notices": [], "overrides": []});
    assert_eq!(check(&home), nothing);
}

#[test]
fn another_file_is_told_what_to_do_with_it() {
    for (content, code, words) in [
        (
            "192.0.2.0/24 ; SBL1\n192.0.2.7\n",
            2,
            &[
                "allowedblockedlist.txt is a list in the format plain with 2 entries",
                "hint: `portcullis list check allowedblockedlist.txt` shows what it holds; [[list]] with file = ",
            ][..],
        ),
        ("<html>", 2, &["allowedblockedlist.txt is a web page, no list"]),
        ("hello\n", 2, &["has neither the header of an allowedblockedlist.txt nor a line"]),
    ] {
        let home = home(content);
        let output = import(&home, &["--into", home.path().to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let said = text(&output.stderr);
        for word in words {
            assert!(said.contains(word), "{said}");
        }
        assert!(!home.path().join("conf.d").exists());
    }
    let home = home("");
    fs::remove_file(home.path().join(FILE)).unwrap();
    let output = import(&home, &[]);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
}

#[test]
fn an_old_verdict_is_explained() {
    let home = home("dn: x\n# blocked after an Open Proxy sender violation\nRC: 192.0.2.7\n");
    let output = import(&home, &[]);
    let said = text(&output.stderr);
    let words = "line 2: what was called `Open Proxy sender violation` is the verdict of lists of class \"open-proxy\" here";
    assert!(said.contains(words), "{said}");
}
