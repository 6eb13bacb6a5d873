//! Sets the thresholds of the score by hand, and gives them back to the configuration.

use std::path::Path;

use tracing::info;

use super::reviewing::micro;
use super::{ChangeError, Refresher};
use crate::list::on_one_line;
use crate::policy::{SetThresholds, SliderEvent, Thresholds};
use crate::store::{Store, StoreError};

/// A change of the slider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliderChange {
    /// Who asks for it.
    pub author: String,
    /// What counts from now on, also after a restart; `None` for what the configuration says.
    pub thresholds: Option<Thresholds>,
}

impl Refresher {
    /// Makes `change`; what is set afterwards is in force for every decision from now on.
    pub(super) fn change_slider(
        &mut self,
        change: SliderChange,
    ) -> Result<Option<SetThresholds>, ChangeError> {
        let SliderChange { author, thresholds } = change;
        let (now, author) = (self.clock.now(), on_one_line(&author).into_owned());
        let before = self.kept.slider().map(|set| set.thresholds);
        match thresholds {
            Some(thresholds) => {
                let (author, at) = (author.as_str().into(), micro(now));
                self.kept.keep_slider(SetThresholds { thresholds, author, at })?;
            }
            None if before.is_none() => return Ok(None),
            None => self.kept.forget_slider()?,
        }
        let set = self.kept.slider().cloned();
        self.engine.set_slider(set.clone());
        let event = SliderEvent::new(now, &author, thresholds, before);
        let shown = |it: Option<Thresholds>| {
            it.map_or_else(|| "as configured".to_owned(), |it| it.to_string())
        };
        info!(
            target: "slider",
            "{} author={author:?} now={:?} before={:?}",
            event.event,
            shown(thresholds),
            shown(before)
        );
        self.engine.audit().write(&event);
        Ok(set)
    }
}

/// What the store in `state_dir` has of the slider; `None` where the configuration counts.
pub fn slider(state_dir: &Path) -> Result<Option<SetThresholds>, StoreError> {
    let Some(store) = Store::open_read_only(state_dir)? else { return Ok(None) };
    store.slider()
}
