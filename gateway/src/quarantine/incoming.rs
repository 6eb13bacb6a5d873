//! A message on its way into quarantine: written as it comes, held only when all of it is on the disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::{HeldMessage, Id, Quarantine, QuarantineError};

/// A message on its way in. Dropping it removes what was written.
#[derive(Debug)]
pub struct Incoming {
    quarantine: Arc<Quarantine>,
    folder: PathBuf,
    file: File,
    octets: u64,
    is_held: bool,
}

impl Incoming {
    pub(super) fn new(quarantine: Arc<Quarantine>, folder: PathBuf, file: File) -> Self {
        Self { quarantine, folder, file, octets: 0, is_held: false }
    }

    /// Adds octets to the message. Blocks for as long as the disk does.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), QuarantineError> {
        let count = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        let made = self.quarantine.reserve(count).and_then(|()| {
            self.octets += count;
            self.file.write_all(octets).map_err(QuarantineError::io("write", &self.folder))
        });
        self.quarantine.told(made).inspect_err(|_error| self.quarantine.not_kept())
    }

    /// Octets so far.
    pub const fn octets(&self) -> u64 {
        self.octets
    }

    /// Ends the message, which `record` describes. When this returns, it is on the disk and survives everything.
    pub fn hold(mut self, record: &HeldMessage) -> Result<(), QuarantineError> {
        let held = self.try_hold(record);
        self.quarantine.told(held).inspect_err(|_error| self.quarantine.not_kept())
    }

    fn try_hold(&mut self, record: &HeldMessage) -> Result<(), QuarantineError> {
        let octets = written(record)?;
        let (id, quarantine) = (&record.id, &self.quarantine);
        quarantine
            .folder
            .commit(id, &self.folder, &self.file, &octets)
            .map_err(QuarantineError::io("keep", &self.folder))?;
        self.is_held = true;
        let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        quarantine.came(id.clone(), record.time, self.octets + length);
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.is_held {
            // What stays here is swept later.
            drop(fs::remove_dir_all(&self.folder));
        }
        self.quarantine.free(self.octets);
    }
}

/// The record as it is written.
pub(super) fn written(record: &HeldMessage) -> Result<Vec<u8>, QuarantineError> {
    serde_json::to_vec_pretty(record).map_err(|error| QuarantineError::Damaged {
        id: Id::clone(&record.id),
        reason: error.to_string(),
    })
}
