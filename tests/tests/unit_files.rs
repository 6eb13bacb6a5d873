//! The files for systemd, checked by its own tools.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::daemon::binary;
use harness::needs;
use tempfile::TempDir;

/// What `systemd-analyze security` may find at most, of 10. What is left are the capabilities, the host's network, and that the
/// kernel may be asked for BPF.
const MOST_EXPOSED: f64 = 2.2;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/dist").join(name)
}

/// The units in a folder, with the program of this build in the place of the one that would be installed.
fn units(drop_ins: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let program = binary().unwrap().display().to_string();
    let install = |name: &str, to: &Path| {
        let text = fs::read_to_string(file(name)).unwrap();
        fs::write(to, text.replace("/usr/bin/portcullis", &program)).unwrap();
    };
    let service = folder.path().join("portcullis.service");
    install("portcullis.service", &service);
    install("portcullis.socket", &folder.path().join("portcullis.socket"));
    let beside = folder.path().join("portcullis.service.d");
    fs::create_dir(&beside).unwrap();
    for name in drop_ins {
        install(name, &beside.join(name));
    }
    (folder, service)
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

#[test]
fn systemd_understands_every_line() {
    if !needs::program("systemd-analyze") {
        return;
    }
    for drop_ins in [&[][..], &["portcullis-without-capabilities.conf"]] {
        let (folder, service) = units(drop_ins);
        for unit in [service, folder.path().join("portcullis.socket")] {
            let output = Command::new("systemd-analyze")
                .args(["verify", "--man=no"])
                .arg(&unit)
                .output()
                .unwrap();
            let said = text(&output);
            // Before systemd 253, where the line before it holds.
            let known = "Failed to parse service type, ignoring: notify-reload";
            let unknown = said.lines().find(|line| !line.contains(known));
            assert!(output.status.success() && unknown.is_none(), "{}: {said}", unit.display());
        }
    }
}

#[test]
fn the_service_is_hardened() {
    if !needs::program("systemd-analyze") {
        return;
    }
    for drop_ins in [&[][..], &["portcullis-without-capabilities.conf"]] {
        let (_folder, service) = units(drop_ins);
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(&service)
            .output()
            .unwrap();
        let said = text(&output);
        let exposed =
            said.lines().find_map(|line| line.split_once("exposure level for").map(|it| it.1));
        let exposed = exposed.and_then(|line| line.split_whitespace().nth(1)).unwrap_or(&said);
        let exposed: f64 = exposed.parse().unwrap();
        assert!(exposed <= MOST_EXPOSED, "{exposed}: {said}");
    }
}

#[test]
fn users_and_folders_can_be_made() {
    if !needs::program("systemd-sysusers") || !needs::program("systemd-tmpfiles") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str], file: PathBuf| {
        let output = Command::new(program)
            .args(arguments)
            .arg(format!("--root={}", root.path().display()))
            .arg(file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {}", text(&output));
    };
    fs::create_dir(root.path().join("etc")).unwrap();
    run("systemd-sysusers", &[], file("portcullis.sysusers"));
    let users = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    assert!(users.contains("portcullis:x:"), "{users}");
    fs::create_dir_all(root.path().join("sys/fs/bpf")).unwrap();
    run("systemd-tmpfiles", &["--create"], file("portcullis.tmpfiles"));
    assert!(root.path().join("sys/fs/bpf/portcullis").is_dir());
}
