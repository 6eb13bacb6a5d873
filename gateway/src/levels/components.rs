//! The components of the log: the one list of all targets that the code uses.

use super::raise::LevelFault;

/// A part of the daemon that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub name: &'static str,
    /// How the targets of its lines begin.
    pub(super) targets: &'static [&'static str],
    /// What it tells of.
    pub about: &'static str,
}

/// All of them, in the order of their names.
pub const COMPONENTS: [Component; 30] = [
    of("alarm", &["alarm"], "what is wrong, and when that is over"),
    of("audit", &["audit"], "the trail of records, and its store"),
    of(
        "decision",
        &["decision"],
        "each decision; at debug, those that let in without a word against it",
    ),
    of("dns", &["dns"], "the resolvers"),
    of("hand-over", &["hand-over"], "the change from one daemon to the next"),
    of("host", &["host"], "what this host itself depends on"),
    of("kernel", &["kernel"], "at debug, each event of the kernel filter"),
    of("list", &["list"], "lists: read, changed, refused"),
    of("log", &["log"], "what is raised here, and when it falls back"),
    of("milter", &["milter"], "mail servers that ask by the milter protocol"),
    of(
        "next-hop",
        &["next-hop"],
        "connections to next hops, at debug what each client's begins with",
    ),
    of("pause", &["pause"], "pauses"),
    of("postfix-policy", &["postfix_policy"], "mail servers that ask by the policy protocol"),
    of("promotion", &["promotion"], "who goes into the list `auto`"),
    of("quarantine", &["quarantine"], "messages that are held back"),
    of("refresh", &["refresh"], "the thread that reads lists"),
    of("reload", &["reload"], "the configuration, read again"),
    of("review", &["review"], "reviews of addresses: asked for, ended"),
    of("rules", &["rules"], "the rules that follow from lists"),
    of("scan", &["scan"], "at debug, the hops of each message"),
    of(
        "senders",
        &["senders"],
        "what is remembered of senders; at debug, each answer of the greylist",
    ),
    of("slider", &["slider"], "the thresholds of the score: set by hand, reset"),
    of("smtp", &["smtp"], "the SMTP proxy"),
    of("start", &["start"], "the start of the daemon"),
    of("stop", &["stop"], "its end"),
    of("tap", &["tap"], "who follows an address"),
    of("tls", &["tls"], "certificates"),
    of("web", &["web"], "the control centre"),
    of("xdp", &["xdp", "gateway::xdp"], "the kernel filter: how it is loaded, attached, filled"),
    of("zone", &["zone"], "how zones are; at debug, what they answer for each address"),
];

const fn of(
    name: &'static str,
    targets: &'static [&'static str],
    about: &'static str,
) -> Component {
    Component { name, targets, about }
}

/// What libraries say is of no component.
pub const OTHER: &str = "other";

/// The component of a line by its target, or [`OTHER`].
pub(super) fn of_target(target: &str) -> &'static str {
    let is_it = |it: &&Component| it.targets.iter().any(|begin| target.starts_with(begin));
    COMPONENTS.iter().find(is_it).map_or(OTHER, |it| it.name)
}

/// The name of the component that somebody names.
pub fn component(name: &str) -> Result<&'static str, LevelFault> {
    let mut all = COMPONENTS.iter();
    let found = all.find(|component| component.name == name).map(|component| component.name);
    found.ok_or_else(|| LevelFault::Component { name: name.into() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    const MACROS: [&str; 5] = ["trace!(", "debug!(", "info!(", "warn!(", "error!("];

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    /// The module of a file of this crate, as it is a target where none is named.
    fn module(root: &Path, file: &Path) -> String {
        let inside = file.strip_prefix(root).unwrap().with_extension("");
        let parts = inside.iter().map(|part| part.to_str().unwrap()).filter(|part| *part != "mod");
        std::iter::once("gateway").chain(parts).collect::<Vec<_>>().join("::")
    }

    /// The targets of the lines that a file may say.
    fn targets(text: &str, module: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut places: Vec<_> = MACROS.iter().flat_map(|name| text.match_indices(name)).collect();
        places.sort_unstable();
        for (at, name) in places {
            let rest = text.get(at + name.len()..).unwrap().trim_start();
            match rest.strip_prefix("target: \"") {
                Some(target) => found.push(target.split('"').next().unwrap().to_owned()),
                None => found.push(module.to_owned()),
            }
        }
        found
    }

    #[test]
    fn each_target_of_the_code_is_of_one_component_and_each_component_is_in_the_code() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        sources(&root, &mut files);
        let mut used = BTreeSet::new();
        // Their own tests say what nobody says.
        let is_test = |file: &&PathBuf| {
            ["components.rs", "lines.rs"]
                .iter()
                .any(|it| file.ends_with(Path::new("levels").join(it)))
        };
        for file in files.iter().filter(|file| !is_test(file)) {
            let text = fs::read_to_string(file).unwrap();
            used.extend(targets(&text, &module(&root, file)));
        }
        for target in &used {
            let of: Vec<_> = COMPONENTS
                .iter()
                .filter(|it| it.targets.iter().any(|begin| target.starts_with(begin)))
                .collect();
            assert_eq!(of.len(), 1, "{target} is of {of:?}: name it in `COMPONENTS`");
        }
        for component in COMPONENTS {
            let is_used = |begin: &&str| used.iter().any(|target| target.starts_with(begin));
            assert!(component.targets.iter().all(is_used), "{component:?} says nothing");
        }
        assert!(COMPONENTS.is_sorted_by_key(|component| component.name));
    }

    #[test]
    fn targets_are_found() {
        for (text, expected) in [
            ("info!(target: \"a\", \"x\")", vec!["a"]),
            ("info!(\n    target: \"b\",\n    \"x\")", vec!["b"]),
            ("tracing::warn!(\"{error}\");", vec!["gateway::x"]),
            ("debug!(x = 1, \"y\"); trace!(target: \"c\", \"z\")", vec!["gateway::x", "c"]),
            ("let error = information(1);", vec![]),
        ] {
            assert_eq!(targets(text, "gateway::x"), expected, "{text}");
        }
        let root = Path::new("/src");
        assert_eq!(module(root, Path::new("/src/xdp/mod.rs")), "gateway::xdp");
        assert_eq!(module(root, Path::new("/src/xdp/log.rs")), "gateway::xdp::log");
    }
}
