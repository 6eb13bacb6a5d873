//! `cargo xtask test`: everything that has to hold before a change goes in, each step with its time.

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use harness::needs::{SKIPS_FILE, find};
use serde_json::json;

use crate::step::{Steps, say, verdict};
use crate::unsupported::Feature;
use crate::{axe, mail_servers, packages, root, setup, tidy, unsupported};

/// Formatting, lints, tidiness and all tests.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only what needs neither root nor other programs: formatting, lints, tidiness, unit tests
    #[arg(long)]
    fast: bool,
    /// Run only the tests whose name contains NAME
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// Write what happened as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the task; whether everything passed.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut steps = Steps::default();
    let skips = tempfile::NamedTempFile::new()?;
    let mut result = all(options, &mut steps, skips.path());
    let skipped = fs::read_to_string(skips.path())?;
    let skipped = skipped.lines().collect::<Vec<_>>();
    let unsupported = if options.fast { Vec::new() } else { unsupported::here(root())? };
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    if result.is_ok() && in_ci && !skipped.is_empty() {
        result = Err(anyhow::anyhow!("tests were skipped, which CI=true forbids"));
    }
    summary(&steps, &skipped, &unsupported, result.is_ok())?;
    if let Some(file) = &options.json {
        let answer = json!({
            "ok": result.is_ok(),
            "error": result.as_ref().err().map(|error| format!("{error:#}")),
            "steps": steps.done(),
            "skipped": skipped,
            "unsupported": unsupported,
        });
        fs::write(file, format!("{answer:#}\n")).with_context(|| file.display().to_string())?;
    }
    if let Err(error) = &result {
        say(&format!("{error:#}"));
    }
    Ok(result.is_ok())
}

fn all(options: &Options, steps: &mut Steps, skips: &Path) -> Result<()> {
    steps.open("setup", || {
        let mut steps = Steps::default();
        setup::ensure(&mut steps)?;
        if !options.fast && packages::is_debian() {
            packages::ensure(&mut steps, packages::TESTS)?;
            mail_servers::ensure(&mut steps)?;
            axe::ensure(&mut steps)?;
        }
        Ok(())
    })?;
    steps.loud("formatting", &mut cargo(&["fmt", "--all", "--check"]))?;
    steps.loud(
        "lints",
        &mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
    )?;
    steps.open("tidiness", || {
        let findings = tidy::findings(root())?;
        for finding in &findings {
            say(&finding.to_string());
        }
        if !findings.is_empty() {
            bail!("{} findings", findings.len());
        }
        Ok(())
    })?;
    let mut unit_tests = runner(options, skips);
    steps.loud("unit tests", unit_tests.args(["--workspace", "--lib", "--bins"]))?;
    if options.fast {
        return Ok(());
    }
    steps.loud("documented examples", &mut cargo(&["test", "--quiet", "--workspace", "--doc"]))?;
    // The daemon as a process: tests are not built along with the binaries of other packages.
    steps.loud("daemon", &mut cargo(&["build", "--quiet", "--package", "gateway"]))?;
    let mut integration_tests = runner(options, skips);
    steps.loud("integration tests", integration_tests.args(["--workspace", "--test", "*"]))
}

/// cargo-nextest where it is installed, for its timeouts and its clear report; otherwise cargo's own runner.
fn runner(options: &Options, skips: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root()).env(SKIPS_FILE, skips);
    let nextest = find("cargo-nextest").is_some();
    if nextest {
        command.args(["nextest", "run", "--no-tests", "pass"]);
    } else {
        command.args(["test", "--quiet"]);
    }
    command.args(&options.filter);
    command
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root());
    command
}

fn summary(steps: &Steps, skipped: &[&str], unsupported: &[Feature], ok: bool) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out)?;
    for step in steps.done() {
        writeln!(out, "{} {:<22} {:>7.1} s", verdict(step.ok), step.name, step.seconds)?;
    }
    for line in skipped {
        writeln!(out, "{line}")?;
    }
    for feature in unsupported {
        let Feature { name, reason, instead, .. } = feature;
        writeln!(out, "unsupported here: {name}: {reason}; {instead}")?;
    }
    let words = if ok { "everything holds" } else { "stopped at the first failure" };
    writeln!(out, "{} {words}", verdict(ok))?;
    Ok(())
}
