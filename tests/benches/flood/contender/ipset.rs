//! ipset with iptables: a set of networks, asked in the table `raw`.

use std::fs::File;
use std::net::Ipv4Addr;

use anyhow::Result;
use harness::needs;
use harness::netns::run;
use tempfile::TempDir;

use super::Contender;
use crate::field::Field;
use crate::list;

/// A set and a rule.
pub(crate) struct Ipset {
    folder: TempDir,
}

impl Ipset {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    fn restore(&self, field: &Field, file: &str) -> Result<()> {
        let file = File::open(self.folder.path().join(file))?;
        run(field.edge.host.command("ipset").arg("restore").stdin(file)).map(drop)
    }

    fn iptables(field: &Field, arguments: &str) -> Result<()> {
        // The older one takes the shorter way to the set.
        let legacy = needs::find("iptables-legacy").is_some();
        let program = if legacy { "iptables-legacy" } else { "iptables" };
        run(field.edge.host.command(program).args(arguments.split(' '))).map(drop)
    }

    fn write_file(&self, file: &str, set: &str, addresses: &[Ipv4Addr], tail: &str) -> Result<()> {
        use std::fmt::Write as _;
        let most = addresses.len().next_power_of_two();
        let head = format!("create {set} hash:net hashsize {most} maxelem {most}\n");
        let line = |text: &mut String, address| writeln!(text, "add {set} {address}");
        list::write(&self.folder.path().join(file), &head, addresses, line, tail)
    }
}

impl Contender for Ipset {
    fn name(&self) -> &'static str {
        "ipset-raw"
    }

    fn needs(&self) -> Option<(&'static str, &'static str)> {
        Some(("ipset", "ipset"))
    }

    fn write(&mut self, first: &[Ipv4Addr], second: &[Ipv4Addr]) -> Result<()> {
        self.write_file("first", "bad", first, "")?;
        self.write_file("second", "next", second, "swap next bad\ndestroy next\n")
    }

    fn load(&mut self, field: &Field) -> Result<()> {
        self.restore(field, "first")?;
        Self::iptables(field, "-t raw -A PREROUTING -m set --match-set bad src -j DROP")
    }

    fn replace(&mut self, field: &Field) -> Result<()> {
        self.restore(field, "second")
    }

    fn unload(&mut self, field: &Field) -> Result<()> {
        Self::iptables(field, "-t raw -F PREROUTING")?;
        run(field.edge.host.command("ipset").args(["destroy", "bad"])).map(drop)
    }
}
