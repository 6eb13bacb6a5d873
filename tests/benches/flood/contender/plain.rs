//! What knows no list: programs that drop everything, and no filter at all.

use anyhow::{Result, bail};
use aya::Ebpf;

use super::Contender;
use crate::field::Field;

/// A program of the benchmark's own, or none.
pub(crate) struct Plain {
    name: &'static str,
    program: Option<&'static str>,
    attached: Option<Ebpf>,
}

impl Plain {
    /// The program `program`, which drops everything.
    pub(crate) fn program(name: &'static str, program: &'static str) -> Self {
        Self { name, program: Some(program), attached: None }
    }

    /// Nothing: every SYN reaches the listening socket.
    pub(crate) fn nothing() -> Self {
        Self { name: "no-filter", program: None, attached: None }
    }
}

impl Contender for Plain {
    fn name(&self) -> &'static str {
        self.name
    }

    fn action(&self) -> &'static str {
        if self.program.is_some() { "drop" } else { "pass" }
    }

    fn most(&self) -> Option<usize> {
        Some(0)
    }

    fn lets_clean_clients_in(&self) -> bool {
        self.program.is_none()
    }

    fn load(&mut self, field: &Field) -> Result<()> {
        self.attached = self.program.map(|program| field.edge.attach(program)).transpose()?;
        Ok(())
    }

    fn replace(&mut self, _: &Field) -> Result<()> {
        bail!("it has no list")
    }

    fn unload(&mut self, _: &Field) -> Result<()> {
        self.attached = None;
        Ok(())
    }
}
