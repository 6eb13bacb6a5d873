//! `cargo xtask fuzz`: searches for input that breaks a promise, and keeps the little of it that reaches everything.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::builder::NonEmptyStringValueParser;
use harness::needs::find;
use serde::Serialize;
use serde_json::json;

use crate::step::{Steps, captured, command_line, say};
use crate::{root, setup};

/// The flags that make rustc count what is reached and what is compared; they need no nightly toolchain.
const COVERAGE: [&str; 7] = [
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// The longest input in octets: what fits into one frame.
const LONGEST: u32 = 1500;

/// Seconds for one input, and megabytes; more is a finding.
const SLOW: u32 = 10;
const LARGE: u32 = 2048;

/// The most inputs in the committed corpus of one target.
const MOST_FILES: usize = 100;

/// Fuzzing, target by target.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Targets, as the folders in `tests/fuzz/corpus` are called; all of them when none is named
    #[arg(value_name = "TARGET", value_parser = NonEmptyStringValueParser::new())]
    targets: Vec<String>,
    /// How long each of them runs: 90s, 10m, 2h
    #[arg(long = "for", value_name = "TIME", default_value = "1m", value_parser = duration)]
    time: Duration,
    /// Write what happened as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only run the one TARGET on this input, and show what it says
    #[arg(long, value_name = "INPUT")]
    replay: Option<PathBuf>,
}

/// What came out for one target.
#[derive(Debug, Serialize)]
struct Report {
    target: String,
    seconds: u64,
    executions: u64,
    executions_per_second: u64,
    /// Inputs that reached something new.
    new_inputs: u64,
    /// Branches that were reached, all inputs taken together.
    edges: u64,
    corpus_files: usize,
    corpus_octets: usize,
    /// Inputs that the corpus had no room for.
    left_out: usize,
    /// The input that broke a promise.
    finding: Option<PathBuf>,
}

/// Runs the task; false when a promise was broken.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let all = all_targets()?;
    if let Some(unknown) = options.targets.iter().find(|target| !all.contains(target)) {
        bail!("`{unknown}` is no target, expected one of {}", all.join(", "));
    }
    let targets = if options.targets.is_empty() { &all } else { &options.targets };
    let mut steps = Steps::default();
    let program = build(&mut steps)?;
    if let Some(input) = &options.replay {
        let [target] = targets.as_slice() else {
            bail!("--replay wants exactly one TARGET");
        };
        steps.loud(target, fuzzer(&program, target).arg(input))?;
        return Ok(true);
    }
    let mut reports = Vec::new();
    for target in targets {
        let report = steps.quiet(target, || {
            let report = fuzz(&program, target, options.time)?;
            let detail = detail(&report);
            Ok((report, detail))
        })?;
        if let Some(finding) = &report.finding {
            let shown = finding.strip_prefix(root()).unwrap_or(finding).display();
            say(&format!("   by this input: {shown}"));
            say(&format!("   to see it again: cargo xtask fuzz {target} --replay {shown}"));
        }
        reports.push(report);
    }
    let ok = reports.iter().all(|report| report.finding.is_none());
    if let Some(file) = &options.json {
        let answer = json!({ "ok": ok, "targets": reports });
        fs::write(file, format!("{answer:#}\n")).with_context(|| file.display().to_string())?;
    }
    Ok(ok)
}

/// Each target has a folder in the corpus; a test keeps them equal.
fn all_targets() -> Result<Vec<String>> {
    let folder = root().join("tests/fuzz/corpus");
    let mut targets = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        targets.push(entry?.file_name().to_string_lossy().into_owned());
    }
    targets.sort();
    Ok(targets)
}

/// Builds the fuzzer in a folder of its own, as all of its dependencies are built for coverage, too.
fn build(steps: &mut Steps) -> Result<PathBuf> {
    setup::ensure(steps)?;
    if find("c++").is_none() {
        bail!("libFuzzer is C++, and there is no `c++`\nhint: apt-get install g++");
    }
    let version = captured(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("`rustc -vV` names no host")?;
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(root()).args(["build", "--quiet", "--package", "fuzz", "--bin", "fuzz-one"]);
    build.args(["--features", "engine", "--profile", "fuzz", "--target", host]);
    build.arg("--target-dir").arg(folder(""));
    build.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"));
    steps.quiet("fuzzer", || captured(&mut build).map(|_| ((), String::new())))?;
    Ok(folder(host).join("fuzz/fuzz-one"))
}

/// A folder for what need not be kept.
fn folder(name: &str) -> PathBuf {
    root().join("target/fuzz").join(name)
}

fn fuzzer(program: &Path, target: &str) -> Command {
    let mut command = Command::new(program);
    command.env("FUZZ_TARGET", target).current_dir(root());
    command.args([format!("-timeout={SLOW}"), format!("-rss_limit_mb={LARGE}")]);
    command
}

/// Searches, then replaces the committed corpus by the smallest that reaches as much.
fn fuzz(program: &Path, target: &str, time: Duration) -> Result<Report> {
    let committed = root().join("tests/fuzz/corpus").join(target);
    let [found, findings] = ["found", "findings"].map(|name| folder(name).join(target));
    for folder in [&found, &findings] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let mut search = fuzzer(program, target);
    search.args([format!("-max_total_time={}", time.as_secs()), format!("-max_len={LONGEST}")]);
    search.args(["-print_final_stats=1", "-detect_leaks=0"]);
    search.arg(format!("-artifact_prefix={}/", findings.display()));
    let output = search.arg(&found).arg(&committed).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let finding = said.lines().find_map(|line| line.split_once("Test unit written to "));
    let finding = finding.map(|(_, path)| PathBuf::from(path.trim()));
    if finding.is_none() && !output.status.success() {
        let lines = said.lines().collect::<Vec<_>>();
        let tail = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n");
        bail!("`{}` ended with {}:\n{tail}", command_line(&search), output.status);
    }
    let stat = |name: &str| number_behind(&said, &format!("stat::{name}:"));
    let mut report = Report {
        target: target.to_owned(),
        seconds: time.as_secs(),
        executions: stat("number_of_executed_units"),
        executions_per_second: stat("average_exec_per_sec"),
        new_inputs: stat("new_units_added"),
        edges: number_behind(&said, " cov:"),
        corpus_files: 0,
        corpus_octets: 0,
        left_out: 0,
        finding,
    };
    // What breaks a promise may stand in the corpus: it stays as it is until that is mended.
    if report.finding.is_none() {
        keep_least(program, target, &found, &committed, &mut report)?;
    }
    Ok(report)
}

/// The number behind the last `name`.
fn number_behind(said: &str, name: &str) -> u64 {
    let behind = said.rsplit_once(name).map(|(_, behind)| behind.trim_start());
    let digits = behind.and_then(|behind| behind.split_whitespace().next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// Replaces `committed` by the fewest inputs that reach every branch, and as often as any did where there is room for that.
fn keep_least(
    program: &Path,
    target: &str,
    found: &Path,
    committed: &Path,
    report: &mut Report,
) -> Result<()> {
    let mut inputs = fewest(program, target, true, &[found, committed])?;
    if inputs.len() > MOST_FILES {
        inputs = fewest(program, target, false, &[found, committed])?;
    }
    // Those that are left out are the shortest: they reach the least beyond what the others do.
    inputs.sort_by_key(|(octets, name)| (Reverse(octets.len()), name.clone()));
    report.left_out = inputs.len().saturating_sub(MOST_FILES);
    let fresh = tempfile::tempdir_in(folder(""))?;
    for (octets, name) in inputs.into_iter().take(MOST_FILES) {
        // Data among sources: an ending says that it is no text.
        let name = name.to_string_lossy().chars().take(16).collect::<String>();
        fs::write(fresh.path().join(name).with_extension("bin"), &octets)?;
        report.corpus_files += 1;
        report.corpus_octets += octets.len();
    }
    fs::remove_dir_all(committed)?;
    fs::rename(fresh.keep(), committed)?;
    Ok(())
}

/// The fewest inputs in `folders` that reach every branch; with `counters`, about as often as any of them did.
fn fewest(
    program: &Path,
    target: &str,
    counters: bool,
    folders: &[&Path],
) -> Result<Vec<(Vec<u8>, OsString)>> {
    let fewest = tempfile::tempdir_in(folder(""))?;
    let mut merge = fuzzer(program, target);
    merge.args(["-set_cover_merge=1", "-detect_leaks=0"]);
    merge.arg(format!("-use_counters={}", u8::from(counters)));
    captured(merge.arg(fewest.path()).args(folders))?;
    let mut inputs = Vec::new();
    for entry in fs::read_dir(fewest.path())? {
        let entry = entry?;
        inputs.push((fs::read(entry.path())?, entry.file_name()));
    }
    Ok(inputs)
}

fn detail(report: &Report) -> String {
    if report.finding.is_some() {
        return format!("broke a promise after {} executions", report.executions);
    }
    let Report { executions, executions_per_second, new_inputs, edges, corpus_files, .. } = report;
    format!(
        "{executions} executions, {executions_per_second} per second, {new_inputs} new inputs, \
         {edges} edges, corpus {corpus_files} files, {} octets, {} left out",
        report.corpus_octets, report.left_out
    )
}

/// A number and its unit.
fn duration(text: &str) -> Result<Duration> {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let number = text.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok());
    let seconds = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        _ => None,
    };
    let (Some(number), Some(seconds)) = (number, seconds) else {
        bail!("`{text}` is no time, expected one like 90s, 10m or 2h");
    };
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_or_refused() {
        for (text, expected) in
            [("90s", Some(90)), ("10m", Some(600)), ("2h", Some(7200)), ("10", None), ("m", None)]
        {
            assert_eq!(duration(text).ok().map(|time| time.as_secs()), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_found_in_what_the_fuzzer_says() {
        let said =
            "#2\tINITED cov: 7 ft: 8\n#9\tDONE   cov: 70 ft: 80\nstat::new_units_added:  12\n";
        assert_eq!(number_behind(said, " cov:"), 70);
        assert_eq!(number_behind(said, "stat::new_units_added:"), 12);
        assert_eq!(number_behind(said, "stat::other:"), 0);
    }
}
