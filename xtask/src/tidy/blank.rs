//! Rust source with its comments and literals blanked, so that words found in it are code.

use std::iter::Peekable;
use std::str::Chars;

/// `source` with everything in comments, strings and character literals replaced by blanks, line by line.
pub(crate) fn blanked(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source.chars().peekable();
    let mut last = ' ';
    while let Some(next) = rest.next() {
        match (next, rest.peek()) {
            ('/', Some('/')) => skip_line(&mut rest, &mut code),
            ('/', Some('*')) => skip_block(&mut rest, &mut code),
            ('"', _) => skip_string(&mut rest, &mut code),
            ('r', Some('"' | '#')) if !is_word(last) || last == 'b' => {
                skip_raw(&mut rest, &mut code);
            }
            ('\'', _) => skip_character(&mut rest, &mut code),
            _ => code.push(next),
        }
        last = next;
    }
    code
}

type Rest<'a> = Peekable<Chars<'a>>;

fn skip_line(rest: &mut Rest<'_>, code: &mut String) {
    while rest.next_if(|next| *next != '\n').is_some() {
        code.push(' ');
    }
}

/// Block comments nest.
fn skip_block(rest: &mut Rest<'_>, code: &mut String) {
    let mut depth = 1;
    let mut last = rest.next().unwrap_or_default();
    while depth > 0 {
        let Some(next) = rest.next() else { return };
        match (last, next) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {}
        }
        blank(next, code);
        last = next;
    }
}

fn skip_string(rest: &mut Rest<'_>, code: &mut String) {
    code.push('"');
    while let Some(next) = rest.next() {
        match next {
            '"' => break,
            '\\' => blank(rest.next().unwrap_or_default(), code),
            _ => blank(next, code),
        }
    }
    code.push('"');
}

/// `r"…"`, `r#"…"#`; a raw identifier such as `r#type` is code.
fn skip_raw(rest: &mut Rest<'_>, code: &mut String) {
    let mut hashes = 0;
    while rest.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if rest.next_if_eq(&'"').is_none() {
        return;
    }
    code.push('"');
    while let Some(next) = rest.next() {
        if next == '"' && (0..hashes).all(|_| rest.next_if_eq(&'#').is_some()) {
            break;
        }
        blank(next, code);
    }
    code.push('"');
}

/// A character literal, unless it is a lifetime.
fn skip_character(rest: &mut Rest<'_>, code: &mut String) {
    let mut ahead = rest.clone();
    let first = ahead.next();
    let is_literal = first == Some('\\') || ahead.next() == Some('\'');
    if !is_literal {
        return code.push('\'');
    }
    while let Some(next) = rest.next() {
        match next {
            '\'' => return,
            '\\' => rest.next().map_or((), |escaped| blank(escaped, code)),
            _ => blank(next, code),
        }
    }
}

fn blank(character: char, code: &mut String) {
    code.push(if character == '\n' { '\n' } else { ' ' });
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_left() {
        for (source, left) in [
            ("a // b\nc", "a\nc"),
            ("a /* b /* c */ d */ e", "a e"),
            ("a(\"b\\\"c\") d", "a(\"\") d"),
            ("a(r#\"b\"c\"#) d", "a(\"\") d"),
            ("a(br\"b\") d", "a(b\"\") d"),
            ("r#type a", "type a"),
            ("a('\"') b", "a() b"),
            ("a('\\'') b", "a() b"),
            ("fn a<'b>(c: &'b str) { \"d\" }", "fn a<'b>(c: &'b str) { \"\" }"),
            ("\"a\nb\" c", "\"\n\" c"),
        ] {
            let found = blanked(source);
            assert_eq!(found.replace(' ', ""), left.replace(' ', ""), "{source}");
            assert_eq!(found.lines().count(), source.lines().count(), "{source}");
        }
    }
}
