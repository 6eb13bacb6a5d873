//! Takes from a text what mail programs, browsers and quoting did to it, and makes paragraphs of one line each.

use std::borrow::Cow;

/// Tags that mail programs write, and what stands in their place.
const TAGS: [(&str, &str); 33] = [
    ("a", ""),
    ("b", ""),
    ("blockquote", "\n\n"),
    ("body", "\n"),
    ("br", "\n"),
    ("code", ""),
    ("div", "\n"),
    ("em", ""),
    ("font", ""),
    ("h1", "\n\n"),
    ("h2", "\n\n"),
    ("h3", "\n\n"),
    ("head", ""),
    ("hr", "\n\n"),
    ("html", ""),
    ("i", ""),
    ("img", ""),
    ("li", "\n"),
    ("meta", ""),
    ("o:p", ""),
    ("ol", "\n"),
    ("p", "\n\n"),
    ("pre", "\n\n"),
    ("small", ""),
    ("span", ""),
    ("strong", ""),
    ("table", "\n\n"),
    ("tbody", ""),
    ("td", " "),
    ("th", " "),
    ("tr", "\n"),
    ("tt", ""),
    ("ul", "\n"),
];

/// How often something may have been escaped on its way through several programs.
const ESCAPED: usize = 2;

/// The same text as it was before it was quoted, marked up or escaped, with no control but the ends of lines.
pub(super) fn cleaned(text: &str, is_html: bool) -> String {
    let text = if is_html || has_tags(text) { without_tags(text).into() } else { text.into() };
    let text =
        (0..ESCAPED).fold(
            text,
            |text: Cow<'_, str>, _again| {
                if text.contains('&') { unescaped(&text).into() } else { text }
            },
        );
    let mut clean = String::with_capacity(text.len());
    for line in text.lines() {
        let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
        clean.extend(unquoted(line).trim_end().chars().map(printable));
        clean.push('\n');
    }
    clean
}

/// The paragraphs of a text that is clean: each on one line, with single blanks.
pub(super) fn paragraphs(clean: &str) -> Vec<String> {
    let (mut all, mut open) = (Vec::new(), String::new());
    let mut goes_on = None;
    for line in clean.lines() {
        let line = line.trim();
        if line.is_empty() {
            goes_on = None;
            if !open.is_empty() {
                all.push(std::mem::take(&mut open));
            }
            continue;
        }
        let (code, said) = continued(line, goes_on);
        goes_on = code;
        // An end of line that quoted-printable put in.
        if open.ends_with('=') {
            open.pop();
        } else if !open.is_empty() {
            open.push(' ');
        }
        let mut words = said.split_whitespace();
        open.extend(words.next());
        for word in words {
            open.push(' ');
            open.push_str(word);
        }
    }
    if !open.is_empty() {
        all.push(open);
    }
    all
}

/// A line of a reply that has more than one says its code each time: which code goes on, and the line without the code
/// that the line before, of code `before`, has said already.
fn continued<'line>(line: &'line str, before: Option<&str>) -> (Option<&'line str>, &'line str) {
    let Some((code, rest)) = line.split_at_checked(3) else { return (None, line) };
    let is_code = code.bytes().all(|octet| octet.is_ascii_digit());
    let goes_on = (is_code && rest.starts_with('-')).then_some(code);
    if before != Some(code) || !rest.starts_with(['-', ' ']) {
        return (goes_on, line);
    }
    let rest = rest.get(1..).unwrap_or_default();
    let is_enhanced = |word: &&str| {
        word.split('.').count() == 3
            && word.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.')
    };
    let first = rest.split(' ').next().filter(is_enhanced).unwrap_or_default();
    (goes_on, rest.strip_prefix(first).unwrap_or(rest))
}

/// A line without the marks of those who quoted it.
fn unquoted(line: &str) -> &str {
    let mut line = line;
    while let Some(rest) = line.trim_start().strip_prefix(['>', '|']) {
        line = rest.strip_prefix(' ').unwrap_or(rest);
    }
    line
}

fn has_tags(text: &str) -> bool {
    ["<br", "<BR", "</p>", "</P>", "</div>", "</td>", "</span>", "</pre>", "</tt>", "</html>"]
        .iter()
        .any(|tag| text.contains(tag))
}

/// Addresses stand in angle brackets, too, so that only tags that are known are taken out.
fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        plain.push_str(before);
        let known = stands_for(tag);
        match known.and_then(|instead| tag.split_once('>').map(|(_, after)| (instead, after))) {
            Some((instead, after)) => {
                plain.push_str(instead);
                rest = after;
            }
            // No tag ends any more.
            None if known.is_some() => {
                rest = tag;
                break;
            }
            None => {
                plain.push('<');
                rest = tag;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// What stands in the place of the tag that begins with `tag`; `None` where none does that is known.
fn stands_for(tag: &str) -> Option<&'static str> {
    let tag = tag.strip_prefix('/').unwrap_or(tag);
    let name: String = tag
        .chars()
        .take(12)
        .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == ':')
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    let ends = tag
        .get(name.len()..)?
        .starts_with(|next: char| next == '>' || next == '/' || next.is_whitespace());
    let known = TAGS.iter().find(|(known, _)| *known == name)?;
    ends.then_some(known.1)
}

fn unescaped(text: &str) -> String {
    /// Longer names are none that matter here.
    const LONGEST: usize = 8;
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('&') {
        plain.push_str(before);
        let end = escape.bytes().take(LONGEST).position(|octet| octet == b';');
        let meant = end.and_then(|end| Some((letter(escape.get(..end)?)?, escape.get(end + 1..)?)));
        rest = if let Some((letter, after)) = meant {
            plain.push(letter);
            after
        } else {
            plain.push('&');
            escape
        };
    }
    plain.push_str(rest);
    plain
}

fn letter(name: &str) -> Option<char> {
    let number = |digits: &str| match digits.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => digits.parse().ok(),
    };
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => number(name.strip_prefix('#')?).and_then(char::from_u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_paste_is_what_was_said() {
        for (text, expected) in [
            ("one\ntwo\n\nthree", "one two|three"),
            ("  one   two\r\n\tthree\r\n \r\n", "one two three"),
            ("> one\n> > two\n>\n>three", "one two|three"),
            ("| one\n|two", "one two"),
            (
                "&lt;a@example.com&gt;: a &amp; b &#39;c&#x27; &unknown; &",
                "<a@example.com>: a & b 'c' &unknown; &",
            ),
            ("&amp;lt;a&amp;gt;", "<a>"),
            (
                "<p>one<br>two</p><DIV class=\"x\">three</DIV> <a@example.com>",
                "one two|three <a@example.com>",
            ),
            ("a < b, <bold> and <br x", "a < b, <bold> and br x"),
            ("wrapped by quoted-prin=\ntable", "wrapped by quoted-printable"),
            ("554-5.7.1 you are not\n554 5.7.1 allowed", "554-5.7.1 you are not allowed"),
            ("554-one\n554-two\n554 three\n554 four", "554-one two three 554 four"),
            ("550-one\n554 two", "550-one 554 two"),
            ("a\u{1b}[2Jb\u{9b}c\0", "a [2Jb c"),
            ("", ""),
        ] {
            assert_eq!(paragraphs(&cleaned(text, false)).join("|"), expected, "{text:?}");
        }
    }

    #[test]
    fn hostile_markup_costs_time_in_proportion_to_its_length() {
        for piece in ["<br", "<", "&", "&#", "</p>", ">", "=\n", "554-\n", "> > "] {
            let started = tokio::time::Instant::now();
            let text = piece.repeat(1 << 15);
            assert!(paragraphs(&cleaned(&text, true)).len() <= 1, "{piece:?}");
            assert!(started.elapsed().as_secs() < 5, "{piece:?}");
        }
    }
}
