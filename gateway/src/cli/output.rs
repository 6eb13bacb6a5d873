//! Prints: JSON for machines, tables with colour for people on a terminal.

use std::fmt::Display;
use std::io::{self, Write};

use owo_colors::{OwoColorize, Stream};
use serde::Serialize;

use super::Failure;
use super::safe::safe_lines;
use crate::json;
use crate::policy::Action;

/// Prints `value` as indented JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    Ok(writeln!(out, "{}", json::to_string_pretty(value)?)?)
}

/// Prints `value` as JSON in one line.
pub(super) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    Ok(writeln!(out, "{}", json::to_string(value)?)?)
}

/// Prints `answer` as JSON, or as `show` does for people.
pub(super) fn answer<T: Serialize>(
    is_json: bool,
    answer: &T,
    show: impl FnOnce(&T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if is_json { json(answer) } else { show(answer) }
}

/// Prints one line.
pub(super) fn line(text: impl Display) -> Result<(), Failure> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// Prints a headline.
pub(super) fn headline(text: impl Display) -> Result<(), Failure> {
    line(text.if_supports_color(Stream::Stdout, |text| text.bold()))
}

/// Prints a `name: value` line with the names in one column.
pub(super) fn field(name: &str, value: impl Display) -> Result<(), Failure> {
    line(format_args!(
        "  {:<16} {value}",
        name.if_supports_color(Stream::Stdout, |text| text.dimmed())
    ))
}

/// A text in the colour of its meaning.
pub(super) fn coloured(text: impl Display, meaning: Meaning) -> String {
    let text = text.to_string();
    match meaning {
        Meaning::Good => text.if_supports_color(Stream::Stdout, |text| text.green()).to_string(),
        Meaning::Doubtful => {
            text.if_supports_color(Stream::Stdout, |text| text.yellow()).to_string()
        }
        Meaning::Bad => text.if_supports_color(Stream::Stdout, |text| text.red()).to_string(),
    }
}

/// What a colour means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Green.
    Good,
    /// Yellow.
    Doubtful,
    /// Red.
    Bad,
}

/// The colour of an action.
pub(super) const fn meaning(action: Action) -> Meaning {
    match action {
        Action::Accept | Action::Observe | Action::Tag => Meaning::Good,
        Action::Quarantine | Action::Defer => Meaning::Doubtful,
        Action::Discard | Action::RejectMessage | Action::Reject => Meaning::Bad,
    }
}

/// Says on standard error what is wrong, with a hint on its own line.
pub(super) fn complain(text: &str, hint: Option<&str>) {
    let mut err = io::stderr().lock();
    let error = "error:".if_supports_color(Stream::Stderr, |text| text.red()).to_string();
    // Where standard error is closed there is nobody left to tell.
    drop(writeln!(err, "{error} {}", safe_lines(text)));
    if let Some(hint) = hint {
        let word = "hint:".if_supports_color(Stream::Stderr, |text| text.cyan()).to_string();
        drop(writeln!(err, "{word} {}", safe_lines(hint)));
    }
}

/// Says on standard error how things go, where standard output has another use.
pub(super) fn note(text: impl Display) {
    // Where standard error is closed there is nobody left to tell.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Says on standard error what the operator should know.
pub(super) fn warn(text: impl Display) {
    let mut err = io::stderr().lock();
    let word = "warning:".if_supports_color(Stream::Stderr, |text| text.yellow()).to_string();
    drop(writeln!(err, "{word} {text}"));
}
