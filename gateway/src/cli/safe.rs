//! Shows what strangers wrote so that it can neither move the cursor nor turn the line round.

use std::fmt::Write as _;

use crate::json::is_obeyed;

/// The text on one line: whatever a terminal would obey is written as an escape.
pub(super) fn safe(text: &str) -> String {
    escaped(text, false)
}

/// The same for a text of several lines.
pub(super) fn safe_lines(text: &str) -> String {
    escaped(text.trim_end(), true)
}

fn escaped(text: &str, has_lines: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if has_lines && letters.peek() == Some(&'\n') => {}
            '\n' if has_lines => shown.push('\n'),
            '\t' if has_lines => shown.push('\t'),
            letter if is_obeyed(letter) => {
                let written = write!(shown, "{}", letter.escape_unicode());
                debug_assert!(written.is_ok(), "writing to a string cannot fail");
            }
            letter => shown.push(letter),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing() {
        for (text, line, lines) in [
            ("plain", "plain", "plain"),
            ("caf\u{e9}", "caf\u{e9}", "caf\u{e9}"),
            ("\u{1b}[2J", "\\u{1b}[2J", "\\u{1b}[2J"),
            ("a\r\nb", "a\\u{d}\\u{a}b", "a\nb"),
            ("a\rb", "a\\u{d}b", "a\\u{d}b"),
            ("a\tb", "a\\u{9}b", "a\tb"),
            ("\u{9b}31m", "\\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}b", "a\\u{202e}b", "a\\u{202e}b"),
            ("\u{7f}", "\\u{7f}", "\\u{7f}"),
        ] {
            assert_eq!((safe(text), safe_lines(text)), (line.to_owned(), lines.to_owned()));
        }
    }
}
