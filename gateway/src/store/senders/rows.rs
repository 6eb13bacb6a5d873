//! The rows of remembered senders, and the statements that read and write them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{PassedRow, SenderCounts, WaitingRow};
use crate::clock::Timestamp;
use crate::sender::{Attempt, Manual, Passed, Pool, Selection, Waiting};
use crate::store::schema::Layout;
use crate::store::values::{Moment, integer};

/// The store of senders. Who loses the last of it to a loss of power waits once more, so nobody waits for the disk.
pub(super) const SENDERS: Layout = Layout {
    file: super::SENDERS_FILE,
    version: 1,
    tables: TABLES,
    later: "",
    synchronous: "normal",
};

/// Times are microseconds since 1970. Pools are as they are shown, and none stands for the tries from all of them.
///
/// Rows that wait are numbered in the order of their first tries, so the oldest have the lowest numbers.
const TABLES: &str = "
    CREATE TABLE waiting (
        id INTEGER PRIMARY KEY, recipient TEXT NOT NULL, sender TEXT NOT NULL, pool TEXT NOT NULL,
        first INTEGER NOT NULL, counted INTEGER NOT NULL, tries INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX waiting_by_names ON waiting (recipient, sender, pool);
    CREATE TABLE passed (
        pool TEXT NOT NULL PRIMARY KEY, since INTEGER NOT NULL, used INTEGER NOT NULL,
        author TEXT, reason TEXT, until INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX passed_by_use ON passed (used) WHERE author IS NULL;
    CREATE INDEX passed_by_end ON passed (until) WHERE until IS NOT NULL;
";

/// The pool of the row for all pools.
const ALL: &str = "";

/// Rows and what is counted of them. Numbers count only when what they belong to has been committed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) waiting: usize,
    pub(super) passed: usize,
    /// Those of the passed of which a person said that they pass.
    pub(super) manual: usize,
}

impl Tally {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let count = |question| -> rusqlite::Result<usize> {
            let rows = connection.query_row(question, [], |row| row.get::<_, i64>(0))?;
            Ok(usize::try_from(rows).unwrap_or(0))
        };
        Ok(Self {
            waiting: count("SELECT count(*) FROM waiting")?,
            passed: count("SELECT count(*) FROM passed")?,
            manual: count("SELECT count(author) FROM passed")?,
        })
    }

    pub(super) fn counts(self) -> SenderCounts {
        SenderCounts { waiting: self.waiting, passed: self.passed }
    }
}

pub(super) fn passed(connection: &Connection, pool: &str) -> rusqlite::Result<Option<Passed>> {
    connection
        .prepare_cached("SELECT since, used, author, reason, until FROM passed WHERE pool = ?1")?
        .query_row([pool], |row| passed_at(row, 0))
        .optional()
}

fn passed_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Passed> {
    let (Moment(since), Moment(used)) = (row.get(first)?, row.get(first + 1)?);
    let author: Option<Box<str>> = row.get(first + 2)?;
    let (reason, until) = (row.get(first + 3)?, row.get::<_, Option<Moment>>(first + 4)?);
    let until = until.map(|Moment(until)| until);
    let manual = author.map(|author| Manual { author, reason, until });
    Ok(Passed { since, used, manual })
}

pub(super) fn set_used(
    connection: &Connection,
    pool: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached("UPDATE passed SET used = ?2 WHERE pool = ?1")?;
    update.execute(params![pool, Moment(now)]).map(|_rows| ())
}

pub(super) fn let_pass(
    connection: &Connection,
    tally: &mut Tally,
    pool: &str,
    passed: &Passed,
) -> rusqlite::Result<()> {
    stop(connection, tally, pool)?;
    let Passed { since, used, manual } = passed;
    let manual = manual.as_ref();
    let mut insert =
        connection.prepare_cached("INSERT INTO passed VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    insert.execute(params![
        pool,
        Moment(*since),
        Moment(*used),
        manual.map(|it| &it.author),
        manual.and_then(|it| it.reason.as_ref()),
        manual.and_then(|it| it.until).map(Moment),
    ])?;
    tally.passed += 1;
    tally.manual += usize::from(manual.is_some());
    Ok(())
}

pub(super) fn stop(connection: &Connection, tally: &mut Tally, pool: &str) -> rusqlite::Result<()> {
    let author = connection
        .prepare_cached("DELETE FROM passed WHERE pool = ?1 RETURNING author IS NOT NULL")?
        .query_map([pool], |row| row.get::<_, bool>(0))?
        // To its end: a statement that is left earlier may not have done all of its work.
        .try_fold(None, |_, by_hand| by_hand.map(Some))?;
    tally.passed = tally.passed.saturating_sub(usize::from(author.is_some()));
    tally.manual = tally.manual.saturating_sub(usize::from(author == Some(true)));
    Ok(())
}

/// Rows of tries with their numbers: those from a pool, those from all pools.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    pub(super) pool: Option<(i64, Waiting)>,
    pub(super) pair: Option<(i64, Waiting)>,
}

pub(super) fn kept(
    connection: &Connection,
    attempt: &Attempt,
    pool: &str,
) -> rusqlite::Result<Kept> {
    let mut select = connection.prepare_cached(
        "SELECT first, counted, tries, id, pool = '' FROM waiting
         WHERE recipient = ?1 AND sender = ?2 AND pool IN ('', ?3)",
    )?;
    let mut rows = select.query(params![attempt.recipient(), attempt.sender(), pool])?;
    let mut kept = Kept::default();
    while let Some(row) = rows.next()? {
        let found = Some((row.get(3)?, waiting_at(row, 0)?));
        if row.get(4)? { kept.pair = found } else { kept.pool = found }
    }
    Ok(kept)
}

fn waiting_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Waiting> {
    let (Moment(first), Moment(counted)) = (row.get(column)?, row.get(column + 1)?);
    Ok(Waiting { first, counted, tries: row.get(column + 2)? })
}

/// Keeps tries from `pool`, or from all of them, in the place of what was there.
pub(super) fn keep(
    connection: &Connection,
    tally: &mut Tally,
    attempt: &Attempt,
    pool: Option<&str>,
    earlier: Option<(i64, Waiting)>,
    waiting: Waiting,
) -> rusqlite::Result<()> {
    match earlier {
        Some((_, earlier)) if earlier == waiting => return Ok(()),
        Some((id, earlier)) if earlier.first == waiting.first => {
            let update = "UPDATE waiting SET counted = ?2, tries = ?3 WHERE id = ?1";
            let values = params![id, Moment(waiting.counted), waiting.tries];
            return connection.prepare_cached(update)?.execute(values).map(|_rows| ());
        }
        Some((id, _)) => drop_row(connection, tally, id)?,
        None => {}
    }
    connection
        .prepare_cached("INSERT INTO waiting VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            attempt.recipient(),
            attempt.sender(),
            pool.unwrap_or(ALL),
            Moment(waiting.first),
            Moment(waiting.counted),
            waiting.tries,
        ])?;
    tally.waiting += 1;
    Ok(())
}

pub(super) fn drop_row(
    connection: &Connection,
    tally: &mut Tally,
    id: i64,
) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM waiting WHERE id = ?1")?;
    tally.waiting = tally.waiting.saturating_sub(delete.execute([id])?);
    Ok(())
}

/// Takes away the `rows` oldest tries.
pub(super) fn drop_oldest(
    connection: &Connection,
    tally: &mut Tally,
    rows: usize,
) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM waiting WHERE id IN (SELECT id FROM waiting ORDER BY id LIMIT ?1)",
    )?;
    tally.waiting = tally.waiting.saturating_sub(delete.execute([integer(rows)])?);
    Ok(())
}

/// Takes away the `rows` pools that were not used for longest, of those that passed by themselves.
pub(super) fn stop_oldest(
    connection: &Connection,
    tally: &mut Tally,
    rows: usize,
) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM passed WHERE pool IN
         (SELECT pool FROM passed WHERE author IS NULL ORDER BY used LIMIT ?1)",
    )?;
    tally.passed = tally.passed.saturating_sub(delete.execute([integer(rows)])?);
    Ok(())
}

/// How many rows go in one transaction, so that nobody waits long for it.
pub(super) const CHUNK: usize = 1000;

/// Takes away those of the oldest tries whose first is before `oldest` or after `now`.
pub(super) fn drop_before(
    connection: &Connection,
    tally: &mut Tally,
    oldest: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM waiting WHERE id IN (SELECT id FROM waiting ORDER BY id LIMIT ?1)
         AND (first < ?2 OR first > ?3)",
    )?;
    let rows = delete.execute(params![integer(CHUNK), Moment(oldest), Moment(now)])?;
    tally.waiting = tally.waiting.saturating_sub(rows);
    Ok(rows)
}

/// Takes away pools that passed by themselves and were last used at `unused` or before.
pub(super) fn stop_unused(
    connection: &Connection,
    tally: &mut Tally,
    unused: Timestamp,
) -> rusqlite::Result<usize> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM passed WHERE pool IN
         (SELECT pool FROM passed WHERE author IS NULL AND used <= ?2 LIMIT ?1)",
    )?;
    let rows = delete.execute(params![integer(CHUNK), Moment(unused)])?;
    tally.passed = tally.passed.saturating_sub(rows);
    Ok(rows)
}

/// Takes away pools of which a person said that they pass until `now` or before.
pub(super) fn stop_ended(
    connection: &Connection,
    tally: &mut Tally,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM passed WHERE until <= ?1")?;
    let rows = delete.execute([Moment(now)])?;
    tally.passed = tally.passed.saturating_sub(rows);
    tally.manual = tally.manual.saturating_sub(rows);
    Ok(())
}

/// The newest tries for which `is_meant`, at most `limit`.
pub(super) fn waiting_rows(
    connection: &Connection,
    limit: usize,
    is_meant: impl Fn(&WaitingRow) -> bool,
) -> rusqlite::Result<Vec<WaitingRow>> {
    let mut select = connection.prepare(
        "SELECT it.first, it.counted, it.tries, it.pool, it.sender, it.recipient,
                coalesce(pair.tries, it.tries)
         FROM waiting AS it LEFT JOIN waiting AS pair
              ON pair.recipient = it.recipient AND pair.sender = it.sender AND pair.pool = ''
         WHERE it.pool <> '' ORDER BY it.id DESC",
    )?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let waiting = waiting_at(row, 0)?;
        let Some(pool) = pool_at(row, 3)? else { continue };
        let (sender, recipient, tries) = (row.get(4)?, row.get(5)?, row.get(6)?);
        let row = WaitingRow { pool, sender, recipient, waiting, tries };
        if is_meant(&row) {
            found.push(row);
        }
    }
    Ok(found)
}

/// A pool; `None` where there is none, or something else.
fn pool_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Pool>> {
    Ok(row.get_ref(column)?.as_str()?.parse().ok())
}

/// The pools that passed last for which `is_meant`, at most `limit`.
pub(super) fn passed_rows(
    connection: &Connection,
    limit: usize,
    is_meant: impl Fn(&PassedRow) -> bool,
) -> rusqlite::Result<Vec<PassedRow>> {
    let mut select = connection.prepare(
        "SELECT since, used, author, reason, until, pool FROM passed ORDER BY since DESC, pool",
    )?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let passed = passed_at(row, 0)?;
        let Some(pool) = pool_at(row, 5)? else { continue };
        let row = PassedRow { pool, passed };
        if is_meant(&row) {
            found.push(row);
        }
    }
    Ok(found)
}

/// Takes away the tries that are selected, and with each those from all pools.
pub(super) fn forget_waiting(
    connection: &Connection,
    tally: &mut Tally,
    selection: &Selection,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT id, recipient, sender, pool FROM waiting")?;
    let mut rows = select.query([])?;
    let mut meant = Vec::new();
    while let Some(row) = rows.next()? {
        let (recipient, sender): (Box<str>, Box<str>) = (row.get(1)?, row.get(2)?);
        if selection.has_try(pool_at(row, 3)?.as_ref(), &sender, &recipient) {
            meant.push((row.get::<_, i64>(0)?, recipient, sender));
        }
    }
    let mut pair = connection
        .prepare("DELETE FROM waiting WHERE recipient = ?1 AND sender = ?2 AND pool = ''")?;
    for (id, recipient, sender) in meant {
        drop_row(connection, tally, id)?;
        tally.waiting = tally.waiting.saturating_sub(pair.execute([recipient, sender])?);
    }
    Ok(())
}
