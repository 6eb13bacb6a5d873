//! What the kernel filter needs: of the kernel, and of each interface.

use rustix::process::geteuid;
use serde::Serialize;
use utoipa::ToSchema;

use super::check::{Check, State};
use super::{AS_ROOT, Daemon, network};
use crate::rights::{self, Confinement, Reach};
use crate::xdp;
use crate::xdp::probe::{self, Finding};

/// A finding with its state.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// How it is.
    pub state: State,
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
}

/// What was found on one interface.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DoctorInterface)]
pub struct InterfaceAnswer {
    /// Its name.
    pub interface: String,
    /// What the filter needs of it.
    #[schema(value_type = Vec<Object>)]
    pub findings: Vec<Shown>,
    /// How it is.
    pub checks: Vec<Check>,
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
}

/// What the host has. What an ordinary user may not try says nothing of the daemon, which may.
pub(super) fn host(filter: &xdp::Config, daemon: &Daemon) -> Vec<Shown> {
    let found = probe::host(filter, daemon.runs_filter());
    let mut all: Vec<_> = found.into_iter().chain(landlock()).map(Shown::new).collect();
    let has_rights = all.iter().all(|it| it.finding.name != "rights" || !it.is_bad());
    if !has_rights && !geteuid().is_root() {
        let of_rights = ["rights", "BPF system call"];
        for shown in all.iter_mut().filter(|it| of_rights.contains(&it.finding.name)) {
            shown.state = State::Unseen;
            shown.finding.works = None;
            AS_ROOT.clone_into(&mut shown.finding.remedy);
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
            findings: found
                .findings
                .into_iter()
                .map(|finding| whose(Shown::new(finding), &found.interface, daemon))
                .collect(),
            interface: found.interface,
        })
        .collect()
}

/// Only root may ask the kernel whose program runs on an interface, but the daemon knows where its own does.
fn whose(mut shown: Shown, interface: &str, daemon: &Daemon) -> Shown {
    let Shown { state, finding } = &mut shown;
    if *state == State::Unseen && finding.name == "no other XDP program" {
        let is_ours = daemon.attachment(interface).is_some_and(|(mode, _reason)| mode != "off");
        if is_ours {
            *state = State::Ok;
            finding.works = Some(true);
            finding.found = Some("the filter runs there".to_owned());
        } else {
            AS_ROOT.clone_into(&mut finding.remedy);
        }
    }
    shown
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
