//! Licence expressions of packages: whether one can be satisfied with licences that are allowed.

/// Whether `expression` (SPDX, or the older form with slashes) can be satisfied with licences that `is_allowed` takes.
pub(crate) fn is_satisfied(expression: &str, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().collect::<Vec<_>>();
    words.reverse();
    let satisfied = either(&mut words, is_allowed);
    satisfied && words.is_empty()
}

/// The words still to come, the next one last.
type Words<'a> = Vec<&'a str>;

fn either(words: &mut Words<'_>, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut satisfied = both(words, is_allowed);
    while words.pop_if(|word| *word == "OR").is_some() {
        satisfied |= both(words, is_allowed);
    }
    satisfied
}

fn both(words: &mut Words<'_>, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut satisfied = one(words, is_allowed);
    while words.pop_if(|word| *word == "AND").is_some() {
        satisfied &= one(words, is_allowed);
    }
    satisfied
}

/// One licence, or an expression in parentheses. An exception only ever permits more.
fn one(words: &mut Words<'_>, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let satisfied = match words.pop() {
        Some("(") => {
            let inner = either(words, is_allowed);
            inner && words.pop() == Some(")")
        }
        Some(licence) => is_allowed(licence),
        None => false,
    };
    if words.pop_if(|word| *word == "WITH").is_some() {
        words.pop();
    }
    satisfied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_satisfied_or_not() {
        let is_allowed = |licence: &str| ["MIT", "Apache-2.0", "Unicode-3.0"].contains(&licence);
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0/MIT", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND GPL-3.0", false),
            ("GPL-3.0 AND MIT OR Apache-2.0", true),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
            ("GPL-2.0 WITH Linux-syscall-note", false),
            ("", false),
            ("MIT OR", true),
            ("(MIT", false),
            ("MIT MIT", false),
        ] {
            assert_eq!(is_satisfied(expression, &is_allowed), expected, "{expression}");
        }
    }
}
