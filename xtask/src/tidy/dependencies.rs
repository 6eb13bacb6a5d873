//! Licences and duplicate versions of dependencies: by cargo-deny where it is installed, otherwise by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use harness::needs::find;
use serde::Deserialize;

use super::Finding;
use super::licence::is_satisfied;
use crate::step::captured;

const RULES: &str = "deny.toml";
const LOCK: &str = "Cargo.lock";

/// The keys of `deny.toml` that this check knows, too.
#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// Licences that one package alone may have.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    package: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    #[serde(default)]
    skip: Vec<Skip>,
}

/// `name@version`, where the version may end early.
#[derive(Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    package: String,
}

impl Skip {
    fn matches(&self, package: &Package) -> bool {
        let (name, version) = self.package.split_once('@').unwrap_or((&self.package, ""));
        let rest = package.version.strip_prefix(version);
        name == package.name
            && rest
                .is_some_and(|rest| version.is_empty() || rest.is_empty() || rest.starts_with('.'))
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A package of the dependency graph.
#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// Empty for the packages of this repository.
    source: Option<String>,
}

/// What is wrong with the dependencies.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    if find("cargo-deny").is_some() {
        return Ok(by_cargo_deny(root));
    }
    let rules = fs::read_to_string(root.join(RULES)).context(RULES)?;
    let rules = toml::from_str::<Rules>(&rules).context(RULES)?;
    let metadata = captured(
        Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root),
    )?;
    let metadata = serde_json::from_str::<Metadata>(&metadata)?;
    let lock = fs::read_to_string(root.join(LOCK)).context(LOCK)?;
    Ok(by_hand(&rules, &metadata.packages, &lock))
}

fn by_cargo_deny(root: &Path) -> Vec<Finding> {
    let mut command = Command::new("cargo");
    command.args(["deny", "--all-features", "check", "licenses", "bans", "sources"]);
    let failed = captured(command.current_dir(root)).err();
    failed.into_iter().map(|error| finding(RULES, 1, format!("{error:#}"))).collect()
}

fn by_hand(rules: &Rules, packages: &[Package], lock: &str) -> Vec<Finding> {
    let Licenses { allow, exceptions } = &rules.licenses;
    let mut findings = Vec::new();
    let mut versions = BTreeMap::<&str, Vec<&Package>>::new();
    for package in packages.iter().filter(|package| package.source.is_some()) {
        let Package { name, version, .. } = package;
        let licence = package.license.as_deref().unwrap_or("no licence");
        let own = exceptions.iter().filter(|exception| exception.package == *name);
        let own: Vec<_> = own.flat_map(|exception| &exception.allow).collect();
        let is_allowed =
            |licence: &str| allow.iter().chain(own.iter().copied()).any(|it| it == licence);
        if !is_satisfied(licence, &is_allowed) {
            findings.push(finding(
                LOCK,
                line_of(lock, package),
                format!("{name} {version} is under `{licence}`, which {RULES} does not allow; do without it"),
            ));
        }
        if !rules.bans.skip.iter().any(|skip| skip.matches(package)) {
            versions.entry(name).or_default().push(package);
        }
    }
    for (name, several) in versions.into_iter().filter(|(_, several)| several.len() > 1) {
        let all = several.iter().map(|package| package.version.as_str()).collect::<Vec<_>>();
        findings.extend(several.first().map(|first| {
            let all = all.join(", ");
            let text = format!("{name} is there in versions {all}; `cargo tree -i {name}@VERSION` says who asks for it; update, or skip it in {RULES} with the reason");
            finding(LOCK, line_of(lock, first), text)
        }));
    }
    findings
}

fn finding(file: &str, line: usize, text: String) -> Finding {
    Finding { file: file.to_owned(), line, text }
}

fn line_of(lock: &str, package: &Package) -> usize {
    let name = format!("name = \"{}\"", package.name);
    let version = format!("version = \"{}\"", package.version);
    let lines = lock.lines().collect::<Vec<_>>();
    lines
        .windows(2)
        .position(|pair| pair == [name.as_str(), version.as_str()])
        .map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, license: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            license: Some(license.to_owned()),
            source: Some("registry".to_owned()),
        }
    }

    #[test]
    fn finds_licences_and_duplicates() {
        let rules = toml::from_str::<Rules>(
            "[licenses]\nallow = [\"MIT\"]\n[bans]\nskip = [{ crate = \"old@1\" }]\n",
        )
        .unwrap();
        let packages = [
            package("fine", "1.0.0", "MIT OR Apache-2.0"),
            package("viral", "2.0.0", "GPL-3.0"),
            package("old", "1.4.0", "MIT"),
            package("old", "2.0.0", "MIT"),
            package("twice", "1.0.0", "MIT"),
            package("twice", "10.0.0", "MIT"),
        ];
        let lock = "[[package]]\nname = \"viral\"\nversion = \"2.0.0\"\n\n[[package]]\nname = \"twice\"\nversion = \"1.0.0\"\n";
        let found = by_hand(&rules, &packages, lock);
        let found = found.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("Cargo.lock:2: viral 2.0.0 is under `GPL-3.0`"));
        assert!(found[1].starts_with("Cargo.lock:6: twice is there in versions 1.0.0, 10.0.0"));
    }
}
