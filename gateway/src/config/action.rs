//! What is done about a match of a list or a zone: the keys `action` with `weight`, and `hops`.

use super::reader::{At, Reader};
use super::tree::Value;
use super::values::{Parsed, Wrong, choice, integer};
use crate::list::{HopScope, ListAction, Weight};

/// What one kind of table may do.
#[derive(Debug)]
pub(super) struct Allowed {
    /// The class that says so; `None` where it is wrong itself.
    pub(super) class: Option<&'static str>,
    /// The actions of the class, the default first.
    pub(super) actions: Vec<ListAction>,
    /// Whether there is a score to which a match can add.
    pub(super) score_enabled: bool,
    /// Whether all that can match has a weight of its own.
    pub(super) has_own_weights: bool,
}

/// What may be done about addresses that are listed as bad; the default first.
pub(super) fn bad_actions() -> Vec<ListAction> {
    vec![
        ListAction::Reject,
        ListAction::Defer,
        ListAction::Score(Weight::default()),
        ListAction::Observe,
        ListAction::Tag,
        ListAction::Quarantine,
        ListAction::RejectMessage,
        ListAction::Discard,
    ]
}

/// Reads `action` with `weight`.
pub(super) fn action(reader: &mut Reader<'_>, allowed: &Allowed) -> Option<ListAction> {
    let has_weight = reader.has("weight");
    let weight = reader.optional("weight", weight);
    let default = allowed.actions.first().copied()?;
    let action = if reader.has("action") {
        reader.optional("action", |value| one_action(value, allowed))
    } else {
        Some(At { value: default, key: "action", place: reader.place().clone() })
    };
    // Where the action itself is wrong, nobody can say whether a weight belongs to it.
    let action = action?;
    match (action.value, weight) {
        (ListAction::Score(_), None) if !has_weight && !allowed.has_own_weights => {
            let wrong = Wrong::expected(&"\"score\" without weight", "weight, -1000 to 1000");
            reader.wrong_at(&action, wrong);
        }
        (ListAction::Score(_), given) => {
            if !allowed.score_enabled {
                let text = "\"score\" has no effect, since [score] is not enabled";
                reader.notice(action.key, action.place.clone(), text);
            }
            return Some(ListAction::Score(given.map(|at| at.value).unwrap_or_default()));
        }
        (_, None) => (),
        (other, Some(weight)) => {
            let found = format!("{} with action {:?}", weight.value.value(), other.name());
            let wrong = Wrong::expected(&found, "a weight with action \"score\" only");
            reader.wrong_at(&weight, wrong);
        }
    }
    Some(action.value)
}

/// Reads `hops`; what is looked at by default follows from the action.
pub(super) fn hops(reader: &mut Reader<'_>) -> Option<HopScope> {
    let scope = choice(&[
        ("connect", HopScope::Connect),
        ("unauthenticated", HopScope::Unauthenticated),
        ("all", HopScope::All),
    ]);
    reader.optional("hops", scope).map(|at| at.value)
}

fn one_action(value: &Value, allowed: &Allowed) -> Parsed<ListAction> {
    let words: Vec<_> = allowed.actions.iter().map(|action| (action.name(), *action)).collect();
    choice(&words)(value).map_err(|wrong| match (value, allowed.class) {
        (Value::Text(_), Some(class)) => {
            let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            Wrong::expected(value, format_args!("one of {} for class \"{class}\"", all.join(", ")))
        }
        _ => wrong,
    })
}

fn weight(value: &Value) -> Parsed<Weight> {
    let number = integer(-1000..=1000_i64)(value)?;
    Weight::new(number).ok_or_else(|| Wrong::expected(value, "a number from -1000 to 1000"))
}
