//! The machine that the figures come from.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// What the system says about itself.
pub(crate) fn describe() -> Result<Value> {
    let processors = read("/proc/cpuinfo")?;
    let fields = |name: &str| -> Vec<String> {
        let lines = processors.lines().filter_map(|line| line.split_once(':'));
        let values = lines.filter(|(key, _)| key.trim() == name);
        values.map(|(_, value)| value.trim().to_owned()).collect()
    };
    let memory = read("/proc/meminfo")?;
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    Ok(json!({
        "processor": fields("model name").first(),
        "processors": fields("processor").len(),
        "memory": memory.map(str::trim),
        "kernel": read("/proc/sys/kernel/osrelease")?.trim(),
        "load_before": read("/proc/loadavg")?.trim(),
    }))
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(file).with_context(|| file.to_owned())
}
