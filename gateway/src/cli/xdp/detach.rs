//! `portcullis xdp detach`: ends the kernel filter.

use super::{Exit, Failure, output};
use crate::config::Config;
use crate::xdp;

pub(super) fn run(config: &Config) -> Result<Exit, Failure> {
    let was_there = xdp::is_pinned(&config.xdp);
    xdp::detach(&config.xdp).map_err(|error| Failure::Unavailable {
        text: format!("the kernel filter cannot be removed: {error}"),
        hint: "run as root, in the network namespace of the interfaces".to_owned(),
    })?;
    output::line(if was_there {
        "the kernel filter is removed; a daemon that still runs decides everything itself, and puts the filter back when it is started again, unless `[xdp] mode` is \"off\""
    } else {
        "there was no kernel filter"
    })?;
    Ok(Exit::Done)
}
