//! The formats of lists: every example in their pages, lists of hostile sizes, sets that nftables takes.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gateway::clock::Timestamp;
use gateway::config::Config;
use gateway::list::{Entries, Entry, ExportFormat, Format, Reading, export, parse, parse_with};
use gateway::net::Prefix;
use harness::deadline::Deadline;
use harness::needs;

/// The folder with a page for each format.
fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/docs/lists")
}

fn page(name: &str) -> String {
    fs::read_to_string(pages().join(format!("{name}.md"))).unwrap()
}

/// The blocks of `page` that begin with three backticks and `mark`.
fn blocks<'a>(page: &'a str, mark: &str) -> Vec<&'a str> {
    let fence = format!("```{mark}\n");
    let after = page.split(fence.as_str()).skip(1);
    after.map(|rest| rest.split_once("```").unwrap().0).collect()
}

fn reading(format: Option<Format>, foreign: bool) -> Reading {
    Reading { format, as_of: "2026-11-21T10:00:00Z".parse().unwrap(), foreign }
}

#[test]
fn every_format_has_a_page_whose_examples_are_true() {
    let index = page("README");
    for format in Format::ALL {
        let name = format.name();
        assert!(index.contains(&format!("[`{name}`]({name}.md)")), "{name} is not in the index");
        let page = page(name);
        let (lists, expected) = (blocks(&page, "list"), blocks(&page, "entries"));
        assert!(!lists.is_empty() && lists.len() == expected.len(), "{name}");
        for (list, expected) in lists.into_iter().zip(expected) {
            assert_eq!(Format::detect(list.as_bytes()), format, "{list}");
            let parsed = parse(list.as_bytes(), reading(None, false));
            let rejected = parsed.rejected.first.iter();
            let rejected = rejected.map(|error| format!("{}: {error}\n", error.line));
            let entries = parsed.entries.iter().map(|entry| format!("{}\n", shown(entry)));
            assert_eq!(rejected.chain(entries).collect::<String>(), sorted(expected), "{list}");
            assert!(parsed.has_end, "{list}");
            assert!(parsed.announced.is_none_or(|announced| announced == parsed.records), "{list}");
        }
    }
    for format in ExportFormat::ALL {
        assert!(index.contains(&format!("| `{format}` |")), "{format} is not in the index");
    }
}

/// What is wrong comes first wherever a page says it.
fn sorted(expected: &str) -> String {
    let (rejected, entries): (Vec<_>, Vec<_>) =
        expected.lines().partition(|line| line.contains(": line "));
    rejected.into_iter().chain(entries).flat_map(|line| [line, "\n"]).collect()
}

fn shown(entry: Entry) -> String {
    let value = entry.value.map(|value| format!(" ={value}")).unwrap_or_default();
    let reason = entry.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
    let until = entry.expires.map(|expires| format!(" until {}", expires.timestamp()));
    format!("{}: {}{value}{reason}{}", entry.line, entry.prefix, until.unwrap_or_default())
}

#[test]
fn every_recipe_is_a_configuration() {
    let recipes = page("recipes");
    let blocks = blocks(&recipes, "toml");
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portcullis.toml");
        fs::write(&file, block).unwrap();
        let (config, _notices) = Config::load(&file).unwrap_or_else(|faults| panic!("{faults:?}"));
        assert!(!config.lists.is_empty());
    }
}

#[test]
fn every_rejected_line_has_its_number_at_any_size() {
    for (format, good, bad) in [
        (Format::Plain, "192.0.2.7", "bad"),
        (Format::DropJson, "{\"cidr\":\"192.0.2.7\"}", "{\"cidr\":\"bad\"}"),
        (Format::RbldnsdIp4Set, "192.0.2.7", "bad"),
        (Format::RbldnsdIp6Trie, ":4:text", "bad"),
        (Format::Csv, "192.0.2.7,ip,ban,4h,x", "bad,ip,ban,4h,x"),
        (Format::P2p, "x:192.0.2.7-192.0.2.7", "bad"),
    ] {
        let text = format!("{good}\n{bad}\n").repeat(100_000);
        let mut numbers = Vec::new();
        parse_with(text.as_bytes(), reading(Some(format), true), |error| numbers.push(error.line));
        assert!(numbers.iter().copied().eq((2..=200_000).step_by(2)), "{format:?}");
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

/// Lists that are made to take long, each with many times what it needs in a build without optimisation.
#[test]
fn no_list_takes_long() {
    let hosts = |count: u32, mark: &str| -> String {
        let host = |number: u32| Ipv4Addr::from_bits(0x1400_0000 + number * 2);
        lines((0..count).map(|number| format!("{mark}{}", host(number))))
    };
    let nested = lines((8..=32).map(|length| format!("20.0.0.0/{length}")));
    let same = lines((0..4_000).map(|number| format!("20.0.0.0/8 text {number}")));
    for (what, format, text) in [
        ("many exclusions", Format::RbldnsdIp4Trie, format!("20.0.0.0/8\n{}", hosts(60_000, "!"))),
        ("exclusions of nested entries", Format::RbldnsdIp4Set, nested + &hosts(20_000, "!")),
        ("exclusions of many entries", Format::RbldnsdIp4Set, same + &hosts(20_000, "!")),
        (
            "many datasets",
            Format::RbldnsdIp4Set,
            "$DATASET ip4set @\n20.0.0.0/8\n!20.1.2.3\n".repeat(20_000),
        ),
        ("a long line", Format::Plain, "x".repeat(50_000_000)),
        (
            "long texts",
            Format::RbldnsdIp4Set,
            format!(
                "$1 {}\n{}",
                "$".repeat(60_000),
                format!("10.0.0.1 {}\n", "$1".repeat(30_000)).repeat(300)
            ),
        ),
        ("no line", Format::Plain, "\n".repeat(1_000_000)),
        ("open quotes", Format::Csv, "192.0.2.7,\"\"\"\n\"".repeat(200_000)),
        ("deep JSON", Format::DropJson, "[".repeat(5_000_000)),
        (
            "deep JSON in lines",
            Format::DropJson,
            format!("{{\"x\":{}\n", "[".repeat(1_000)).repeat(2_000),
        ),
        ("colons", Format::P2p, ":-".repeat(10_000_000)),
        ("colons of IPv6", Format::RbldnsdIp6Trie, "::".repeat(10_000_000)),
        ("dollars", Format::Plain, format!("$ {}", "# $".repeat(10_000_000))),
    ] {
        let deadline = Deadline::after(Duration::from_mins(1));
        let parsed = parse(text.as_bytes(), reading(Some(format), true));
        assert!(!deadline.passed(), "{what}: {:?}", deadline.elapsed());
        assert!(parsed.entries.len() <= 1_000_000, "{what}: {}", parsed.entries.len());
    }
}

#[test]
fn what_many_exclusions_leave_is_exact() {
    let excluded = (0..100_000_u32).map(|number| 0x0a00_0000 + number * 37 % 0x0100_0000);
    let excluded: Vec<_> = excluded.map(Ipv4Addr::from_bits).collect();
    let exclusions = lines(excluded.iter().map(|address| format!("!{address}")));
    let text = format!("10.0.0.0/8\n{exclusions}");
    let parsed = parse(text.as_bytes(), reading(Some(Format::RbldnsdIp4Trie), false));
    let listed = |prefix: Prefix| 1_u64 << (32 - prefix.length());
    let listed: u64 = parsed.entries.prefixes().map(listed).sum();
    assert_eq!(listed, (1 << 24) - 100_000);
    assert!(excluded.iter().all(|address| !parsed.entries.covers(Prefix::host((*address).into()))));
}

#[test]
fn nftables_takes_what_is_written_for_it() {
    if !(needs::root() && needs::program("nft")) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let nested = [
        "192.0.2.0/24",
        "192.0.2.7",
        "192.0.2.7",
        "198.51.100.0/25",
        "2001:db8::/32",
        "2001:db8::1",
    ];
    for (name, prefixes) in [("office-bad", &nested[..]), ("9 lives", &nested[..4]), ("élan", &[])]
    {
        let prefixes = prefixes.iter().map(|text| text.parse::<Prefix>().unwrap());
        let entries: Entries = prefixes.collect();
        let mut out = Vec::new();
        export(ExportFormat::Nftables, name, entries.iter(), &mut out).unwrap();
        let file = folder.path().join("set.nft");
        fs::write(&file, &out).unwrap();
        // It is checked against the kernel and changes nothing.
        let check = Command::new("nft").arg("-c").arg("-f").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success(), "{said}\n{}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn as_of_is_when_durations_begin() {
    for (second, until) in [(0, 14_400), (1_000_000, 1_014_400)] {
        let as_of = Timestamp::from_second(second).unwrap();
        let parsed = parse(
            b"192.0.2.7,ip,ban,4h,x",
            Reading { format: Some(Format::Csv), as_of, foreign: false },
        );
        let expires = parsed.entries.get(0).unwrap().expires.unwrap();
        assert_eq!(expires.as_second(), until);
    }
}
