//! What commands need that work with the configuration file alone: the configuration, and an engine with its lists.

use std::path::Path;
use std::sync::Arc;

use super::{Failure, output};
use crate::audit;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Engine;
use crate::feed::FileFeed;
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
    let loaded: Vec<_> = config.lists.iter().map(|list| load(list, config)).collect();
    let own = host::own_addresses().unwrap_or_default();
    let protected: Vec<_> = own
        .into_iter()
        .map(Prefix::host)
        .chain(host::dependencies())
        .chain(config.protected())
        .collect();
    engine.set_lists(Arc::new(Membership::new(&loaded, &protected)), 0);
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

fn load(list: &Arc<List>, config: &Config) -> Loaded {
    let mut feed = FileFeed::reader(Arc::clone(list), &config.list_copies());
    let load = feed.load();
    if let Some(fault) = load.fault {
        output::warn(format_args!("list {}: {fault}", list.name));
    }
    if load.rejected.count > 0 {
        let count = load.rejected.count;
        output::warn(format_args!(
            "list {0}: rejected lines: {count}; see `portcullis list check {0}`",
            list.name
        ));
    }
    Loaded { list: Arc::clone(list), entries: feed.entries().to_vec() }
}
