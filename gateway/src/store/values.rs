//! How prefixes, times and texts are kept in columns.

use std::net::IpAddr;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use super::StoreError;
use crate::clock::Timestamp;
use crate::net::Prefix;

/// A prefix as a key: 4 or 6, the octets of its address, its length. Keys sort as prefixes do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key(pub(super) Prefix);

impl ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let mut octets = Vec::with_capacity(18);
        match self.0.address() {
            IpAddr::V4(address) => {
                octets.push(4);
                octets.extend(address.octets());
            }
            IpAddr::V6(address) => {
                octets.push(6);
                octets.extend(address.octets());
            }
        }
        octets.push(self.0.length());
        Ok(octets.into())
    }
}

impl FromSql for Key {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let (address, length) = match value.as_blob()? {
            [4, address @ .., length] => (<[u8; 4]>::try_from(address).map(IpAddr::from), length),
            [6, address @ .., length] => (<[u8; 16]>::try_from(address).map(IpAddr::from), length),
            _ => return Err(FromSqlError::InvalidType),
        };
        let address = address.map_err(FromSqlError::other)?;
        Prefix::new(address, *length).map(Self).map_err(FromSqlError::other)
    }
}

/// A time, to the microsecond.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) Timestamp);

impl ToSql for Moment {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_microsecond().into())
    }
}

impl FromSql for Moment {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Timestamp::from_microsecond(value.as_i64()?).map(Self).map_err(FromSqlError::other)
    }
}

/// A number as SQLite has it; none of ours comes near its end.
pub(super) fn integer(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The longest name of a list, in characters.
const LIST: usize = 200;
/// The longest name of a person, in characters.
pub(super) const AUTHOR: usize = 100;
/// The longest reason, in characters.
pub(super) const REASON: usize = 500;
/// As much as is kept of what tells where a change came from, in characters.
const ORIGIN: usize = 500;

/// Refuses names and reasons that are too long to be kept.
pub(super) fn check(list: &str, author: &str, reason: Option<&str>) -> Result<(), StoreError> {
    check_lengths(&[
        ("the name of the list", list, LIST),
        ("the author", author, AUTHOR),
        ("the reason", reason.unwrap_or_default(), REASON),
    ])
}

/// Refuses texts that have more characters than they may.
pub(super) fn check_lengths(texts: &[(&'static str, &str, usize)]) -> Result<(), StoreError> {
    for &(what, text, most) in texts {
        let found = text.chars().count();
        if found > most {
            return Err(StoreError::TooLong { what, found, most });
        }
    }
    Ok(())
}

/// The head of what tells where a change came from: a long address of a feed must not cost the change.
pub(super) fn origin(by: &str) -> &str {
    by.char_indices().nth(ORIGIN).and_then(|(end, _)| by.get(..end)).unwrap_or(by)
}
