//! Replays all that the fuzzer has found worth keeping, whole and cut short, in an ordinary build.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

use std::path::{Path, PathBuf};
use std::{fs, panic};

use fuzz::{TARGETS, Target};

/// At how many places each input of a target is cut short: at all of them, unless a run costs too much.
fn cuts(name: &str) -> usize {
    match name {
        // Tables of megabytes, and files that are written.
        "build-v4" | "build-v6" | "config" | "header" => 2,
        "bounce" | "received" | "stream" => 16,
        _ => usize::MAX,
    }
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn inputs(target: &Target) -> Vec<PathBuf> {
    let folder = corpus().join(target.name);
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs a target over its corpus; a panic names the input and where it was cut.
fn replay(name: &str) {
    let target = fuzz::target(name).unwrap();
    let files = inputs(target);
    assert!(!files.is_empty(), "no corpus for {name}");
    for file in files {
        let octets = fs::read(&file).unwrap();
        let step = octets.len().div_ceil(cuts(name)).max(1);
        for length in (0..octets.len()).step_by(step).chain([octets.len()]) {
            let run = || (target.run)(&octets[..length]);
            assert!(panic::catch_unwind(run).is_ok(), "{} cut to {length}", file.display());
        }
    }
}

#[test]
fn each_target_has_a_corpus_that_is_small() {
    let mut folders: Vec<_> = fs::read_dir(corpus())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(folders, TARGETS.map(|target| target.name));
    for target in &TARGETS {
        let files = inputs(target);
        let octets: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
        assert!(files.len() <= 100 && octets <= 200_000, "{}: {octets} octets", target.name);
    }
}

macro_rules! replays {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                replay($name);
            }
        )*

        #[test]
        fn each_target_is_replayed() {
            assert_eq!([$($name),*], TARGETS.map(|target| target.name));
        }
    };
}

replays! {
    bounce: "bounce",
    build_v4: "build-v4",
    build_v6: "build-v6",
    command: "command",
    config: "config",
    dialogue: "dialogue",
    formats: "formats",
    header: "header",
    line: "line",
    list: "list",
    milter: "milter",
    next_hop: "next-hop",
    parse: "parse",
    pieces: "pieces",
    policy: "policy",
    proxy_header: "proxy-header",
    received: "received",
    reference: "reference",
    reply: "reply",
    stream: "stream",
    table_v4: "table-v4",
    table_v6: "table-v6",
    xclient: "xclient",
}
