//! What the kernel filter needs: of the kernel, and of each interface.

use rustix::process::geteuid;
use serde::Serialize;

use super::check::{Check, State};
use super::{Daemon, network, show_line};
use crate::cli::{Failure, output};
use crate::rights::{self, Confinement, Reach};
use crate::xdp;
use crate::xdp::probe::{self, Finding};

/// A finding with its state.
#[derive(Serialize)]
pub(super) struct Shown {
    state: State,
    #[serde(flatten)]
    finding: Finding,
}

/// What was found on one interface.
#[derive(Serialize)]
pub(super) struct InterfaceAnswer {
    pub(super) interface: String,
    pub(super) findings: Vec<Shown>,
    pub(super) checks: Vec<Check>,
}

impl InterfaceAnswer {
    /// Whether something there does not work.
    pub(super) fn is_bad(&self) -> bool {
        let of_checks = self.checks.iter().any(|check| check.state == State::Bad);
        of_checks || self.findings.iter().any(Shown::is_bad)
    }
}

impl Shown {
    fn new(finding: Finding) -> Self {
        let state = match finding.works {
            Some(true) => State::Ok,
            Some(false) if finding.is_fault() => State::Bad,
            Some(false) => State::Doubtful,
            None => State::Unseen,
        };
        Self { state, finding }
    }

    /// Whether something is lost.
    pub(super) fn is_bad(&self) -> bool {
        self.state == State::Bad
    }

    /// For people; what works without it and what to do is said where it is missing.
    pub(super) fn show(&self) -> Result<(), Failure> {
        let Self { state, finding } = self;
        let since = finding.since.as_ref().map(|since| format!(", Linux {since}"));
        let name = format!("{}{}", finding.name, since.unwrap_or_default());
        show_line(*state, &name, finding.found.as_deref())?;
        if *state == State::Unseen && finding.remedy.starts_with("portcullis doctor") {
            output::line(format_args!("             what to do: {}", finding.remedy))?;
        }
        if finding.works == Some(false) {
            output::line(format_args!("             without it: {}", finding.without))?;
            output::line(format_args!("             what to do: {}", finding.remedy))?;
        }
        Ok(())
    }
}

/// What the host has. What an ordinary user may not try says nothing of the daemon, which may.
pub(super) fn host(filter: &xdp::Config) -> Vec<Shown> {
    let mut all: Vec<_> =
        probe::host(filter).into_iter().chain(landlock()).map(Shown::new).collect();
    let has_rights = all.iter().all(|it| it.finding.name != "rights" || !it.is_bad());
    if !has_rights && !geteuid().is_root() {
        let of_rights = ["rights", "BPF system call"];
        for shown in all.iter_mut().filter(|it| of_rights.contains(&it.finding.name)) {
            shown.state = State::Unseen;
            shown.finding.works = None;
            "portcullis doctor, as root".clone_into(&mut shown.finding.remedy);
        }
    }
    all
}

/// What each interface has that the filter is to run on.
pub(super) fn interfaces(filter: &xdp::Config, daemon: &Daemon) -> Vec<InterfaceAnswer> {
    let running = xdp::inspect(filter).ok().map(|found| found.interfaces).unwrap_or_default();
    let found = probe::interfaces(filter).into_iter();
    found
        .map(|found| InterfaceAnswer {
            checks: network::checks(&found.interface, &running, daemon),
            findings: found.findings.into_iter().map(Shown::new).collect(),
            interface: found.interface,
        })
        .collect()
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
