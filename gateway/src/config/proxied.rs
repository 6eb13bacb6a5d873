//! Refuses a filter in the kernel that would judge the load balancer in the place of its clients.

use std::sync::Arc;

use gateway_ebpf::abi::KernelAction;
use gateway_ebpf::limit::FloodAction;

use super::fault::{Fault, Findings, Notice, Place};
use crate::list::{AUTO, List};
use crate::xdp::{self, Mode};

/// Listeners that expect the PROXY protocol, each with its port, and what acts in the kernel.
pub(super) struct Proxied<'a> {
    pub(super) listeners: &'a [(Place, u16)],
    pub(super) xdp: &'a xdp::Config,
    /// Whether the operator wants it all the same.
    pub(super) is_wanted: bool,
}

/// Records a fault for each listener on whose port the kernel would do more than count: the SYNs there carry the address of
/// the load balancer, so no list can hit a client, and the flood limiter counts all clients as one.
pub(super) fn check(proxied: &Proxied<'_>, lists: &[Arc<List>], findings: &Findings) {
    let xdp = proxied.xdp;
    let mut acting: Vec<_> =
        lists.iter().filter(|list| acts(list)).map(|list| format!("list {}", list.name)).collect();
    if xdp.limits.flood.action == FloodAction::Drop {
        acting.push("[xdp.flood] action = \"drop\"".to_owned());
    }
    if xdp.mode == Mode::Off || acting.is_empty() {
        return;
    }
    for (place, port) in proxied.listeners.iter().filter(|(_, port)| xdp.ports.contains(port)) {
        let key = "listener.proxy_from".to_owned();
        let found = format!(
            "port {port} is filtered in the kernel, where a load balancer hides its clients ({})",
            acting.join(", ")
        );
        if proxied.is_wanted {
            findings.notice(Notice {
                place: place.clone(),
                key,
                text: format!("{found}: only who comes past it is hit there"),
            });
            continue;
        }
        findings.fault(Fault {
            place: place.clone(),
            key,
            text: format!("{found}, expected kernel = \"off\" or \"count\" for them, or [xdp] ports without {port}"),
            hint: Some(
                "the daemon judges the clients by the same lists; filter_proxied_ports = true in [xdp] filters all the same, for those who come past the load balancer"
                    .to_owned(),
            ),
        });
    }
}

/// What promotion puts into its list it has seen, by the names that the load balancer gave: that is no choice of the operator.
fn acts(list: &List) -> bool {
    *list.name != *AUTO && !matches!(list.kernel, KernelAction::Off | KernelAction::Count)
}
