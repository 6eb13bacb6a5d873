//! What is well on this host, what is not, and what to do about it; tried and not guessed, and nothing is changed by it.
//!
//! It works without a daemon and without root, and in a daemon that is confined, and says what it could not see.

mod check;
mod daemon;
mod dns;
mod features;
mod host;
mod lists;
mod network;
mod next_hop;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join3;
use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

pub use self::check::{Check, State};
pub use self::daemon::Daemon;
pub use self::features::{InterfaceAnswer, Shown};
use utoipa::ToSchema;

use crate::config::Config;
use crate::xdp;
use crate::xdp::probe;

/// Who sees more.
const AS_ROOT: &str = "portcullis doctor, as root";

/// All that was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Doctor)]
pub struct Answer {
    /// Whether nothing is bad.
    pub ok: bool,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The first Linux on which the filter runs.
    pub minimum: String,
    /// What the filter needs of the host.
    #[schema(value_type = Vec<Object>)]
    pub features: Vec<Shown>,
    /// What it needs of each interface.
    pub interfaces: Vec<InterfaceAnswer>,
    /// All else.
    pub checks: Vec<Check>,
}

/// What is looked at.
#[derive(Debug)]
pub struct Subject {
    config: Option<Arc<Config>>,
    of_config: Check,
    daemon: Daemon,
}

/// What was found on the host itself.
#[derive(Default)]
struct OfHost {
    features: Vec<Shown>,
    interfaces: Vec<InterfaceAnswer>,
    checks: Vec<Check>,
}

impl Subject {
    /// The host of the configuration at `path`, as a command sees it; a host is looked at before it has one, too.
    pub fn of_file(path: &Path, daemon: Daemon) -> Self {
        let (config, of_config) = read_config(path);
        Self { config: config.map(Arc::new), of_config, daemon }
    }

    /// The host of the daemon that this process is, with the configuration in force; of its file it is said how it is by now.
    pub fn of_daemon(config: Arc<Config>, daemon: Daemon) -> Self {
        let (_read, of_config) = read_config(&config.file);
        Self { config: Some(config), of_config, daemon }
    }

    /// Looks at all of it; what takes longer than `within` is told as not seen. What blocks goes to other threads, of which one may
    /// still be at work afterwards: `at_work` is dropped when it has ended.
    pub async fn look(self, within: Duration, at_work: impl Send + 'static) -> Answer {
        let Self { config, of_config, daemon } = self;
        let daemon = Arc::new(daemon);
        let (known, asked) = (config.clone(), Arc::clone(&daemon));
        let of_host = spawn_blocking(move || {
            let found = OfHost::look(known.as_deref(), &asked);
            drop(at_work);
            found
        });
        let of_dns = async {
            let Some(config) = &config else { return Vec::new() };
            dns::checks(Arc::clone(config), within).await
        };
        let of_hops = async {
            let Some(config) = &config else { return Vec::new() };
            let asked = timeout(within, next_hop::checks(config, daemon.is_this)).await;
            asked.unwrap_or_else(|_slow| vec![slow("next-hop", "next hop", within)])
        };
        let (of_host, of_dns, of_hops) = join3(timeout(within, of_host), of_dns, of_hops).await;
        let of_host = of_host.map_or_else(
            |_slow| OfHost {
                checks: vec![slow("host", "kernel, interfaces, lists", within)],
                ..OfHost::default()
            },
            Result::unwrap_or_default,
        );
        let OfHost { features, interfaces, checks } = of_host;
        let mut all = vec![of_config];
        all.extend(daemon.checks());
        all.extend(checks);
        all.extend(of_dns);
        all.extend(of_hops);
        let is_bad = all.iter().any(|check| check.state == State::Bad)
            || features.iter().any(Shown::is_bad)
            || interfaces.iter().any(InterfaceAnswer::is_bad);
        Answer {
            ok: !is_bad,
            kernel: probe::release().ok(),
            minimum: xdp::features::MINIMUM.to_string(),
            features,
            interfaces,
            checks: all,
        }
    }
}

impl OfHost {
    fn look(config: Option<&Config>, daemon: &Daemon) -> Self {
        let filter = config.map_or_else(xdp::Config::default, |config| config.xdp.clone());
        let mut checks = host::checks(config, daemon);
        checks.extend(config.iter().flat_map(|config| lists::checks(config, daemon)));
        Self {
            features: features::host(&filter, daemon),
            interfaces: features::interfaces(&filter, daemon),
            checks,
        }
    }
}

/// What did not end in time.
fn slow(area: &'static str, name: &str, within: Duration) -> Check {
    let found = format!("it takes longer than {} s", within.as_secs());
    Check::unseen(area, name, found, AS_ROOT)
}

fn read_config(path: &Path) -> (Option<Config>, Check) {
    let name = "configuration";
    if File::open(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        let found =
            format!("{} is closed to this user: the defaults are looked at", path.display());
        return (None, Check::unseen("daemon", name, found, AS_ROOT));
    }
    if !path.exists() {
        let found = format!("there is no {}: the defaults are looked at", path.display());
        let remedy = "give one with --config; configuration.md names all keys";
        return (None, Check::doubtful("daemon", name, found, remedy));
    }
    match Config::load(path) {
        Ok((config, notices)) if notices.is_empty() => {
            (Some(config), Check::ok("daemon", name, path.display()))
        }
        Ok((config, notices)) => {
            let found = format!("{} notices", notices.len());
            (Some(config), Check::doubtful("daemon", name, found, "portcullis check"))
        }
        Err(faults) => {
            let faults = faults.to_string().replace('\n', "; ");
            (None, Check::bad("daemon", name, faults, "portcullis check"))
        }
    }
}
