//! That the documents say what the reader does.

use std::path::Path;

use gateway_ebpf::abi::KernelAction;

use super::{HOSTNAME, TABLES, read};
use crate::config::keys::{IfAbsent, Key, TableKeys};
use crate::config::{Config, Faults, Notice, reference};
use crate::list::Class;

const URL: &str = "url = \"https://lists.example.org/bad.txt\"";
const SIGNED_AT: &str = "url = \"https://a.example/\"\nsignature = \"https://a.example/sig\"";
const SIGNED_WITH: &str = "url = \"https://a.example/\"\npublic_key = \"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"";

const WITH_CERTIFICATE: &str = "[tls]\ncertificate = \"mx1.pem\"";
const WITH_TLS: &str = "tls = \"starttls\"\n[tls]\ncertificate = \"mx1.pem\"";

const OURS: &str = "addresses = [\"192.0.2.0/28\"]";

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_reference_is_up_to_date() {
    crate::assert_page("configuration.md", &reference());
}

/// Each block of TOML in the documents is read as it is; then with a bogus key in each of its tables.
#[test]
fn every_example_in_the_documents_is_true() {
    let pages =
        ["docs", "docs/fronts", "docs/lists", "docs/reputation"].into_iter().flat_map(|folder| {
            let entries = std::fs::read_dir(Path::new(CRATE).join(folder)).unwrap();
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
        });
    let readme = Path::new(CRATE).join("../README.md");
    let mut count = 0;
    for page in pages.chain(readme.exists().then_some(readme)) {
        let text = std::fs::read_to_string(&page).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let (example, _) = block.split_once("```").unwrap();
            check_example(example);
            count += 1;
        }
    }
    assert!(count >= 3, "{count} examples found");
}

fn check_example(example: &str) {
    let mut lines: Vec<_> = example.lines().collect();
    if !example.contains("hostname =") {
        lines.insert(0, HOSTNAME.trim());
    }
    if let Err(faults) = read(&lines.join("\n")) {
        panic!("{example}\n{faults}");
    }
    let headers = (0..lines.len()).filter(|&index| lines[index].starts_with('['));
    for line in std::iter::once(0).chain(headers.map(|index| index + 1)) {
        let mut mutated = lines.clone();
        mutated.insert(line, "bogus_key = 1");
        let Faults(faults) = read(&mutated.join("\n")).unwrap_err();
        assert_eq!(faults.len(), 1, "{mutated:#?}");
        assert!(faults[0].key.ends_with("bogus_key"), "{}", faults[0]);
    }
}

#[test]
fn every_key_takes_its_example_and_has_its_default() {
    for table in &TABLES {
        for key in table.keys {
            let place = format!("{} {}", table.heading, key.name);
            let outcome = read_alone(table, key, Some(key.example));
            assert!(outcome.is_ok(), "{place}: {}", outcome.unwrap_err());
            let absent = read_alone(table, key, None);
            match key.default {
                IfAbsent::Value(value) => {
                    assert_eq!(read_alone(table, key, Some(value)), absent, "{place}");
                }
                IfAbsent::Required => assert!(absent.is_err(), "{place}"),
                IfAbsent::Words(_) => (),
            }
        }
    }
}

/// A configuration with `key` alone, and with what this one needs beside it.
fn read_alone(
    table: &TableKeys,
    key: &Key,
    value: Option<&str>,
) -> Result<(Config, Vec<Notice>), Faults> {
    let required = table
        .keys
        .iter()
        .filter(|other| matches!(other.default, IfAbsent::Required) && other.name != key.name);
    let mut lines = vec![table.heading.to_owned()];
    lines.extend(required.map(|other| format!("{} = {}", other.name, other.example)));
    // What the example of a file names is not there; some file is.
    let is_read = matches!(key.name, "key_file" | "exempt_file");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "s3cret").unwrap();
    let file = format!("{:?}", file.path());
    let value = value.map(|value| if is_read { file.as_str() } else { value });
    lines.extend(value.map(|value| format!("{} = {value}", key.name)));
    lines.push(
        match (table.name, key.name) {
            ("list" | "zone", "weight") => "action = \"score\"",
            ("list", "interval" | "timeout" | "max_size" | "proxy" | "ca_file" | "sha256") => URL,
            ("list", "signature") if value.is_some() => SIGNED_WITH,
            ("list", "public_key") if value.is_some() => SIGNED_AT,
            ("acceptance", "name" | "direction" | "hosts" | "domains") => OURS,
            ("listener" | "web" | "public_lookup", "tls") => WITH_CERTIFICATE,
            ("listener", "auth") => WITH_TLS,
            ("tls", "key") => "certificate = \"mx1.pem\"",
            ("next_hop", "tls_verify") => "tls = \"required\"",
            ("score", "delay_from") => "reject_above = 600",
            ("score", "reject_above") => "delay_from = 500",
            _ => "",
        }
        .to_owned(),
    );
    if key.name != "hostname" {
        lines.insert(0, HOSTNAME.to_owned());
    }
    read(&lines.join("\n"))
}

#[test]
fn the_reference_names_every_class_and_kernel_action() {
    let page = reference();
    let classes = Class::ALL.iter().map(|class| class.name());
    let actions = KernelAction::ALL.iter().map(|action| action.name());
    for word in classes.chain(actions) {
        assert!(page.contains(&format!("`{word}`")), "{word}");
    }
}
