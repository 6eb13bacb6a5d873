//! Removes what a process of the harness made, when it has no time to drop it: hosts, their processes, pins, folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::netns;
use crate::stage::BPFFS;

/// Folders of one process begin with this, and its number, in the system's folder for temporary files.
pub(crate) fn folder_prefix() -> String {
    format!("portcullis-{}-", std::process::id())
}

/// Removes everything that this process made; what is gone already is as good as removed.
pub fn remove_all_of_this_process() {
    for name in netns::of_this_process() {
        for process in processes_in(&name) {
            // It may end by itself in the meantime.
            kill_process(process, Signal::KILL).unwrap_or_default();
        }
        remove(&Path::new(BPFFS).join(&name));
        drop(Command::new("ip").args(["netns", "delete", &name]).output());
    }
    for folder in own_folders() {
        remove(&folder);
    }
}

/// The processes in a network namespace; those of the harness itself are threads of this process, which is left alone.
fn processes_in(netns: &str) -> Vec<Pid> {
    let output = Command::new("ip").args(["netns", "pids", netns]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let numbers = text.unwrap_or_default();
    let numbers = numbers.lines().filter_map(|line| line.trim().parse().ok());
    numbers.filter_map(Pid::from_raw).filter(|pid| *pid != rustix::process::getpid()).collect()
}

fn own_folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with(&folder_prefix())
    };
    entries.map(|entry| entry.path()).filter(ours).collect()
}

fn remove(folder: &Path) {
    fs::remove_dir_all(folder).unwrap_or_default();
}
