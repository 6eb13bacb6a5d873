//! JSON: written so that no terminal obeys what is in it, read so that nothing in it is taken for granted.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

/// The text of a value, on one line.
pub fn to_string(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(value).map(escaped)
}

/// The text of a value, on several lines.
pub fn to_string_pretty(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value).map(escaped)
}

/// Whether a terminal does something at a letter instead of showing it: it moves the cursor, or changes the direction or the joining of
/// other letters (Unicode TR 36 section 3.1).
pub fn is_obeyed(letter: char) -> bool {
    letter.is_control() || is_turning(letter)
}

/// Whether a letter shows nothing itself but changes how others are shown.
const fn is_turning(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Such letters stand in strings alone, and the format has escapes for all letters there. Those of ASCII but one are escaped already.
fn escaped(text: String) -> String {
    if text.bytes().all(|octet| octet < 0x7f) {
        return text;
    }
    let is_kept = |letter: char| letter == '\n' || !is_obeyed(letter);
    if text.chars().all(is_kept) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_kept(letter) {
            safe.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // Writing to a text cannot fail.
            write!(safe, "\\u{unit:04x}").unwrap_or_default();
        }
    }
    safe
}

/// The items of an array; none of anything else.
pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The items of the array at a JSON pointer.
pub fn items_at<'a>(answer: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    items(answer.pointer(pointer).unwrap_or(&Value::Null))
}

/// A value as people read it: a text without its quotes, `-` where there is nothing.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// The value at a JSON pointer as people read it.
pub fn plain_at(answer: &Value, pointer: &str) -> String {
    plain(answer.pointer(pointer).unwrap_or(&Value::Null))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_an_escape_and_reads_as_before() {
        let text = "\u{1b}[2J \u{7f} \u{9b}2J \u{202e}abc \u{e9} \u{1f600} \n";
        let value = json!({"text": text, "\u{200f}": [text]});
        for written in [to_string(&value).unwrap(), to_string_pretty(&value).unwrap()] {
            let obeyed: Vec<_> = written.chars().filter(|letter| is_obeyed(*letter)).collect();
            assert!(obeyed.iter().all(|letter| *letter == '\n'), "{written:?}");
            assert!(written.contains('\u{e9}') && written.contains('\u{1f600}'), "{written}");
            assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
        }
        assert_eq!(to_string(&"plain").unwrap(), "\"plain\"");
    }
}
