//! `portcullis doctor`: what this host has of all that the kernel filter needs, tried and not guessed.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::output::{self, Meaning};
use super::{Exit, Failure};
use crate::config::Config;
use crate::rights::{self, Confinement, Reach};
use crate::xdp;
use crate::xdp::probe::{self, Finding, InterfaceFindings};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    ok: bool,
    kernel: Option<String>,
    minimum: String,
    features: Vec<Finding>,
    interfaces: Vec<InterfaceFindings>,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = config_or_default(config);
    let mut features = probe::host(&config);
    features.extend(landlock());
    let interfaces = probe::interfaces(&config);
    let of_interfaces = interfaces.iter().flat_map(|interface| &interface.findings);
    let answer = Answer {
        ok: !features.iter().chain(of_interfaces).any(Finding::is_fault),
        kernel: probe::release().ok(),
        minimum: xdp::features::MINIMUM.to_string(),
        features,
        interfaces,
    };
    if options.json {
        output::json(&answer)?;
    } else {
        show(&answer)?;
    }
    Ok(if answer.ok { Exit::Done } else { Exit::Missing })
}

/// Whether files can be put out of the daemon's reach: tried on a thread that reaches nothing afterwards, and ends.
fn landlock() -> Option<Finding> {
    let tried = std::thread::spawn(|| rights::confine(&Reach::default())).join().ok()?;
    let (works, found) = match tried {
        Ok(confinement) => {
            (confinement == Confinement::Full, confinement.reason().map(ToOwned::to_owned))
        }
        Err(error) => (false, Some(error.to_string())),
    };
    Some(Finding {
        name: "files out of reach (Landlock)",
        since: Some("5.13".to_owned()),
        works: Some(works),
        found,
        optional: true,
        without: "the daemon reaches all files that its user does",
        remedy:
            "a kernel with CONFIG_SECURITY_LANDLOCK, and `landlock` among those that `lsm=` names"
                .to_owned(),
    })
}

/// A host is looked at before it has a configuration, too.
fn config_or_default(path: &Path) -> xdp::Config {
    match Config::load(path) {
        Ok((config, _notices)) => config.xdp,
        Err(faults) => {
            output::warn(format_args!(
                "the defaults are looked at instead of {}: {faults}",
                path.display()
            ));
            xdp::Config::default()
        }
    }
}

fn show(answer: &Answer) -> Result<(), Failure> {
    let kernel = answer.kernel.as_deref().unwrap_or("of unknown version");
    output::headline(format_args!(
        "Linux {kernel} (the filter needs {} or later)",
        answer.minimum
    ))?;
    answer.features.iter().try_for_each(show_finding)?;
    if answer.interfaces.is_empty() {
        output::headline("No interface to filter on")?;
    }
    for InterfaceFindings { interface, findings } in &answer.interfaces {
        output::headline(format_args!("Interface {interface}"))?;
        findings.iter().try_for_each(show_finding)?;
    }
    Ok(())
}

fn show_finding(finding: &Finding) -> Result<(), Failure> {
    let (word, meaning) = match finding.works {
        Some(true) => ("yes", Meaning::Good),
        Some(false) if finding.is_fault() => ("NO", Meaning::Bad),
        Some(false) => ("no", Meaning::Doubtful),
        None => ("?", Meaning::Doubtful),
    };
    let since = finding.since.as_ref().map(|since| format!(", Linux {since}")).unwrap_or_default();
    let found = finding.found.as_ref().map(|found| format!(": {found}")).unwrap_or_default();
    // Blanks after the word, not in it: colours have no width.
    let gap = " ".repeat(4_usize.saturating_sub(word.len()));
    let word = output::coloured(word, meaning);
    output::line(format_args!("  {word}{gap}{}{since}{found}", finding.name))?;
    if finding.works == Some(false) {
        output::line(format_args!("      without it: {}", finding.without))?;
        output::line(format_args!("      what to do: {}", finding.remedy))?;
    }
    Ok(())
}
