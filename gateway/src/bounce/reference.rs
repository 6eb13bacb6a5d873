//! Finds references in a paragraph: those that are called so, and words that look like one.

use gateway_ebpf::reference::{LETTERS, from_letters};
use serde::Serialize;

/// Digits, and letters, of a word that is taken for a reference though nobody calls it so.
const LIKELY: usize = 2;

/// A reference that stands in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its thirteen letters, in capitals.
    pub reference: String,
    /// Whether the text calls it a reference; otherwise it only looks like one.
    pub named: bool,
}

/// The references in `paragraph`, in order, at most `most` of them.
pub(super) fn references(paragraph: &str, most: usize) -> Vec<Named> {
    let mut words = paragraph
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .peekable();
    let mut before = "";
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let announced = ["reference", "ref", "why"].iter();
        let is_alone = before.is_empty() && words.peek().is_none();
        let is_named = is_alone || announced.clone().any(|it| before.eq_ignore_ascii_case(it));
        before = word;
        let reference = if is_named { read(word) } else { likely(word) };
        found.extend(reference.map(|reference| Named { reference, named: is_named }));
        if found.len() >= most {
            break;
        }
    }
    found
}

/// What somebody may have copied by hand: letters that are not in the alphabet stand for those that they look like.
fn read(word: &str) -> Option<String> {
    let meant = |letter: char| match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        letter => letter,
    };
    let word: String = word.chars().take(LETTERS + 1).map(meant).collect();
    from_letters(&word).map(|_number| word)
}

/// A word of the right letters and length, with digits and letters in it.
fn likely(word: &str) -> Option<String> {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let capitals = word.bytes().filter(u8::is_ascii_uppercase).count();
    let is_likely = digits >= LIKELY && capitals >= LIKELY && digits + capitals == word.len();
    (is_likely && from_letters(word).is_some()).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_what_only_looks_like_one() {
        for (text, expected) in [
            ("x; reference 3Y15F2JPVHMW4", "3Y15F2JPVHMW4!"),
            ("[192.0.2.7] ref 3Y15F2JPVHMW4)", "3Y15F2JPVHMW4!"),
            ("list=\"a\"; reference=3Y15F2JPVHMW4", "3Y15F2JPVHMW4!"),
            ("portcullis why 3y15f2jpvhmw4", "3Y15F2JPVHMW4!"),
            ("Reference: 3YI5F2JPVHMWO", "3Y15F2JPVHMW0!"),
            ("3y15f2jpvhmw4", "3Y15F2JPVHMW4!"),
            ("it was 3Y15F2JPVHMW4, they say", "3Y15F2JPVHMW4"),
            ("it was 3y15f2jpvhmw4", ""),
            ("reference 3Y15F2JPVHMW", ""),
            ("reference 3Y15F2JPVHMW42", ""),
            ("reference number of this", ""),
            ("reference 3Y15F2JPVHMWU", ""),
            ("reference Z000000000000", ""),
            ("id 1234567890123 or ABCDEFGHJKMNP", ""),
            ("", ""),
        ] {
            let found: Vec<_> = references(text, 9)
                .into_iter()
                .map(|found| found.reference + if found.named { "!" } else { "" })
                .collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
    }
}
