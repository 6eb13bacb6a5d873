//! The entries of a list that count at a time, those of all its sources together.

use std::iter::{self, Peekable};

use super::{Entry, Loaded};
use crate::clock::Timestamp;

impl Loaded {
    /// The entries of all parts that count at `now`, in order; of one prefix in several parts the entry that lasts longest.
    pub fn in_force(&self, now: Timestamp) -> impl Iterator<Item = Entry> {
        let counts = move |entry: &Entry| entry.expires.is_none_or(|expires| expires.is_after(now));
        let parts = self.parts.iter().map(|part| part.entries.iter().filter(counts).peekable());
        let mut parts: Vec<_> = parts.collect();
        iter::from_fn(move || {
            let next = parts.iter_mut().filter_map(|part| Some(part.peek()?.prefix)).min()?;
            let of_prefix = parts.iter_mut().filter_map(|part| {
                let same = iter::from_fn(|| Peekable::next_if(part, |entry| entry.prefix == next));
                same.max_by_key(lasting)
            });
            of_prefix.max_by_key(lasting)
        })
    }
}

/// The later an entry ends, the more this is.
fn lasting(entry: &Entry) -> impl Ord + use<> {
    (entry.expires.is_none(), entry.expires)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Expiry;
    use crate::list::{Class, Entries, List, ListAction, Listed, Origin, Part, Remark};

    /// The entries of `LINE PREFIX [END]`, where an end is a second.
    fn part(rows: &[(u32, &str, Option<i64>)]) -> Part {
        let mut entries = Entries::builder();
        for &(line, prefix, end) in rows {
            let end = end.map(|second| Expiry::at(Timestamp::from_second(second).unwrap()));
            let prefix = prefix.parse().unwrap();
            entries.push(Listed { prefix, line, remark: Remark::default(), expires: end });
        }
        Part { origin: Arc::new(Origin::Put), entries: Arc::new(entries.finish()) }
    }

    #[test]
    fn the_parts_of_a_list_are_one_with_each_prefix_once() {
        let parts = vec![
            part(&[
                (1, "192.0.2.0/24", None),
                (2, "192.0.2.7", Some(50)),
                (3, "2001:db8::/32", None),
            ]),
            part(&[(4, "192.0.2.7", None), (5, "192.0.2.0/25", Some(10)), (6, "10.0.0.0/8", None)]),
            part(&[]),
            part(&[
                (7, "192.0.2.7", Some(70)),
                (8, "2001:db8::/32", Some(70)),
                (9, "192.0.2.9", Some(70)),
            ]),
        ];
        let list = Arc::new(List::new("x", Class::LocalBad, ListAction::Reject));
        let loaded = Loaded { list, parts };
        let shown = |second| -> Vec<String> {
            let now = Timestamp::from_second(second).unwrap();
            loaded.in_force(now).map(|entry| format!("{} {}", entry.line, entry.prefix)).collect()
        };
        let always = ["6 10.0.0.0/8", "1 192.0.2.0/24", "4 192.0.2.7", "3 2001:db8::/32"];
        assert_eq!(shown(100), always);
        assert_eq!(
            shown(0),
            [
                "6 10.0.0.0/8",
                "1 192.0.2.0/24",
                "5 192.0.2.0/25",
                "4 192.0.2.7",
                "9 192.0.2.9",
                "3 2001:db8::/32"
            ]
        );
    }
}
