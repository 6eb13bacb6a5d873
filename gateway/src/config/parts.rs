//! The parts of the configuration, each as the module that it is for wants it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Config;
use crate::engine;
use crate::front::{Endpoint, Service, milter, postfix_policy, smtp};
use crate::list::ListAction;
use crate::net::Prefix;
use crate::policy::{DelayMode, Policy};
use crate::refresh::Sources;
use crate::smtp::RecipientDomains;
use crate::store::{KeptZone, Store};
use crate::zone::Zone;

impl Config {
    /// How connections and messages are judged.
    pub fn engine_settings(&self) -> engine::Settings {
        engine::Settings {
            policy: Policy {
                enforce: self.enforce,
                thresholds: self.score.enabled.then_some(self.score.thresholds),
                delay_mode: if self.score.greylist {
                    DelayMode::Greylist
                } else {
                    DelayMode::Static
                },
                score_at_connect: self.score.connect,
                score_at_message: self.score.message,
                weights: self.score.evidence,
                reply_style: self.reply_style,
            },
            hostname: self.hostname.as_str().into(),
            trusted_relays: self.trusted_relays.clone(),
            scan_headers: self.scan.headers.clone(),
            good_client_skips_headers: self.scan.good_client_skips_headers,
            dns_budget: self.dns.budget,
            acceptance: self.acceptance.clone(),
            greylist: self.greylist,
            history: self.history,
            promotion: self.promotion.settings,
            exempt_domains: self
                .score
                .exempt_domains
                .iter()
                .map(|domain| domain.as_str().into())
                .collect(),
        }
    }

    /// What the proxy does; `None` without a next hop, which a daemon with listeners always has.
    pub fn front_settings(&self) -> Option<smtp::Settings> {
        let domains = &self.recipient_domains;
        Some(smtp::Settings {
            hostname: self.hostname.clone(),
            next_hop: self.next_hop.clone()?,
            recipient_domains: (!domains.is_empty()).then(|| RecipientDomains::new(domains)),
            certificate: self.tls.clone(),
            header: self.header.clone(),
            limits: self.limits.clone(),
        })
    }

    /// What rules are made of.
    pub fn sources(&self) -> Sources {
        Sources {
            lists: self.lists.clone(),
            protected: self.protected(),
            copies: self.list_copies(),
            zones: self.zones.clone(),
            added_zones: Vec::new(),
        }
    }

    /// What people said of zones, as the store in `state_dir` has it.
    pub fn said_of_zones(&self) -> SaidOfZones {
        let kept = Store::open_read_only(&self.state_dir)
            .and_then(|store| store.map_or_else(|| Ok(Vec::new()), |store| store.zones()));
        let mut said = SaidOfZones::default();
        let kept = kept.unwrap_or_else(|error| {
            said.faults.push(error.to_string());
            Vec::new()
        });
        for KeptZone { name, enabled, spec, .. } in kept {
            if !enabled {
                said.off.push(name);
            }
            match spec.map(|spec| self.zone_of(&spec)) {
                // The configuration has the last word.
                Some(Ok(zone)) if self.zones.iter().any(|known| known.name == zone.name) => {}
                Some(Ok(zone)) => said.added.push(Arc::new(zone)),
                Some(Err(fault)) => said.faults.push(fault),
                None => {}
            }
        }
        said
    }

    /// What the milter does; `None` where there is none.
    pub fn milter_settings(&self) -> Option<milter::Settings> {
        let service = self.milter.as_ref()?;
        Some(milter::Settings {
            direction: service.direction,
            connections: service.connections,
            hostname: self.hostname.clone(),
            header: self.header.clone(),
            limits: self.limits.clone(),
            // Only a signature that can make a difference is worth the body of a message.
            needs_body: self.score.enabled
                && self.score.message
                && !self.score.exempt_domains.is_empty(),
        })
    }

    /// What the policy service does; `None` where there is none.
    pub fn postfix_policy_settings(&self) -> Option<postfix_policy::Settings> {
        let service = self.postfix_policy.as_ref()?;
        Some(postfix_policy::Settings {
            direction: service.direction,
            connections: service.connections,
            limits: self.limits.clone(),
        })
    }

    /// The paths at which the daemon makes sockets: for its commands, and for the mail servers that ask.
    pub fn socket_paths(&self) -> Vec<&Path> {
        let services = self.services();
        let of_services = services.filter_map(|(_name, service)| match &service.endpoint {
            Endpoint::Tcp(_) => None,
            Endpoint::Unix { path, .. } => Some(path.as_path()),
        });
        std::iter::once(self.admin_socket.as_path()).chain(of_services).collect()
    }

    /// The services that mail servers ask, each with the name of its table.
    pub fn services(&self) -> impl Iterator<Item = (&'static str, &Service)> {
        let named = [("milter", &self.milter), ("postfix_policy", &self.postfix_policy)];
        named.into_iter().filter_map(|(name, service)| Some((name, service.as_ref()?)))
    }

    /// Where the control centre listens, and whether under TLS.
    fn web_address(&self) -> Option<(SocketAddr, bool)> {
        self.web.as_ref().map(|web| (web.address, web.tls))
    }

    /// The connections that all fronts may have at the same time.
    pub fn connections(&self) -> usize {
        let services = self.services();
        let of_services = services.map(|(_name, service)| service.connections).sum::<usize>();
        let of_listeners = if self.listeners.is_empty() { 0 } else { self.limits.connections };
        of_listeners.saturating_add(of_services)
    }

    /// The hosts that the configuration itself depends on.
    pub fn protected(&self) -> Vec<Prefix> {
        let next_hops = self.next_hop.iter().flat_map(|next_hop| &next_hop.addresses);
        let next_hops = next_hops.map(|address| Prefix::host(address.ip()));
        // Those who name clients are our own.
        let naming =
            self.listeners.iter().flat_map(|it| it.proxy_from.iter().chain(&it.xclient_from));
        next_hops.chain(self.trusted_relays.iter().chain(naming).copied()).collect()
    }

    /// The folder for the last good copy of each list.
    pub fn list_copies(&self) -> PathBuf {
        self.state_dir.join("lists")
    }

    /// Whether something that is configured sends messages into quarantine.
    pub fn uses_quarantine(&self) -> bool {
        self.lists.iter().any(|list| list.action == ListAction::Quarantine)
            || self.zones.iter().any(|zone| zone.action == ListAction::Quarantine)
    }

    /// The keys whose changes since `running` only a restart can put in force; `None` where there are none.
    pub fn needs_restart(&self, running: &Self) -> Option<String> {
        let changed = [
            ("[xdp]", !self.xdp.is_same_filter(&running.xdp)),
            ("[[listener]]", self.listeners != running.listeners),
            ("[milter]", endpoint(self.milter.as_ref()) != endpoint(running.milter.as_ref())),
            (
                "[postfix_policy]",
                endpoint(self.postfix_policy.as_ref()) != endpoint(running.postfix_policy.as_ref()),
            ),
            (
                "[web]",
                self.web.is_some() != running.web.is_some()
                    || self.web_address() != running.web_address(),
            ),
            ("[public_lookup]", self.public_lookup != running.public_lookup),
            ("[dns]", self.dns != running.dns),
            ("[admin]", self.admin_socket != running.admin_socket),
            ("[quarantine] folder", self.quarantine.folder != running.quarantine.folder),
            ("[audit]", self.audit != running.audit),
            ("[log] format", self.log.format != running.log.format),
            ("state_dir", self.state_dir != running.state_dir),
            ("user", self.rights.user != running.rights.user),
            ("group", self.rights.group != running.rights.group),
            ("landlock", self.rights.landlock != running.rights.landlock),
        ];
        let keys: Vec<_> =
            changed.iter().filter(|(_key, changed)| *changed).map(|(key, _)| *key).collect();
        (!keys.is_empty()).then(|| keys.join(", "))
    }
}

/// Where a service is asked, if there is one.
fn endpoint(service: Option<&Service>) -> Option<&Endpoint> {
    service.map(|service| &service.endpoint)
}

/// What people said of zones by commands.
#[derive(Clone, Debug, Default)]
pub struct SaidOfZones {
    /// The zones that they added.
    pub added: Vec<Arc<Zone>>,
    /// The names of those that they switched off.
    pub off: Vec<Arc<str>>,
    /// What of it cannot be read.
    pub faults: Vec<String>,
}
