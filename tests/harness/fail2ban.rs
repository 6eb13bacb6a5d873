//! fail2ban as a reader of our lines: its own `fail2ban-regex` with its own filters, from the unpacked package.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::mail_server::MailServer;

/// The package.
pub const FAIL2BAN: MailServer = MailServer {
    name: "fail2ban",
    package: "fail2ban",
    program: "usr/bin/fail2ban-regex",
    variable: "PORTCULLIS_FAIL2BAN",
};

/// The addresses that its filter `postfix` in `mode` finds in a log file, one for each line that matches. It needs `python3`.
pub fn found(packages: &Path, mode: &str, log: &Path) -> Result<Vec<String>> {
    let output = Command::new("python3")
        .arg(packages.join(FAIL2BAN.program))
        .args(["--out", "ip", "-c"])
        .arg(packages.join("etc/fail2ban"))
        .arg(log)
        .arg(format!("postfix[mode={mode}]"))
        .env("PYTHONPATH", packages.join("usr/lib/python3/dist-packages"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .context("start fail2ban-regex")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() || said.trim().is_empty(), "{said}{complaint}");
    ensure!(!complaint.contains("Traceback"), "{complaint}");
    Ok(said.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
}
