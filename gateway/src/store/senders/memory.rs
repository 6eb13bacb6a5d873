//! Senders remembered in memory: for as long as the process runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{PassedRow, SenderCounts, SenderList, SenderStore, WaitingRow, excess};
use crate::clock::Timestamp;
use crate::sender::{
    Attempt, Greylist, GreylistAnswer, Manual, Passed, Pool, Selection, Waiting, judge,
};
use crate::store::StoreError;
use crate::store::values::check;

/// Remembers senders until the process ends. It is what there is where nothing can be written.
#[derive(Debug, Default)]
pub struct MemorySenders(Mutex<Senders>);

/// Recipient, sender, and the pool; none for the tries from all pools together.
type Key = (Box<str>, Box<str>, Option<Pool>);

#[derive(Debug, Default)]
struct Senders {
    /// The number of each row says how old it is among the others.
    waiting: BTreeMap<Key, (u64, Waiting)>,
    waiting_by_age: BTreeMap<u64, Key>,
    passed: BTreeMap<Pool, Passed>,
    /// Without those of which a person said that they pass.
    passed_by_use: BTreeSet<(Timestamp, Pool)>,
    next: u64,
}

impl Senders {
    fn keep(&mut self, key: Key, waiting: Waiting) {
        let number = match self.waiting.get(&key) {
            Some((number, earlier)) if earlier.first == waiting.first => *number,
            _ => {
                self.remove(&key);
                self.next += 1;
                self.waiting_by_age.insert(self.next, key.clone());
                self.next
            }
        };
        self.waiting.insert(key, (number, waiting));
    }

    fn remove(&mut self, key: &Key) {
        if let Some((number, _)) = self.waiting.remove(key) {
            self.waiting_by_age.remove(&number);
        }
    }

    fn let_pass(&mut self, pool: &Pool, passed: Passed) {
        self.stop(pool);
        if passed.manual.is_none() {
            self.passed_by_use.insert((passed.used, pool.clone()));
        }
        self.passed.insert(pool.clone(), passed);
    }

    fn stop(&mut self, pool: &Pool) {
        if let Some(passed) = self.passed.remove(pool) {
            self.passed_by_use.remove(&(passed.used, pool.clone()));
        }
    }

    /// Takes tries away, and with each those from all pools.
    fn forget(&mut self, keys: Vec<Key>) {
        for key in keys {
            self.remove(&key);
            self.remove(&(key.0, key.1, None));
        }
    }

    fn stop_all(&mut self, pools: Vec<Pool>) {
        for pool in pools {
            self.stop(&pool);
        }
    }

    /// Lets the oldest go where there are more than `most`.
    fn shrink(&mut self, most: usize) {
        for _ in 0..excess(self.waiting.len(), most) {
            if let Some((_, key)) = self.waiting_by_age.pop_first() {
                self.waiting.remove(&key);
            }
        }
        for _ in 0..excess(self.passed_by_use.len(), most) {
            if let Some((_, pool)) = self.passed_by_use.pop_first() {
                self.passed.remove(&pool);
            }
        }
    }

    fn counts(&self) -> SenderCounts {
        SenderCounts { waiting: self.waiting.len(), passed: self.passed.len() }
    }

    fn since(&self, before: SenderCounts) -> SenderCounts {
        let SenderCounts { waiting, passed } = self.counts();
        SenderCounts { waiting: before.waiting - waiting, passed: before.passed - passed }
    }
}

impl MemorySenders {
    fn senders(&self) -> MutexGuard<'_, Senders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SenderStore for MemorySenders {
    fn greylist(
        &self,
        attempt: &Attempt,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<GreylistAnswer, StoreError> {
        let mut senders = self.senders();
        if let Some(passed) = senders.passed.get_mut(&attempt.pool)
            && passed.counts(settings, now)
        {
            let answer = passed.answer();
            if passed.is_due(settings, now) {
                let passed = Passed { used: now, ..passed.clone() };
                senders.let_pass(&attempt.pool, passed);
            }
            return Ok(answer);
        }
        let key = |pool| (attempt.recipient().into(), attempt.sender().into(), pool);
        let (pair, pool) = (key(None), key(Some(attempt.pool.clone())));
        let row = |key| senders.waiting.get(key).map(|(_, waiting)| *waiting);
        let turn = judge(row(&pool), row(&pair), settings, now);
        if let GreylistAnswer::Passed { .. } = turn.answer {
            senders.remove(&pair);
            senders.remove(&pool);
            senders.let_pass(&attempt.pool, Passed::new(None, now));
        } else {
            senders.keep(pair, turn.pair);
            senders.keep(pool, turn.pool);
        }
        senders.shrink(settings.most);
        Ok(turn.answer)
    }

    fn passed(
        &self,
        pool: &Pool,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<Option<Passed>, StoreError> {
        let senders = self.senders();
        Ok(senders.passed.get(pool).filter(|it| it.counts(settings, now)).cloned())
    }

    fn list(
        &self,
        selection: &Selection,
        limit: usize,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<SenderList, StoreError> {
        let senders = self.senders();
        let waiting = senders.waiting_by_age.values().rev().filter_map(|key| {
            let (recipient, sender, pool) = key;
            let pool = pool.clone()?;
            let (_, waiting) = *senders.waiting.get(key)?;
            let is_meant = selection.has_try(Some(&pool), sender, recipient);
            if !is_meant || waiting.is_over(settings, now) {
                return None;
            }
            let pair = senders.waiting.get(&(recipient.clone(), sender.clone(), None));
            let tries = pair.map_or(waiting.tries, |(_, pair)| pair.tries);
            let (sender, recipient) = (sender.clone(), recipient.clone());
            Some(WaitingRow { pool, sender, recipient, waiting, tries })
        });
        let waiting = waiting.take(limit).collect();
        let passed = senders
            .passed
            .iter()
            .filter(|(pool, passed)| selection.has_pool(pool) && passed.counts(settings, now));
        let mut passed: Vec<_> = passed.collect();
        passed.sort_by_key(|(_, passed)| std::cmp::Reverse(passed.since));
        let row = |(pool, passed): (&Pool, &Passed)| PassedRow {
            pool: pool.clone(),
            passed: passed.clone(),
        };
        Ok(SenderList { waiting, passed: passed.into_iter().take(limit).map(row).collect() })
    }

    fn pass(&self, pool: &Pool, manual: &Manual, now: Timestamp) -> Result<(), StoreError> {
        check("", &manual.author, manual.reason.as_deref())?;
        self.senders().let_pass(pool, Passed::new(Some(manual.clone()), now));
        Ok(())
    }

    fn forget(&self, selection: &Selection) -> Result<SenderCounts, StoreError> {
        let mut senders = self.senders();
        let before = senders.counts();
        let meant = senders.waiting.keys().filter(|(recipient, sender, pool)| {
            selection.has_try(pool.as_ref(), sender, recipient)
        });
        let meant = meant.cloned().collect();
        senders.forget(meant);
        let meant = senders.passed.keys().filter(|pool| selection.has_pool(pool));
        let meant = meant.cloned().collect();
        senders.stop_all(meant);
        Ok(senders.since(before))
    }

    fn expire(&self, settings: &Greylist, now: Timestamp) -> Result<SenderCounts, StoreError> {
        let mut senders = self.senders();
        let before = senders.counts();
        while let Some(oldest) = senders.waiting_by_age.first_entry() {
            let key = oldest.get().clone();
            if senders.waiting.get(&key).is_some_and(|(_, it)| !it.is_over(settings, now)) {
                break;
            }
            senders.remove(&key);
        }
        let over = senders.passed.iter().filter(|(_, passed)| !passed.counts(settings, now));
        let over = over.map(|(pool, _)| pool.clone()).collect();
        senders.stop_all(over);
        Ok(senders.since(before))
    }

    fn counts(&self) -> SenderCounts {
        self.senders().counts()
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
