//! Fetches the mail servers that the tests talk to; they are unpacked into the cache folder, never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use harness::crowdsec::CROWDSEC;
use harness::exim::EXIM;
use harness::fail2ban::FAIL2BAN;
use harness::faketime::FAKETIME;
use harness::mail_server::MailServer;
use harness::opensmtpd::OPENSMTPD;
use harness::postfix::POSTFIX;
use harness::prometheus::PROMETHEUS;
use harness::rbldnsd::RBLDNSD;

use crate::packages::{ensure_lists, is_installed};
use crate::step::{Steps, captured, say};

/// The servers, and what a reader is told that each is there for.
const SERVERS: [(MailServer, &str); 8] = [
    (POSTFIX, "a real next hop and a real sender"),
    (EXIM, "a real sender"),
    (OPENSMTPD, "a real sender"),
    (RBLDNSD, "a server of DNS lists that reads the same files"),
    (FAIL2BAN, "a real reader of the lines about refused clients"),
    (CROWDSEC, "another one"),
    (FAKETIME, "a clock that jumps"),
    (PROMETHEUS, "a real reader of metrics and alerts"),
];

/// Unpacks those servers that were not yet, with those of their libraries that this system lacks.
pub(crate) fn ensure(steps: &mut Steps) -> Result<()> {
    let missing = SERVERS.iter().filter(|(server, _)| !server.is_there()).collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    say("these Debian packages will be fetched and unpacked, not installed:");
    for (server, purpose) in &missing {
        say(&format!("  {}: {purpose}", server.package));
    }
    ensure_lists(steps)?;
    for (server, _) in missing {
        let name = format!("fetching {}", server.name);
        let fetch = || fetch(server.package, &server.unpacked()).map(|detail| ((), detail));
        steps.quiet(&name, fetch)?;
    }
    Ok(())
}

/// Unpacks beside the place and moves the folder there when it is whole.
fn fetch(package: &str, folder: &Path) -> Result<String> {
    let parent = folder.parent().context("the root is no cache folder")?;
    fs::create_dir_all(parent)?;
    let fresh = tempfile::tempdir_in(parent)?;
    let unpacked = fresh.path().join("unpacked");
    let mut wanted = vec![package.to_owned()];
    let mut fetched = Vec::<String>::new();
    while let Some(name) = wanted.pop() {
        let file = download(&name, fresh.path())?;
        captured(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&unpacked))?;
        let depends = captured(Command::new("dpkg-deb").arg("-f").arg(&file).arg("Depends"))?;
        fetched.push(name);
        wanted.extend(
            libraries(&depends)
                .into_iter()
                .filter(|library| !fetched.contains(library) && !is_installed(library)),
        );
        wanted.sort();
        wanted.dedup();
    }
    // Nobody keeps what is in the cache folder up to date, so nothing in it runs as root for others.
    captured(Command::new("chmod").args(["-R", "ug-s"]).arg(&unpacked))?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::rename(&unpacked, folder).with_context(|| folder.display().to_string())?;
    Ok(fetched.join(" "))
}

/// Downloads into a folder of its own, so that the one file in it is the package.
fn download(name: &str, parent: &Path) -> Result<PathBuf> {
    let folder = parent.join(name);
    fs::create_dir(&folder)?;
    captured(Command::new("apt-get").args(["download", name]).current_dir(&folder))?;
    let file = fs::read_dir(&folder)?.next();
    Ok(file.with_context(|| format!("no package {name}"))??.path())
}

/// The shared libraries in a `Depends` field; every system has the C library, and nobody looks at pages.
fn libraries(depends: &str) -> Vec<String> {
    depends
        .split(',')
        .filter_map(|dependency| dependency.split_whitespace().next())
        .map(|name| name.split(':').next().unwrap_or(name))
        .filter(|name| name.starts_with("lib") && !name.starts_with("libjs-") && *name != "libc6")
        .map(ToOwned::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_among_the_dependencies() {
        let depends = "libc6 (>= 2.34), libdb5.3, libicu72 (>= 72.1~rc-1~), debconf (>= 0.5) | debconf-2.0, libjs-jquery, libssl3:any\n";
        assert_eq!(libraries(depends), ["libdb5.3", "libicu72", "libssl3"]);
    }
}
