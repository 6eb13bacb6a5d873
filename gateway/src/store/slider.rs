//! The thresholds of the score that somebody set by hand.

use rusqlite::types::FromSqlError;
use rusqlite::{OptionalExtension as _, params};

use super::schema::has_table;
use super::values::{Moment, check};
use super::{Store, StoreError};
use crate::policy::{SetThresholds, Thresholds};

impl Store {
    /// Keeps thresholds in the place of those that were kept.
    pub fn keep_slider(&self, set: &SetThresholds) -> Result<(), StoreError> {
        let SetThresholds { thresholds, author, at } = set;
        check("", author, None)?;
        self.write("keep the slider", |transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO slider (id, delay_from, reject_above, author, at) VALUES (1, ?1, ?2, ?3, ?4)",
                params![thresholds.delay_from(), thresholds.reject_above(), author, Moment(*at)],
            )?;
            Ok(())
        })
    }

    /// Forgets what was set.
    pub fn forget_slider(&self) -> Result<(), StoreError> {
        self.write("forget the slider", |transaction| {
            transaction.execute("DELETE FROM slider", [])?;
            Ok(())
        })
    }

    /// What is set; `None` where the configuration counts.
    pub fn slider(&self) -> Result<Option<SetThresholds>, StoreError> {
        self.read("read the slider", |transaction| {
            if !has_table(transaction, "slider")? {
                return Ok(None);
            }
            let sql = "SELECT delay_from, reject_above, author, at FROM slider";
            transaction
                .query_row(sql, [], |row| {
                    let thresholds = Thresholds::from_scores(row.get(0)?, row.get(1)?);
                    let thresholds = thresholds.map_err(FromSqlError::other)?;
                    let Moment(at) = row.get(3)?;
                    Ok(SetThresholds { thresholds, author: row.get(2)?, at })
                })
                .optional()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn the_last_word_on_the_slider_is_kept_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let set = |from, above, author: &str| SetThresholds {
            thresholds: Thresholds::from_scores(from, above).unwrap(),
            author: author.into(),
            at,
        };
        let open = || Store::open(folder.path(), at).unwrap().store;
        assert_eq!(open().slider().unwrap(), None);
        for known in [set(700, 800, "ada"), set(500, 1000, "bob")] {
            open().keep_slider(&known).unwrap();
            let read = Store::open_read_only(folder.path()).unwrap().unwrap();
            assert_eq!(read.slider().unwrap(), Some(known));
        }
        let long = set(500, 600, &"x".repeat(101));
        assert!(matches!(open().keep_slider(&long), Err(StoreError::TooLong { .. })));
        open().forget_slider().unwrap();
        open().forget_slider().unwrap();
        assert_eq!(open().slider().unwrap(), None);
    }

    #[test]
    fn what_no_slider_can_say_is_an_error_and_an_earlier_file_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap().store;
        let run = |sql| {
            store.write("test", |transaction| transaction.execute(sql, [])).unwrap();
        };
        run("INSERT INTO slider VALUES (1, 800, 700, 'x', 0)");
        assert!(store.slider().is_err());
        run("DROP TABLE slider");
        assert_eq!(store.slider().unwrap(), None);
    }
}
