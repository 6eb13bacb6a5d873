//! What a test needs from the machine: without it the test says SKIP, loudly, and fails where `CI=true`.

use std::env;
use std::fs::OpenOptions;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::thread;

use crate::axe;
use crate::mail_server::MailServer;
use crate::memory;

/// Names the file to which every `SKIP` line is appended, since test runners hide what a passing test prints.
pub const SKIPS_FILE: &str = "PORTCULLIS_SKIPS";

/// Whether the test may make network namespaces and load programs into the kernel.
pub fn root() -> bool {
    have(rustix::process::geteuid().is_root(), "root")
}

/// Whether single threads can be left without memory in the kernel.
pub fn memory_groups() -> bool {
    let file = Path::new(memory::GROUPS).join("memory.limit_in_bytes");
    have(file.is_file(), "memory control groups of version 1")
}

/// Whether `program` is installed.
pub fn program(program: &str) -> bool {
    have(find(program).is_some(), program)
}

/// The folder with an unpacked mail server, when it was fetched.
pub fn mail_server(server: &MailServer) -> Option<PathBuf> {
    let what = format!("an unpacked {} (`cargo xtask test` fetches it)", server.name);
    have(server.is_there(), &what).then(|| server.unpacked())
}

/// The folder with an unpacked mail server, for a test that needs [`root`] to run it, and each of `programs`.
pub fn root_with(server: &MailServer, programs: &[&str]) -> Option<PathBuf> {
    let have_others = root() && programs.iter().all(|name| program(name));
    have_others.then(|| mail_server(server)).flatten()
}

/// Where `program` is, in `PATH` or where administration tools live.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Whether axe-core was fetched.
pub fn axe() -> bool {
    have(axe::script().is_file(), "axe-core (`cargo xtask test` fetches it)")
}

fn have(there: bool, what: &str) -> bool {
    if !there {
        skip(what);
    }
    there
}

fn skip(what: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("SKIP: {test}: needs {what}\n");
    report(line.as_bytes());
    let in_ci = env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "{test} needs {what}, and under CI=true nothing may be skipped");
}

/// A line that cannot be written is no reason to fail the test that it is about.
fn report(line: &[u8]) {
    stderr().write_all(line).unwrap_or_default();
    if let Some(file) = env::var_os(SKIPS_FILE) {
        append(Path::new(&file), line).unwrap_or_default();
    }
}

fn append(file: &Path, line: &[u8]) -> std::io::Result<()> {
    OpenOptions::new().append(true).create(true).open(file)?.write_all(line)
}
