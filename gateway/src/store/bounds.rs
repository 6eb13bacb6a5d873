//! How much the journal and the reviews keep, and how the oldest changes go.

use rusqlite::{Transaction, params};

/// What a change weighs beside its prefixes, each of which weighs 1: the row that says when it was, and by what.
pub(super) const CHANGE: i64 = 10;

/// How heavy the journal may get. A prefix takes some 20 octets of the file, one of IPv6 some 35.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// That of one list.
    pub(super) list: i64,
    /// That of all lists together.
    pub(super) all: i64,
    /// How many reviews may be open at once.
    pub(super) open_reviews: i64,
    /// How many reviews there may be; the oldest that are resolved make room.
    pub(super) reviews: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { list: 1_000_000, all: 4_000_000, open_reviews: 10_000, reviews: 20_000 }
    }
}

impl Bounds {
    /// Makes room where `list` has become too heavy, or all lists together: the oldest changes go.
    pub(super) fn enforce(self, transaction: &Transaction<'_>, list: i64) -> rusqlite::Result<()> {
        let weight =
            transaction
                .query_row("SELECT weight FROM lists WHERE id = ?1", [list], |row| row.get(0))?;
        if let Some(last) = last_to_go(transaction, Some(list), weight, self.list)? {
            forget(transaction, list, last)?;
        }
        let weight =
            transaction.query_row("SELECT sum(weight) FROM lists", [], |row| row.get(0))?;
        if let Some(last) = last_to_go(transaction, None, weight, self.all)? {
            for (list, last) in heavy_until(transaction, last)? {
                forget(transaction, list, last)?;
            }
        }
        Ok(())
    }
}

/// The newest change that must go, if `weight` is more than `most`. A tenth of the room is left free, since finding what
/// belongs to an old change takes a look at every row of its list.
fn last_to_go(
    transaction: &Transaction<'_>,
    list: Option<i64>,
    weight: i64,
    most: i64,
) -> rusqlite::Result<Option<i64>> {
    if weight <= most {
        return Ok(None);
    }
    let mut rest = weight;
    let mut last = None;
    let mut changes = transaction.prepare(match list {
        Some(_) => "SELECT id, weight FROM changes WHERE list = ?1 AND weight > 0 ORDER BY id",
        None => "SELECT id, weight FROM changes WHERE ?1 IS NULL AND weight > 0 ORDER BY id",
    })?;
    let mut rows = changes.query([list])?;
    while rest > most - most / 10
        && let Some(row) = rows.next()?
    {
        last = Some(row.get(0)?);
        rest -= row.get::<_, i64>(1)?;
    }
    Ok(last)
}

/// Each list with changes up to `last` that are not its baseline, and the newest of them.
fn heavy_until(transaction: &Transaction<'_>, last: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
    transaction
        .prepare("SELECT list, max(id) FROM changes WHERE id <= ?1 AND weight > 0 GROUP BY list")?
        .query_map([last], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Forgets the changes of `list` up to `last`, which becomes its baseline.
fn forget(transaction: &Transaction<'_>, list: i64, last: i64) -> rusqlite::Result<()> {
    let up_to = params![list, last];
    transaction.execute("DELETE FROM journal WHERE list = ?1 AND change <= ?2", up_to)?;
    transaction.execute("DELETE FROM changes WHERE list = ?1 AND id < ?2", up_to)?;
    transaction.execute("UPDATE changes SET weight = 0 WHERE id = ?1", [last])?;
    transaction.execute(
        "UPDATE lists SET weight = (SELECT sum(weight) FROM changes WHERE list = ?1) WHERE id = ?1",
        [list],
    )?;
    Ok(())
}
