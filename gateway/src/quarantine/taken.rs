//! A message that somebody releases or deletes: nobody else can meanwhile.

use std::fs::File;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::incoming::written;
use super::{HeldMessage, Id, Quarantine, QuarantineError};

/// A message that belongs to whoever has this. Dropping it gives the message back.
#[derive(Debug)]
pub struct Taken {
    quarantine: Arc<Quarantine>,
    id: Id,
}

impl Taken {
    pub(super) fn new(quarantine: Arc<Quarantine>, id: Id) -> Self {
        Self { quarantine, id }
    }

    /// What is known of it.
    pub fn record(&self) -> Result<HeldMessage, QuarantineError> {
        self.quarantine.record(&self.id)
    }

    /// Its octets, from the first on. As long as the file is open, no other daemon opens it this way: while one hands over to
    /// the next, both could release the same message.
    pub fn open(&self) -> Result<File, QuarantineError> {
        let file = self.quarantine.open_message(&self.id)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(QuarantineError::Taken(self.id.clone())),
            // Some file systems have no locks; the message is released all the same.
            Ok(()) | Err(_) => Ok(file),
        }
    }

    /// Writes down what has changed of it; on the disk when this returns.
    pub fn update(&self, record: &HeldMessage) -> Result<(), QuarantineError> {
        let folder = &self.quarantine.folder;
        let updated = folder.update(&self.id, &written(record)?);
        updated.map_err(QuarantineError::io("change the record in", &folder.message(&self.id)))
    }

    /// Removes it for good.
    pub fn remove(self) -> Result<(), QuarantineError> {
        self.take_out()?;
        self.quarantine.counters.removed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Removes it without a word.
    pub(super) fn take_out(&self) -> Result<(), QuarantineError> {
        let folder = &self.quarantine.folder;
        let removed = folder.remove(&self.id);
        match removed {
            // Somebody else did it, such as a daemon that hands over.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.quarantine.index().remove(&self.id);
                Err(QuarantineError::Unknown(self.id.clone()))
            }
            removed => {
                removed.map_err(QuarantineError::io("remove", &folder.message(&self.id)))?;
                self.quarantine.index().remove(&self.id);
                Ok(())
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.quarantine.give_back(&self.id);
    }
}
