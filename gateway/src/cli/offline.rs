//! What commands need that work with the configuration file alone: the configuration, and an engine with its lists.

use std::path::Path;
use std::sync::Arc;

use super::{Failure, output};
use crate::audit;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Engine;
use crate::feed::{self, Intake};
use crate::host;
use crate::list::{List, Loaded, Membership};
use crate::net::Prefix;
use crate::refresh;

/// Reads the configuration; what the operator should know goes to standard error.
pub(super) fn config(path: &Path) -> Result<Config, Failure> {
    let (config, notices) = Config::load(path)?;
    for notice in notices {
        output::warn(notice);
    }
    Ok(config)
}

/// An engine that judges as the daemon would after reading the same files now, in the pause that lasts now; it records
/// nothing.
pub(super) fn engine(config: &Config) -> Engine {
    let engine = Engine::new(config.engine_settings(), audit::Writer::none(), Clock::System);
    let loaded = config.lists.iter().map(|list| load_aloud(list, config)).collect();
    let own = host::own_addresses().unwrap_or_default();
    let protected: Vec<_> = own
        .into_iter()
        .map(Prefix::host)
        .chain(host::dependencies())
        .chain(config.protected())
        .collect();
    engine.set_lists(Arc::new(Membership::new(loaded, &protected)), 0);
    match refresh::saved_pause(&config.state_dir) {
        Ok(pause) => engine.set_pause(pause.map(Arc::new)),
        Err(error) => {
            let folder = config.state_dir.display();
            output::warn(format_args!(
                "it is not known whether there is a pause: {folder}: {error}"
            ));
        }
    }
    engine
}

/// The entries of a list as they are on disk now.
pub(super) struct ListNow {
    pub(super) loaded: Loaded,
    pub(super) rejected: usize,
    pub(super) fault: Option<String>,
}

/// Reads the sources of `list`, or their last good copies, as the daemon would.
pub(super) fn load(list: &Arc<List>, config: &Config) -> ListNow {
    let (mut parts, mut rejected, mut faults) = (Vec::new(), 0, Vec::new());
    let origins = feed::origins(&list.source);
    faults.extend(
        origins.as_ref().err().map(|error| format!("cannot read {}: {error}", list.source)),
    );
    for origin in origins.unwrap_or_default() {
        let mut intake = Intake::reader(Arc::clone(list), origin, &config.list_copies());
        let load = intake.load(Clock::System.now());
        faults.extend(load.fault);
        rejected += load.rejected.count;
        parts.push(intake.part());
    }
    let fault = (!faults.is_empty()).then(|| faults.join("; "));
    ListNow { loaded: Loaded { list: Arc::clone(list), parts }, rejected, fault }
}

/// The same; what is wrong goes to standard error.
pub(super) fn load_aloud(list: &Arc<List>, config: &Config) -> Loaded {
    let ListNow { loaded, rejected, fault } = load(list, config);
    let name = &list.name;
    if let Some(fault) = fault {
        output::warn(format_args!("list {name}: {fault}"));
    }
    if rejected > 0 {
        output::warn(format_args!(
            "list {name}: rejected lines: {rejected}; see `portcullis list check {name}`"
        ));
    }
    loaded
}
