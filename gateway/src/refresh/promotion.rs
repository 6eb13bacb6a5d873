//! Puts hosts that were refused too often into the list `auto`, and so into the kernel, for a while.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::SignedDuration;
use tracing::info;

use super::Refresher;
use super::list_state::{ListState, Noted};
use crate::clock::Expiry;
use crate::list::{Changes, Class};
use crate::sender::PromotionSettings;
use crate::store::{Kind, ManualEntry};

/// The subject of its alarm.
const ALARM: &str = "promotion";

/// As many at once: each is written to the disk before it counts.
const AT_ONCE: usize = 100;

/// As many wait for their turn; who is not among them is refused by the daemon, and comes again.
const MOST_WAITING: usize = 10_000;

/// Who adds the entries.
const AUTHOR: &str = "promotion";

impl Refresher {
    /// Takes up what the engine found; says whether the list changed.
    pub(super) fn promote(&mut self) -> bool {
        let found = self.engine.take_promotions();
        let room = MOST_WAITING.saturating_sub(self.promoted.len());
        self.promoted.extend(found.into_iter().take(room));
        if self.promoted.is_empty() {
            return false;
        }
        let PromotionSettings { duration, most, window, .. } = self.engine.promotion();
        let is_auto = |state: &ListState| state.list().class == Class::Auto;
        let Some(index) = self.lists.iter().position(is_auto) else {
            self.promoted.clear();
            return false;
        };
        let Some(state) = self.lists.get(index) else { return false };
        let (name, now) = (Arc::clone(&state.list().name), self.clock.now());
        let listed = self.kept.manual(&name).filter(|entry| entry.kind == Kind::Listed);
        // What a person put there stays as it is.
        let (own, others): (Vec<_>, Vec<_>) = listed.partition(|entry| &*entry.author == AUTHOR);
        let [listed, others] = [own, others]
            .map(|entries| entries.iter().map(|entry| entry.prefix).collect::<HashSet<_>>());
        let mut room = most.saturating_sub(listed.len());
        let batch = self.promoted.len().min(AT_ONCE);
        let mut batch: Vec<_> = self.promoted.drain(..batch).collect();
        batch.retain(|promotion| !others.contains(&promotion.prefix));
        let total = batch.len();
        // Who is there already takes no room, only more time.
        let batch = batch.into_iter().filter(|promotion| {
            let is_listed = listed.contains(&promotion.prefix);
            let fits = is_listed || room > 0;
            room = room.saturating_sub(usize::from(!is_listed));
            fits
        });
        let batch: Vec<_> = batch.collect();
        let told = (batch.len() < total).then(|| {
            format!(
                "the list {name} is full with {most} entries, so hosts that go on are refused by the daemon alone: raise `[promotion] most`, or shorten `duration`"
            )
        });
        self.alarms.set(ALARM, told.as_deref());
        let end = SignedDuration::try_from(duration).ok().and_then(|it| now.checked_add(it).ok());
        let entries = batch.into_iter().map(|promotion| ManualEntry {
            list: Arc::clone(&name),
            prefix: promotion.prefix,
            kind: Kind::Listed,
            reason: Some(
                format!("refused {} times within {} s", promotion.refusals, window.as_secs())
                    .into(),
            ),
            author: AUTHOR.into(),
            added: now,
            expires: end.map(Expiry::at),
        });
        let entries: Vec<_> = entries.collect();
        let added: Vec<_> = entries.iter().map(|entry| entry.prefix).collect();
        if added.is_empty() {
            return false;
        }
        if let Err(error) = self.kept.add_all(entries, now) {
            self.alarms.raise(ALARM, &format!("nothing is promoted: {error}"));
            return false;
        }
        for prefix in &added {
            info!(target: "promotion", "list={name} entry={prefix} for_s={}", duration.as_secs());
        }
        if let Some(state) = self.lists.get_mut(index) {
            state.settle(&self.kept);
            let changes = Changes::new(added, Vec::new());
            state.note(Noted { by: AUTHOR.to_owned(), at: None, changes });
        }
        true
    }
}
