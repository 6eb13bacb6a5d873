//! Takes keys out of a table one by one, records what is wrong with each, goes on.

use std::path::{Path, PathBuf};

use super::fault::{Fault, Findings, Notice, Place};
use super::keys::{TABLES, TableKeys};
use super::tree::{Node, Table, Value, joined};
use super::values::{Parsed, Wrong, text};

/// A value with the key and the place from which it was read.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) key: &'static str,
    pub(super) place: Place,
}

/// One table in the course of being read.
#[derive(Debug)]
pub(super) struct Reader<'f> {
    keys: &'static TableKeys,
    place: Place,
    table: Table,
    findings: &'f Findings,
}

impl<'f> Reader<'f> {
    /// Begins to read `table`, which stands at `place` and knows the keys of `keys`.
    pub(super) fn new(
        keys: &'static TableKeys,
        place: Place,
        table: Table,
        findings: &'f Findings,
    ) -> Self {
        Self { keys, place, table, findings }
    }

    /// The value of `key`; `None` where it is absent or wrong.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Value) -> Parsed<T>,
    ) -> Option<At<T>> {
        let Node { place, value } = self.take(key)?;
        self.parsed(key, place, &value, parse)
    }

    /// The value of `key`; `default` where it is absent or wrong.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl Fn(&Value) -> Parsed<T>,
    ) -> T {
        self.optional(key, parse).map_or(default, |at| at.value)
    }

    /// The value of `key`; that it is absent is a fault, too.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl Fn(&Value) -> Parsed<T>,
    ) -> Option<At<T>> {
        if !self.table.contains_key(key) {
            self.missing(key, expected);
        }
        self.optional(key, parse)
    }

    /// The items of the array `key`, without the wrong ones; `None` where there is no such key.
    pub(super) fn each<T: PartialEq>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Value) -> Parsed<T>,
    ) -> Option<Vec<At<T>>> {
        let Node { place, value } = self.take(key)?;
        let Value::Array(items) = value else {
            self.wrong(key, place, Wrong::expected(&value, "an array"));
            return None;
        };
        let mut all: Vec<At<T>> = Vec::new();
        for Node { place, value } in items {
            let Some(item) = self.parsed(key, place.clone(), &value, &parse) else {
                continue;
            };
            match all.iter().find(|earlier| earlier.value == item.value) {
                Some(earlier) => {
                    let place = &earlier.place;
                    let text = format!("{value} again, first at {place}, expected it once");
                    self.wrong(key, item.place, Wrong::new(text));
                }
                None => all.push(item),
            }
        }
        Some(all)
    }

    /// The one value of `key`, or the items of its array, without the wrong ones.
    pub(super) fn one_or_each<T: PartialEq>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Value) -> Parsed<T>,
    ) -> Option<Vec<At<T>>> {
        match self.table.get(key) {
            Some(Node { value: Value::Array(_), .. }) => self.each(key, parse),
            _ => self.optional(key, parse).map(|one| vec![one]),
        }
    }

    /// The table `name` in this one; an empty one where it is absent or no table.
    pub(super) fn table(&mut self, name: &'static str) -> Self {
        let path = joined(self.keys.name, name);
        let (place, table) = match self.take(name) {
            None => (self.place.clone(), Table::new()),
            Some(Node { place, value }) => match value {
                Value::Table(table) => (place, table),
                value => {
                    self.wrong(
                        name,
                        place.clone(),
                        Wrong::expected(&value, format_args!("a table [{path}]")),
                    );
                    (place, Table::new())
                }
            },
        };
        Self::new(table_keys(&path), place, table, self.findings)
    }

    /// The tables `[[name]]`.
    pub(super) fn tables(&mut self, name: &'static str) -> Vec<Self> {
        let items = match self.take(name) {
            None => Vec::new(),
            Some(Node { place, value }) => match value {
                Value::Array(items) => items,
                value => {
                    let hint = format!("write two brackets: [[{name}]]");
                    let wrong = Wrong::expected(&value, format_args!("tables [[{name}]]"));
                    self.wrong(name, place, wrong.hint(hint));
                    Vec::new()
                }
            },
        };
        let mut readers = Vec::new();
        for Node { place, value } in items {
            match value {
                Value::Table(table) => {
                    readers.push(Self::new(table_keys(name), place, table, self.findings));
                }
                value => {
                    self.wrong(
                        name,
                        place,
                        Wrong::expected(&value, format_args!("tables [[{name}]]")),
                    );
                }
            }
        }
        readers
    }

    /// The file or folder that `key` names, noted as one that is read; a relative one begins in `folder`.
    pub(super) fn file(&mut self, key: &'static str, folder: &Path) -> Option<At<PathBuf>> {
        let At { value, key, place } = self.optional(key, text)?;
        let path = folder.join(value);
        self.reads(&path);
        Some(At { value: path, key, place })
    }

    /// Notes a file or folder that is read now or later.
    pub(super) fn reads(&self, path: &Path) {
        self.findings.file(path);
    }

    /// Whether `key` is there and not yet read.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether each of the arrays `keys` is absent or without items, right or wrong ones.
    pub(super) fn are_empty(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| match self.table.get(*key) {
            Some(Node { value: Value::Array(items), .. }) => items.is_empty(),
            other => other.is_none(),
        })
    }

    /// Takes `key` out without looking at its value.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Node> {
        debug_assert!(self.keys.has(key), "`{key}` is in no table of keys.rs");
        self.table.remove(key)
    }

    /// Where the table begins.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Records that a value is wrong.
    pub(super) fn wrong(&self, key: &str, place: Place, wrong: Wrong) {
        self.findings.fault(Fault {
            place,
            key: joined(self.keys.name, key),
            text: wrong.text,
            hint: wrong.hint,
        });
    }

    /// Records that a value that was read is wrong after all.
    pub(super) fn wrong_at<T>(&self, at: &At<T>, wrong: Wrong) {
        self.wrong(at.key, at.place.clone(), wrong);
    }

    /// Records that `name` was given before, or is one more than the `most` things of that `kind`.
    pub(super) fn only_one(
        &self,
        name: &At<String>,
        names: &mut Vec<At<String>>,
        kind: &str,
        most: usize,
    ) {
        if let Some(earlier) = names.iter().find(|earlier| earlier.value == name.value) {
            let place = &earlier.place;
            let found = format!("{:?}, the name of the {kind} at {place}", name.value);
            self.wrong_at(name, Wrong::expected(&found, "another"));
            return;
        }
        names.push(name.clone());
        if names.len() == most.saturating_add(1) {
            let found = format!("{:?}, {kind} number {}", name.value, names.len());
            self.wrong_at(name, Wrong::expected(&found, format!("at most {most} {kind}s")));
        }
    }

    /// Records that a key is absent.
    pub(super) fn missing(&self, key: &str, expected: &str) {
        self.wrong(key, self.place.clone(), Wrong::expected(&"missing", expected));
    }

    /// Records what an operator should know about a key.
    pub(super) fn notice(&self, key: &str, place: Place, text: impl Into<String>) {
        self.findings.notice(Notice { place, key: joined(self.keys.name, key), text: text.into() });
    }

    /// Ends the reading: keys that nobody took are unknown.
    pub(super) fn finish(mut self) {
        for (key, node) in std::mem::take(&mut self.table) {
            let text = match self.keys.name {
                "" => format!(
                    "unknown key, expected one of the tables or keys at the top: {}",
                    self.keys.names()
                ),
                _ => format!("unknown key, expected one of {}", self.keys.names()),
            };
            let wrong = Wrong { text, hint: self.keys.suggestion(&key) };
            self.wrong(&key, node.place, wrong);
        }
    }

    fn parsed<T>(
        &self,
        key: &'static str,
        place: Place,
        value: &Value,
        parse: impl Fn(&Value) -> Parsed<T>,
    ) -> Option<At<T>> {
        match parse(value) {
            Ok(value) => Some(At { value, key, place }),
            Err(wrong) => {
                self.wrong(key, place, wrong);
                None
            }
        }
    }
}

/// The keys of the table `name`, which has the names of the tables around it before its own.
pub(super) fn table_keys(name: &str) -> &'static TableKeys {
    /// Only a table that is missing in `keys.rs` gets this one; each of its keys is then refused.
    static NONE: TableKeys = TableKeys { name: "?", heading: "", text: "", keys: &[] };
    TABLES.iter().find(|table| table.name == name).unwrap_or(&NONE)
}
