//! nftables: a set with intervals, asked as soon as a packet is there, or before routing.

use std::net::Ipv4Addr;

use anyhow::Result;
use harness::netns::run;
use tempfile::TempDir;

use super::Contender;
use crate::field::Field;
use crate::list;

/// Where the set is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// netdev, ingress.
    Ingress,
    /// ip, prerouting, before connection tracking.
    Prerouting,
}

/// A table with one set and one rule.
pub(crate) struct Nftables {
    hook: Hook,
    folder: TempDir,
    first: Vec<Ipv4Addr>,
}

impl Nftables {
    pub(crate) fn new(hook: Hook) -> Result<Self> {
        Ok(Self { hook, folder: tempfile::tempdir()?, first: Vec::new() })
    }

    const fn family(&self) -> &'static str {
        match self.hook {
            Hook::Ingress => "netdev",
            Hook::Prerouting => "ip",
        }
    }

    fn run(&self, field: &Field, file: &str) -> Result<()> {
        let file = self.folder.path().join(file);
        run(field.edge.host.command("nft").arg("-f").arg(file)).map(drop)
    }

    fn write_file(&self, file: &str, head: &str, addresses: &[Ipv4Addr]) -> Result<()> {
        use std::fmt::Write as _;
        let head = format!("{head}add element {} flood bad {{\n", self.family());
        let line = |text: &mut String, address| writeln!(text, "{address},");
        list::write(&self.folder.path().join(file), &head, addresses, line, "}\n")
    }
}

impl Contender for Nftables {
    fn name(&self) -> &'static str {
        match self.hook {
            Hook::Ingress => "nftables-ingress",
            Hook::Prerouting => "nftables-prerouting",
        }
    }

    fn needs(&self) -> Option<(&'static str, &'static str)> {
        Some(("nft", "nftables"))
    }

    fn write(&mut self, first: &[Ipv4Addr], second: &[Ipv4Addr]) -> Result<()> {
        first.clone_into(&mut self.first);
        let flush = format!("flush set {} flood bad\n", self.family());
        self.write_file("second", &flush, second)
    }

    fn load(&mut self, field: &Field) -> Result<()> {
        let family = self.family();
        let place = match self.hook {
            Hook::Ingress => format!("ingress device {} priority 0", field.edge.device),
            Hook::Prerouting => "prerouting priority raw".to_owned(),
        };
        let head = format!(
            "table {family} flood {{
                set bad {{ type ipv4_addr; flags interval; }}
                chain filter {{
                    type filter hook {place}; policy accept;
                    ip saddr @bad drop
                }}
            }}\n"
        );
        self.write_file("first", &head, &self.first)?;
        self.run(field, "first")
    }

    fn replace(&mut self, field: &Field) -> Result<()> {
        self.run(field, "second")
    }

    fn unload(&mut self, field: &Field) -> Result<()> {
        run(field.edge.host.command("nft").args(["delete", "table", self.family(), "flood"]))
            .map(drop)
    }
}
