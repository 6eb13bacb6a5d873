//! Configuration files as one tree of values, each with the place where it is written.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Findings, Place};

/// The keys of one table.
pub(super) type Table = BTreeMap<String, Node>;

/// One value. The place of a key's value is the line of the key, which is what an operator looks for.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A value as TOML has it.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(Table),
    /// What no key takes: floats, dates, integers beyond 64 bits.
    Other(String),
}

impl fmt::Display for Value {
    /// As an operator wrote it, cut where it is long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) if text.chars().count() > 80 => {
                write!(f, "{:?}…", text.chars().take(80).collect::<String>())
            }
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => number.fmt(f),
            Self::Boolean(boolean) => boolean.fmt(f),
            Self::Array(_) => f.write_str("an array"),
            Self::Table(_) => f.write_str("a table"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Reads `main` and what lies in `conf.d` beside it, in the order of the names, as one tree.
pub(super) fn read_files(main: &Path, findings: &Findings) -> Table {
    let mut root = Table::new();
    for file in [main.to_owned()].into_iter().chain(drop_ins(main, findings)) {
        let file: Arc<Path> = file.into();
        match std::fs::read_to_string(&file) {
            Ok(text) => merge(&mut root, parse(&file, &text, findings), "", findings),
            Err(error) => findings.fault(file_fault(file, &error, "a readable file of TOML")),
        }
    }
    root
}

/// Reads the text of one file; what is no TOML becomes a fault, the rest is there all the same.
pub(super) fn parse(file: &Arc<Path>, text: &str, findings: &Findings) -> Table {
    let lines = Lines::new(file, text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let start = error.span().map_or(0, |span| span.start);
        findings.fault(Fault {
            place: lines.place(start),
            key: String::new(),
            text: error.message().replace('\n', ", "),
            hint: None,
        });
    }
    lines.table(root.into_inner())
}

/// Adds `added` to `table`: tables are merged, arrays appended; any other key may be there once.
fn merge(table: &mut Table, added: Table, path: &str, findings: &Findings) {
    for (key, node) in added {
        let path = joined(path, &key);
        match table.entry(key) {
            Entry::Vacant(vacant) => drop(vacant.insert(node)),
            Entry::Occupied(mut occupied) => {
                let Node { place, value } = occupied.get_mut();
                match (value, node.value) {
                    (Value::Table(old), Value::Table(new)) => merge(old, new, &path, findings),
                    (Value::Array(old), Value::Array(new)) => old.extend(new),
                    (old, new) => findings.fault(Fault {
                        text: format!("{new} here, {old} at {place}, expected one of them"),
                        place: node.place,
                        key: path,
                        hint: None,
                    }),
                }
            }
        }
    }
}

/// The name of a key with the tables around it.
pub(super) fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn drop_ins(main: &Path, findings: &Findings) -> Vec<PathBuf> {
    let folder = main.with_file_name("conf.d");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            findings.fault(file_fault(folder.into(), &error, "a readable folder or none"));
            return Vec::new();
        }
    };
    let is_drop_in = |path: &PathBuf| {
        let name = path.file_name().map_or(&[][..], |name| name.as_encoded_bytes());
        name.ends_with(b".toml") && !name.starts_with(b".")
    };
    let mut files: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_drop_in).collect();
    files.sort();
    files
}

fn file_fault(file: Arc<Path>, error: &std::io::Error, expected: &str) -> Fault {
    Fault {
        place: Place { file, line: 0 },
        key: String::new(),
        text: format!("{error}, expected {expected}"),
        hint: Some("give another file with --config; the README has a first one".to_owned()),
    }
}

/// Knows in which line of a file an octet stands.
struct Lines<'a> {
    file: &'a Arc<Path>,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(file: &'a Arc<Path>, text: &str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(newline, _)| newline.saturating_add(1));
        Self { file, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    fn place(&self, octet: usize) -> Place {
        Place {
            file: Arc::clone(self.file),
            line: self.starts.partition_point(|&start| start <= octet),
        }
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        table
            .into_iter()
            .map(|(key, value)| {
                let node = Node {
                    place: self.place(key.span().start),
                    value: self.value(value.into_inner()),
                };
                (key.into_inner().into_owned(), node)
            })
            .collect()
    }

    fn node(&self, value: Spanned<DeValue<'_>>) -> Node {
        Node { place: self.place(value.span().start), value: self.value(value.into_inner()) }
    }

    fn value(&self, value: DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Value::Other(number.to_string()), Value::Integer),
            DeValue::Float(number) => Value::Other(number.to_string()),
            DeValue::Boolean(boolean) => Value::Boolean(boolean),
            DeValue::Datetime(datetime) => Value::Other(datetime.to_string()),
            DeValue::Array(items) => {
                Value::Array(items.into_iter().map(|item| self.node(item)).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table)),
        }
    }
}
