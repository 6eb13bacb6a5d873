//! Reviews that people asked for, and what came of them.

use std::net::IpAddr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{OptionalExtension as _, Row, ToSql, Transaction, params, params_from_iter};
use serde::Serialize;

use super::journal::covering;
use super::manual::Until;
use super::schema::has_table;
use super::values::{AUTHOR, Key, Moment, REASON, check_lengths, integer};
use super::{Store, StoreError};
use crate::clock::Expiry;
use crate::net::Prefix;
use crate::review::{Ask, MOST_ASKS, Outcome, Resolution, Review, State};

/// The longest contact, in characters: as long as an address of mail can be.
const CONTACT: usize = 254;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// A review began.
    New(Review),
    /// It belongs to one that is open.
    Joined(Review),
    /// As many are open as can be.
    Full {
        /// How many.
        most: i64,
    },
}

/// Which reviews are shown.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Those in this state; all of them without.
    pub state: Option<State>,
    /// Those with a lower number; all of them without.
    pub before: Option<u64>,
    /// At most as many.
    pub limit: usize,
}

/// Some reviews, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reviews {
    /// The newest first.
    pub rows: Vec<Review>,
    /// All that are open.
    pub open: u64,
    /// All that are resolved and still known.
    pub resolved: u64,
}

const COLUMNS: &str = "id, prefix, requests, result, note, author, at, until, done";

impl Store {
    /// Keeps a request: as a new review, or with the open one about the same prefix.
    pub fn request_review(&self, prefix: Prefix, ask: &Ask) -> Result<Requested, StoreError> {
        check_lengths(&[
            ("the author", &ask.author, AUTHOR),
            ("the note", ask.note.as_deref().unwrap_or_default(), REASON),
            ("the contact", ask.contact.as_deref().unwrap_or_default(), CONTACT),
        ])?;
        self.write("keep a request for a review", |transaction| {
            let open = transaction
                .query_row(
                    "UPDATE reviews SET requests = requests + 1
                     WHERE prefix = ?1 AND result IS NULL RETURNING id",
                    [Key(prefix)],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(id) = open {
                keep(transaction, id, ask)?;
                return Ok(Requested::Joined(known(transaction, id)?));
            }
            let most = self.bounds.open_reviews;
            if count(transaction, "result IS NULL")? >= most {
                return Ok(Requested::Full { most });
            }
            transaction
                .execute("INSERT INTO reviews (prefix, requests) VALUES (?1, 1)", [Key(prefix)])?;
            let id = transaction.last_insert_rowid();
            keep(transaction, id, ask)?;
            make_room(transaction, self.bounds.reviews)?;
            Ok(Requested::New(known(transaction, id)?))
        })
    }

    /// Ends an open review; `None` where there is no such one.
    pub fn resolve_review(
        &self,
        id: u64,
        resolution: &Resolution,
    ) -> Result<Option<Review>, StoreError> {
        Self::check_resolution(resolution)?;
        let Resolution { result, note, author, at, until, done } = resolution;
        let (id, done) = (key(id), serde_json::to_string(done).unwrap_or_default());
        self.write("resolve a review", |transaction| {
            let changed = transaction.execute(
                "UPDATE reviews SET result = ?2, note = ?3, author = ?4, at = ?5, until = ?6, done = ?7
                 WHERE id = ?1 AND result IS NULL",
                params![id, result, note, author, Moment(*at), until.map(Expiry::as_second), done],
            )?;
            if changed == 0 { Ok(None) } else { known(transaction, id).map(Some) }
        })
    }

    /// Refuses a resolution with texts that are too long to be kept.
    pub fn check_resolution(resolution: &Resolution) -> Result<(), StoreError> {
        let Resolution { note, author, .. } = resolution;
        check_lengths(&[("the author", author, AUTHOR), ("the note", note, REASON)])
    }

    /// One review.
    pub fn review(&self, id: u64) -> Result<Option<Review>, StoreError> {
        self.read_reviews(|transaction| {
            Ok(select(transaction, "id = ?1", &[&key(id)], 1)?.into_iter().next())
        })
    }

    /// The newest reviews of those that are wanted.
    pub fn reviews(&self, page: &Page) -> Result<Reviews, StoreError> {
        self.read_reviews(|transaction| {
            let wanted = match page.state {
                None => "id < ?1",
                Some(State::Open) => "id < ?1 AND result IS NULL",
                Some(State::Resolved) => "id < ?1 AND result IS NOT NULL",
            };
            let before = page.before.map_or(i64::MAX, key);
            Ok(Reviews {
                rows: select(transaction, wanted, &[&before], page.limit)?,
                open: number(count(transaction, "result IS NULL")?),
                resolved: number(count(transaction, "result IS NOT NULL")?),
            })
        })
    }

    /// The newest reviews of the prefixes that cover `address`, those that are open first.
    pub fn reviews_of(&self, address: IpAddr, limit: usize) -> Result<Vec<Review>, StoreError> {
        let keys: Vec<_> = covering(address).into_iter().map(Key).collect();
        let keys: Vec<_> = keys.iter().map(|key| -> &dyn ToSql { key }).collect();
        let any: Vec<_> = (1..=keys.len()).map(|number| format!("?{number}")).collect();
        let wanted = format!("prefix IN ({})", any.join(", "));
        let mut found =
            self.read_reviews(|transaction| select(transaction, &wanted, &keys, limit))?;
        found.sort_by_key(|review| review.state != State::Open);
        Ok(found)
    }

    /// Reads from the tables of reviews; there is nothing in them where an earlier version made the file and nobody wrote since.
    fn read_reviews<T: Default>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.read("read the reviews", |transaction| {
            if has_table(transaction, "reviews")? { work(transaction) } else { Ok(T::default()) }
        })
    }
}

/// Keeps who asked, unless so many did that the rest is only counted.
fn keep(transaction: &Transaction<'_>, review: i64, ask: &Ask) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO asks (review, number, at, author, reference, note, contact)
         SELECT ?1, count(*), ?2, ?3, ?4, ?5, ?6 FROM asks WHERE review = ?1 HAVING count(*) < ?7",
        params![
            review,
            Moment(ask.at),
            ask.author,
            ask.reference,
            ask.note,
            ask.contact,
            integer(MOST_ASKS)
        ],
    )?;
    Ok(())
}

/// Forgets the oldest reviews that are resolved, where there are more than `most`.
fn make_room(transaction: &Transaction<'_>, most: i64) -> rusqlite::Result<()> {
    let over = count(transaction, "1")? - most;
    if over <= 0 {
        return Ok(());
    }
    let gone: Vec<i64> = transaction
        .prepare("SELECT id FROM reviews WHERE result IS NOT NULL ORDER BY id LIMIT ?1")?
        .query_map([over], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for id in gone {
        transaction.execute("DELETE FROM asks WHERE review = ?1", [id])?;
        transaction.execute("DELETE FROM reviews WHERE id = ?1", [id])?;
    }
    Ok(())
}

fn count(transaction: &Transaction<'_>, which: &str) -> rusqlite::Result<i64> {
    transaction
        .query_row(&format!("SELECT count(*) FROM reviews WHERE {which}"), [], |row| row.get(0))
}

/// A review that is there.
fn known(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<Review> {
    let found = select(transaction, "id = ?1", &[&id], 1)?;
    found.into_iter().next().ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// The newest reviews for which `wanted` is true, given `values`, each with who asked.
fn select(
    transaction: &Transaction<'_>,
    wanted: &str,
    values: &[&dyn ToSql],
    limit: usize,
) -> rusqlite::Result<Vec<Review>> {
    let mut reviews: Vec<Review> = transaction
        .prepare(&format!(
            "SELECT {COLUMNS} FROM reviews WHERE {wanted} ORDER BY id DESC LIMIT {limit}"
        ))?
        .query_map(params_from_iter(values), review)?
        .collect::<rusqlite::Result<_>>()?;
    let mut asks = transaction.prepare(
        "SELECT at, author, reference, note, contact FROM asks WHERE review = ?1 ORDER BY number",
    )?;
    for review in &mut reviews {
        let found = asks.query_map([key(review.id)], ask)?;
        review.asks = found.collect::<rusqlite::Result<_>>()?;
        for reference in review.asks.iter().filter_map(|ask| ask.reference.as_ref()) {
            if !review.references.contains(reference) {
                review.references.push(reference.clone());
            }
        }
    }
    Ok(reviews)
}

/// A row of [`COLUMNS`].
fn review(row: &Row<'_>) -> rusqlite::Result<Review> {
    let Key(prefix) = row.get(1)?;
    let result: Option<Outcome> = row.get(3)?;
    let resolution = result.map(|result| {
        let (Moment(at), Until(until)) = (row.get(6)?, row.get(7)?);
        let done: Option<String> = row.get(8)?;
        let done = done.and_then(|done| serde_json::from_str(&done).ok()).unwrap_or_default();
        Ok(Resolution { result, note: row.get(4)?, author: row.get(5)?, at, until, done })
    });
    let (references, asks) = Default::default();
    Ok(Review {
        id: number(row.get(0)?),
        state: if result.is_some() { State::Resolved } else { State::Open },
        prefix,
        references,
        requests: number(row.get(2)?),
        asks,
        resolution: resolution.transpose().map_err(|error: rusqlite::Error| error)?,
    })
}

fn ask(row: &Row<'_>) -> rusqlite::Result<Ask> {
    let Moment(at) = row.get(0)?;
    let (author, reference) = (row.get(1)?, row.get(2)?);
    Ok(Ask { at, author, reference, note: row.get(3)?, contact: row.get(4)? })
}

/// The number of a review as SQLite has it; what is more is none of ours.
fn key(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn number(number: i64) -> u64 {
    number.try_into().unwrap_or_default()
}

impl ToSql for Outcome {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for Outcome {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = value.as_str()?;
        let found = Self::ALL.into_iter().find(|outcome| outcome.name() == name);
        found.ok_or_else(|| FromSqlError::Other(format!("`{name}` is no result").into()))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::bounds::Bounds;
    use super::*;
    use crate::clock::Timestamp;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn open(folder: &TempDir) -> Store {
        Store::open(folder.path(), at(0)).unwrap().store
    }

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    fn ask(second: i64, reference: Option<&str>) -> Ask {
        Ask {
            at: at(second),
            author: "anna".into(),
            reference: reference.map(Into::into),
            note: Some("it is clean now".into()),
            contact: None,
        }
    }

    fn refused(second: i64) -> Resolution {
        Resolution {
            result: Outcome::Refused,
            note: "it is not".into(),
            author: "bert".into(),
            at: at(second),
            until: Some(Expiry::at(at(99))),
            done: vec!["one".to_owned(), "two".to_owned()],
        }
    }

    fn all(store: &Store, state: Option<State>) -> Vec<u64> {
        let page = Page { state, before: None, limit: 100 };
        store.reviews(&page).unwrap().rows.iter().map(|review| review.id).collect()
    }

    #[test]
    fn a_second_request_joins_an_open_review_and_begins_another_after_it() {
        let folder = TempDir::new().unwrap();
        let store = open(&folder);
        let host = prefix("192.0.2.7");
        let Requested::New(first) = store.request_review(host, &ask(1, Some("A"))).unwrap() else {
            panic!("not new")
        };
        assert_eq!((first.id, first.state, first.requests), (1, State::Open, 1));
        for (second, reference) in [(2, None), (3, Some("A")), (4, Some("B"))] {
            let joined = store.request_review(host, &ask(second, reference)).unwrap();
            assert!(matches!(joined, Requested::Joined(_)), "{joined:?}");
        }
        let other = store.request_review(prefix("192.0.2.0/24"), &ask(5, None)).unwrap();
        assert!(matches!(other, Requested::New(_)), "{other:?}");
        let found = store.review(1).unwrap().unwrap();
        let references: Vec<_> = found.references.iter().map(|it| &**it).collect();
        assert_eq!((references, found.requests), (vec!["A", "B"], 4));
        let times: Vec<_> = found.asks.iter().map(|ask| ask.at).collect();
        assert_eq!(times, [at(1), at(2), at(3), at(4)]);

        let resolved = store.resolve_review(1, &refused(6)).unwrap().unwrap();
        assert_eq!((resolved.state, resolved.resolution), (State::Resolved, Some(refused(6))));
        for id in [1, 3, u64::MAX] {
            assert_eq!(store.resolve_review(id, &refused(7)).unwrap(), None, "{id}");
        }
        let again = store.request_review(host, &ask(8, None)).unwrap();
        assert!(matches!(&again, Requested::New(review) if review.id == 3), "{again:?}");
        drop(store);
        for store in [open(&folder), Store::open_read_only(folder.path()).unwrap().unwrap()] {
            assert_eq!(all(&store, None), [3, 2, 1]);
            assert_eq!(all(&store, Some(State::Open)), [3, 2]);
            assert_eq!(all(&store, Some(State::Resolved)), [1]);
            let page = Page { state: None, before: Some(3), limit: 1 };
            let reviews = store.reviews(&page).unwrap();
            assert_eq!((reviews.rows[0].id, reviews.open, reviews.resolved), (2, 2, 1));
            let of = |text: &str| -> Vec<u64> {
                let found = store.reviews_of(text.parse().unwrap(), 10).unwrap();
                found.iter().map(|review| review.id).collect()
            };
            assert_eq!(of("192.0.2.7"), [3, 2, 1]);
            assert_eq!(of("192.0.2.8"), [2]);
            assert_eq!(of("2001:db8::1"), [0; 0]);
        }
    }

    #[test]
    fn whatever_is_asked_the_store_stays_small() {
        let folder = TempDir::new().unwrap();
        let mut store = open(&folder);
        store.bounds = Bounds { open_reviews: 3, reviews: 4, ..Bounds::default() };
        let host = |number: u8| Prefix::host([192, 0, 2, number].into());
        for number in 0..100 {
            let asked = store.request_review(host(number), &ask(1, None)).unwrap();
            assert_eq!(asked == Requested::Full { most: 3 }, number >= 3, "{asked:?}");
        }
        for _ in 0..100 {
            let asked = store.request_review(host(0), &ask(1, Some("A"))).unwrap();
            assert!(matches!(asked, Requested::Joined(_)), "{asked:?}");
        }
        let found = store.review(1).unwrap().unwrap();
        assert_eq!((found.asks.len(), found.requests), (MOST_ASKS, 101));
        for id in 1..50 {
            assert!(store.resolve_review(id, &refused(2)).unwrap().is_some(), "{id}");
            store.request_review(host(100), &ask(3, None)).unwrap();
            store.request_review(host(u8::try_from(id).unwrap()), &ask(3, None)).unwrap();
        }
        assert!(all(&store, None).len() <= 4, "{:?}", all(&store, None));
        let orphans = "SELECT count(*) FROM asks WHERE review NOT IN (SELECT id FROM reviews)";
        let orphans: i64 =
            store.read("count", |it| it.query_row(orphans, [], |row| row.get(0))).unwrap();
        assert_eq!(orphans, 0);
        let long = |length: usize| Some("x".repeat(length).into());
        for (note, contact, what) in [
            (long(501), None, "the note has 501 characters, expected at most 500"),
            (None, long(255), "the contact has 255 characters, expected at most 254"),
        ] {
            let ask = Ask { note, contact, ..ask(4, None) };
            let error = store.request_review(host(0), &ask).unwrap_err();
            assert_eq!(error.to_string(), what);
        }
    }

    #[test]
    fn a_file_of_an_earlier_version_has_no_reviews() {
        let folder = TempDir::new().unwrap();
        let store = open(&folder);
        store.write("undo", |it| it.execute_batch("DROP TABLE reviews; DROP TABLE asks")).unwrap();
        let page = Page { state: None, before: None, limit: 10 };
        assert_eq!(store.reviews(&page).unwrap(), Reviews::default());
        assert_eq!(store.review(1).unwrap(), None);
        assert_eq!(store.reviews_of([192, 0, 2, 7].into(), 10).unwrap(), []);
        drop(store);
        let store = open(&folder);
        let asked = store.request_review(prefix("192.0.2.7"), &ask(1, None)).unwrap();
        assert!(matches!(asked, Requested::New(_)), "{asked:?}");
    }
}
