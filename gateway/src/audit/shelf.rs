//! Where the writing thread puts records to be searched: the segment of now, which is handed on when it is full.

use tracing::warn;

use super::AuditError;
use super::folder::{Claim, Folder};
use super::growing::{Full, Growing};
use super::sealer::Sealer;
use super::settings::StoreSettings;
use crate::alarm::Alarms;
use crate::clock::Clock;

/// A segment that was begun is sealed at the latest after that, in seconds.
const LONGEST: i64 = 24 * 60 * 60;

/// Records to be searched, as the writing thread sees them.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: Folder,
    full: Full,
    growing: Option<Growing>,
    sealer: Sealer,
    clock: Clock,
}

impl Shelf {
    /// Nothing is opened yet: what fails then is tried again.
    pub(super) fn new(
        settings: &StoreSettings,
        alarms: Alarms,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let folder = Folder::new(&settings.folder);
        let full =
            Full { records: settings.segment, octets: settings.retention.part(), seconds: LONGEST };
        let sealer =
            Sealer::start(folder.clone(), settings.retention, settings.settled, alarms, clock)?;
        Ok(Self { folder, full, growing: None, sealer, clock })
    }

    /// Makes sure that there is a segment to write into.
    pub(super) fn open(&mut self) -> Result<&mut Growing, AuditError> {
        let now = self.clock.now();
        if self.growing.as_ref().is_some_and(|growing| !growing.is_there()) {
            // Somebody has removed it: what comes next goes into another one.
            self.growing = None;
        }
        if self.growing.as_ref().is_some_and(|growing| growing.is_full(self.full, now)) {
            self.hand_on();
        }
        let growing = match self.growing.take() {
            Some(growing) => growing,
            None => self.adopt()?.map_or_else(|| Growing::begin(&self.folder, now), Ok)?,
        };
        Ok(self.growing.insert(growing))
    }

    /// Writes as many of `lines`, from the first on, as the segment has room for; how many.
    pub(super) fn append(&mut self, lines: &[&str]) -> Result<usize, AuditError> {
        let full = self.full;
        let growing = self.open()?;
        let some = lines.get(..growing.room(full)).unwrap_or(lines);
        match growing.append(some) {
            Ok(()) => Ok(some.len()),
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    /// Seals a segment by its age, too, when nothing more comes.
    pub(super) fn tend(&mut self) {
        let now = self.clock.now();
        if self.growing.as_ref().is_some_and(|growing| growing.is_full(self.full, now)) {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        if let Some(growing) = self.growing.take() {
            self.sealer.seal(growing.close());
        }
    }

    /// Of a segment that cannot be written any more nothing is expected; one without room waits for it.
    fn failed(&mut self, error: &AuditError) {
        if error.is_for_want_of_room() {
            return;
        }
        let Some(growing) = self.growing.take() else { return };
        let claim = growing.close();
        if matches!(error, AuditError::Damaged { .. }) {
            self.put_aside(claim, error);
        }
    }

    /// The newest segment that was left behind goes on, where it has room; the others are sealed.
    fn adopt(&self) -> Result<Option<Growing>, AuditError> {
        let mut left = self.folder.left_behind()?;
        // One whose sealed form is there only has to be removed.
        let is_open = |claim: &Claim| !self.folder.sealed(claim.number).exists();
        let newest = left.pop_if(|claim| is_open(claim));
        for claim in left {
            self.sealer.seal(claim);
        }
        let Some(newest) = newest else { return Ok(None) };
        let now = self.clock.now();
        match Growing::adopt(&self.folder, newest, now) {
            Ok(growing) if growing.is_full(self.full, now) => {
                self.sealer.seal(growing.close());
                Ok(None)
            }
            Ok(growing) => Ok(Some(growing)),
            Err(failed) => match *failed {
                (error @ AuditError::Damaged { .. }, claim) => {
                    self.put_aside(claim, &error);
                    Ok(None)
                }
                (AuditError::Newer { path, .. }, _claim) => {
                    let path = path.display();
                    warn!(target: "audit", "{path} is of a later version; it is left as it is");
                    Ok(None)
                }
                (error, _claim) => Err(error),
            },
        }
    }

    fn put_aside(&self, claim: Claim, error: &AuditError) {
        match self.folder.put_aside(claim, self.clock.now()) {
            Ok(aside) => {
                warn!(target: "audit", "{error}; it is put aside as {}", aside.display());
            }
            Err(other) => warn!(target: "audit", "{error}; it cannot be put aside: {other}"),
        }
    }
}
