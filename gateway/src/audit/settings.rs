//! What an operator can say of the trail.

use std::path::PathBuf;
use std::time::Duration;

/// Where records go, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file of JSON lines.
    pub file: PathBuf,
    /// When it is begun anew; `None` where somebody else sees to it.
    pub rotation: Option<Rotation>,
    /// Where they can be searched; `None` where they cannot.
    pub store: Option<StoreSettings>,
}

impl Settings {
    /// JSON lines alone.
    pub fn lines(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), rotation: None, store: None }
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
}

impl StoreSettings {
    /// The store in `folder`, where nobody says otherwise.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), retention: Retention::DEFAULT, segment: SEGMENT }
    }
}

/// Records in a segment: the one that grows is looked through as a whole by each search.
const SEGMENT: u32 = 100_000;

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
