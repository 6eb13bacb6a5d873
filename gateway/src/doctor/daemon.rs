//! What the daemon says of itself, where one runs: alarms, rights, limits, the clock since its start.

use std::fs;

use rustix::process::{Resource, getrlimit};
use serde_json::Value;

use super::check::Check;
use crate::json::{items, plain, plain_at};

const AREA: &str = "daemon";

/// A clock that is slewed goes apart by less.
const JUMP_MS: i64 = 2000;

/// What it answered.
#[derive(Debug)]
pub struct Daemon {
    status: Result<Value, (String, String)>,
    /// How fetching lists goes.
    pub(super) feeds: Value,
    /// Whether this process is it.
    pub(super) is_this: bool,
}

impl Daemon {
    /// One that was asked: what `/api/v1/status` and `/api/v1/feeds` say.
    pub fn other(status: Value, feeds: Value) -> Self {
        Self { status: Ok(status), feeds, is_this: false }
    }

    /// The same for the one that this process is.
    pub fn this(status: Value, feeds: Value) -> Self {
        Self { is_this: true, ..Self::other(status, feeds) }
    }

    /// One that does not answer: why, and what to do about it.
    pub fn silent(why: String, remedy: String) -> Self {
        Self { status: Err((why, remedy)), feeds: Value::Null, is_this: false }
    }

    /// Its `status`; `None` without a daemon.
    pub(super) fn status(&self) -> Option<&Value> {
        self.status.as_ref().ok()
    }

    /// The mode of the filter on an interface, and why it is not better.
    pub(super) fn attachment(&self, interface: &str) -> Option<(String, Option<String>)> {
        let mut all = items(self.status()?.pointer("/xdp/interfaces")?);
        let found = all.find(|it| it["interface"] == interface)?;
        Some((plain(&found["mode"]), found["reason"].as_str().map(ToOwned::to_owned)))
    }

    /// Whether this process is one whose filter runs somewhere.
    pub(super) fn runs_filter(&self) -> bool {
        let interfaces = self.status().and_then(|status| status.pointer("/xdp/interfaces"));
        self.is_this && interfaces.is_some_and(|all| items(all).any(|it| it["mode"] != "off"))
    }

    /// The most files that it may open; `None` without a daemon, or where that is not to be seen.
    pub(super) fn open_files(&self) -> Option<u64> {
        if self.is_this {
            return Some(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX));
        }
        let pid = self.status()?.get("pid")?.as_u64()?;
        open_files(&fs::read_to_string(format!("/proc/{pid}/limits")).ok()?)
    }

    /// What there is to say of it.
    pub(super) fn checks(&self) -> Vec<Check> {
        match &self.status {
            Ok(status) => of_status(status),
            Err((error, hint)) => vec![Check::unseen(AREA, "daemon", error, hint)],
        }
    }
}

fn of_status(status: &Value) -> Vec<Check> {
    let text = |pointer: &str| plain_at(status, pointer);
    let up = format!("{}, pid {}, up for {} s", text("/version"), text("/pid"), text("/uptime_s"));
    let mut checks = vec![Check::ok(AREA, "daemon", up)];
    let (user, uid) = (text("/rights/user"), text("/rights/uid"));
    let found = format!("{user} (uid {uid}), files out of reach: {}", text("/rights/landlock"));
    checks.push(if uid == "0" {
        Check::doubtful(
            AREA,
            "runs as",
            found,
            "set `user` at the top of the configuration, see rights.md",
        )
    } else {
        Check::ok(AREA, "runs as", found)
    });
    if let Some(jumped) = status.get("clock_jumped_ms").and_then(Value::as_i64) {
        checks.push(jump(jumped));
    }
    let lost = status.pointer("/audit/lost").and_then(Value::as_u64).unwrap_or(0);
    if lost > 0 {
        let found = format!("{lost} records are lost since the start");
        checks.push(Check::doubtful(
            AREA,
            "audit trail",
            found,
            "make room on its disk; `portcullis status` counts",
        ));
    }
    for alarm in items(&status["alarms"]) {
        let name = format!("alarm {}", plain(&alarm["about"]));
        checks.push(Check::bad(
            AREA,
            name,
            plain(&alarm["text"]),
            "the alarm says it; `portcullis status` shows when it is over",
        ));
    }
    checks
}

/// How far the clock went apart from the time since the host started.
fn jump(milliseconds: i64) -> Check {
    let name = "clock since its start";
    if milliseconds.saturating_abs() < JUMP_MS {
        return Check::ok(
            AREA,
            name,
            format_args!("{milliseconds} ms apart from the time that passed"),
        );
    }
    Check::doubtful(
        AREA,
        name,
        format_args!(
            "it jumped by {milliseconds} ms: records before and after are not in the order of their times"
        ),
        "chronyc tracking, or timedatectl timesync-status: see who sets the clock",
    )
}

/// The soft limit of open files in the text of `/proc/PID/limits`; all of them where there is none.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::check::State;
    use super::*;

    #[test]
    fn what_a_daemon_says_is_judged() {
        for (status, expected) in [
            (json!({"rights": {"uid": 999}}), vec![("daemon", State::Ok), ("runs as", State::Ok)]),
            (
                json!({"rights": {"uid": 0}, "clock_jumped_ms": -3_600_000, "audit": {"lost": 2}, "alarms": [{"about": "dns", "text": "x"}]}),
                vec![
                    ("daemon", State::Ok),
                    ("runs as", State::Doubtful),
                    ("clock since its start", State::Doubtful),
                    ("audit trail", State::Doubtful),
                    ("alarm dns", State::Bad),
                ],
            ),
        ] {
            let checks = of_status(&status);
            let found: Vec<_> = checks.iter().map(|it| (it.name.as_str(), it.state)).collect();
            assert_eq!(found, expected);
            assert!(checks.iter().all(|it| (it.state == State::Ok) == it.remedy.is_none()));
        }
        assert_eq!((jump(1999).state, jump(-2000).state), (State::Ok, State::Doubtful));
    }

    #[test]
    fn the_limit_of_files_is_read() {
        let line = |soft: &str| {
            format!("Limit  Soft  Hard  Units\nMax open files            {soft}  4096  files\n")
        };
        for (text, expected) in [
            (line("1024"), Some(1024)),
            (line("unlimited"), Some(u64::MAX)),
            (line("many"), None),
            (String::new(), None),
        ] {
            assert_eq!(open_files(&text), expected, "{text}");
        }
    }
}
