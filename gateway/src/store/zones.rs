//! Zones that people switched off or on, or added, while the daemon ran.

use std::sync::Arc;

use rusqlite::params;
use serde::Serialize;

use super::schema::has_table;
use super::values::{Moment, check};
use super::{Store, StoreError};
use crate::clock::Timestamp;

/// What was last said of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptZone {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is on.
    pub enabled: bool,
    /// What was added, as a table of the configuration; `None` for a zone that the configuration has.
    pub spec: Option<Box<str>>,
    /// Who said so.
    pub author: Box<str>,
    /// When, to the microsecond.
    pub at: Timestamp,
}

impl Store {
    /// Keeps what is said of a zone.
    pub fn keep_zone(&self, zone: &KeptZone) -> Result<(), StoreError> {
        check(&zone.name, &zone.author, None)?;
        self.write("keep a zone", |transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO zones (name, enabled, spec, author, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![zone.name, zone.enabled, zone.spec, zone.author, Moment(zone.at)],
            )?;
            Ok(())
        })
    }

    /// Forgets what was said of a zone.
    pub fn forget_zone(&self, name: &str) -> Result<(), StoreError> {
        self.write("forget a zone", |transaction| {
            transaction.execute("DELETE FROM zones WHERE name = ?1", [name])?;
            Ok(())
        })
    }

    /// Every zone of which something is kept, by name.
    pub fn zones(&self) -> Result<Vec<KeptZone>, StoreError> {
        self.read("read which zones were added or switched off", |transaction| {
            if !has_table(transaction, "zones")? {
                return Ok(Vec::new());
            }
            transaction
                .prepare("SELECT name, enabled, spec, author, at FROM zones ORDER BY name")?
                .query_map([], |row| {
                    let Moment(at) = row.get(4)?;
                    Ok(KeptZone {
                        name: row.get(0)?,
                        enabled: row.get(1)?,
                        spec: row.get(2)?,
                        author: row.get(3)?,
                        at,
                    })
                })?
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_zone_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let zone = |name: &str, enabled, spec: Option<&str>| KeptZone {
            name: name.into(),
            enabled,
            spec: spec.map(Into::into),
            author: "root".into(),
            at: now,
        };
        let store = Store::open(folder.path(), now).unwrap().store;
        for (name, enabled, spec) in
            [("zen", false, None), ("own", true, Some("class = \"x\"")), ("zen", true, None)]
        {
            store.keep_zone(&zone(name, enabled, spec)).unwrap();
        }
        drop(store);
        let store = Store::open(folder.path(), now).unwrap().store;
        let expected = vec![zone("own", true, Some("class = \"x\"")), zone("zen", true, None)];
        assert_eq!(store.zones().unwrap(), expected);
        store.forget_zone("own").unwrap();
        store.forget_zone("own").unwrap();
        let read = Store::open_read_only(folder.path()).unwrap().unwrap();
        assert_eq!(read.zones().unwrap().len(), 1);
    }
}
