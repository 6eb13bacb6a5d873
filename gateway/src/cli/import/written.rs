//! The texts of files that an import comes to: list files, and the TOML that names them.

use std::path::Path;

use serde::Serialize;

use crate::list::{Class, Imported, Taken};
use crate::net::Prefix;
use crate::zone::{MOST_ZONES, ended};

/// The name of the file with the TOML.
pub(super) const CONFIG: &str = "imported.toml";

/// What an import comes to.
#[derive(Debug)]
pub(super) struct Written {
    /// The lists that have entries.
    pub(super) lists: Vec<WrittenList>,
    /// The public name of each DNS list, in their order.
    pub(super) zones: Vec<String>,
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
        let zones = zone_names(&imported.zones);
        let tables = (0..).zip(imported.zones.iter().zip(&zones));
        config.extend(tables.map(|(before, (zone, name))| zone_table(before, zone, name)));
        Self { lists, zones, config }
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

/// From so many letters on the first label of a zone is held for an access key; those of zones without one are short.
const KEY_FROM: usize = 20;

/// A name for each zone that is its own, without an access key.
fn zone_names(zones: &[Taken<String>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for zone in zones {
        let name = keyed(&zone.what).unwrap_or(&zone.what);
        let kind = if zone.allows { "good" } else { "bad" };
        let more = (2..).map(|number| format!("{name}-{kind}-{number}"));
        let mut all = [name.to_owned(), format!("{name}-{kind}")].into_iter().chain(more);
        names.extend(all.find(|name| !names.contains(name)));
    }
    names
}

/// The domain behind an access key; `None` where there is none.
fn keyed(domain: &str) -> Option<&str> {
    let (first, rest) = domain.split_once('.')?;
    let is_key = first.len() >= KEY_FROM && first.bytes().all(|it| it.is_ascii_alphanumeric());
    (is_key && rest.contains('.')).then_some(rest)
}

/// The table of a zone, after `before` others: as comments where it should not be asked as it stands.
fn zone_table(before: usize, zone: &Taken<String>, name: &str) -> String {
    let (label, action) = if zone.allows {
        ("a DNS list of good senders", "accept")
    } else {
        ("a DNS list of bad senders", "reject")
    };
    let behind_key = keyed(&zone.what);
    let domain = behind_key.unwrap_or(&zone.what);
    let doubt = if let Some(what) = ended(domain) {
        Some(format!("{domain}: {what}"))
    } else if before >= MOST_ZONES {
        Some(format!("more than {MOST_ZONES} zones cannot be asked"))
    } else {
        behind_key.map(|_domain| {
            let line = zone.line;
            format!("the name in line {line} begins with an access key: write it into the file of `key_file`")
        })
    };
    let asked = if name == domain { String::new() } else { format!("domain = \"{domain}\"\n") };
    let key = behind_key.map(|_domain| format!("key_file = \"{name}.key\"\n")).unwrap_or_default();
    let (class, dry_run) = (zone_class(zone), dry_run(zone.enabled));
    let table = format!(
        "[[zone]]\nname = \"{name}\"\n{asked}{key}label = \"{label}\"\nclass = \"{class}\"\naction = \"{action}\"\n{dry_run}"
    );
    match doubt {
        None => format!("\n{table}"),
        Some(doubt) => {
            let lines = table.lines().map(|line| format!("# {line}\n"));
            std::iter::once(format!("\n# Not asked; {doubt}.\n")).chain(lines).collect()
        }
    }
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
    fn a_zone_that_should_not_be_asked_stands_in_comments() {
        let key = "abcdefghij0123456789klmnop";
        let written = written(&format!(
            "dn: x\nBL: {key}.zen.example.net\nBL: dul.dnsbl.sorbs.net\nBL: a.example\nWL: a.example:-\n"
        ));
        assert!(!written.config.contains(key), "{}", written.config);
        assert_eq!(
            written.zones,
            ["zen.example.net", "dul.dnsbl.sorbs.net", "a.example", "a.example-good"]
        );
        let (_, tables) = written.config.split_once("\n\n").unwrap();
        assert_eq!(
            tables,
            "# Not asked; the name in line 2 begins with an access key: write it into the file of `key_file`.\n\
             # [[zone]]\n# name = \"zen.example.net\"\n# key_file = \"zen.example.net.key\"\n\
             # label = \"a DNS list of bad senders\"\n# class = \"third-party-bad\"\n# action = \"reject\"\n\
             \n# Not asked; dul.dnsbl.sorbs.net: it ended in June 2024.\n\
             # [[zone]]\n# name = \"dul.dnsbl.sorbs.net\"\n\
             # label = \"a DNS list of bad senders\"\n# class = \"third-party-bad\"\n# action = \"reject\"\n\
             \n[[zone]]\nname = \"a.example\"\n\
             label = \"a DNS list of bad senders\"\nclass = \"third-party-bad\"\naction = \"reject\"\n\
             \n[[zone]]\nname = \"a.example-good\"\ndomain = \"a.example\"\n\
             label = \"a DNS list of good senders\"\nclass = \"third-party-good\"\naction = \"accept\"\n\
             enforce = false  # switched off there\n"
        );
    }

    #[test]
    fn nothing_is_named_that_is_not_there() {
        let written = written("dn: x\nAS: a@b\n");
        assert!(written.lists.is_empty() && !written.config.contains('['), "{}", written.config);
    }
}
