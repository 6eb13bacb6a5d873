//! The texts of files that an import comes to: list files, and the TOML that names them.

use std::path::Path;

use serde::Serialize;

use crate::list::{Class, Imported, Taken};
use crate::net::Prefix;

/// The name of the file with the TOML.
pub(super) const CONFIG: &str = "imported.toml";

/// What an import comes to.
#[derive(Debug)]
pub(super) struct Written {
    /// The lists that have entries.
    pub(super) lists: Vec<WrittenList>,
    /// The TOML.
    pub(super) config: String,
}

/// One list.
#[derive(Debug, Serialize)]
pub(super) struct WrittenList {
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    pub(super) enforce: bool,
    /// The name of its file.
    pub(super) file: String,
    pub(super) entries: usize,
    /// What is in that file.
    #[serde(skip)]
    pub(super) text: String,
}

impl Written {
    pub(super) fn new(source: &Path, imported: &Imported) -> Self {
        let source = source.file_name().unwrap_or_default().to_string_lossy();
        let source = source.escape_debug().to_string();
        let kinds = [(true, true), (true, false), (false, true), (false, false)];
        let lists: Vec<_> = kinds
            .into_iter()
            .filter_map(|(allows, enabled)| list(&source, imported, allows, enabled))
            .collect();
        let mut config = format!(
            "# What {source} of an old gateway allows and blocks; made by `portcullis import`.\n"
        );
        config.extend(lists.iter().map(list_table));
        config.extend(imported.zones.iter().map(zone_table));
        Self { lists, config }
    }
}

/// The list of all that is allowed or blocked, in force or switched off; `None` where that is nothing.
fn list(source: &str, imported: &Imported, allows: bool, enabled: bool) -> Option<WrittenList> {
    let is_in = |taken: &&Taken<Prefix>| (taken.allows, taken.enabled) == (allows, enabled);
    let taken: Vec<_> = imported.connections.iter().filter(is_in).collect();
    let (name, class, what) = match (allows, enabled) {
        (true, true) => ("allowed-connections", Class::LocalGood, "allowed"),
        (true, false) => ("allowed-connections-off", Class::LocalGood, "allowed, but switched off"),
        (false, true) => ("blocked-connections", Class::LocalBad, "blocked"),
        (false, false) => ("blocked-connections-off", Class::LocalBad, "blocked, but switched off"),
    };
    let lines = taken.iter().flat_map(|Taken { what, line, comments, .. }| {
        // Two of them, since what stands after one may mean something.
        let comments = comments.iter().map(|comment| format!("## {comment}\n"));
        comments.chain([format!("{what} # line {line} of {source}\n")])
    });
    let text = std::iter::once(format!("# What was {what} by {source}\n")).chain(lines).collect();
    let list = WrittenList {
        name,
        class: class.name(),
        enforce: enabled,
        file: format!("{name}.txt"),
        entries: taken.len(),
        text,
    };
    (list.entries > 0).then_some(list)
}

fn list_table(list: &WrittenList) -> String {
    let WrittenList { name, class, enforce, file, .. } = list;
    format!(
        "\n[[list]]\nname = \"{name}\"\nclass = \"{class}\"\nfile = \"{file}\"\nformat = \"plain\"\n{}",
        dry_run(*enforce)
    )
}

/// The name may hold a key, so that the label must not be made of it.
fn zone_table(zone: &Taken<String>) -> String {
    let (label, action) = if zone.allows {
        ("a DNS list of good senders", "accept")
    } else {
        ("a DNS list of bad senders", "reject")
    };
    let (name, class) = (&zone.what, zone_class(zone));
    format!(
        "\n[[zone]]\nname = \"{name}\"\nlabel = \"{label}\"\nclass = \"{class}\"\naction = \"{action}\"\n{}",
        dry_run(zone.enabled)
    )
}

/// What was switched off is recorded, and nothing is done about it.
fn dry_run(enforce: bool) -> &'static str {
    if enforce { "" } else { "enforce = false  # switched off there\n" }
}

/// The class of a DNS list.
pub(super) const fn zone_class(zone: &Taken<String>) -> &'static str {
    if zone.allows { "third-party-good" } else { "third-party-bad" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::list::{Format, Reading, import, parse};

    fn written(text: &str) -> Written {
        Written::new(Path::new("/etc/old/a\n\"b.txt"), &import(text.as_bytes()).unwrap())
    }

    #[test]
    fn a_list_file_holds_what_was_there_with_its_lines_and_comments() {
        let written = written(
            "dn: x\n# branch\nAC: 192.0.2.0/255.255.255.0\nAC: 2001:db8::7:+\nRC: 192.0.2.9:-\n",
        );
        let names: Vec<_> =
            written.lists.iter().map(|list| (list.name, list.enforce, list.entries)).collect();
        assert_eq!(
            names,
            [("allowed-connections", true, 2), ("blocked-connections-off", false, 1)]
        );
        assert_eq!(
            written.lists[0].text,
            "# What was allowed by a\\n\\\"b.txt\n## branch\n192.0.2.0/24 # line 3 of a\\n\\\"b.txt\n2001:db8::7 # line 4 of a\\n\\\"b.txt\n"
        );
        let reading = Reading { format: None, as_of: Timestamp::UNIX_EPOCH, foreign: false };
        let parsed = parse(written.lists[0].text.as_bytes(), reading);
        assert_eq!(
            (parsed.format, parsed.entries.len(), parsed.rejected.count),
            (Format::Plain, 2, 0)
        );
    }

    #[test]
    fn what_the_comments_say_makes_no_other_format_of_a_list_file() {
        for comment in [
            "$DATASET ip4set @",
            ":127.0.0.2:x",
            "empty",
            "$SOA",
            "Entries : 7 unique IPs",
            "{",
            "!192.0.2.1",
        ] {
            let written = written(&format!("dn: x\n#{comment}\n#{comment}\nAC: 192.0.2.7\n"));
            let reading = Reading { format: None, as_of: Timestamp::UNIX_EPOCH, foreign: false };
            let parsed = parse(written.lists[0].text.as_bytes(), reading);
            assert_eq!(
                (parsed.format, parsed.entries.len(), parsed.announced),
                (Format::Plain, 1, None),
                "{comment}"
            );
        }
    }

    #[test]
    fn nothing_is_named_that_is_not_there() {
        let written = written("dn: x\nAS: a@b\n");
        assert!(written.lists.is_empty() && !written.config.contains('['), "{}", written.config);
    }
}
