//! `cargo xtask setup`: finds the eBPF toolchain, or makes one, and records it for every build to come.

use std::fs::{self, File};
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;

use crate::ebpf_toolchain::{self, Toolchain};
use crate::step::{Steps, captured, say};
use crate::{bpf_linker, packages, toolchain_probe, toolchain_search};

/// Finds or makes the eBPF toolchain.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only report what is there; exit 1 when something is missing
    #[arg(long)]
    check: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the task; whether the toolchain is there.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let result = if options.check { recorded() } else { ensure(&mut Steps::default()) };
    if options.json {
        let answer = match &result {
            Ok(found) => json!({
                "ok": true,
                "kind": found.kind.name(),
                "cargo": found.cargo,
                "rustc": found.rustc,
                "linker": found.linker,
                "error": null,
            }),
            Err(error) => json!({
                "ok": false,
                "kind": null,
                "cargo": null,
                "rustc": null,
                "linker": null,
                "error": format!("{error:#}"),
            }),
        };
        writeln!(stdout().lock(), "{answer}")?;
        return Ok(result.is_ok());
    }
    match result {
        Ok(found) => {
            writeln!(stdout().lock(), "{found}")?;
            Ok(true)
        }
        Err(error) if options.check => {
            let hint = ebpf_toolchain::HINT;
            writeln!(stdout().lock(), "{error:#}\nhint: {hint}")?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The toolchain, found or made; quick when it is recorded and still the same.
pub(crate) fn ensure(steps: &mut Steps) -> Result<Toolchain> {
    if let Ok(found) = recorded() {
        say("ok eBPF toolchain, as recorded");
        return Ok(found);
    }
    let _lock = lock(steps)?;
    // Whoever held the lock may have made it.
    if let Ok(found) = recorded() {
        return Ok(found);
    }
    let found = find_or_make(steps)?;
    record(&found)?;
    Ok(found)
}

/// The recorded toolchain, unless its tools are gone or have changed since they were tried.
fn recorded() -> Result<Toolchain> {
    let found = ebpf_toolchain::read().map_err(|error| anyhow!(error))?;
    if !found.usable() {
        bail!("a tool of the recorded eBPF toolchain is gone:\n{found}");
    }
    let tried =
        fs::read_to_string(stamp()).context("the recorded eBPF toolchain was never tried")?;
    if tried != versions(&found)? {
        bail!("the recorded eBPF toolchain has changed since it was tried:\n{found}");
    }
    Ok(found)
}

fn record(found: &Toolchain) -> Result<()> {
    ebpf_toolchain::write(found).map_err(|error| anyhow!(error))?;
    let versions = versions(found)?;
    Ok(fs::write(stamp(), versions)?)
}

/// What the tools say that they are; a linker whose LLVM library is gone does not even say that.
fn versions(toolchain: &Toolchain) -> Result<String> {
    let rustc = captured(toolchain_probe::clean(&toolchain.rustc).arg("-vV"))?;
    let linker = captured(Command::new(&toolchain.linker).arg("--version"))?;
    Ok(format!("{toolchain}{rustc}{linker}"))
}

fn stamp() -> PathBuf {
    ebpf_toolchain::cache_dir().join("ebpf-toolchain.tried")
}

/// One setup at a time, whichever clone it runs in; the kernel frees the lock of a process that died.
fn lock(steps: &mut Steps) -> Result<File> {
    let folder = ebpf_toolchain::cache_dir();
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let file = File::create(folder.join("setup.lock"))?;
    if file.try_lock().is_err() {
        steps.quiet("waiting for another setup to finish", || {
            file.lock()?;
            Ok(((), String::new()))
        })?;
    }
    Ok(file)
}

fn find_or_make(steps: &mut Steps) -> Result<Toolchain> {
    let nightly = match toolchain_search::rustup_nightly(steps) {
        Ok(found) => return Ok(found),
        Err(reason) => reason,
    };
    let debian = match debian(steps) {
        Ok(found) => return Ok(found),
        Err(reason) => reason,
    };
    bail!(
        "no eBPF toolchain, for these reasons:\n\
         - rustup nightly: {nightly:#}\n\
         - Debian packages: {debian:#}\n\
         Install one of the two, then run `cargo xtask setup` again:\n\
         - {}\n\
         - as root: apt-get install {}",
        toolchain_search::how_to_install(),
        packages::TOOLCHAIN.iter().map(|package| package.name).collect::<Vec<_>>().join(" "),
    );
}

fn debian(steps: &mut Steps) -> Result<Toolchain> {
    if !packages::is_debian() {
        bail!("this system has none");
    }
    packages::ensure(steps, packages::TOOLCHAIN)?;
    let toolchain = Toolchain {
        cargo: "/usr/bin/cargo".into(),
        rustc: "/usr/bin/rustc".into(),
        linker: bpf_linker::ensure(steps)?,
        kind: ebpf_toolchain::Kind::Debian,
    };
    toolchain_probe::prove(steps, &toolchain)?;
    Ok(toolchain)
}
