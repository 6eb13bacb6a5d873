//! The product's own filter, by the way that the daemon takes from a list file to the kernel.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gateway::clock::Clock;
use gateway::feed::Intake;
use gateway::list::{Class, List, ListAction, Loaded, Membership, Origin, Rules};
use gateway::net::Prefix;
use gateway::xdp::{Config, Filter, RunsIn, detach};
use gateway_ebpf::abi::KernelAction;
use tempfile::TempDir;

use super::Contender;
use crate::field::{EDGE, Field};
use crate::figures::now;
use crate::list;

/// The filter with one list, whose kernel action is `action`.
pub(crate) struct Portcullis {
    action: KernelAction,
    folder: TempDir,
    config: Config,
    filter: Option<Filter>,
    in_kernel: Option<Duration>,
}

impl Portcullis {
    pub(crate) fn new(action: KernelAction) -> Result<Self> {
        let pin_dir = PathBuf::from(format!("/sys/fs/bpf/portcullis-flood-{}", std::process::id()));
        // No cap: what is measured is what an answer costs, not what it costs to be silent.
        let config = Config { pin_dir, answers_per_second: 0, ..Config::default() };
        Ok(Self { action, folder: tempfile::tempdir()?, config, filter: None, in_kernel: None })
    }

    /// What the daemon makes of a list file.
    fn rules(&self, file: &str, version: u64) -> Result<Rules> {
        let list = List {
            kernel: self.action,
            ..List::new("flood", Class::GlobalBad, ListAction::Reject)
        };
        let list = Arc::new(list);
        let origin = Origin::File(self.folder.path().join(file));
        let mut intake = Intake::reader(Arc::clone(&list), origin, self.folder.path());
        let now = Clock::System.now();
        let load = intake.load(now);
        ensure!(load.fault.is_none() && load.rejected.count == 0, "{load:?}");
        let loaded = Loaded { list, parts: vec![intake.part()] };
        let membership = Membership::new(vec![loaded], &[Prefix::host(IpAddr::V4(EDGE))]);
        Ok(Rules::compile(&membership, version, now))
    }
}

impl Contender for Portcullis {
    fn name(&self) -> &'static str {
        "portcullis"
    }

    fn action(&self) -> &'static str {
        self.action.name()
    }

    fn write(&mut self, first: &[Ipv4Addr], second: &[Ipv4Addr]) -> Result<()> {
        use std::fmt::Write as _;
        let line = |text: &mut String, address| writeln!(text, "{address}");
        list::write(&self.folder.path().join("first"), "", first, line, "")?;
        list::write(&self.folder.path().join("second"), "", second, line, "")
    }

    fn load(&mut self, field: &Field) -> Result<()> {
        let rules = self.rules("first", 1)?;
        self.config.interfaces = vec![field.edge.device.clone()];
        let started = now();
        let mut filter = Filter::open(&self.config)?;
        filter.sync(&rules, &[EDGE.into()])?;
        let attached = field.edge.host.run(|| filter.attach())??;
        self.in_kernel = Some(started.elapsed());
        self.filter = Some(filter);
        let native = attached.iter().all(|attachment| attachment.mode == RunsIn::Native);
        ensure!(native && attached.len() == 1, "not in the driver: {attached:?}");
        Ok(())
    }

    fn in_kernel(&self) -> Option<Duration> {
        self.in_kernel
    }

    fn replace(&mut self, _: &Field) -> Result<()> {
        let rules = self.rules("second", 2)?;
        let filter = self.filter.as_mut().context("not loaded")?;
        filter.sync(&rules, &[EDGE.into()])?;
        Ok(())
    }
    fn unload(&mut self, _: &Field) -> Result<()> {
        self.filter = None;
        Ok(detach(&self.config)?)
    }
}
