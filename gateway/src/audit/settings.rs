//! What an operator can say of the trail.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::output::{Output, Target};
use super::privacy::Privacy;

/// Where records go, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file of JSON lines.
    pub file: PathBuf,
    /// When it is begun anew; `None` where somebody else sees to it.
    pub rotation: Option<Rotation>,
    /// Where they can be searched; `None` where they cannot.
    pub store: Option<StoreSettings>,
    /// Where else they go.
    pub outputs: Vec<Output>,
    /// Our name in lines that say of which host they are.
    pub hostname: String,
    /// What they keep of an envelope and a header.
    pub privacy: Privacy,
}

impl Settings {
    /// JSON lines alone.
    pub fn lines(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            rotation: None,
            store: None,
            outputs: Vec::new(),
            hostname: "localhost".to_owned(),
            privacy: Privacy::default(),
        }
    }

    /// All files that records are appended to.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let outputs = self.outputs.iter().filter_map(|output| match &output.to {
            Target::File(path) => Some(path.as_path()),
            Target::Stdout | Target::Syslog(_) | Target::Journal(_) => None,
        });
        [self.file.as_path()].into_iter().chain(outputs)
    }
}

/// When the file of JSON lines is begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// When it has so many octets.
    pub size: u64,
    /// How many earlier ones stay.
    pub keep: u32,
}

impl Rotation {
    /// What is so when nobody says otherwise.
    pub const DEFAULT: Self = Self { size: 1 << 30, keep: 4 };
}

/// The store of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The folder of the segments.
    pub folder: PathBuf,
    /// What stays.
    pub retention: Retention,
    /// Records in a segment.
    pub segment: u32,
    /// So long the clock must have gone without a jump before anything is too old.
    pub settled: Duration,
}

impl StoreSettings {
    /// The store in `folder`, where nobody says otherwise.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            retention: Retention::DEFAULT,
            segment: SEGMENT,
            settled: SETTLED,
        }
    }
}

/// Records in a segment: the one that grows is looked through as a whole by each search.
const SEGMENT: u32 = 100_000;

/// A clock that was wrong at the start of a host, or was set, is right again after that.
const SETTLED: Duration = Duration::from_hours(1);

/// What stays in the store; it ends by segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long a record is kept.
    pub keep: Duration,
    /// Octets of all files of the store.
    pub max_size: u64,
}

impl Retention {
    /// What is so when nobody says otherwise.
    pub const DEFAULT: Self = Self { keep: Duration::from_hours(30 * 24), max_size: 4 << 30 };

    /// Octets of one segment: a sixteenth of all, so that what is removed is not much at once.
    pub(super) const fn part(self) -> u64 {
        self.max_size / 16
    }
}
