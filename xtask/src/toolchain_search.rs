//! Looks for a nightly of rustup that can build the XDP program; it is used as it is found, never changed.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use harness::needs::find;

use crate::bpf_linker;
use crate::ebpf_toolchain::{Kind, Toolchain};
use crate::step::{Steps, captured};
use crate::toolchain_probe;

/// A nightly with `rust-src`, and a `bpf-linker` that is proven to link what it compiles.
pub(crate) fn rustup_nightly(steps: &mut Steps) -> Result<Toolchain> {
    let (cargo, rustc) = (nightly_tool("cargo")?, nightly_tool("rustc")?);
    let sysroot = captured(toolchain_probe::clean(&rustc).args(["--print", "sysroot"]))?;
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/src/lib.rs");
    if !source.is_file() {
        bail!("the component rust-src is missing");
    }
    let linkers = linkers();
    if linkers.is_empty() {
        bail!("bpf-linker is missing");
    }
    let mut reasons = Vec::new();
    for linker in linkers {
        let toolchain = Toolchain {
            cargo: cargo.clone(),
            rustc: rustc.clone(),
            linker,
            kind: Kind::RustupNightly,
        };
        match toolchain_probe::prove(steps, &toolchain) {
            Ok(()) => return Ok(toolchain),
            Err(reason) => reasons.push(format!("{}: {reason:#}", toolchain.linker.display())),
        }
    }
    bail!("{}", reasons.join("\n"));
}

/// What to type for a nightly that would do, for the LLVM of the one that is there.
pub(crate) fn how_to_install() -> String {
    let llvm = nightly_tool("rustc")
        .and_then(|rustc| captured(toolchain_probe::clean(rustc).arg("-vV")))
        .ok()
        .and_then(|text| {
            let version = text.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
            version.split('.').next().map(ToOwned::to_owned)
        });
    let features = llvm.map_or_else(
        || "--features llvm-NN, where NN is the LLVM version in `rustc +nightly -vV`".to_owned(),
        |llvm| format!("--features llvm-{llvm}"),
    );
    format!(
        "rustup toolchain install nightly --component rust-src, then \
         cargo install bpf-linker --version {} --no-default-features {features}",
        bpf_linker::VERSION
    )
}

fn nightly_tool(tool: &str) -> Result<PathBuf> {
    let rustup = find("rustup").context("rustup is missing")?;
    let path = captured(Command::new(rustup).args(["which", "--toolchain", "nightly", tool]))
        .context("no nightly is installed")?;
    Ok(path.trim().into())
}

/// Every `bpf-linker` at hand: in `PATH`, where cargo installs, where setup does.
fn linkers() -> Vec<PathBuf> {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let mut all = find("bpf-linker").into_iter().collect::<Vec<_>>();
    all.extend(cargo_home.map(|home| home.join("bin/bpf-linker")));
    all.push(bpf_linker::path());
    all.retain(|linker| linker.is_file());
    all.dedup();
    all
}
