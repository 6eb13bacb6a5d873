//! The journal: which prefixes came to and went from each list, when, and by what, so that a verdict outlives its entry.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use rusqlite::{OptionalExtension, ToSql, Transaction, params, params_from_iter};
use serde::Serialize;
use utoipa::ToSchema;

use super::bounds::CHANGE;
use super::values::{Key, Moment, check, integer, origin};
use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::net::Prefix;

/// The most events of one history.
pub const MOST_EVENTS: usize = 1000;

/// What changed in a list at once.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The name of the list.
    pub list: &'a str,
    /// When.
    pub at: Timestamp,
    /// By what: a fetch, a file, a person. The first 500 characters are kept.
    pub by: &'a str,
    /// How many entries the list has now.
    pub entries: usize,
    /// What came.
    pub added: &'a [Prefix],
    /// What went.
    pub removed: &'a [Prefix],
    /// How many came and went, where they are too many to be told: then the journal begins anew.
    pub untold: usize,
}

/// What is known of the age of a list's entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions {
    /// Entries without a time below were there at this time already; `None` when nothing was recorded.
    pub baseline: Option<Timestamp>,
    /// The prefixes that came later and did not go since, each with when it came, in the order of prefixes.
    pub since: Vec<(Prefix, Timestamp)>,
}

/// What the journal knows of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct History {
    /// What happened to prefixes that cover it, newest first, at most [`MOST_EVENTS`].
    pub events: Vec<Event>,
    /// For each list asked about, where its journal begins.
    pub baselines: Vec<Baseline>,
}

/// A prefix that came to a list or went from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ListEvent)]
pub struct Event {
    /// The name of the list.
    pub list: Arc<str>,
    /// The prefix.
    #[schema(value_type = String)]
    pub prefix: Prefix,
    /// Whether it came.
    pub added: bool,
    /// When, to the microsecond.
    pub at: Timestamp,
    /// By what.
    pub by: Box<str>,
}

/// What the journal knows of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListHistory {
    /// The newest changes, newest first.
    pub changes: Vec<Counted>,
    /// The prefixes of these changes, newest first, up to a bound.
    pub events: Vec<Event>,
    /// Where the journal begins; `null` where there is none.
    pub baseline: Option<Baseline>,
}

/// A change of a list in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ListChange)]
pub struct Counted {
    /// When, to the microsecond.
    pub at: Timestamp,
    /// By what.
    pub by: Box<str>,
    /// How many entries the list had then.
    pub entries: u64,
    /// How many prefixes came.
    pub added: u64,
    /// How many went.
    pub removed: u64,
}

/// Where the journal of a list begins: what happened before is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Baseline {
    /// The name of the list.
    pub list: Arc<str>,
    /// When, to the microsecond.
    pub at: Timestamp,
    /// By what the list became what it was then.
    pub by: Box<str>,
    /// How many entries it had.
    pub entries: u64,
}

impl Store {
    /// Records a change of a list, all of it or nothing. The first one is the list's baseline, whose prefixes are not kept;
    /// a later one without prefixes is nothing.
    pub fn record(&self, change: &Change<'_>) -> Result<(), StoreError> {
        check(change.list, "", None)?;
        self.write("record a change", |transaction| {
            let list = number(transaction, change.list)?;
            let is_first = baseline(transaction, list)?.is_none();
            let prefixes = integer(change.added.len() + change.removed.len());
            if !is_first && prefixes == 0 && change.untold == 0 {
                return Ok(());
            }
            let weight = match change.untold {
                _ if is_first => 0,
                0 => prefixes + CHANGE,
                _ => self.bounds.list.saturating_add(1),
            };
            transaction.execute(
                "INSERT INTO changes (list, at, origin, entries, weight) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    list,
                    Moment(change.at),
                    origin(change.by),
                    integer(change.entries),
                    weight
                ],
            )?;
            let id = transaction.last_insert_rowid();
            transaction.execute(
                "UPDATE lists SET weight = weight + ?2 WHERE id = ?1",
                params![list, weight],
            )?;
            // Before the rows are there: a change too heavy to be kept becomes the baseline.
            self.bounds.enforce(transaction, list)?;
            if is_baseline(transaction, id)? {
                return Ok(());
            }
            // What both went and came is there.
            keep(transaction, list, id, false, change.removed)?;
            keep(transaction, list, id, true, change.added)
        })
    }

    /// Since when the entries of a list are there, as far as the journal goes back.
    pub fn additions(&self, list: &str) -> Result<Additions, StoreError> {
        self.read("read the journal of a list", |transaction| {
            let Some(list) = known(transaction, list)? else { return Ok(Additions::default()) };
            let since = transaction
                // Of the columns, SQLite takes `added` from the row that has the maximum.
                .prepare(
                    "SELECT prefix, at
                     FROM (SELECT prefix, added, max(change) AS newest FROM journal
                           WHERE list = ?1 GROUP BY prefix)
                     JOIN changes ON changes.id = newest WHERE added = 1 ORDER BY prefix",
                )?
                .query_map([list], |row| {
                    let (Key(prefix), Moment(at)) = (row.get(0)?, row.get(1)?);
                    Ok((prefix, at))
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Additions { baseline: baseline(transaction, list)?, since })
        })
    }

    /// What happened to the prefixes that cover `address`, in one list or in all.
    pub fn history(&self, list: Option<&str>, address: IpAddr) -> Result<History, StoreError> {
        self.read("read the journal of an address", |transaction| {
            Ok(History {
                events: events(transaction, list, address)?,
                baselines: baselines(transaction, list)?,
            })
        })
    }

    /// The newest `limit` changes of a list, and as many of their prefixes. Looks at all that the journal has of the list.
    pub fn list_history(&self, list: &str, limit: usize) -> Result<ListHistory, StoreError> {
        self.read("read the journal of a list", |transaction| {
            let Some(number) = known(transaction, list)? else { return Ok(ListHistory::default()) };
            let mut changes = changes(transaction, number, limit)?;
            let oldest = changes.keys().next().copied().unwrap_or(i64::MAX);
            count(transaction, number, oldest, &mut changes)?;
            let events = newest_events(transaction, (number, list), oldest, &changes, limit)?;
            Ok(ListHistory {
                changes: changes.into_values().rev().collect(),
                events,
                baseline: baselines(transaction, Some(list))?.pop(),
            })
        })
    }
}

/// The newest changes of a list by their numbers, with nothing counted yet; not its baseline, which has no prefixes.
fn changes(
    transaction: &Transaction<'_>,
    list: i64,
    limit: usize,
) -> rusqlite::Result<BTreeMap<i64, Counted>> {
    transaction
        .prepare(
            "SELECT id, at, origin, entries FROM changes WHERE list = ?1 AND weight > 0
             ORDER BY id DESC LIMIT ?2",
        )?
        .query_map(params![list, integer(limit)], |row| {
            let (Moment(at), entries) = (row.get(1)?, row.get::<_, i64>(3)?);
            let entries = entries.try_into().unwrap_or_default();
            let counted = Counted { at, by: row.get(2)?, entries, added: 0, removed: 0 };
            Ok((row.get(0)?, counted))
        })?
        .collect()
}

fn count(
    transaction: &Transaction<'_>,
    list: i64,
    oldest: i64,
    changes: &mut BTreeMap<i64, Counted>,
) -> rusqlite::Result<()> {
    let mut counts = transaction.prepare(
        "SELECT change, added, count(*) FROM journal WHERE list = ?1 AND change >= ?2
         GROUP BY change, added",
    )?;
    let mut rows = counts.query([list, oldest])?;
    while let Some(row) = rows.next()? {
        let Some(counted) = changes.get_mut(&row.get(0)?) else { continue };
        let side = if row.get(1)? { &mut counted.added } else { &mut counted.removed };
        *side = row.get::<_, i64>(2)?.try_into().unwrap_or_default();
    }
    Ok(())
}

fn newest_events(
    transaction: &Transaction<'_>,
    (list, name): (i64, &str),
    oldest: i64,
    changes: &BTreeMap<i64, Counted>,
    limit: usize,
) -> rusqlite::Result<Vec<Event>> {
    let name: Arc<str> = name.into();
    let mut newest = transaction.prepare(
        "SELECT prefix, added, change FROM journal WHERE list = ?1 AND change >= ?2
         ORDER BY change DESC, added, prefix LIMIT ?3",
    )?;
    let mut rows = newest.query(params![list, oldest, integer(limit)])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(of) = changes.get(&row.get(2)?) else { continue };
        let (Key(prefix), added) = (row.get(0)?, row.get(1)?);
        let (list, by) = (Arc::clone(&name), of.by.clone());
        events.push(Event { list, prefix, added, at: of.at, by });
    }
    Ok(events)
}

/// The number of a list, which gets one if it has none.
fn number(transaction: &Transaction<'_>, list: &str) -> rusqlite::Result<i64> {
    if let Some(number) = known(transaction, list)? {
        return Ok(number);
    }
    transaction.execute("INSERT INTO lists (name) VALUES (?1)", [list])?;
    Ok(transaction.last_insert_rowid())
}

fn known(transaction: &Transaction<'_>, list: &str) -> rusqlite::Result<Option<i64>> {
    transaction
        .query_row("SELECT id FROM lists WHERE name = ?1", [list], |row| row.get(0))
        .optional()
}

/// When the oldest change of a list was.
fn baseline(transaction: &Transaction<'_>, list: i64) -> rusqlite::Result<Option<Timestamp>> {
    transaction
        .query_row("SELECT at FROM changes WHERE list = ?1 ORDER BY id LIMIT 1", [list], |row| {
            row.get(0).map(|Moment(at)| at)
        })
        .optional()
}

fn is_baseline(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<bool> {
    transaction.query_row("SELECT weight = 0 FROM changes WHERE id = ?1", [id], |row| row.get(0))
}

/// Writes the rows of one change, in the order of the table, so that each page of it is touched once.
fn keep(
    transaction: &Transaction<'_>,
    list: i64,
    change: i64,
    added: bool,
    prefixes: &[Prefix],
) -> rusqlite::Result<()> {
    let mut sorted = prefixes.to_vec();
    sorted.sort_unstable();
    let mut insert = transaction.prepare(
        "INSERT OR REPLACE INTO journal (list, prefix, change, added) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for prefix in sorted {
        insert.execute(params![list, Key(prefix), change, added])?;
    }
    Ok(())
}

/// One probe of the key for each list and each length that a prefix can have.
fn events(
    transaction: &Transaction<'_>,
    list: Option<&str>,
    address: IpAddr,
) -> rusqlite::Result<Vec<Event>> {
    let keys: Vec<_> = covering(address).into_iter().map(Key).collect();
    let most = integer(MOST_EVENTS);
    let mut values: Vec<&dyn ToSql> = vec![&most, &list];
    values.extend(keys.iter().map(|key| -> &dyn ToSql { key }));
    transaction
        .prepare(&question(keys.len()))?
        .query_map(params_from_iter(values), |row| {
            let (Key(prefix), Moment(at)) = (row.get(1)?, row.get(3)?);
            Ok(Event { list: row.get(0)?, prefix, added: row.get(2)?, at, by: row.get(4)? })
        })?
        .collect()
}

/// The question for the events of so many prefixes: 1 is the most events, 2 the list or none, then the prefixes.
pub(super) fn question(prefixes: usize) -> String {
    let any: Vec<_> = (3..prefixes + 3).map(|number| format!("?{number}")).collect();
    let any = any.join(", ");
    format!(
        "SELECT lists.name, prefix, added, at, origin
         FROM lists CROSS JOIN journal ON journal.list = lists.id AND prefix IN ({any})
         JOIN changes ON changes.id = change
         WHERE ?2 IS NULL OR lists.name = ?2
         ORDER BY change DESC, prefix DESC LIMIT ?1"
    )
}

/// Every prefix that covers `address`, the widest first.
pub(super) fn covering(address: IpAddr) -> Vec<Prefix> {
    let host = Prefix::host(address);
    (0..=host.length()).filter_map(|length| Prefix::new(host.address(), length).ok()).collect()
}

fn baselines(transaction: &Transaction<'_>, list: Option<&str>) -> rusqlite::Result<Vec<Baseline>> {
    transaction
        .prepare(
            "SELECT lists.name, at, origin, entries FROM lists JOIN changes
             ON changes.id = (SELECT min(id) FROM changes WHERE list = lists.id)
             WHERE ?1 IS NULL OR lists.name = ?1 ORDER BY lists.name",
        )?
        .query_map([list], |row| {
            let (Moment(at), entries) = (row.get(1)?, row.get::<_, i64>(3)?);
            Ok(Baseline {
                list: row.get(0)?,
                at,
                by: row.get(2)?,
                entries: entries.try_into().unwrap_or_default(),
            })
        })?
        .collect()
}
