//! What this kernel cannot do at all: a list in the repository, each line of which is tried.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use harness::netns::NetNs;
use serde::{Deserialize, Serialize};

const LIST: &str = "tests/unsupported.toml";

/// Something that some kernels cannot do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feature {
    /// What it is called.
    pub(crate) name: String,
    /// A command that works in a fresh network namespace where the feature is there.
    #[serde(skip_serializing)]
    probe: Vec<String>,
    /// Why it is not there.
    pub(crate) reason: String,
    /// How the same is tested without it.
    pub(crate) instead: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    feature: Vec<Feature>,
}

/// The features of the list that this kernel does not have; without root nothing can be tried.
pub(crate) fn here(root: &Path) -> Result<Vec<Feature>> {
    let text = fs::read_to_string(root.join(LIST)).context(LIST)?;
    let mut features = toml::from_str::<List>(&text).context(LIST)?.feature;
    if !rustix::process::geteuid().is_root() {
        return Ok(Vec::new());
    }
    let host = NetNs::new("probe")?;
    let mut supported = Vec::new();
    for feature in &features {
        supported.push(try_out(&host, feature)?);
    }
    let mut supported = supported.into_iter();
    features.retain(|_| supported.next() != Some(true));
    Ok(features)
}

fn try_out(host: &NetNs, feature: &Feature) -> Result<bool> {
    let (program, arguments) = feature
        .probe
        .split_first()
        .with_context(|| format!("{LIST}: `{}` has an empty probe", feature.name))?;
    let mut command: Command = host.command(program);
    Ok(command.args(arguments).output()?.status.success())
}
