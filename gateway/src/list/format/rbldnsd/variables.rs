//! What `$0` to `$9` and `$=` stand for in texts, and texts with these filled in.

use std::borrow::Cow;

use super::super::{LineFault, escaped};

/// Texts are filled in up to this length, in octets: rbldnsd answers with 254, and lists keep less.
const LIMIT: usize = 512;

/// What was set in a dataset; it goes for all its lines, those before it, too.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables<'a> {
    numbered: [Option<&'a str>; 10],
    /// The text that all others are put into.
    base: Option<&'a str>,
}

impl<'a> Variables<'a> {
    /// Sets `0` to `9` or `=`; what is set already stays.
    pub(super) fn set(&mut self, name: &str, text: &'a str) -> Result<(), LineFault> {
        let variable = match name {
            "=" => Some(&mut self.base),
            _ => name.parse().ok().and_then(|number: usize| self.numbered.get_mut(number)),
        };
        match variable.filter(|_variable| name.len() == 1 && !text.is_empty()) {
            Some(variable) => {
                variable.get_or_insert(text);
                Ok(())
            }
            None => Err(LineFault::found(
                name,
                "SOA, NS, TTL, MAXRANGE4 or DATASET after the dollar sign, or 0 to 9 or = and a text",
            )),
        }
    }

    /// `text` with all of them filled in; `$` remains for the address that is asked about, and `$$` for a dollar sign.
    pub(super) fn fill_in(&self, text: &'a str) -> Cow<'a, str> {
        let (template, own) = match (text.strip_prefix('='), self.base) {
            (Some(text), _) => (text, text),
            (None, Some(base)) => (base, text),
            (None, None) if !text.contains('$') => return text.into(),
            (None, None) => (text, text),
        };
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$').filter(|_more| filled.len() < LIMIT)
        {
            filled.push_str(before);
            let mut letters = after.chars();
            let name = letters.next();
            let numbered = name
                .and_then(|letter| letter.to_digit(10))
                .and_then(|digit| self.numbered.get(usize::try_from(digit).ok()?));
            match (name, numbered) {
                (Some('$'), _) => filled.push_str("$$"),
                // The base has a place for the text of an entry; where there is none, the address takes it.
                (Some('='), _) if own.is_empty() => filled.push('$'),
                (Some('='), _) => filled.push_str(&escaped(own)),
                (Some(_), Some(Some(text))) => filled.push_str(&escaped(text)),
                (Some(digit), Some(None)) => filled.extend(['$', '$', digit]),
                (None, _) | (_, None) => filled.push('$'),
            }
            let is_name = matches!(name, Some('$' | '=')) || numbered.is_some();
            rest = if is_name { letters.as_str() } else { after };
        }
        filled.push_str(rest);
        filled.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_filled_in_as_the_manual_says() {
        let mut variables = Variables::default();
        for (name, text) in [("1", "see http://bl.example/$"), ("1", "later"), ("2", "for details")]
        {
            variables.set(name, text).unwrap();
        }
        for (text, expected) in [
            ("plain", "plain"),
            ("$1/spammer/$ $2", "see http://bl.example/$$/spammer/$ for details"),
            ("wants some $$$$. $1", "wants some $$$$. see http://bl.example/$$"),
            ("$3 is not set, $", "$$3 is not set, $"),
            ("$=", "$$="),
            ("=$", "$"),
            ("$a$", "$a$"),
        ] {
            assert_eq!(variables.fill_in(text), expected, "{text}");
        }
        variables.set("=", "see http://bl.example/?$= ($)").unwrap();
        for (text, expected) in [
            ("r123", "see http://bl.example/?r123 ($)"),
            ("", "see http://bl.example/?$ ($)"),
            ("=others about $", "others about $"),
        ] {
            assert_eq!(variables.fill_in(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        let mut variables = Variables::default();
        for (name, text) in [("1", ""), ("10", "x"), ("+1", "x"), ("", "x"), ("foo", "x")] {
            assert!(variables.set(name, text).is_err(), "{name}");
        }
    }

    #[test]
    fn a_text_that_grows_is_cut() {
        let mut variables = Variables::default();
        let long = "x".repeat(60_000);
        variables.set("1", &long).unwrap();
        assert!(variables.fill_in(&"$1".repeat(30_000)).len() < 200_000);
    }
}
