//! What survives the daemon: the folder of pins under a BPF filesystem, and whether what lies in it may be trusted.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use aya::maps::{MapData, MapType};
use gateway_ebpf::abi::{MapKind, MapShape, SCHEMA, map};
use rustix::mount::{MountFlags, mount};

use super::attach::RunsIn;
use super::{Config, XdpError};

const BPFFS: &str = "/sys/fs/bpf";

/// The type number of a BPF filesystem, from `linux/magic.h`.
const BPFFS_MAGIC: u64 = 0xcafe_4a11;

/// `BPF_F_NO_PREALLOC`, without which the kernel makes no trie.
const NO_PREALLOC: u32 = 1;

/// The folder of pins of this schema version.
#[derive(Clone, Debug)]
pub(super) struct Pins {
    folder: PathBuf,
}

impl Pins {
    pub(super) fn new(config: &Config) -> Self {
        Self { folder: config.pin_dir.join(format!("v{SCHEMA}")) }
    }

    /// Makes the folder and removes from it what may not be adopted. True when the maps in it are adopted.
    pub(super) fn prepare(&self) -> Result<bool, XdpError> {
        mount_bpffs(&self.folder)?;
        fs::create_dir_all(&self.folder).map_err(|error| XdpError::path(&self.folder, error))?;
        self.check_maps()
    }

    /// Whether a filter was pinned here and not detached since.
    pub(super) fn exist(&self) -> bool {
        self.map(map::BAD_V4).exists()
    }

    /// Where a map is pinned.
    pub(super) fn map(&self, shape: MapShape) -> PathBuf {
        self.folder.join(shape.name)
    }

    /// Where the link to an interface is pinned.
    pub(super) fn link(&self, interface: &str, mode: RunsIn) -> PathBuf {
        self.folder.join(format!("link-{}-{}", escape(interface), mode.name()))
    }

    /// Where links to interfaces are pinned, whichever they are.
    pub(super) fn links(&self) -> Result<Vec<PathBuf>, XdpError> {
        Ok(self
            .files()?
            .into_iter()
            .filter(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("link-"))
            })
            .collect())
    }

    /// Removes everything. Links first: a program without its maps does not exist, but a map without its program may.
    pub(super) fn remove_all(&self) -> Result<(), XdpError> {
        for path in self.links()?.into_iter().chain(self.files()?) {
            remove(&path)?;
        }
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(XdpError::path(&self.folder, error))
            }
            _ => Ok(()),
        }
    }

    fn files(&self) -> Result<Vec<PathBuf>, XdpError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| XdpError::path(&self.folder, error))?,
        };
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(|error| XdpError::path(&self.folder, error))
    }

    /// The maps belong together (the counters to the names, the rules to both), so all are adopted or none.
    fn check_maps(&self) -> Result<bool, XdpError> {
        let present: Vec<MapShape> =
            map::ALL.into_iter().filter(|shape| self.map(*shape).exists()).collect();
        if present.is_empty() {
            return Ok(false);
        }
        let fault =
            map::ALL.into_iter().find_map(|shape| self.fault(shape).map(|fault| (shape, fault)));
        let Some((shape, fault)) = fault else {
            return Ok(true);
        };
        tracing::warn!(map = shape.name, "the pinned maps are not adopted but made anew: {fault}");
        for shape in present {
            remove(&self.map(shape))?;
        }
        Ok(false)
    }

    /// Why the map pinned under the name of `shape` is not one of that shape.
    fn fault(&self, shape: MapShape) -> Option<String> {
        let info = match MapData::from_pin(self.map(shape)).and_then(|map| map.info()) {
            Ok(info) => info,
            Err(error) => return Some(error.to_string()),
        };
        let (kind, flags) = match shape.kind {
            MapKind::Array => (MapType::Array, 0),
            MapKind::Hash => (MapType::Hash, 0),
            MapKind::LpmTrie => (MapType::LpmTrie, NO_PREALLOC),
            MapKind::PerCpuArray => (MapType::PerCpuArray, 0),
        };
        if info.map_type().ok() != Some(kind) {
            return Some(format!("it is of another type than {:?}", shape.kind));
        }
        [
            ("key size", info.key_size(), shape.key),
            ("value size", info.value_size(), shape.value),
            ("capacity", info.max_entries(), shape.entries),
            ("flags", info.map_flags(), flags),
        ]
        .into_iter()
        .find(|(_, found, expected)| found != expected)
        .map(|(what, found, expected)| format!("{what} {found}, expected {expected}"))
    }
}

/// Removes a pin, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), XdpError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(XdpError::path(path, error)),
        _ => Ok(()),
    }
}

/// Mounts a BPF filesystem at its usual place when `folder` is to lie there and there is none.
fn mount_bpffs(folder: &Path) -> Result<(), XdpError> {
    if folder.starts_with(BPFFS) && !is_bpffs(Path::new(BPFFS))? {
        mount("bpf", BPFFS, "bpf", MountFlags::empty(), None)
            .map_err(|error| XdpError::path(Path::new(BPFFS), error.into()))?;
    }
    let existing = folder.ancestors().find(|path| path.exists());
    if is_bpffs(existing.unwrap_or(folder))? {
        return Ok(());
    }
    Err(XdpError::NotBpffs { path: folder.to_owned() })
}

fn is_bpffs(path: &Path) -> Result<bool, XdpError> {
    let found =
        rustix::fs::statfs(path).map_err(|error| XdpError::path(path, io::Error::from(error)))?;
    Ok(u64::try_from(found.f_type).is_ok_and(|number| number == BPFFS_MAGIC))
}

/// An interface's name as a file name: a BPF filesystem takes no dots, which names of VLAN interfaces have.
fn escape(interface: &str) -> String {
    interface
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02x}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interface_has_its_own_file_name() {
        let pins = Pins::new(&Config::default());
        for (interface, mode, expected) in [
            ("eth0", RunsIn::Native, "link-eth0-native"),
            ("eth0", RunsIn::Generic, "link-eth0-generic"),
            ("eth0.100", RunsIn::Native, "link-eth0%2e100-native"),
            ("a-native", RunsIn::Generic, "link-a%2dnative-generic"),
        ] {
            let path = pins.link(interface, mode);
            assert_eq!(path, Path::new("/sys/fs/bpf/portcullis/v1").join(expected));
        }
    }

    #[test]
    fn an_ordinary_folder_is_no_place_for_pins() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { pin_dir: folder.path().join("pins"), ..Config::default() };
        let error = Pins::new(&config).prepare().unwrap_err();
        assert!(matches!(error, XdpError::NotBpffs { .. }), "{error}");
        assert!(!config.pin_dir.exists());
    }
}
