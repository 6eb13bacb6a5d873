//! Compiles the XDP program with the toolchain that `cargo xtask setup` recorded, for the daemon to carry inside.

#[expect(dead_code, reason = "the record is written by `cargo xtask setup`; here it is only read")]
#[path = "../xtask/src/ebpf_toolchain.rs"]
mod ebpf_toolchain;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use ebpf_toolchain::Toolchain;

const TARGET: &str = "bpfel-unknown-none";
const PROGRAM: &str = "portcullis-xdp";
/// Built as well for the feature `bench`, beside a program that filters in a loop.
const BENCH: [&str; 2] = ["portcullis-bench", "portcullis-flood"];
const REPEAT: &str = "portcullis-repeat";

/// What else the program is made from, seen from `gateway/`.
const SOURCES: [&str; 5] = [
    "../gateway-ebpf/src",
    "../gateway-ebpf/Cargo.toml",
    "../Cargo.toml",
    "../Cargo.lock",
    "../xtask/src/ebpf_toolchain.rs",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    // First, so that cargo shows one sentence and not what it was told before; a build that failed runs again anyway.
    let toolchain =
        ebpf_toolchain::read().ok().filter(Toolchain::usable).ok_or(ebpf_toolchain::HINT)?;
    let record = ebpf_toolchain::file();
    for source in SOURCES.map(PathBuf::from).iter().chain([&record]) {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    for variable in ["HOME", "XDG_CACHE_HOME"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    // A daemon built for debugging carries a program that can log; it does so only when asked.
    let features = match variable("PROFILE")?.as_str() {
        "debug" => "bpf,log",
        _ => "bpf",
    };
    // Clippy and the tests have output folders of their own; `core` need not be built for each of them.
    let target_dir = out_dir.ancestors().nth(4).unwrap_or(&out_dir);
    let target_dir = target_dir.join("ebpf").join(features.replace(',', "-"));
    compile(&toolchain, PROGRAM, features, &target_dir, &out_dir.join(PROGRAM))?;
    if env::var_os("CARGO_FEATURE_BENCH").is_some() {
        for program in BENCH {
            compile(&toolchain, program, "bench", &target_dir, &out_dir.join(program))?;
        }
        let target_dir = target_dir.join("repeat");
        compile(&toolchain, PROGRAM, "repeat", &target_dir, &out_dir.join(REPEAT))?;
    }
    Ok(())
}

/// Compiles one object and puts it where the daemon includes it from.
fn compile(
    toolchain: &Toolchain,
    program: &str,
    features: &str,
    target_dir: &Path,
    out: &Path,
) -> Result<(), String> {
    let output = cargo(toolchain, program, features)?
        .arg("--target-dir")
        .arg(target_dir)
        .output()
        .map_err(|error| format!("{}: {error}", toolchain.cargo.display()))?;
    if !output.status.success() {
        return Err(format!(
            "{program} does not build\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        println!("cargo::warning={line}");
    }
    let object = target_dir.join(TARGET).join("release").join(program);
    fs::copy(&object, out).map_err(|error| format!("{}: {error}", object.display()))?;
    Ok(())
}

/// The command that builds the program, free of all that the cargo outside says about its own build.
fn cargo(toolchain: &Toolchain, program: &str, features: &str) -> Result<Command, String> {
    let mut cargo = Command::new(&toolchain.cargo);
    for (name, _) in env::vars_os() {
        if is_of_outer_build(&name.to_string_lossy()) {
            cargo.env_remove(&name);
        }
    }
    let architecture = variable("CARGO_CFG_TARGET_ARCH")?;
    let flags = [
        format!("--cfg=bpf_target_arch=\"{architecture}\""),
        "-Cdebuginfo=2".to_owned(),
        format!("-Clinker={}", toolchain.linker.display()),
        "-Clink-arg=--btf".to_owned(),
        // 32-bit arithmetic and jumps (Linux 5.1).
        "-Ctarget-cpu=v3".to_owned(),
    ];
    cargo
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_PROFILE_RELEASE_LTO", "true")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .args(["build", "--release", "--locked", "--quiet"])
        .args(["-Z", "build-std=core", "--target", TARGET])
        .args(["--manifest-path", "../gateway-ebpf/Cargo.toml"])
        .args(["--bin", program, "--features", features]);
    Ok(cargo)
}

/// What cargo tells a build script about its own build. Clippy, for one, comes in through `RUSTC_WORKSPACE_WRAPPER`.
fn is_of_outer_build(name: &str) -> bool {
    // Where crates come from is the same inside.
    const KEPT: [&str; 6] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "RUSTUP_HOME",
    ];
    const PREFIXES: [&str; 4] = ["CARGO", "CLIPPY", "DEP_", "RUST"];
    const NAMES: [&str; 7] =
        ["DEBUG", "HOST", "NUM_JOBS", "OPT_LEVEL", "OUT_DIR", "PROFILE", "TARGET"];
    let starts_with = |prefix: &&str| name.starts_with(*prefix);
    !KEPT.iter().any(starts_with) && (PREFIXES.iter().any(starts_with) || NAMES.contains(&name))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
