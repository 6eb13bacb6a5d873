//! The project's own tasks, one file each: `cargo xtask --help` names them.

use std::process::ExitCode;

use clap::Parser;
use owo_colors::Style;

mod bpf_linker;
mod ebpf_toolchain;
mod packages;
mod setup;
mod step;
mod toolchain_probe;
mod toolchain_search;

/// The tasks of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Find or make the eBPF toolchain; the other tasks do it by themselves
    Setup(setup::Options),
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Setup(options) => setup::run(&options),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let label = step::paint(&"error:", Style::new().red().bold());
            step::say(&format!("{label} {error:#}"));
            ExitCode::FAILURE
        }
    }
}
