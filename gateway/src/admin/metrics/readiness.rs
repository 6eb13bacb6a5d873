//! Whether this host should be sent mail, and why not.

use serde::Serialize;
use utoipa::ToSchema;

use super::super::Sources;
use crate::xdp::{Mode, RunsIn};

/// Whether it should, for `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether it should.
    pub(super) ready: bool,
    /// Why not; empty where it is ready.
    reasons: Vec<Reason>,
}

/// One reason why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NotReady)]
struct Reason {
    /// What is not ready: `daemon`, `rules`, `front`, `xdp`.
    about: &'static str,
    /// The reason, for people.
    text: String,
}

impl Sources {
    /// Whether rules are loaded, the fronts listen, and the filter runs where it is to run.
    pub(super) fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        let mut add = |about, text| reasons.push(Reason { about, text });
        if self.stop.borrow().is_some() {
            add("daemon", "it is stopping, and takes no new connections".to_owned());
        }
        if self.rules.load().version == 0 {
            add("rules", "no rules are in force yet".to_owned());
        }
        for alarm in self.alarms.list() {
            if is_of_front(&alarm.about) {
                add("front", format!("{}: {}", alarm.about, alarm.text));
            }
        }
        if self.xdp.mode != Mode::Off {
            let attachments = self.attachments.load();
            if attachments.is_empty() {
                add("xdp", "the kernel filter runs on no interface".to_owned());
            }
            for off in attachments.iter().filter(|it| it.mode == RunsIn::Off) {
                let why = off.reason.as_deref().unwrap_or("it is not attached");
                add("xdp", format!("{}: {why}", off.interface));
            }
        }
        Readiness { ready: reasons.is_empty(), reasons }
    }
}

/// Whether the alarm says that a front cannot accept connections.
fn is_of_front(about: &str) -> bool {
    about.starts_with("listener:") || matches!(about, "milter" | "postfix_policy")
}
