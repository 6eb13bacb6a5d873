//! Which files a daemon with this configuration has need of.

use std::env;
use std::path::{Path, PathBuf};

use super::Config;
use crate::rights::Reach;
use crate::xdp::Mode;

/// What the system has for everybody: settings (resolv.conf, hosts, certificates, the time zone), data, and what the kernel
/// tells of itself and of interfaces.
const SYSTEM: [&str; 4] = ["/etc", "/usr", "/proc", "/sys"];

/// Files of the system that are often links to elsewhere, to something that is replaced while the daemon runs.
const REPLACED: [&str; 2] = ["/etc/resolv.conf", "/etc/localtime"];

/// What the environment may say about where certificates and credentials are.
const VARIABLES: [&str; 3] = ["SSL_CERT_FILE", "SSL_CERT_DIR", "CREDENTIALS_DIRECTORY"];

impl Config {
    /// The files and folders that the daemon reads and writes.
    ///
    /// Of a file it is the folder: a file that is replaced is another one, and only the folder stays.
    pub fn reach(&self) -> Reach {
        let named = env_paths().chain(REPLACED.map(PathBuf::from));
        let named = named.chain(self.reads.iter().cloned()).chain([self.file.clone()]);
        let read =
            SYSTEM.map(PathBuf::from).into_iter().chain(named.flat_map(|path| around(&path)));
        // Switched off, it removes what an earlier daemon left there.
        let has_pins = self.xdp.mode != Mode::Off || self.xdp.pin_dir.exists();
        let pins = has_pins.then(|| self.xdp.pin_dir.clone());
        let own = [self.state_dir.clone(), self.quarantine.folder.clone()];
        let write = own.into_iter().chain(pins);
        let made = self.socket_paths().into_iter().chain(self.audit.files());
        let write = write.chain(made.flat_map(around));
        Reach { read: once(read), write: once(write) }
    }
}

fn env_paths() -> impl Iterator<Item = PathBuf> {
    let values = VARIABLES.into_iter().filter_map(env::var_os);
    values.flat_map(|value| env::split_paths(&value).collect::<Vec<_>>())
}

/// The folder of a file, and that of the file that it leads to; a folder itself.
fn around(path: &Path) -> Vec<PathBuf> {
    let target = path.canonicalize().ok();
    let folder = |path: &Path| {
        if path.is_dir() { Some(path.to_owned()) } else { path.parent().map(Path::to_owned) }
    };
    [Some(path), target.as_deref()].into_iter().flatten().filter_map(folder).collect()
}

fn once(paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut paths: Vec<_> = paths.filter(|path| path.is_absolute()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}
