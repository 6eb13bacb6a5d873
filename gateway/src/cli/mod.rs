//! The command line: one file per command.

mod answer;
mod audit;
mod author;
mod bar;
mod check;
mod daemon;
mod doctor;
mod exit;
mod explain;
mod feeds;
mod files;
mod import;
mod input;
mod letter;
mod list;
mod log;
mod lookup;
mod matches;
mod offline;
mod output;
mod past;
mod pause;
mod progress;
mod quarantine;
mod review;
mod run;
mod safe;
mod scan;
mod senders;
mod slider;
mod status;
mod tap;
mod web;
mod why;
mod xdp;
mod zones;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Exit;

use crate::app::Failure;
use crate::clock::{duration, moment};

/// Refuses bad mail senders in the kernel, judges the others, and says why.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
struct Cli {
    /// The configuration file; the files of `conf.d` beside it are read too
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        default_value = "/etc/portcullis/portcullis.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground
    Run(run::Options),
    /// Say everything that is wrong with the configuration
    Check(check::Options),
    /// Say what is well on this host, what is not, and what to do about it: kernel filter, network, DNS, next hop, disk, clock
    Doctor(doctor::Options),
    /// Show what the daemon is doing
    Status(status::Options),
    /// Show what each component says in the log, or let some say more for a while; it falls back by itself
    Log(log::Options),
    /// Follow an address through kernel filter, connection and message, while it happens
    Tap(tap::Options),
    /// Let everything pass for a while, loudly; it ends by itself
    Pause(pause::Options),
    /// Show what would be decided about an address, and why
    Lookup(lookup::Options),
    /// Ask that an address be looked at again, show what was asked, decide
    #[command(subcommand)]
    Review(review::Command),
    /// Show what the reference in a reply stands for
    Why(why::Options),
    /// Search, follow, export or count the records of decisions
    #[command(subcommand)]
    Audit(Box<audit::Command>),
    /// Say what a bounce, a pasted error or a log line means, whether it was this host, and what to do
    Explain(explain::Options),
    /// Show what would be decided about a message, and why
    Scan(scan::Options),
    /// Show, check or change lists
    #[command(subcommand)]
    List(list::Command),
    /// Take over the allowed and blocked senders of an old gateway: its `allowedblockedlist.txt`
    Import(import::Options),
    /// Show how fetching lists goes, or fetch one
    #[command(subcommand)]
    Feeds(feeds::Command),
    /// Show how DNS lists are, test them, switch, add and remove them
    Zones(zones::Options),
    /// Show who waits on the greylist and who passes, let senders pass, forget them
    Senders(senders::Options),
    /// Show, release or delete the messages that are held back
    Quarantine(quarantine::Options),
    /// Show or end the kernel filter
    #[command(subcommand)]
    Xdp(xdp::Command),
    /// Show the token of the control centre, or hash a password for it
    #[command(subcommand)]
    Web(web::Command),
    /// Show, convert or try the thresholds of the reputation score
    Slider(slider::Options),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Run(options) => run::run(&options, &cli.config),
        Command::Check(options) => check::run(&options, &cli.config),
        Command::Doctor(options) => doctor::run(&options, &cli.config),
        Command::Status(options) => status::run(&options, &cli.config),
        Command::Log(options) => log::run(&options, &cli.config),
        Command::Tap(options) => tap::run(&options, &cli.config),
        Command::Pause(options) => pause::run(&options, &cli.config),
        Command::Lookup(options) => lookup::run(&options, &cli.config),
        Command::Review(command) => review::run(&command, &cli.config),
        Command::Why(options) => why::run(&options, &cli.config),
        Command::Audit(command) => audit::run(&command, &cli.config),
        Command::Explain(options) => explain::run(&options, &cli.config),
        Command::Scan(options) => scan::run(&options, &cli.config),
        Command::List(command) => list::run(&command, &cli.config),
        Command::Import(options) => import::run(&options),
        Command::Feeds(command) => feeds::run(&command, &cli.config),
        Command::Zones(options) => zones::run(&options, &cli.config),
        Command::Senders(options) => senders::run(&options, &cli.config),
        Command::Quarantine(options) => quarantine::run(&options, &cli.config),
        Command::Xdp(command) => xdp::run(&command, &cli.config),
        Command::Web(command) => web::run(&command, &cli.config),
        Command::Slider(options) => slider::run(&options, &cli.config),
    };
    exit::code(done)
}
