//! Prometheus' own checker of metrics and rules, `promtool`, from the unpacked package.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::mail_server::MailServer;

/// The package.
pub const PROMETHEUS: MailServer = MailServer {
    name: "Prometheus",
    package: "prometheus",
    program: "usr/bin/promtool",
    variable: "PORTCULLIS_PROMETHEUS",
};

/// What `promtool check metrics` has against metrics in the older text format; empty where that is nothing.
pub fn check_metrics(packages: &Path, metrics: &str) -> Result<String> {
    check(packages, &["check", "metrics"], metrics)
}

/// What `promtool check rules` has against a file of rules.
pub fn check_rules(packages: &Path, rules: &str) -> Result<String> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), rules)?;
    let path = file.path().to_str().context("no text")?;
    check(packages, &["check", "rules", "--lint-fatal", path], "")
}

/// What it says where it finds fault.
fn check(packages: &Path, arguments: &[&str], input: &str) -> Result<String> {
    let mut command = Command::new(packages.join(PROMETHEUS.program));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("promtool")?;
    // It reads all of it before it says anything.
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(if output.status.success() && said.is_empty() {
        String::new()
    } else {
        format!("{}: {}{said}", output.status, String::from_utf8_lossy(&output.stdout))
    })
}
