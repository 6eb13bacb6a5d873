//! The tables that are nothing but numbers: limits of clients and of networks.

use std::time::Duration;

use gateway_ebpf::limit::FloodAction;

use super::reader::Reader;
use super::values::{Wrong, choice, duration, integer, long_duration, size, time_in};
use crate::smtp::Limits;
use crate::xdp;

/// Reads `[limits]`. A lower bound is where the daemon would stop working, not where it becomes wise.
pub(super) fn limits(mut reader: Reader<'_>) -> Limits {
    const MANY: usize = 1_000_000;
    const SECOND: Duration = Duration::from_secs(1);
    let default = Limits::default();
    let connections = reader.or("connections", default.connections, integer(1..=MANY));
    let unknown = reader.optional("unknown_connections", integer(1..=MANY));
    let tarpit = time_in(SECOND..=SECOND * 30, "like \"10s\", from 1s to 30s");
    let limits = Limits {
        connections,
        unknown_connections: unknown
            .map_or_else(|| (connections - connections / 5).max(1), |at| at.value),
        connections_per_network: reader.or(
            "connections_per_network",
            default.connections_per_network,
            integer(1..=MANY),
        ),
        tarpit: reader.optional("tarpit", tarpit).map(|at| at.value),
        tarpit_connections: reader.or(
            "tarpit_connections",
            default.tarpit_connections,
            integer(1..=MANY),
        ),
        connections_per_client: reader.or(
            "connections_per_client",
            default.connections_per_client,
            integer(1..=MANY),
        ),
        command_line: reader.or("command_line", default.command_line, size(512..=64 << 10)),
        commands: reader.or("commands", default.commands, integer(1..=MANY)),
        errors: reader.or("errors", default.errors, integer(1..=MANY)),
        recipients: reader.or("recipients", default.recipients, integer(1..=MANY)),
        header: reader.or("header", default.header, size(1 << 10..=16 << 20)),
        data_line: reader.or("data_line", default.data_line, size(1000..=1 << 20)),
        message: reader.or("message", default.message, size(1 << 10..=1 << 40)),
        received: reader.or("received", default.received, integer(1..=10_000)),
        command_timeout: reader.or("command_timeout", default.command_timeout, duration),
        data_timeout: reader.or("data_timeout", default.data_timeout, duration),
        session_timeout: reader.or("session_timeout", default.session_timeout, duration),
        refused_timeout: reader.or("refused_timeout", default.refused_timeout, duration),
        next_hop_connect_timeout: reader.or(
            "next_hop_connect_timeout",
            default.next_hop_connect_timeout,
            duration,
        ),
        next_hop_timeout: reader.or("next_hop_timeout", default.next_hop_timeout, duration),
        next_hop_final_timeout: reader.or(
            "next_hop_final_timeout",
            default.next_hop_final_timeout,
            duration,
        ),
    };
    reader.finish();
    limits
}

/// Reads what `[xdp]` says of networks. In a dry run of everything no flood is dropped either.
pub(super) fn xdp_limits(reader: &mut Reader<'_>, enforce: bool) -> xdp::Limits {
    let default = xdp::Limits::default();
    xdp::Limits {
        answers_per_network: reader.or(
            "answers_per_network",
            default.answers_per_network,
            integer(0..=u32::MAX),
        ),
        flood: flood(reader.table("flood"), enforce),
    }
}

fn flood(mut reader: Reader<'_>, enforce: bool) -> xdp::Flood {
    const MANY: u32 = 10_000_000;
    /// Ticks of the clock by which tokens come back, at its slowest.
    const TICKS_PER_SECOND: u32 = 100;
    let default = xdp::Flood::default();
    let actions = FloodAction::ALL.map(|action| (action.name(), action));
    let action = reader.or("action", default.action, choice(&actions));
    let burst = reader.optional("burst", integer(1..=MANY));
    let flood = xdp::Flood {
        action: if enforce || action == FloodAction::Off { action } else { FloodAction::Observe },
        engage_above: reader.or("engage_above", default.engage_above, integer(0..=u32::MAX)),
        per_network: reader.or("per_network", default.per_network, integer(1..=MANY)),
        burst: burst.as_ref().map_or(default.burst, |at| at.value),
        network_v4: reader.or("network_v4", default.network_v4, integer(8..=32)),
        network_v6: reader.or("network_v6", default.network_v6, integer(16..=64)),
        known_for: reader.or("known_for", default.known_for, long_duration),
    };
    let least = flood.per_network.div_ceil(TICKS_PER_SECOND);
    if flood.burst < least {
        let found = format!("{} with per_network = {}", flood.burst, flood.per_network);
        let expected = format!("at least {least}, what comes back in one tick of the clock");
        let place = burst.map_or_else(|| reader.place().clone(), |at| at.place);
        reader.wrong("burst", place, Wrong::expected(&found, expected));
    }
    reader.finish();
    flood
}
