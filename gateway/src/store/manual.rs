//! Entries that people made: prefixes beside those of a list's source, and holes in it.

use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Row, ToSql, Transaction, params};
use serde::Serialize;

use super::values::{Key, Moment, check};
use super::{Store, StoreError};
use crate::clock::{Expiry, Timestamp};
use crate::net::Prefix;

/// One entry that somebody made; a list has at most one of a prefix and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualEntry {
    /// The name of the list.
    pub list: Arc<str>,
    /// The prefix.
    pub prefix: Prefix,
    /// What is said of it.
    pub kind: Kind,
    /// Why, at most 500 characters.
    pub reason: Option<Box<str>>,
    /// Who made it, at most 100 characters.
    pub author: Box<str>,
    /// When it was made, to the microsecond.
    pub added: Timestamp,
    /// Until when it counts; `None` for always.
    pub expires: Option<Expiry>,
}

/// What a manual entry says of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It is listed, whatever the source of the list says.
    Listed,
    /// It is a hole in what the source of the list says.
    Excepted,
}

impl Kind {
    /// The word that commands and records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Excepted => "excepted",
        }
    }
}

const COLUMNS: &str = "list, prefix, kind, reason, author, added, expires";

impl Store {
    /// Keeps an entry; the earlier one of the same list, prefix and kind goes and is given back.
    pub fn add(&self, entry: &ManualEntry) -> Result<Option<ManualEntry>, StoreError> {
        check(&entry.list, &entry.author, entry.reason.as_deref())?;
        self.write("add an entry", |transaction| {
            let earlier = take(transaction, &entry.list, entry.prefix, entry.kind)?;
            transaction.execute(
                &format!("INSERT INTO manual ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
                params![
                    entry.list,
                    Key(entry.prefix),
                    entry.kind,
                    entry.reason,
                    entry.author,
                    Moment(entry.added),
                    entry.expires.map(Expiry::as_second),
                ],
            )?;
            Ok(earlier)
        })
    }

    /// Takes an entry away and gives it back; `None` when there is none.
    pub fn remove(
        &self,
        list: &str,
        prefix: Prefix,
        kind: Kind,
    ) -> Result<Option<ManualEntry>, StoreError> {
        self.write("remove an entry", |transaction| take(transaction, list, prefix, kind))
    }

    /// All entries that count at `now`, by list and prefix.
    pub fn manual(&self, now: Timestamp) -> Result<Vec<ManualEntry>, StoreError> {
        self.read("read the manual entries", |transaction| {
            transaction
                .prepare(&format!(
                    "SELECT {COLUMNS} FROM manual WHERE expires IS NULL OR expires > ?1
                     ORDER BY list, prefix, kind"
                ))?
                .query_map([now.as_second()], entry)?
                .collect()
        })
    }

    /// Takes away all entries that count no more at `now`, and gives them back.
    pub fn forget_expired(&self, now: Timestamp) -> Result<Vec<ManualEntry>, StoreError> {
        self.write("remove expired entries", |transaction| {
            transaction
                .prepare(&format!("DELETE FROM manual WHERE expires <= ?1 RETURNING {COLUMNS}"))?
                .query_map([now.as_second()], entry)?
                .collect()
        })
    }
}

fn take(
    transaction: &Transaction<'_>,
    list: &str,
    prefix: Prefix,
    kind: Kind,
) -> rusqlite::Result<Option<ManualEntry>> {
    transaction
        .prepare(&format!(
            "DELETE FROM manual WHERE list = ?1 AND prefix = ?2 AND kind = ?3 RETURNING {COLUMNS}"
        ))?
        .query_map(params![list, Key(prefix), kind], entry)?
        // To its end: a statement that is left earlier may not have done all of its work.
        .try_fold(None, |_, entry| entry.map(Some))
}

/// A row of [`COLUMNS`].
fn entry(row: &Row<'_>) -> rusqlite::Result<ManualEntry> {
    let Key(prefix) = row.get(1)?;
    let Moment(added) = row.get(5)?;
    let Until(expires) = row.get(6)?;
    Ok(ManualEntry {
        list: row.get(0)?,
        prefix,
        kind: row.get(2)?,
        reason: row.get(3)?,
        author: row.get(4)?,
        added,
        expires,
    })
}

impl ToSql for Kind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(matches!(self, Self::Excepted).into())
    }
}

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Listed),
            1 => Ok(Self::Excepted),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// The end of an entry, or none.
pub(super) struct Until(pub(super) Option<Expiry>);

impl FromSql for Until {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let Some(second) = value.as_i64_or_null()? else { return Ok(Self(None)) };
        let at = Timestamp::from_second(second).map_err(FromSqlError::other)?;
        Ok(Self(Some(Expiry::at(at))))
    }
}
