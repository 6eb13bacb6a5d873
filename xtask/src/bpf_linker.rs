//! `bpf-linker`, built once per user against Debian's LLVM.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::ebpf_toolchain::cache_dir;
use crate::step::{Steps, captured};
use crate::toolchain_probe;

/// The release that works with this version of aya.
pub(crate) const VERSION: &str = "0.13.0";
/// Where Debian has the LLVM of its compiler.
const LLVM: &str = "/usr/lib/llvm-22";

/// Where the linker is, once it was built; the name tells builds against another LLVM apart.
pub(crate) fn path() -> PathBuf {
    folder().join("bin/bpf-linker")
}

/// The linker, built when it is not there or when its libraries are not.
pub(crate) fn ensure(steps: &mut Steps) -> Result<PathBuf> {
    let works = captured(Command::new(path()).arg("--version")).is_ok();
    if !works {
        steps.quiet(
            &format!("building bpf-linker {VERSION}, about two minutes, once per user"),
            || build().map(|()| ((), String::new())),
        )?;
    }
    Ok(path())
}

/// Builds beside the place and moves it there when it is whole; a build that was interrupted goes on where it was.
fn build() -> Result<()> {
    let fresh = cache_dir().join("bpf-linker.new");
    let objects = cache_dir().join("bpf-linker.build");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The compiler by its own path, past any proxy that looks into the folder of each dependency for another toolchain.
    let rustc = PathBuf::from(&cargo).with_file_name("rustc");
    let rustc = if rustc.is_file() { rustc } else { PathBuf::from("rustc") };
    captured(
        toolchain_probe::clean(cargo)
            .env("RUSTC", rustc)
            .args(["install", "bpf-linker", "--locked", "--force"])
            .args(["--version", VERSION])
            .args(["--no-default-features", "--features", "llvm-22"])
            .arg("--root")
            .arg(&fresh)
            .env("CARGO_TARGET_DIR", &objects)
            .env("LLVM_PREFIX", LLVM)
            .current_dir(cache_dir()),
    )?;
    let folder = folder();
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::rename(&fresh, &folder).with_context(|| folder.display().to_string())?;
    fs::remove_dir_all(&objects).with_context(|| objects.display().to_string())
}

fn folder() -> PathBuf {
    cache_dir().join(format!("bpf-linker-{VERSION}-llvm22"))
}
