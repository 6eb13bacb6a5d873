//! `portcullis xdp attach`: puts the filter on the interfaces for a daemon that has no rights to do so.

use super::{Exit, Failure, output, unavailable};
use crate::app;
use crate::cli::offline;
use crate::cli::output::Meaning;
use crate::clock::Clock;
use crate::config::Config;
use crate::direction::Accepted;
use crate::host;
use crate::list::Rules;
use crate::xdp::{Filter, Mode, RunsIn};

pub(super) fn run(config: &Config) -> Result<Exit, Failure> {
    if config.xdp.mode == Mode::Off {
        return Err(Failure::Asked {
            text: "`[xdp] mode` is \"off\", expected a filter that is wanted".to_owned(),
            hint: Some("`portcullis xdp detach` removes one that is there".to_owned()),
        });
    }
    // From here on as the user that the daemon is, so that what is pinned belongs to him.
    let _lock = app::begin_attach(config)?;
    let own = host::own_addresses()?;
    // The rules as the daemon would make them from the same files now.
    let accepted = Accepted::new(&config.acceptance).outbound_prefixes();
    let membership = offline::membership(config, &own, &accepted);
    let rules = Rules::compile(&membership, 0, Clock::System.now());
    let failed = |error| unavailable(&error);
    let mut filter = Filter::open(&config.xdp).map_err(failed)?;
    let report = filter.sync(&rules, &own).map_err(failed)?;
    filter.make_spares().map_err(failed)?;
    let attachments = filter.attach().map_err(failed)?;
    output::line(format_args!("the kernel holds the rules of the lists: {report}"))?;
    let mut exit = if attachments.is_empty() { Exit::Missing } else { Exit::Done };
    for attachment in &attachments {
        let runs = attachment.mode != RunsIn::Off;
        let meaning = if runs { Meaning::Good } else { Meaning::Bad };
        let mode = output::coloured(attachment.mode.name(), meaning);
        let reason = attachment.reason.as_ref().map(|reason| format!(" ({reason})"));
        output::field(&attachment.interface, format_args!("{mode}{}", reason.unwrap_or_default()))?;
        if !runs {
            exit = Exit::Missing;
        }
    }
    if attachments.is_empty() {
        output::warn(
            "no interface to filter on, since there is no default route; name interfaces in `[xdp] interfaces`",
        );
    }
    Ok(exit)
}
