//! Debian packages: which are missing, and their installation, by root alone and after they were named.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::step::{Steps, captured, say};

/// A package, and what a reader is told that it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) purpose: &'static str,
}

/// What compiles and links the XDP program.
pub(crate) const TOOLCHAIN: &[Package] = &[
    package("rustc-web", "the compiler of the XDP program"),
    package("cargo-web", "the cargo that goes with it"),
    package("rust-web-src", "the source of `core`, built for eBPF"),
    package("llvm-22-dev", "the LLVM that bpf-linker is built against"),
];

/// What the demo joins hosts with.
pub(crate) const DEMO: &[Package] = &[IPROUTE2];

/// What the tests send mail and join hosts with.
pub(crate) const TESTS: &[Package] = &[
    IPROUTE2,
    package("swaks", "mail from a client that is not ours"),
    package("libnet-ssleay-perl", "lets swaks speak TLS"),
    package("openssl", "shows the certificate of a server"),
    package("nftables", "takes the sets that lists are written as"),
    package("python3", "mail from its smtplib, and an older kernel's refusals"),
    package("systemd", "checks the unit files"),
    package("chromium", "looks at the pages of the control centre"),
    package("chromium-driver", "tells it what to do"),
    ETHTOOL,
];

/// What fetches axe-core, where there is no npm yet.
pub(crate) const NPM: &[Package] = &[package("npm", "fetches axe-core, which checks the pages")];

/// What the filter is measured beside, and what its cable is laid with.
pub(crate) const CONTENDERS: &[Package] = &[
    IPROUTE2,
    ETHTOOL,
    package("nftables", "a filter to be measured beside ours"),
    package("ipset", "a filter to be measured beside ours"),
    package("iptables", "asks ipset"),
    package("xdp-tools", "xdp-filter, to be measured beside ours"),
];

const ETHTOOL: Package = package("ethtool", "switches of virtual cables");
const IPROUTE2: Package = package("iproute2", "network namespaces and virtual cables");

/// One line per package for `dpkg-query`.
const STATUS: &str = "${db:Status-Status} ${Package}\n";

const fn package(name: &'static str, purpose: &'static str) -> Package {
    Package { name, purpose }
}

/// Whether this is a system with Debian's packages at all.
pub(crate) fn is_debian() -> bool {
    Path::new("/usr/bin/apt-get").is_file() && Path::new("/usr/bin/dpkg-query").is_file()
}

/// Those of `wanted` that are not installed.
pub(crate) fn missing(wanted: &[Package]) -> Result<Vec<Package>> {
    let installed = installed(wanted)?;
    let mut missing = wanted.to_vec();
    missing.retain(|package| !installed.iter().any(|name| name == package.name));
    Ok(missing)
}

/// Whether the package `name` is installed.
pub(crate) fn is_installed(name: &str) -> bool {
    captured(Command::new("dpkg-query").args(["--show", "--showformat", STATUS, name]))
        .is_ok_and(|status| status.starts_with("installed "))
}

/// Installs those of `wanted` that are missing, after naming them; who is not root is told what to type.
pub(crate) fn ensure(steps: &mut Steps, wanted: &[Package]) -> Result<()> {
    let missing = missing(wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.iter().map(|it| it.name).collect::<Vec<_>>();
    if !rustix::process::geteuid().is_root() {
        bail!(
            "missing packages, which root alone can install:\n  apt-get install {}",
            names.join(" ")
        );
    }
    say("these Debian packages are missing and will be installed:");
    for package in &missing {
        say(&format!("  {}: {}", package.name, package.purpose));
    }
    if !lists_are_there() || !have_candidates(&names) {
        update(steps)?;
    }
    let name = format!("apt-get install {}", names.join(" "));
    let install = || captured(apt_get().arg("install").args(&names)).map(|_| ((), String::new()));
    if steps.quiet(&name, install).is_err() {
        // The lists may be older than the archive.
        update(steps)?;
        steps.quiet(&name, install)?;
    }
    Ok(())
}

/// Fetches the lists of packages where there are none; only root can.
pub(crate) fn ensure_lists(steps: &mut Steps) -> Result<()> {
    if lists_are_there() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        bail!("no package lists, which root alone can fetch:\n  apt-get update");
    }
    update(steps)
}

fn update(steps: &mut Steps) -> Result<()> {
    steps.quiet("apt-get update", || captured(apt_get().arg("update")).map(|_| ((), String::new())))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(["--yes", "--quiet", "--no-install-recommends"])
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn installed(wanted: &[Package]) -> Result<Vec<String>> {
    // Unknown packages make it fail, and are as missing as any other.
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", STATUS])
        .args(wanted.iter().map(|package| package.name))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text
        .lines()
        .filter_map(|line| line.strip_prefix("installed "))
        .map(ToOwned::to_owned)
        .collect())
}

fn lists_are_there() -> bool {
    fs::read_dir("/var/lib/apt/lists")
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}

fn have_candidates(names: &[&str]) -> bool {
    names.iter().all(|name| {
        captured(Command::new("apt-cache").args(["policy", name])).is_ok_and(|text| {
            text.lines()
                .filter_map(|line| line.trim().strip_prefix("Candidate: "))
                .any(|candidate| candidate != "(none)")
        })
    })
}
