//! What survives the daemon: the folder of pins under a BPF filesystem, and whether what lies in it may be trusted.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use aya::maps::{MapData, MapType};
use gateway_ebpf::abi::{MapKind, MapShape, SCHEMA, map};
use rustix::fs::{FlockOperation, flock};
use rustix::mount::{MountFlags, mount};
use rustix::process::geteuid;

use super::attach::RunsIn;
use super::links::LinkPin;
use super::{Config, XdpError, base};

/// Where a BPF filesystem is usually mounted.
pub(super) const BPFFS: &str = "/sys/fs/bpf";

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
        for folder in self.folders() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|error| XdpError::path(folder, error))?;
            refuse_foreign(folder)?;
        }
        self.check_maps()
    }

    /// Why what is pinned here cannot be used as it is; nothing is made or removed.
    pub(super) fn unusable(&self) -> Result<Option<String>, XdpError> {
        if !self.exist()? {
            return Ok(Some("nothing is pinned there".to_owned()));
        }
        self.folders().try_for_each(refuse_foreign)?;
        let fault = map::ALL.into_iter().find_map(|shape| {
            self.fault(shape).map(|fault| format!("map {}: {fault}", shape.name))
        });
        Ok(fault)
    }

    /// Whether a filter was pinned here and not detached since.
    pub(super) fn exist(&self) -> Result<bool, XdpError> {
        let path = self.map(map::BAD_V4);
        path.try_exists().map_err(|error| XdpError::path(&path, error))
    }

    /// The folder of this version.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a map is pinned.
    pub(super) fn map(&self, shape: MapShape) -> PathBuf {
        self.folder.join(shape.name)
    }

    /// Where a map is pinned that is to take the place of another.
    pub(super) fn new_map(&self, shape: MapShape) -> PathBuf {
        // No dot: the BPF filesystem reserves it.
        self.folder.join(format!("{}-new", shape.name))
    }

    /// Where the table in force is pinned that the map `shape` holds.
    pub(super) fn table(&self, shape: MapShape) -> PathBuf {
        self.folder.join(format!("{}-table", shape.name))
    }

    /// Where a table is pinned that is to take its place.
    pub(super) fn new_table(&self, shape: MapShape) -> PathBuf {
        self.folder.join(format!("{}-table-new", shape.name))
    }

    /// Where the link to an interface is pinned.
    pub(super) fn link(&self, interface: &str, mode: RunsIn) -> LinkPin {
        LinkPin::new(&self.folder, interface, mode)
    }

    /// The links that are pinned, whichever interfaces they lead to.
    pub(super) fn links(&self) -> Result<Vec<LinkPin>, XdpError> {
        let files = self.files()?;
        Ok(files.into_iter().filter_map(LinkPin::from_path).collect())
    }

    /// Removes everything. Links first: a program without its maps does not exist, but a map without its program may.
    pub(super) fn remove_all(&self) -> Result<(), XdpError> {
        for link in self.links()? {
            link.remove()?;
        }
        for path in self.files()? {
            remove(&path)?;
        }
        for folder in self.folders().rev() {
            match fs::remove_dir(folder) {
                // The outer folder may hold pins of another version, or lie where root alone removes anything: empty it harms nobody.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::DirectoryNotEmpty | ErrorKind::PermissionDenied
                    ) =>
                {
                    break;
                }
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(XdpError::path(folder, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What daemons of other schema versions left beside it.
    pub(super) fn of_other_versions(&self) -> Vec<Self> {
        let Some(outer) = self.folder.parent() else { return Vec::new() };
        let entries = fs::read_dir(outer).into_iter().flatten().flatten();
        let is_version = |folder: &PathBuf| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let folders = entries.map(|entry| entry.path()).filter(is_version);
        folders.filter(|folder| *folder != self.folder).map(|folder| Self { folder }).collect()
    }

    /// Removes the maps, for a filter that came to nothing.
    pub(super) fn remove_maps(&self) -> Result<(), XdpError> {
        map::ALL.into_iter().try_for_each(|shape| {
            let pins = [self.map(shape), self.table(shape), self.new_table(shape)];
            pins.iter().try_for_each(|pin| remove(pin))
        })
    }

    /// The folder that is configured, and in it that of this version.
    pub(super) fn folders(&self) -> impl DoubleEndedIterator<Item = &Path> {
        [self.folder.parent(), Some(self.folder.as_path())].into_iter().flatten()
    }

    /// All that is pinned.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, XdpError> {
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
        if !map::ALL.into_iter().any(|shape| self.map(shape).exists()) {
            return Ok(false);
        }
        let fault =
            map::ALL.into_iter().find_map(|shape| self.fault(shape).map(|fault| (shape, fault)));
        let Some((shape, fault)) = fault else {
            return Ok(true);
        };
        tracing::warn!(map = shape.name, "the pinned maps are not adopted but made anew: {fault}");
        self.remove_maps()?;
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
            MapKind::ArrayOfMaps => (MapType::ArrayOfMaps, 0),
            MapKind::Hash => (MapType::Hash, 0),
            MapKind::LpmTrie => (MapType::LpmTrie, NO_PREALLOC),
            MapKind::LruHash => (MapType::LruHash, 0),
            MapKind::PerCpuArray => (MapType::PerCpuArray, 0),
            MapKind::RingBuffer => (MapType::RingBuf, 0),
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
        .or_else(|| {
            (shape.kind == MapKind::ArrayOfMaps).then(|| base::fault(self, shape)).flatten()
        })
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
pub(super) fn mount_bpffs(folder: &Path) -> Result<(), XdpError> {
    // A service manager may show the daemon this folder alone.
    if is_on_bpffs(folder)? {
        return Ok(());
    }
    if folder.starts_with(BPFFS) {
        let failed = |error: io::Error| XdpError::path(Path::new(BPFFS), error);
        // Two daemons that start at once must not mount one over the other.
        let parent = File::open(Path::new(BPFFS).join("..")).map_err(failed)?;
        flock(&parent, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        if !is_bpffs(Path::new(BPFFS))? {
            mount("bpf", BPFFS, "bpf", MountFlags::empty(), c"mode=0700")
                .map_err(|error| failed(error.into()))?;
        }
    }
    if is_on_bpffs(folder)? {
        return Ok(());
    }
    Err(XdpError::NotBpffs { path: folder.to_owned() })
}

/// Whether `folder` lies on a BPF filesystem, or would.
pub(super) fn is_on_bpffs(folder: &Path) -> Result<bool, XdpError> {
    let existing = folder.ancestors().find(|path| path.exists());
    is_bpffs(existing.unwrap_or(folder))
}

/// Whoever may write in the folder can end the filter, by removing a pin.
fn refuse_foreign(folder: &Path) -> Result<(), XdpError> {
    let found = fs::metadata(folder).map_err(|error| XdpError::path(folder, error))?;
    if found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(XdpError::ForeignFolder { path: folder.to_owned() })
}

/// Whether `path` lies on a BPF filesystem.
pub(super) fn is_bpffs(path: &Path) -> Result<bool, XdpError> {
    let found =
        rustix::fs::statfs(path).map_err(|error| XdpError::path(path, io::Error::from(error)))?;
    Ok(u64::try_from(found.f_type).is_ok_and(|number| number == BPFFS_MAGIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_folder_is_no_place_for_pins() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { pin_dir: folder.path().join("pins"), ..Config::default() };
        let error = Pins::new(&config).prepare().unwrap_err();
        assert!(matches!(error, XdpError::NotBpffs { .. }), "{error}");
        assert!(!config.pin_dir.exists());
    }
}
