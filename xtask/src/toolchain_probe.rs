//! Proves an eBPF toolchain by building a tiny XDP program with it: versions that look right are no proof.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::ebpf_toolchain::{Toolchain, cache_dir};
use crate::step::{Steps, captured};

const MANIFEST: &str = "\
[workspace]
[package]
name = \"probe\"
version = \"0.0.0\"
edition = \"2024\"
[profile.release]
panic = \"abort\"
debug = 2
";

/// Uses `core`, so that its source has to be there too.
const PROGRAM: &str = r#"
#![no_std]
#![no_main]
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
pub extern "C" fn probe(context: *const u32) -> u32 {
    if context.is_null() { 1 } else { 2 }
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
"#;

/// The machine number of eBPF in an ELF header.
const ELF_MACHINE_BPF: [u8; 2] = [247, 0];

/// Builds the probe and looks at what came out.
pub(crate) fn prove(steps: &mut Steps, toolchain: &Toolchain) -> Result<()> {
    let name = format!("trying the {} toolchain", toolchain.kind.name());
    steps.quiet(&name, || build(toolchain).map(|detail| ((), detail)))
}

/// A command free of what the cargo that runs this task has put into the environment.
pub(crate) fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let ours = |name: &str| {
        ["CARGO_", "RUSTUP_", "RUSTC", "RUSTFLAGS", "RUSTDOC"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            && !["CARGO_HOME", "CARGO_BUILD_JOBS", "CARGO_NET_OFFLINE"].contains(&name)
            // Without its settings rustup obeys the `rust-toolchain.toml` of whatever package is being compiled, and
            // several of it at once tear the user's toolchain apart.
            && !["RUSTUP_HOME", "RUSTUP_TOOLCHAIN"].contains(&name)
            && !["CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
    };
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(ours) {
            command.env_remove(name);
        }
    }
    command.env("RUSTUP_AUTO_INSTALL", "0");
    command
}

fn build(toolchain: &Toolchain) -> Result<String> {
    let folder = cache_dir().join("probe");
    fs::create_dir_all(folder.join("src")).with_context(|| folder.display().to_string())?;
    fs::write(folder.join("Cargo.toml"), MANIFEST)?;
    fs::write(folder.join("src/main.rs"), PROGRAM)?;
    let flags = [format!("-Clinker={}", toolchain.linker.display()), "-Clink-arg=--btf".to_owned()];
    captured(
        clean(&toolchain.cargo)
            .args(["build", "--release", "-Z", "build-std=core"])
            .args(["--target", "bpfel-unknown-none"])
            .env("RUSTC", &toolchain.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .current_dir(&folder),
    )?;
    let object = fs::read(folder.join("target/bpfel-unknown-none/release/probe"))?;
    fs::remove_dir_all(&folder)?;
    ensure!(
        object.get(18..20) == Some(&ELF_MACHINE_BPF),
        "the linker made something that is no eBPF object"
    );
    let rustc = captured(clean(&toolchain.rustc).arg("--version"))?;
    Ok(format!("({})", rustc.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustup_is_kept_from_installing_anything() {
        let command = clean("cargo");
        let set = |name: &str| {
            let mut variables = command.get_envs();
            variables.find(|(found, _)| *found == name).map(|(_, value)| value.map(OsStr::to_owned))
        };
        assert_eq!(set("RUSTUP_AUTO_INSTALL"), Some(Some("0".into())));
        // Untouched, so that the value that the outer cargo runs with is inherited.
        assert_eq!(set("RUSTUP_TOOLCHAIN"), None);
        assert_eq!(set("RUSTUP_HOME"), None);
    }
}
