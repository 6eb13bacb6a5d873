//! The tables of a file, their version, and whether a file has them.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// One kind of file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Its name in the state folder.
    pub(super) file: &'static str,
    /// The version of `tables`, in `user_version`.
    pub(super) version: i64,
    /// What makes the tables.
    pub(super) tables: &'static str,
    /// What makes those that came later, where they are missing; earlier versions do not look at them.
    pub(super) later: &'static str,
    /// `full`: what is written survives the loss of power. `normal`: only the end of the process, and the file stays whole.
    pub(super) synchronous: &'static str,
}

/// The store of lists.
pub(super) const LISTS: Layout =
    Layout { file: super::FILE, version: 1, tables: TABLES, later: LATER, synchronous: "full" };

/// Times are microseconds since 1970; prefixes are the family, the octets of the address, the length.
///
/// Rows of `asks` are long, and those of a table without numbers would take a page each.
///
/// The oldest change of a list is its baseline: what was there then has no rows in the journal, and it weighs nothing.
const TABLES: &str = "
    CREATE TABLE manual (
        list TEXT NOT NULL, prefix BLOB NOT NULL, kind INTEGER NOT NULL,
        reason TEXT, author TEXT NOT NULL, added INTEGER NOT NULL, expires INTEGER,
        PRIMARY KEY (list, prefix, kind)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE switches (
        list TEXT NOT NULL PRIMARY KEY, enabled INTEGER NOT NULL,
        author TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE lists (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, weight INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT, list INTEGER NOT NULL, at INTEGER NOT NULL,
        origin TEXT NOT NULL, entries INTEGER NOT NULL, weight INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX changes_by_list ON changes (list);
    CREATE TABLE journal (
        list INTEGER NOT NULL, prefix BLOB NOT NULL, change INTEGER NOT NULL,
        added INTEGER NOT NULL, PRIMARY KEY (list, prefix, change)
    ) STRICT, WITHOUT ROWID;
";

const LATER: &str = "
    CREATE TABLE IF NOT EXISTS zones (
        name TEXT NOT NULL PRIMARY KEY, enabled INTEGER NOT NULL, spec TEXT,
        author TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS slider (
        id INTEGER PRIMARY KEY CHECK (id = 1), delay_from INTEGER NOT NULL,
        reject_above INTEGER NOT NULL, author TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS reviews (
        id INTEGER PRIMARY KEY AUTOINCREMENT, prefix BLOB NOT NULL, requests INTEGER NOT NULL,
        result TEXT, note TEXT, author TEXT, at INTEGER, until INTEGER, done TEXT
    ) STRICT;
    CREATE INDEX IF NOT EXISTS reviews_by_prefix ON reviews (prefix);
    CREATE UNIQUE INDEX IF NOT EXISTS open_reviews ON reviews (prefix) WHERE result IS NULL;
    CREATE TABLE IF NOT EXISTS asks (
        review INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, author TEXT NOT NULL,
        reference TEXT, note TEXT, contact TEXT, PRIMARY KEY (review, number)
    ) STRICT;
";

/// The version that the file says it has; 0 for a new one.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether the file has a table of [`Layout::later`]: an earlier version may have made it, and nobody wrote into it since.
pub(super) fn has_table(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
    transaction.query_row(sql, [name], |row| row.get(0))
}

/// What is wrong with the file, if something is: every page is looked at.
pub(super) fn fault(connection: &Connection, version: i64) -> rusqlite::Result<Option<String>> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if version <= 0 && tables > 0 {
        return Ok(Some("it is the database of another program".to_owned()));
    }
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((said != "ok").then_some(said))
}

/// Makes the tables in a new file.
pub(super) fn create(connection: &mut Connection, layout: &Layout) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(layout.tables)?;
    transaction.pragma_update(None, "user_version", layout.version)?;
    transaction.commit()
}
