//! What a Postfix has used of the processors: many processes, most of them short.

use std::fs;

use anyhow::Result;

use crate::spent::{Spent, stat};

/// Of its master, all that live of what it started, and all that have ended.
pub(crate) fn of_postfix(master: u32) -> Result<Spent> {
    let mut ticks = all(master)?;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that ended in the meantime is among those that have ended, at the next look.
        let Ok(found) = of_child(pid, master) else { continue };
        ticks += found;
    }
    Ok(Spent::of_ticks(ticks))
}

/// Nothing of a process that another one started.
fn of_child(pid: u32, master: u32) -> Result<u64> {
    let is_child = stat(pid, 1)? == u64::from(master);
    if is_child { all(pid) } else { Ok(0) }
}

/// Ticks of its own and of its children that have ended, in the kernel and outside.
fn all(pid: u32) -> Result<u64> {
    (11..=14).map(|index| stat(pid, index)).sum()
}
