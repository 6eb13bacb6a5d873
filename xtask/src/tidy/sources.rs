//! Reads the repository's own text files and checks each by itself: first line, blanks, forbidden words and paths.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};

use super::Finding;
use super::blank::blanked;

/// A text file of the repository.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path from the root, with slashes.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
    /// The same with comments and strings blanked, for Rust; empty for everything else.
    pub(crate) code: String,
}

impl Source {
    /// The file at `path`, which says `text`.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = if is_rust(path) { blanked(text) } else { String::new() };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// What is wrong at `line`.
    pub(crate) fn finding(&self, line: usize, text: impl Into<String>) -> Finding {
        Finding { file: self.path.clone(), line, text: text.into() }
    }
}

/// Where the repository keeps its text, beside the files at its root.
const FOLDERS: &[&str] =
    &[".cargo", ".ci", ".config", ".github", "gateway", "gateway-ebpf", "tests", "xtask"];
const ENDINGS: &[&str] = &["rs", "toml", "md", "sh", "yml", "yaml", "service", "txt"];
/// Where `unsafe` may stand.
const UNSAFE_HOUSES: &[&str] = &["gateway-ebpf/src/bin/", "gateway/src/xdp/"];

/// All text files of the repository.
pub(crate) fn read(root: &Path) -> Result<Vec<Source>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    for folder in FOLDERS {
        walk(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let path = file.strip_prefix(root)?.to_string_lossy().into_owned();
        let ending = file.extension().map(|ending| ending.to_string_lossy().into_owned());
        if ending.is_none_or(|ending| ENDINGS.contains(&ending.as_str())) {
            let bytes = fs::read(&file).with_context(|| path.clone())?;
            sources.push(Source::new(&path, &String::from_utf8_lossy(&bytes)));
        }
    }
    Ok(sources)
}

/// What is wrong with each file by itself.
pub(crate) fn check(root: &Path, sources: &[Source]) -> Vec<Finding> {
    let paths = machine_paths(root);
    let mut findings = Vec::new();
    for source in sources {
        findings.extend(first_line(source));
        findings.extend(trailing_blanks(source));
        findings.extend(forbidden_words(source));
        findings.extend(named_paths(source, &paths));
    }
    findings
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry?.path();
        let is_build = path.file_name().is_some_and(|name| name == "target");
        if path.is_dir() && !is_build {
            walk(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn is_rust(path: &str) -> bool {
    has_ending(path, "rs")
}

fn has_ending(path: &str, ending: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == ending)
}

fn first_line(source: &Source) -> Option<Finding> {
    let first = source.text.lines().next().unwrap_or_default();
    let is_sentence = first.starts_with("//! ") && first.ends_with(['.', '?', ':']);
    (is_rust(&source.path) && !is_sentence).then(|| {
        source.finding(1, "begin the file with `//! ` and one sentence that says what it is")
    })
}

fn trailing_blanks(source: &Source) -> Vec<Finding> {
    // Two blanks at the end of a line mean something in Markdown, and data may hold anything.
    let exempt = has_ending(&source.path, "md") || source.path.starts_with("tests/data/");
    source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| !exempt && line.ends_with([' ', '\t']))
        .map(|(index, _)| source.finding(index + 1, "remove the blanks at the end of the line"))
        .collect()
}

fn forbidden_words(source: &Source) -> Vec<Finding> {
    let in_gateway = source.path.starts_with("gateway/src/");
    let may_be_unsafe = UNSAFE_HOUSES.iter().any(|house| source.path.starts_with(house));
    let mut findings = Vec::new();
    for (index, line) in source.code.lines().enumerate() {
        let mut words = line.split(|it: char| !it.is_alphanumeric() && it != '_');
        if !may_be_unsafe && words.clone().any(|word| word == "unsafe") {
            findings.push(source.finding(
                index + 1,
                format!("move what is `unsafe` to {}", UNSAFE_HOUSES.join(" or ")),
            ));
        }
        let names_aya = words.any(|word| matches!(word, "aya" | "aya_log" | "aya_obj"));
        if in_gateway && names_aya && !source.path.starts_with("gateway/src/xdp/") {
            findings.push(source.finding(
                index + 1,
                "only gateway/src/xdp names aya; give it a function that does this",
            ));
        }
    }
    findings
}

/// The folder of this clone and the home of whoever works in it.
fn machine_paths(root: &Path) -> Vec<String> {
    [Some(root.to_path_buf()), env::home_dir()]
        .into_iter()
        .flatten()
        .map(|path| path.to_string_lossy().into_owned())
        .filter(|path| path.len() > 1)
        .collect()
}

fn named_paths(source: &Source, paths: &[String]) -> Vec<Finding> {
    let named = |line: &str| {
        paths.iter().any(|path| {
            line.split(path.as_str()).skip(1).any(|rest| {
                !rest.starts_with(|it: char| it.is_alphanumeric() || it == '_' || it == '-')
            })
        })
    };
    source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| named(line))
        .map(|(index, _)| source.finding(index + 1, "name no path of your own machine"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, text: &str) -> Vec<String> {
        check(Path::new("/clone/of/it"), &[Source::new(path, text)])
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn finds_what_is_wrong_with_a_file() {
        for (path, text, expected) in [
            ("gateway/src/a.rs", "//! A.\n", None),
            ("gateway/src/a.rs", "use std::fmt;\n", Some("gateway/src/a.rs:1: begin")),
            ("gateway/src/a.rs", "//! a title\n", Some("gateway/src/a.rs:1: begin")),
            ("gateway/src/a.rs", "//! A.\nfn a() {} \n", Some("gateway/src/a.rs:2: remove")),
            ("README.md", "two  \n", None),
            ("gateway/src/a.rs", "//! A.\nuse aya::Ebpf;\n", Some("gateway/src/a.rs:2: only")),
            ("gateway/src/xdp/a.rs", "//! A.\nuse aya::Ebpf;\n", None),
            ("gateway/src/a.rs", "//! A.\n// what aya does\n", None),
            ("xtask/src/a.rs", "//! A.\nunsafe { b() }\n", Some("xtask/src/a.rs:2: move")),
            ("xtask/src/a.rs", "//! A.\n#![deny(unsafe_code)]\n", None),
            ("xtask/src/a.rs", "//! A.\nconst A: &str = \"unsafe\";\n", None),
            ("gateway-ebpf/src/bin/xdp/a.rs", "//! A.\nunsafe { b() }\n", None),
            ("README.md", "cd /clone/of/it\n", Some("README.md:1: name no path")),
            ("README.md", "cd /clone/of/item\n", None),
        ] {
            let found = texts(path, text);
            match expected {
                None => assert_eq!(found, Vec::<String>::new(), "{text}"),
                Some(start) => {
                    assert!(found.len() == 1 && found[0].starts_with(start), "{found:?}");
                }
            }
        }
    }
}
