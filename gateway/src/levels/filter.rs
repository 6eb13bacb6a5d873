//! The filter of the log: a level for all, others for single components, and what is never said.

use tracing_subscriber::EnvFilter;

use super::components::COMPONENTS;
use super::raise::Level;

/// What is never logged, at no level: the library that asks DNS names the question, which may hold the access key of a zone.
const NEVER: [&str; 3] = ["hickory_net", "hickory_proto", "hickory_resolver"];

/// Lets through what is of `base`, and of the components in `raised` what is of theirs.
pub(super) fn filter(base: Level, raised: &[(&'static str, Level)]) -> EnvFilter {
    // Made of words of our own alone, so that all of it can be read.
    EnvFilter::new(directives(base, raised))
}

fn directives(base: Level, raised: &[(&'static str, Level)]) -> String {
    let of_one = |(name, level): &(&'static str, Level)| {
        let component = COMPONENTS.iter().find(|component| component.name == *name);
        let targets = component.map_or(&[][..], |component| component.targets).iter();
        let level = (*level).max(base);
        targets.map(move |target| format!("{target}={level}")).collect::<Vec<_>>()
    };
    let raised = raised.iter().flat_map(of_one);
    let never = NEVER.iter().map(|library| format!("{library}=off"));
    let all: Vec<_> = std::iter::once(base.to_string()).chain(raised).chain(never).collect();
    all.join(",")
}

#[cfg(test)]
mod tests {
    use tracing::{Level as Of, enabled};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn the_directives_are_those_that_are_meant() {
        let never = "hickory_net=off,hickory_proto=off,hickory_resolver=off";
        for (base, raised, expected) in [
            (Level::Info, &[][..], "info,"),
            (Level::Info, &[("smtp", Level::Debug)], "info,smtp=debug,"),
            (Level::Trace, &[("smtp", Level::Debug)], "trace,smtp=trace,"),
            (Level::Warn, &[("xdp", Level::Trace)], "warn,xdp=trace,gateway::xdp=trace,"),
        ] {
            assert_eq!(directives(base, raised), format!("{expected}{never}"));
        }
    }

    #[test]
    fn what_must_never_be_said_is_off_whatever_is_raised() {
        let everything = COMPONENTS.map(|component| (component.name, Level::Trace));
        for (base, raised) in [
            (Level::Info, &[][..]),
            (Level::Trace, &[]),
            (Level::Error, &everything),
            (Level::Trace, &everything),
        ] {
            let subscriber = tracing_subscriber::registry().with(filter(base, raised));
            tracing::subscriber::with_default(subscriber, || {
                assert!(!enabled!(target: "hickory_net", Of::ERROR));
                assert!(!enabled!(target: "hickory_proto::xfer", Of::ERROR));
                assert!(!enabled!(target: "hickory_resolver::name_server", Of::ERROR));
                let is_loud = base == Level::Trace || !raised.is_empty();
                assert_eq!(enabled!(target: "smtp", Of::TRACE), is_loud);
                assert_eq!(enabled!(target: "gateway::xdp::attach", Of::TRACE), is_loud);
                assert!(enabled!(target: "smtp", Of::ERROR));
                // Libraries are no components: what they say follows the level of all.
                assert_eq!(enabled!(target: "rustls", Of::TRACE), base == Level::Trace);
            });
        }
    }
}
