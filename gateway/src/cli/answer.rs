//! Reads what the daemon answered. It may be of another version, so nothing in an answer is taken for granted.

use serde_json::Value;

/// The items of an array; none of anything else.
pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The items of the array at a JSON pointer.
pub(super) fn items_at<'a>(answer: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    items(answer.pointer(pointer).unwrap_or(&Value::Null))
}

/// A value as people read it: a text without its quotes, `-` where there is nothing.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// The value at a JSON pointer as people read it.
pub(super) fn plain_at(answer: &Value, pointer: &str) -> String {
    plain(answer.pointer(pointer).unwrap_or(&Value::Null))
}
