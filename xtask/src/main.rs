//! The project's own tasks, one file each: `cargo xtask --help` names them.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use owo_colors::Style;

mod axe;
mod bench;
mod bpf_linker;
mod demo;
mod docs;
mod ebpf_toolchain;
mod fuzz;
mod mail_servers;
mod packages;
mod setup;
mod step;
mod test;
mod tidy;
mod toolchain_probe;
mod toolchain_search;
mod unsupported;

/// The tasks of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Measure the kernel side, and write the figures to a file
    Bench(bench::Options),
    /// Search for hostile input that breaks a promise, and keep what reaches new code
    Fuzz(fuzz::Options),
    /// Find or make the eBPF toolchain; the other tasks do it by themselves
    Setup(setup::Options),
    /// Write the pages that follow from the source anew, or say which are out of date; look at the dashboard and the alerts, too
    Docs(docs::Options),
    /// Play the whole job once: two hosts, real packets, real mail, and who answered what
    Demo(demo::Options),
    /// Check everything: formatting, lints, tidiness, unit tests, real packets and real mail
    Test(test::Options),
    /// Check what the compiler does not: who imports whom, first lines, licences, duplicate dependencies
    Tidy(tidy::Options),
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Bench(options) => bench::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Setup(options) => setup::run(&options),
        Task::Docs(options) => docs::run(&options),
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Tidy(options) => tidy::run(&options),
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

/// The folder of the workspace.
fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}
