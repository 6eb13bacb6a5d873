//! Lists that people switched off or on while the daemon ran.

use std::sync::Arc;

use rusqlite::params;
use serde::Serialize;

use super::values::{Moment, check};
use super::{Store, StoreError};
use crate::clock::Timestamp;

/// What was last said of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Switch {
    /// The name of the list.
    pub list: Arc<str>,
    /// Whether it is on.
    pub enabled: bool,
    /// Who said so.
    pub author: Box<str>,
    /// When, to the microsecond.
    pub at: Timestamp,
}

impl Store {
    /// Switches a list on or off.
    pub fn set_enabled(
        &self,
        list: &str,
        enabled: bool,
        author: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        check(list, author, None)?;
        self.write("switch a list", |transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO switches (list, enabled, author, at) VALUES (?1, ?2, ?3, ?4)",
                params![list, enabled, author, Moment(at)],
            )?;
            Ok(())
        })
    }

    /// Every list that was ever switched, by name.
    pub fn switches(&self) -> Result<Vec<Switch>, StoreError> {
        self.read("read which lists are switched off", |transaction| {
            transaction
                .prepare("SELECT list, enabled, author, at FROM switches ORDER BY list")?
                .query_map([], |row| {
                    let Moment(at) = row.get(3)?;
                    Ok(Switch { list: row.get(0)?, enabled: row.get(1)?, author: row.get(2)?, at })
                })?
                .collect()
        })
    }
}
