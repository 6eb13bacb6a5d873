//! What becomes of a list when other entries take the place of those that it has.

use std::cmp::Ordering;

use serde::Serialize;

use super::Entries;
use crate::net::Prefix;

/// What comes, what goes, what stays; each prefix once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What was not there before.
    pub come: Prefixes,
    /// What is there no more.
    pub go: Prefixes,
    /// What is there before and after.
    pub stay: Prefixes,
}

/// Some prefixes: the first of them, and their number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Prefixes {
    /// All.
    pub count: usize,
    /// The first, in order.
    pub first: Vec<Prefix>,
}

impl Prefixes {
    fn push(&mut self, prefix: Prefix, shown: usize) {
        self.count += 1;
        if self.first.len() < shown {
            self.first.push(prefix);
        }
    }
}

impl Difference {
    /// From `before` to `after`; of each side the first `shown` are named.
    pub fn new(before: &Entries, after: &Entries, shown: usize) -> Self {
        let mut difference = Self::default();
        let (mut before, mut after) = (once_each(before), once_each(after));
        let (mut old, mut new) = (before.next(), after.next());
        loop {
            let order = match (old, new) {
                (None, None) => return difference,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.cmp(&new),
            };
            let (side, prefix) = match order {
                Ordering::Less => (&mut difference.go, old),
                Ordering::Equal => (&mut difference.stay, old),
                Ordering::Greater => (&mut difference.come, new),
            };
            if let Some(prefix) = prefix {
                side.push(prefix, shown);
            }
            if order.is_le() {
                old = before.next();
            }
            if order.is_ge() {
                new = after.next();
            }
        }
    }
}

/// The prefixes in order, each once.
fn once_each(entries: &Entries) -> impl Iterator<Item = Prefix> {
    let mut last = None;
    entries.prefixes().filter(move |prefix| last.replace(*prefix) != Some(*prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_goes_and_stays_is_told_apart() {
        let entries = |text: &str| -> Entries {
            text.split_whitespace().map(|prefix| prefix.parse::<Prefix>().unwrap()).collect()
        };
        for (before, after, come, go, stay) in [
            ("", "", "0:", "0:", "0:"),
            ("", "192.0.2.1 192.0.2.1", "1:192.0.2.1", "0:", "0:"),
            ("192.0.2.1", "", "0:", "1:192.0.2.1", "0:"),
            (
                "192.0.2.1 192.0.2.2",
                "192.0.2.2 192.0.2.3",
                "1:192.0.2.3",
                "1:192.0.2.1",
                "1:192.0.2.2",
            ),
            ("192.0.2.0/24", "192.0.2.0/25 ::1", "2:192.0.2.0/25,::1", "1:192.0.2.0/24", "0:"),
            (
                "192.0.2.1 192.0.2.2 192.0.2.3",
                "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4",
                "1:192.0.2.4",
                "0:",
                "3:192.0.2.1,192.0.2.2",
            ),
        ] {
            let found = Difference::new(&entries(before), &entries(after), 2);
            let told = |side: &Prefixes| {
                let first: Vec<_> = side.first.iter().map(ToString::to_string).collect();
                format!("{}:{}", side.count, first.join(","))
            };
            let told = [&found.come, &found.go, &found.stay].map(told);
            assert_eq!(told, [come, go, stay], "{before} | {after}");
        }
    }
}
