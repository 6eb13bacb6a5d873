//! xdp-filter of xdp-tools: an XDP program with a hash map of exact addresses.

use std::collections::HashSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use harness::netns::run;
use tempfile::TempDir;

use super::Contender;
use crate::field::Field;
use crate::list;

/// How it is told to add an address, of which it takes one at a time.
const ADD: &str = "xdp-filter ip --mode src";

/// The program with its feature `ipv4`.
pub(crate) struct XdpFilter {
    folder: TempDir,
    /// What it pins lies in here; to itself it looks like the place that is the same for the whole system.
    pins: PathBuf,
    first: Vec<Ipv4Addr>,
}

impl XdpFilter {
    pub(crate) fn new() -> Result<Self> {
        let pins = format!("/sys/fs/bpf/portcullis-xdp-filter-{}", std::process::id());
        Ok(Self { folder: tempfile::tempdir()?, pins: pins.into(), first: Vec::new() })
    }

    /// What every script begins with. Not every kernel lets programs in that the dispatcher is made of.
    fn head(&self) -> String {
        let pins = self.pins.display();
        format!("set -e\nmount --bind {pins} /sys/fs/bpf\nexport LIBXDP_SKIP_DISPATCHER=1\n")
    }

    fn write_file(&self, file: &str, head: &str, add: &[Ipv4Addr], tail: &str) -> Result<()> {
        use std::fmt::Write as _;
        let line = |text: &mut String, address| writeln!(text, "{ADD} {address}");
        let head = format!("{}{head}", self.head());
        list::write(&self.folder.path().join(file), &head, add, line, tail)
    }

    fn run(&self, field: &Field, file: &str) -> Result<()> {
        let file = self.folder.path().join(file);
        run(field.edge.host.command("unshare").args(["--mount", "sh"]).arg(file)).map(drop)
    }
}

impl Contender for XdpFilter {
    fn name(&self) -> &'static str {
        "xdp-filter"
    }

    fn most(&self) -> Option<usize> {
        Some(10_000)
    }

    fn needs(&self) -> Option<(&'static str, &'static str)> {
        Some(("xdp-filter", "xdp-tools"))
    }

    fn write(&mut self, first: &[Ipv4Addr], second: &[Ipv4Addr]) -> Result<()> {
        first.clone_into(&mut self.first);
        let (old, new): (HashSet<_>, HashSet<_>) =
            (first.iter().copied().collect(), second.iter().copied().collect());
        let added: Vec<_> = new.difference(&old).copied().collect();
        let removed = old.difference(&new).map(|address| format!("{ADD} --remove {address}\n"));
        self.write_file("second", "", &added, &removed.collect::<String>())
    }

    fn load(&mut self, field: &Field) -> Result<()> {
        fs::create_dir_all(&self.pins).with_context(|| self.pins.display().to_string())?;
        let device = &field.edge.device;
        let head =
            format!("xdp-filter load --mode native --policy allow --features ipv4 {device}\n");
        self.write_file("first", &head, &self.first, "")?;
        self.run(field, "first")
    }

    fn replace(&mut self, field: &Field) -> Result<()> {
        self.run(field, "second")
    }

    fn unload(&mut self, field: &Field) -> Result<()> {
        let tail = format!("xdp-filter unload {}\n", field.edge.device);
        self.write_file("last", "", &[], &tail)?;
        let unloaded = self.run(field, "last");
        fs::remove_dir_all(&self.pins).with_context(|| self.pins.display().to_string())?;
        unloaded
    }
}
