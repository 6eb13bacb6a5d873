//! Who may import whom in the daemon: each module only what stands above it in the table of `gateway/src/lib.rs`.
//!
//! In one row a module may use what stands to its left, except among the adapters, which do not know each other.

use anyhow::{Result, ensure};

use super::Finding;
use super::sources::Source;

const MAP: &str = "gateway/src/lib.rs";
const MODULES: &str = "gateway/src/";

/// A module's place in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    module: String,
    row: usize,
    is_adapter: bool,
}

/// Every import that goes the wrong way.
pub(crate) fn check(sources: &[Source]) -> Result<Vec<Finding>> {
    let map = sources.iter().find(|source| source.path == MAP);
    let places = map.map(|map| places(&map.text)).unwrap_or_default();
    ensure!(!places.is_empty(), "{MAP}: the table of layers is gone");
    Ok(sources.iter().flat_map(|source| breaches(source, &places)).collect())
}

/// The modules in the rows of the table, in reading order.
fn places(map: &str) -> Vec<Place> {
    let rows = map
        .lines()
        .filter_map(|line| line.strip_prefix("//! |")?.strip_suffix('|'))
        .filter_map(|row| row.split_once('|'))
        .filter(|(layer, _)| !["layer", "---", "contract"].contains(&layer.trim()));
    let mut places = Vec::new();
    for (row, (layer, modules)) in rows.enumerate() {
        for module in modules.split(',') {
            places.push(Place {
                module: module.trim().trim_matches(['[', ']', '`']).to_owned(),
                row,
                is_adapter: layer.trim().starts_with("adapters"),
            });
        }
    }
    places
}

fn breaches(source: &Source, places: &[Place]) -> Vec<Finding> {
    let Some(path) = source.path.strip_prefix(MODULES) else {
        return Vec::new();
    };
    let own = path.split(['/', '.']).next().unwrap_or_default();
    // They hold everything together and stand below everything.
    if matches!(path, "lib.rs" | "main.rs") {
        return Vec::new();
    }
    let rank = |module: &str| places.iter().position(|place| place.module == module);
    let Some(own_rank) = rank(own) else {
        return vec![
            source.finding(1, format!("`{own}` has no place in the table of {MAP}; give it one")),
        ];
    };
    let is_peer = |other: usize| {
        let (own, other) = (places.get(own_rank), places.get(other));
        own.zip(other).is_some_and(|(own, other)| own.is_adapter && own.row == other.row)
    };
    let mut findings = Vec::new();
    for (line, module) in imported(source) {
        let text = match rank(&module) {
            _ if module == own => continue,
            Some(other) if other > own_rank => format!(
                "`{own}` uses `{module}`, which stands below it in {MAP}; pass it what it needs, or move the code"
            ),
            Some(other) if is_peer(other) => format!(
                "`{own}` uses `{module}`, adapters do not know each other; let a module below join them"
            ),
            // What has no place is no module: a macro, or a name that the root re-exports.
            _ => continue,
        };
        findings.push(source.finding(line, text));
    }
    findings
}

/// The first names after `crate::`, and after as many `super::` as lead to the root, each with its line.
fn imported(source: &Source) -> Vec<(usize, String)> {
    let depth = depth(&source.path);
    let mut found = Vec::new();
    let climb = "super::".repeat(depth);
    for start in ["crate::".to_owned(), climb] {
        if start.is_empty() {
            continue;
        }
        for (at, _) in source.code.match_indices(&start) {
            let (before, rest) = source.code.split_at(at);
            let goes_on =
                before.ends_with(|it: char| it.is_alphanumeric() || it == '_' || it == ':');
            let rest = rest.strip_prefix(&start).unwrap_or_default();
            if goes_on || rest.starts_with("super::") {
                continue;
            }
            for (skipped, name) in first_names(rest) {
                let line = 1 + before.matches('\n').count() + skipped;
                found.push((line, name));
            }
        }
    }
    found
}

/// How many `super::` lead from a file's own scope to the root of the crate.
fn depth(path: &str) -> usize {
    let inside = path.strip_prefix(MODULES).unwrap_or_default();
    let parts = inside.split('/').count();
    if inside.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// `a::b` begins with `a`; `{a::{b, c}, d}` with `a` and `d`. Each with the lines before it.
fn first_names(rest: &str) -> Vec<(usize, String)> {
    let word = |text: &str| {
        text.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect::<String>()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![(0, word(rest))];
    };
    let mut names = Vec::new();
    let (mut depth, mut lines, mut expecting) = (1, 0, true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            '\n' => lines += 1,
            ',' if depth == 1 => expecting = true,
            _ if depth == 1 && expecting && !character.is_whitespace() => {
                names.push((lines, word(group.split_at(at).1)));
                expecting = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::sources::Source;
    use super::*;

    const TABLE: &str = "\
//! The map.
//!
//! | layer | modules |
//! |---|---|
//! | contract | `gateway_ebpf`, shared |
//! | ground | [`net`], [`clock`] |
//! | pure core (no sockets) | [`list`], policy |
//! | adapters (one outside thing each) | feed, xdp |
//! | flow | engine |
";

    fn found(path: &str, code: &str) -> Vec<String> {
        let sources = [Source::new(MAP, TABLE), Source::new(path, code)];
        check(&sources).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn imports_go_up_and_to_the_left() {
        for (path, code, breaches) in [
            (
                "gateway/src/policy/mod.rs",
                "use crate::net::Prefix;\nuse crate::list::{List, Class};",
                vec![],
            ),
            (
                "gateway/src/policy/score.rs",
                "use super::Slider;\nuse crate::policy::Verdict;",
                vec![],
            ),
            ("gateway/src/list/mod.rs", "use std::fmt;\nuse crate::policy::Score;", vec![2]),
            ("gateway/src/list/mod.rs", "use super::policy::Score;", vec![1]),
            ("gateway/src/list/entry.rs", "use super::super::policy::Score;", vec![1]),
            ("gateway/src/list/entry.rs", "use super::policy::Score;", vec![]),
            (
                "gateway/src/list/mod.rs",
                "use crate::{\n    net::{Prefix, Hop},\n    policy::Score,\n};",
                vec![3],
            ),
            ("gateway/src/list/mod.rs", "fn a() -> crate::engine::B { todo() }", vec![1]),
            ("gateway/src/list/mod.rs", "// crate::engine is below", vec![]),
            ("gateway/src/xdp/mod.rs", "use crate::feed::File;\nuse crate::list::List;", vec![1]),
            ("gateway/src/engine.rs", "use crate::{feed::File, xdp::Filter};", vec![]),
            ("gateway/src/surprise.rs", "", vec![1]),
            ("gateway/src/main.rs", "use crate::engine::Engine;", vec![]),
            ("xtask/src/main.rs", "use crate::engine::Engine;", vec![]),
        ] {
            let found = found(path, code);
            let expected =
                breaches.iter().map(|line| format!("{path}:{line}: ")).collect::<Vec<_>>();
            assert_eq!(found.len(), expected.len(), "{code}: {found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.starts_with(&expected), "{found}, expected {expected}");
            }
        }
    }

    #[test]
    fn a_table_that_is_gone_is_no_permission() {
        assert!(check(&[Source::new(MAP, "//! The map.\n")]).is_err());
    }
}
