//! How much of each component the log says: one level for all, and more of single ones for a while; and its last lines.
//!
//! | file | question |
//! |---|---|
//! | `components` | which components are there? |
//! | `filter` | which lines does that let through? |
//! | `lines` | what did each say last? |
//! | `raise` | what may be raised, and for how long? |
//! | `report` | what is told of it? |

mod components;
mod filter;
mod lines;
mod raise;
mod report;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{info, warn};
use tracing_subscriber::reload::Handle;
use tracing_subscriber::{EnvFilter, Registry};

pub use components::{COMPONENTS, Component, OTHER, component};
pub use lines::{Line, Lines, Wanted};
pub use raise::{LONGEST, Level, LevelFault, Raise};
pub use report::{ComponentReport, LevelEvent, LevelsReport, RaiseReport};

use crate::clock::{Timestamp, since_boot};

/// The levels of this process; clones share them. They are nowhere but in memory, so that a restart falls back.
#[derive(Clone, Debug)]
pub struct Levels {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What the log goes through; `None` where there is no log, as in tests.
    filter: Option<Handle<EnvFilter, Registry>>,
    state: Mutex<State>,
    lines: Lines,
}

#[derive(Debug)]
struct State {
    base: Level,
    raised: BTreeMap<&'static str, Raise>,
}

impl Levels {
    /// Levels that nothing goes through yet, with the filter that says so.
    pub fn new(base: Level) -> (Self, tracing_subscriber::reload::Layer<EnvFilter, Registry>) {
        let (layer, handle) = tracing_subscriber::reload::Layer::new(filter::filter(base, &[]));
        (Self::with(base, Some(handle)), layer)
    }

    /// Levels of a process without a log.
    pub fn silent() -> Self {
        Self::with(Level::Info, None)
    }

    fn with(base: Level, filter: Option<Handle<EnvFilter, Registry>>) -> Self {
        let state = Mutex::new(State { base, raised: BTreeMap::new() });
        Self { shared: Arc::new(Shared { filter, state, lines: Lines::default() }) }
    }

    /// The last lines of the log, which it has to go through.
    pub fn lines(&self) -> &Lines {
        &self.shared.lines
    }

    /// Puts another level in force for all components that are not raised; those that are stay so.
    pub fn set_base(&self, base: Level) {
        let mut state = self.state();
        if state.base != base {
            let before = std::mem::replace(&mut state.base, base);
            self.put(&state);
            drop(state);
            info!(target: "log", "base level={base} before={before}");
        }
    }

    /// Lets all components of `raises` say more from now on, or none of them.
    pub fn raise(&self, raises: Vec<Raise>, now: Timestamp) -> Result<Vec<LevelEvent>, LevelFault> {
        let mut state = self.state();
        if let Some(raise) = raises.iter().find(|raise| raise.level <= state.base) {
            let (component, level, base) = (raise.component, raise.level, state.base);
            return Err(LevelFault::NotMore { component, level, base });
        }
        let mut events = Vec::new();
        for raise in raises {
            let before = state.level(raise.component);
            events.push(LevelEvent {
                time: now,
                phase: PHASE,
                event: "raised",
                component: raise.component,
                level: raise.level,
                before,
                until: Some(raise.until()),
                author: Some(raise.author.clone()),
            });
            state.raised.insert(raise.component, raise);
        }
        self.put(&state);
        drop(state);
        for LevelEvent { component, level, until, author, .. } in &events {
            let until = until.map(|until| until.to_string()).unwrap_or_default();
            let author = author.as_deref().unwrap_or("-");
            warn!(target: "log", "raised component={component} level={level} until={until} by {author}");
        }
        Ok(events)
    }

    /// Takes back what was raised, of `component` or, with `None`, of all.
    pub fn reset(
        &self,
        component: Option<&'static str>,
        author: &str,
        now: Timestamp,
    ) -> Vec<LevelEvent> {
        let is_meant = |raise: &Raise| component.is_none_or(|name| name == raise.component);
        self.take(is_meant, "reset", Some(author), now)
    }

    /// Takes back what is over.
    pub fn fall_back(&self, now: Timestamp) -> Vec<LevelEvent> {
        let ran = since_boot();
        self.take(|raise| raise.is_over_at(ran), "fell-back", None, now)
    }

    /// The wait until something falls back; `None` where nothing is raised.
    pub fn next_end(&self) -> Option<Duration> {
        let ran = since_boot();
        self.state().raised.values().map(|raise| raise.left_at(ran)).min()
    }

    /// What is so now.
    pub fn report(&self) -> LevelsReport {
        let (state, ran) = (self.state(), since_boot());
        let of_one = |component: &Component| {
            let raised = state.raised.get(component.name).map(|raise| RaiseReport {
                until: raise.until(),
                seconds_left: raise.left_at(ran).as_secs(),
                author: raise.author.clone(),
            });
            ComponentReport {
                name: component.name,
                about: component.about,
                level: state.level(component.name),
                raised,
            }
        };
        LevelsReport { level: state.base, components: COMPONENTS.iter().map(of_one).collect() }
    }

    fn take(
        &self,
        is_meant: impl Fn(&Raise) -> bool,
        event: &'static str,
        author: Option<&str>,
        now: Timestamp,
    ) -> Vec<LevelEvent> {
        let mut state = self.state();
        let meant: Vec<_> =
            state.raised.values().filter(|raise| is_meant(raise)).map(|it| it.component).collect();
        if meant.is_empty() {
            return Vec::new();
        }
        let mut events = Vec::new();
        for component in meant {
            let before = state.level(component);
            state.raised.remove(component);
            let (level, author) = (state.base, author.map(Into::into));
            let (phase, until) = (PHASE, None);
            let time = now;
            events.push(LevelEvent { time, phase, event, component, level, before, until, author });
        }
        self.put(&state);
        drop(state);
        for LevelEvent { component, level, author, .. } in &events {
            let why = author.as_ref().map_or_else(
                || "its time is over".to_owned(),
                |author| format!("{author} asked for it"),
            );
            info!(target: "log", "{event} component={component} level={level}: {why}");
        }
        events
    }

    /// Lets the log go through what `state` says.
    fn put(&self, state: &State) {
        let Some(handle) = &self.shared.filter else { return };
        let raised: Vec<_> =
            state.raised.values().map(|raise| (raise.component, raise.level)).collect();
        // Fails only where the log is gone, which then says nothing anyway.
        drop(handle.reload(filter::filter(state.base, &raised)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What a component says; a base that was raised since says more than it does.
    fn level(&self, component: &str) -> Level {
        self.raised.get(component).map_or(self.base, |raise| raise.level.max(self.base))
    }
}

/// The phase of records about levels.
const PHASE: &str = "log";

#[cfg(test)]
mod tests {
    use super::*;

    fn raise(component: &str, level: &str, seconds: u64) -> Raise {
        Raise::lasting(component, level, Duration::from_secs(seconds), "ada").unwrap()
    }

    fn shown(levels: &Levels) -> Vec<(&'static str, Level)> {
        let report = levels.report();
        let raised = report.components.into_iter().filter(|it| it.raised.is_some());
        raised.map(|it| (it.name, it.level)).collect()
    }

    #[test]
    fn what_is_raised_falls_back_and_the_rest_stays() {
        let levels = Levels::silent();
        let now = Timestamp::UNIX_EPOCH;
        let raises = vec![raise("smtp", "debug", 60), raise("zone", "trace", 0)];
        let events = levels.raise(raises, now).unwrap();
        assert_eq!(events.iter().map(|it| it.component).collect::<Vec<_>>(), ["smtp", "zone"]);
        assert_eq!(shown(&levels), [("smtp", Level::Debug), ("zone", Level::Trace)]);
        let fallen = levels.fall_back(now);
        let [LevelEvent { event: "fell-back", component: "zone", author: None, .. }] = &fallen[..]
        else {
            panic!("{fallen:?}")
        };
        assert_eq!(shown(&levels), [("smtp", Level::Debug)]);
        assert!(levels.fall_back(now).is_empty());
        assert!(levels.next_end().unwrap() > Duration::from_secs(50));
        assert!(levels.reset(Some("zone"), "bob", now).is_empty());
        let reset = levels.reset(None, "bob", now);
        assert_eq!((reset[0].event, reset[0].author.as_deref()), ("reset", Some("bob")));
        assert_eq!((shown(&levels), levels.next_end()), (Vec::new(), None));
    }

    #[test]
    fn another_base_keeps_what_is_raised_and_never_says_less_than_itself() {
        let levels = Levels::silent();
        let now = Timestamp::UNIX_EPOCH;
        levels.raise(vec![raise("smtp", "debug", 60)], now).unwrap();
        for (base, expected) in [
            (Level::Error, Level::Debug),
            (Level::Debug, Level::Debug),
            (Level::Trace, Level::Trace),
            (Level::Info, Level::Debug),
        ] {
            levels.set_base(base);
            assert_eq!(shown(&levels), [("smtp", expected)], "{base}");
        }
    }

    #[test]
    fn only_more_is_a_raise_and_one_fault_changes_nothing() {
        let levels = Levels::silent();
        let raises = vec![raise("smtp", "debug", 60), raise("zone", "info", 60)];
        let fault = levels.raise(raises, Timestamp::UNIX_EPOCH).unwrap_err().to_string();
        assert_eq!(fault, "zone=info says no more than info, which all components say");
        assert!(shown(&levels).is_empty());
    }
}
