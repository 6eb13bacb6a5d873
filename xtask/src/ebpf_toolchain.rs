//! Where the compiler of the XDP program is: found once by `cargo xtask setup`, read by every build of the daemon.
//!
//! It uses the standard library alone, because `gateway/build.rs` includes this very file by its path.

use std::path::PathBuf;
use std::{env, fmt, fs};

/// What a reader is told who has no toolchain yet.
pub(crate) const HINT: &str =
    "no eBPF toolchain is recorded: run `cargo xtask setup` once, it finds or installs one";

/// The tools that turn `gateway-ebpf` into an XDP program, all by absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// The `cargo` that can build `core` for the target.
    pub(crate) cargo: PathBuf,
    /// The `rustc` that goes with it.
    pub(crate) rustc: PathBuf,
    /// `bpf-linker`, built against the LLVM of that `rustc`.
    pub(crate) linker: PathBuf,
    /// Where it came from.
    pub(crate) kind: Kind,
}

/// Where a toolchain came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The distribution's packages, with its copy of the standard library's source.
    Debian,
    /// A nightly of rustup, with the component `rust-src`.
    RustupNightly,
}

impl Kind {
    /// The word in the file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::RustupNightly => "rustup-nightly",
        }
    }
}

impl Toolchain {
    /// Whether all three tools are there.
    pub(crate) fn usable(&self) -> bool {
        [&self.cargo, &self.rustc, &self.linker].iter().all(|tool| tool.is_file())
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cargo = {}", self.cargo.display())?;
        writeln!(f, "rustc = {}", self.rustc.display())?;
        writeln!(f, "linker = {}", self.linker.display())?;
        writeln!(f, "kind = {}", self.kind.name())
    }
}

/// The folder for everything that is fetched or built once per user.
pub(crate) fn cache_dir() -> PathBuf {
    let from = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    from("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| from("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(env::temp_dir)
        .join("portcullis")
}

/// The file that records the toolchain.
pub(crate) fn file() -> PathBuf {
    cache_dir().join("ebpf-toolchain.conf")
}

/// Reads the record; an error says what is wrong with it, in one line.
pub(crate) fn read() -> Result<Toolchain, String> {
    let file = file();
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    parse(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Records `toolchain` for the builds to come.
pub(crate) fn write(toolchain: &Toolchain) -> Result<(), String> {
    let file = file();
    fs::create_dir_all(cache_dir())
        .and_then(|()| fs::write(&file, toolchain.to_string()))
        .map_err(|error| format!("{}: {error}", file.display()))
}

fn parse(text: &str) -> Result<Toolchain, String> {
    let value = |key: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(found, _)| found.trim() == key)
            .map(|(_, value)| value.trim())
            .ok_or_else(|| format!("`{key}` is missing"))
    };
    let path = |key: &str| match PathBuf::from(value(key)?) {
        path if path.is_absolute() => Ok(path),
        path => Err(format!("`{}` as {key}, expected an absolute path", path.display())),
    };
    Ok(Toolchain {
        cargo: path("cargo")?,
        rustc: path("rustc")?,
        linker: path("linker")?,
        kind: match value("kind")? {
            "debian" => Kind::Debian,
            "rustup-nightly" => Kind::RustupNightly,
            other => {
                return Err(format!("`{other}` as kind, expected debian or rustup-nightly"));
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let toolchain = Toolchain {
            cargo: "/usr/bin/cargo".into(),
            rustc: "/usr/bin/rustc".into(),
            linker: "/home/me/with space/bpf-linker".into(),
            kind: Kind::Debian,
        };
        assert_eq!(parse(&toolchain.to_string()), Ok(toolchain));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, expected) in [
            ("", "`cargo` is missing"),
            ("cargo = cargo", "`cargo` as cargo, expected an absolute path"),
            (
                "cargo = /c\nrustc = /r\nlinker = /l\nkind = snap",
                "`snap` as kind, expected debian or rustup-nightly",
            ),
        ] {
            assert_eq!(parse(text), Err(expected.to_owned()), "{text:?}");
        }
    }
}
