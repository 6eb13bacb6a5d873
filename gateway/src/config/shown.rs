//! The configuration as it is resolved, key by key: what was said and where, else what holds by default; what is secret is not shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::fault::{Findings, Place};
use super::keys::{IfAbsent, Key, TABLES, TableKeys};
use super::reference::is_table;
use super::tree::{Node, Table, Value, parse};
use super::{Config, Override};
use crate::list::{FeedUrl, ListAction};
use crate::policy::Thresholds;

/// What stands in the place of a secret.
const MASK: &str = "…";

/// Keys of which nothing is shown: a hash helps whoever guesses, and somebody may have written a key where its file belongs.
const SECRET: [&str; 2] = ["key_file", "password"];

/// All tables of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The main file.
    pub file: PathBuf,
    /// The top of the file, then each table that there is, in the order of the reference.
    pub tables: Vec<ShownTable>,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownTable {
    /// Its name, with those of the tables around it; empty for the top of the file.
    pub table: &'static str,
    /// Its beginning as it is written: `[score]`, `[[list]]`.
    pub heading: &'static str,
    /// The file and line where it is said; `None` where it is not.
    pub place: Option<String>,
    /// Its keys, in the order of the reference.
    pub keys: Vec<ShownKey>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownKey {
    /// Its name.
    pub key: &'static str,
    /// What holds; `None` where no value says it.
    pub value: Option<Json>,
    /// The same in words, where it follows from something else.
    pub words: Option<&'static str>,
    /// Whether it is said in a file; otherwise it is the default.
    pub said: bool,
    /// Whether something of it is not shown.
    pub masked: bool,
    /// The file and line where it is said.
    pub place: Option<String>,
}

/// The configuration with what commands set in its place.
#[derive(Debug, Serialize)]
pub struct InForce {
    /// What the files say.
    #[serde(flatten)]
    pub shown: Arc<Shown>,
    /// What commands said otherwise.
    pub overrides: Vec<Override>,
    /// Why it is not known what they said.
    pub fault: Option<String>,
}

impl Config {
    /// All that counts now; reads the store.
    pub fn in_force(&self) -> InForce {
        let (overrides, fault) = match self.overrides() {
            Ok(overrides) => (overrides, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        InForce { shown: Arc::clone(&self.shown), overrides, fault }
    }
}

impl Shown {
    /// All tables of `root`, which came from `file` and what lies beside it.
    pub(super) fn new(file: &Path, root: &Table) -> Self {
        let tables = TABLES.iter().flat_map(|keys| of_table(keys, root)).collect();
        Self { file: file.to_owned(), tables }
    }

    /// The same with what `config` makes of keys that follow from others.
    #[must_use]
    pub(super) fn resolved(mut self, config: &Config) -> Self {
        let (mut lists, mut zones) = (config.lists.iter(), config.zones.iter());
        for table in &mut self.tables {
            let known = match table.table {
                "" => vec![("hostname", config.hostname.clone().into())],
                "score" => of_score(config.score.thresholds),
                "list" => lists.next().map_or_else(Vec::new, |it| of_action(it.action, &it.label)),
                "zone" => zones.next().map_or_else(Vec::new, |it| of_action(it.action, &it.label)),
                _ => Vec::new(),
            };
            for (name, value) in known {
                let key = table.keys.iter_mut().find(|key| key.key == name && !key.said);
                if let Some(key) = key {
                    (key.value, key.words) = (Some(value), None);
                }
            }
        }
        self
    }
}

/// Where the bands are, in both ways of writing it.
fn of_score(thresholds: Thresholds) -> Vec<(&'static str, Json)> {
    let percent = thresholds.percent().map(|part| serde_json::to_value(part).unwrap_or_default());
    let scores = [thresholds.delay_from().into(), thresholds.reject_above().into()];
    let names = ["allow", "delay", "reject", "delay_from", "reject_above"];
    names.into_iter().zip(percent.into_iter().chain(scores)).collect()
}

fn of_action(action: ListAction, label: &str) -> Vec<(&'static str, Json)> {
    vec![("action", action.name().into()), ("label", label.into())]
}

/// The table of that name in `root`, or all of them; one that has defaults is there though nobody says it.
fn of_table(keys: &'static TableKeys, root: &Table) -> Vec<ShownTable> {
    let (mut found, mut place, mut is_optional) = (Some(root), None, false);
    let mut around = TABLES.get(..1).unwrap_or_default();
    for name in keys.name.split('.').filter(|name| !name.is_empty()) {
        let key = around.iter().flat_map(|table| table.keys).find(|key| key.name == name);
        is_optional |= key.is_some_and(|key| matches!(key.default, IfAbsent::Words("none")));
        match found.and_then(|table| table.get(name)) {
            Some(Node { value: Value::Array(items), .. }) => {
                let tables = items.iter().filter_map(|Node { place, value }| match value {
                    Value::Table(table) => Some(shown(keys, Some(place), table)),
                    _ => None,
                });
                return tables.collect();
            }
            Some(Node { value: Value::Table(table), place: at }) => {
                (found, place) = (Some(table), Some(at));
            }
            _ => (found, place) = (None, None),
        }
        around = TABLES
            .iter()
            .position(|table| table.name == name)
            .and_then(|index| TABLES.get(index..=index))
            .unwrap_or_default();
    }
    match found {
        Some(table) => vec![shown(keys, place, table)],
        None if is_optional => Vec::new(),
        None => vec![shown(keys, None, &Table::new())],
    }
}

fn shown(keys: &'static TableKeys, place: Option<&Place>, table: &Table) -> ShownTable {
    let of_table = keys.keys.iter().filter(|key| !is_table(keys, key));
    ShownTable {
        table: keys.name,
        heading: keys.heading,
        place: place.map(ToString::to_string),
        keys: of_table.map(|key| shown_key(key, table.get(key.name))).collect(),
    }
}

fn shown_key(key: &Key, node: Option<&Node>) -> ShownKey {
    let name = key.name;
    let absent =
        ShownKey { key: name, value: None, words: None, said: false, masked: false, place: None };
    match (node, key.default) {
        (Some(node), _) => {
            let mut masked = SECRET.contains(&name);
            let value = if masked { MASK.into() } else { json(&node.value, &mut masked) };
            let place = Some(node.place.to_string());
            ShownKey { value: Some(value), said: true, masked, place, ..absent }
        }
        (None, IfAbsent::Value(text)) => ShownKey { value: literal(text), ..absent },
        (None, IfAbsent::Words(words)) => ShownKey { words: Some(words), ..absent },
        (None, IfAbsent::Required) => absent,
    }
}

/// The value that `text` is as TOML.
fn literal(text: &str) -> Option<Json> {
    let file = Path::new("").into();
    let table = parse(&file, &format!("value = {text}"), &Findings::default());
    table.get("value").map(|node| json(&node.value, &mut false))
}

fn json(value: &Value, masked: &mut bool) -> Json {
    match value {
        Value::Text(text) => {
            let shown = without_secrets(text);
            *masked |= shown != *text;
            shown.into()
        }
        Value::Integer(number) => (*number).into(),
        Value::Boolean(boolean) => (*boolean).into(),
        Value::Array(items) => {
            Json::Array(items.iter().map(|item| json(&item.value, masked)).collect())
        }
        Value::Table(table) => {
            let of_one = table.iter().map(|(key, node)| (key.clone(), json(&node.value, masked)));
            Json::Object(of_one.collect::<Map<_, _>>())
        }
        Value::Other(text) => text.as_str().into(),
    }
}

/// Of an address of the web, name, password and query are left out.
fn without_secrets(text: &str) -> String {
    match FeedUrl::parse(text) {
        Ok(url) if url.as_url().query().is_some() || text.contains('@') => url.to_string(),
        _ => match text.split_once("://") {
            Some((scheme, rest)) if rest.contains('@') => {
                let host = rest.rsplit_once('@').map_or(rest, |(_secret, host)| host);
                format!("{scheme}://{MASK}@{host}")
            }
            _ => text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    const TEXT: &str = "state_dir = \"state\"\nhostname = \"mx1.example.org\"\n[score]\nreject_above = 803\ndelay_from = 701\n\
        [[list]]\nname = \"drop\"\nclass = \"global-bad\"\nurl = \"https://me:s3cret@lists.example.org/a?key=s3cret\"\n\
        [[list]]\nname = \"own\"\nclass = \"local-good\"\nfile = \"own.txt\"\n\
        [[zone]]\nname = \"zen.example\"\nclass = \"third-party-bad\"\nkey_file = \"s3cret\"\n";

    fn load(text: &str) -> (Shown, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.toml");
        fs::write(&path, text).unwrap();
        fs::write(folder.path().join("s3cret"), "k3y\n").unwrap();
        let (config, _notices) = Config::load(&path).unwrap();
        (Shown::clone(&config.in_force().shown), path.display().to_string())
    }

    fn key<'a>(shown: &'a Shown, table: &str, index: usize, key: &str) -> &'a ShownKey {
        let table = shown.tables.iter().filter(|it| it.table == table).nth(index).unwrap();
        table.keys.iter().find(|it| it.key == key).unwrap()
    }

    #[test]
    fn each_key_has_what_holds_and_where_it_was_said() {
        let (shown, path) = load(TEXT);
        for (table, index, name, value, line) in [
            ("", 0, "state_dir", json!("state"), Some(1)),
            ("", 0, "hostname", json!("mx1.example.org"), Some(2)),
            ("", 0, "drain", json!("30s"), None),
            ("score", 0, "delay_from", json!(701), Some(5)),
            ("score", 0, "allow", json!(40.2), None),
            ("score.evidence", 0, "helo_forged", json!(150), None),
            ("list", 0, "action", json!("reject"), None),
            ("list", 1, "action", json!("accept"), None),
            ("list", 1, "label", json!("own"), None),
            ("list", 1, "file", json!("own.txt"), Some(13)),
            ("audit.privacy", 0, "helo", json!("keep"), None),
        ] {
            let found = key(&shown, table, index, name);
            let place = line.map(|line: u32| format!("{path}:{line}"));
            assert_eq!((&found.value, &found.place), (&Some(value), &place), "{table} {name}");
            assert_eq!((found.said, found.words), (line.is_some(), None), "{table} {name}");
        }
        let words = key(&shown, "list", 0, "hops");
        assert!(words.value.is_none() && words.words.is_some(), "{words:?}");
        for absent in ["milter", "next_hop", "listener", "tls", "output"] {
            assert!(shown.tables.iter().all(|it| it.table != absent), "{absent}");
        }
    }

    #[test]
    fn what_is_secret_is_shown_nowhere() {
        let (shown, _path) = load(TEXT);
        let url = key(&shown, "list", 0, "url");
        assert_eq!(url.value, Some(json!("https://lists.example.org/a?…")));
        assert!(url.masked && key(&shown, "zone", 0, "key_file").masked);
        assert!(!key(&shown, "list", 1, "file").masked);
        let text = serde_json::to_string(&shown.tables).unwrap();
        assert!(!text.contains("s3cret") && !text.contains("k3y"), "{text}");
        for (text, expected) in [
            ("http://a:b@[2001:db8::1]:3128/x", "http://[2001:db8::1]:3128/x"),
            ("redis://a:b@c@host/x", "redis://…@host/x"),
            ("http://a:b@", "http://…@"),
            ("https://example.org/a@b", "https://example.org/a@b"),
            ("a@b.example", "a@b.example"),
        ] {
            assert_eq!(without_secrets(text), expected);
        }
    }

    #[test]
    fn every_default_is_a_value() {
        for key in TABLES.iter().flat_map(|table| table.keys) {
            if let IfAbsent::Value(text) = key.default {
                assert!(literal(text).is_some(), "{} {text}", key.name);
            }
        }
    }
}
