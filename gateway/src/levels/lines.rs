//! The last lines of the log, for whoever has no shell on the host.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use utoipa::ToSchema;

use super::components::of_target;
use super::raise::Level;
use crate::clock::{Clock, Timestamp};

/// Lines of each component that are kept, so that one that says much leaves those of the others.
const KEPT: usize = 200;
/// Letters of a line that are kept.
const LONGEST: usize = 1000;
/// Each decision is a record, which says more, and is kept for longer.
const NOT_KEPT: &str = "decision";

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LogLine)]
pub struct Line {
    /// When it was said.
    pub time: Timestamp,
    /// How much has to be said for it to be said.
    #[schema(value_type = String)]
    pub level: Level,
    /// Which component said it; `other` for a library.
    pub component: &'static str,
    /// What it said, in one line of at most 1,000 letters.
    pub text: String,
}

/// The last lines of each component; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<Kept>>);

/// The lines that are kept, each with its number, since a clock may go back.
#[derive(Debug, Default)]
struct Kept {
    next: u64,
    by_component: BTreeMap<&'static str, VecDeque<(u64, Line)>>,
}

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Of one component; `None` for all.
    pub component: Option<&'static str>,
    /// Of that level and graver ones; `None` for all.
    pub level: Option<Level>,
    /// At most so many.
    pub limit: usize,
}

impl Lines {
    /// The newest lines that are wanted, the newest first.
    pub fn last(&self, wanted: &Wanted) -> Vec<Line> {
        let is_wanted = |line: &Line| {
            wanted.component.is_none_or(|component| component == line.component)
                && wanted.level.is_none_or(|level| line.level <= level)
        };
        let kept = self.kept();
        let all = kept.by_component.values().flatten();
        let mut found: Vec<_> = all.filter(|(_number, line)| is_wanted(line)).collect();
        found.sort_unstable_by_key(|(number, _line)| Reverse(*number));
        found.into_iter().take(wanted.limit).map(|(_number, line)| line.clone()).collect()
    }

    fn keep(&self, line: Line) {
        let mut kept = self.kept();
        let number = kept.next;
        kept.next += 1;
        let lines = kept.by_component.entry(line.component).or_default();
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back((number, line));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut words = Words::default();
        event.record(&mut words);
        let component = of_target(words.target.as_deref().unwrap_or_else(|| metadata.target()));
        if component == NOT_KEPT {
            return;
        }
        let level = level(*metadata.level());
        self.keep(Line { time: Clock::System.now(), level, component, text: words.into_line() });
    }
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

/// The words of a line in the making.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
    /// That of a library that logs by the crate `log`: for `tracing` all of these have one.
    target: Option<String>,
}

impl Words {
    fn into_line(self) -> String {
        let Self { mut message, fields, .. } = self;
        message.push_str(&fields);
        let one_line = message.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
        one_line.take(LONGEST).collect()
    }
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.target = Some(value.to_owned());
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            // Where in the source of a library it is.
            name if name.starts_with("log.") => Ok(()),
            name => write!(self.fields, " {name}={value:?}"),
        };
        // Writing into a text does not fail.
        written.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use tracing::{debug, error, info, warn};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn said(work: impl FnOnce()) -> Lines {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(lines.clone());
        tracing::subscriber::with_default(subscriber, work);
        lines
    }

    fn texts(lines: &Lines, component: Option<&'static str>, level: Option<Level>) -> Vec<String> {
        let found = lines.last(&Wanted { component, level, limit: 3 });
        found
            .into_iter()
            .map(|line| format!("{} {}: {}", line.level, line.component, line.text))
            .collect()
    }

    #[test]
    fn the_last_lines_are_told_by_component_and_level() {
        let lines = said(|| {
            for number in 0..KEPT + 100 {
                debug!(target: "smtp", "line {number}");
            }
            warn!(target: "gateway::xdp::attach", interface = "eth0", "no\nlink\u{1b}[2J");
            info!(target: "decision", "each is a record");
            error!(target: "rustls::conn", "{}", "x".repeat(5000));
            // As libraries come that log by another crate.
            warn!(target: "log", { log.target = "aya_ebpf::x", log.file = "/src/x.rs" }, "loaded");
            warn!(target: "log", { log.target = "gateway::xdp", log.line = 7 }, "said by it");
        });
        assert_eq!(
            texts(&lines, Some("smtp"), None),
            ["debug smtp: line 299", "debug smtp: line 298", "debug smtp: line 297"]
        );
        let grave = texts(&lines, None, Some(Level::Warn));
        assert_eq!(grave[..2], ["warn xdp: said by it", "warn other: loaded"]);
        assert_eq!(grave[2].len(), "error other: ".len() + LONGEST);
        let of_xdp = texts(&lines, Some("xdp"), None);
        assert_eq!(of_xdp[1], "warn xdp: no link [2J interface=\"eth0\"");
        assert_eq!(texts(&lines, Some("decision"), None), [""; 0]);
        let all = lines.last(&Wanted { limit: usize::MAX, ..Wanted::default() });
        assert_eq!(all.len(), KEPT + 4);
        assert!(all.is_sorted_by_key(|line| Reverse(line.time)));
    }
}
