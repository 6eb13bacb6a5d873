//! Which records of the trail are looked for, and what they come to.

mod counts;
mod wanted;

use std::path::PathBuf;

pub use self::counts::{Counted, Counts, Store};
pub use self::wanted::Wanted;
use crate::audit::{Archive, Privacy, Veil};
use crate::config::Config;

/// The store of records that the configuration names.
pub fn archive(config: &Config) -> Result<Archive, NoStore> {
    let Some(store) = &config.audit.store else {
        return Err(NoStore::Off(config.audit.file.clone()));
    };
    if !store.folder.is_dir() {
        return Err(NoStore::Missing(store.folder.clone()));
    }
    Ok(Archive::new(&store.folder))
}

/// Nothing can be searched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoStore {
    /// Only JSON lines are written, into this file.
    #[error("there is no store of records; JSON lines are in {}", .0.display())]
    Off(PathBuf),
    /// This folder is not there.
    #[error("no records in {}", .0.display())]
    Missing(PathBuf),
}

impl NoStore {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Off(_) => "`[audit] store = true` keeps records where they are found",
            Self::Missing(_) => {
                "the daemon makes it when it starts; `state_dir` and `--config` say where it is"
            }
        }
    }
}

/// The words of a search as they are recorded, and what is wrong where those with a pseudonym are not found.
pub fn veil(privacy: &Privacy) -> (Veil, Option<String>) {
    match Veil::to_search(privacy) {
        Ok(veil) => (veil, None),
        Err(error) => {
            let warning = format!("what is recorded as a pseudonym is not found: {error}");
            (Veil::none(), Some(warning))
        }
    }
}
