//! Tries on this host what the filter needs, feature by feature; nothing is changed by it.

use std::error::Error;
use std::path::Path;
use std::{fs, io};

use aya::maps::MapType;
use aya::programs::xdp::XdpMode;
use aya::programs::{ProgramType, Xdp};
use aya::sys::{BpfHelper, is_helper_supported, is_map_supported};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};
use serde::Serialize;

use super::error::chain;
use super::features::{ALL, Feature, Row, Version, Without};
use super::{Config, Mode, attach, driver, interface, memory, offloads, pins, program, vlan};

/// What was found about one feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The feature's name.
    pub name: &'static str,
    /// The first Linux that has it; `None` where it is no matter of the kernel.
    pub since: Option<String>,
    /// Whether it works; `None` where that could not be tried.
    pub works: Option<bool>,
    /// What was found, where there is something to say.
    pub found: Option<String>,
    /// Whether nothing is lost without it.
    pub optional: bool,
    /// What works without it.
    pub without: &'static str,
    /// What to do where it is missing.
    pub remedy: String,
}

/// What was found on one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InterfaceFindings {
    /// The interface.
    pub interface: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Finding {
    /// Whether something is lost, or may be.
    pub fn is_fault(&self) -> bool {
        self.works == Some(false) && !self.optional
    }

    fn new(row: &Row, state: State, interface: &str) -> Self {
        let (works, found) = match state {
            State::Works(found) => (Some(true), found),
            State::Fails(found) => (Some(false), Some(found)),
            State::Unknown(found) => (None, Some(found)),
        };
        Self {
            name: row.name,
            since: row.since.map(|since| since.to_string()),
            works,
            found,
            optional: matches!(row.without, Without::Same(_)),
            without: row.without.words(),
            remedy: row.remedy.replace("IF", interface),
        }
    }
}

/// How a feature was found.
enum State {
    Works(Option<String>),
    Fails(String),
    Unknown(String),
}

/// The kernel's release, such as `6.1.0-18-amd64`.
pub fn release() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/osrelease")?.trim_end().to_owned())
}

/// What the host has of all that is no matter of an interface. Where the filter of this very process `runs`, nothing proves better
/// that the kernel takes it, and the verifier, which takes a tenth of a second, is left alone.
pub fn host(config: &Config, runs: bool) -> Vec<Finding> {
    let may = rights().is_ok() && is_map_supported(MapType::Array).is_ok();
    let rows = ALL.iter().filter(|row| !row.feature.is_of_interface());
    rows.map(|row| Finding::new(row, probe(row.feature, config, may, runs), "IF")).collect()
}

/// What each interface has that the filter is to run on.
pub fn interfaces(config: &Config) -> Vec<InterfaceFindings> {
    let of_one = |interface: String| {
        let rows = ALL.iter().filter(|row| row.feature.is_of_interface());
        let findings = rows.map(|row| {
            Finding::new(row, probe_interface(row.feature, &interface, config.mode), &interface)
        });
        InterfaceFindings { findings: findings.collect(), interface: interface.clone() }
    };
    match config.mode {
        Mode::Off => Vec::new(),
        Mode::Auto | Mode::Native | Mode::Generic => {
            attach::interfaces(config).into_iter().map(of_one).collect()
        }
    }
}

/// What is missing without which there is no filter, in words; empty where nothing is.
pub fn missing(config: &Config) -> String {
    let missing = |finding: &Finding| {
        finding.is_fault().then(|| match &finding.since {
            Some(since) => format!("{} (Linux {since})", finding.name),
            None => finding.name.to_owned(),
        })
    };
    host(config, false).iter().filter_map(missing).collect::<Vec<_>>().join(", ")
}

fn probe(feature: Feature, config: &Config, may: bool, runs: bool) -> State {
    match feature {
        Feature::Rights => works(rights()),
        Feature::Bpffs => bpffs(&config.pin_dir),
        Feature::Memory => works(memory_is_free()),
        Feature::Asking => {
            works(driver::runs_programs(LOOPBACK).map_err(|error| error.to_string()).map(drop))
        }
        Feature::Types => works(
            fs::metadata("/sys/kernel/btf/vmlinux").map_err(|error| error.to_string()).map(drop),
        ),
        Feature::Calls => map(MapType::Array),
        _ if !may => State::Unknown("not tried without the system call".to_owned()),
        Feature::Tables => works(tables()),
        Feature::Tries => map(MapType::LpmTrie),
        Feature::Counters => map(MapType::PerCpuArray),
        Feature::Limiter => map(MapType::LruHash),
        Feature::Events => map(MapType::RingBuf),
        Feature::BootClock => helper(BpfHelper::BPF_FUNC_ktime_get_boot_ns),
        Feature::CoarseClock => helper(BpfHelper::BPF_FUNC_ktime_get_coarse_ns),
        // It is put on interfaces by links alone.
        Feature::Links | Feature::Program if runs => {
            State::Works(Some("the filter runs".to_owned()))
        }
        Feature::Links => works(with_program(config, links)),
        Feature::Program => works(with_program(config, |_program| Ok(()))),
        Feature::Native | Feature::Generic | Feature::Room | Feature::Tags => {
            State::Unknown("a matter of each interface".to_owned())
        }
    }
}

fn probe_interface(feature: Feature, name: &str, mode: Mode) -> State {
    let index = match interface::index(name) {
        Ok(index) => index,
        Err(error) => return State::Fails(format!("no such interface ({error})")),
    };
    match feature {
        Feature::Native if mode == Mode::Generic => {
            State::Works(Some("not asked for: the configuration says generic".to_owned()))
        }
        Feature::Native => match driver::runs_programs(index) {
            Ok(true) => State::Works(None),
            Ok(false) => State::Fails("the driver runs no XDP programs".to_owned()),
            Err(error) => State::Unknown(format!("known when the daemon has tried it ({error})")),
        },
        Feature::Room => room(index),
        Feature::Tags => match vlan::hidden(name).as_slice() {
            [] => State::Works(offloads::takes_tags_off(name).is_ok_and(|on| on).then(|| {
                "`rx-vlan-offload` is on, which matters once VLAN interfaces are made".to_owned()
            })),
            hidden => State::Fails(format!("taken off: those of {}", hidden.join(", "))),
        },
        // Every interface has it, as far as the kernel has it.
        _ => State::Works(None),
    }
}

/// The loopback has this number in each network namespace.
const LOOPBACK: u32 = 1;

fn works(result: Result<(), String>) -> State {
    match result {
        Ok(()) => State::Works(None),
        Err(found) => State::Fails(found),
    }
}

fn rights() -> Result<(), String> {
    let held = capabilities(None).map_err(|error| error.to_string())?.effective;
    let (bpf, all) = (CapabilitySet::BPF | CapabilitySet::PERFMON, CapabilitySet::SYS_ADMIN);
    // Before Linux 5.8 the other two were part of CAP_SYS_ADMIN, and they still are.
    if held.contains(CapabilitySet::NET_ADMIN) && (held.contains(bpf) || held.contains(all)) {
        return Ok(());
    }
    let wanted = [
        (CapabilitySet::BPF, "CAP_BPF"),
        (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
        (CapabilitySet::PERFMON, "CAP_PERFMON"),
    ];
    let missing = wanted.into_iter().filter(|(capability, _)| !held.contains(*capability));
    let missing: Vec<_> = missing.map(|(_, name)| name).collect();
    Err(format!("this process is without {}", missing.join(", ")))
}

fn bpffs(pin_dir: &Path) -> State {
    match pins::is_on_bpffs(pin_dir) {
        Ok(true) => State::Works(None),
        Ok(false) if pin_dir.starts_with(pins::BPFFS) => {
            State::Works(Some("not mounted yet: the daemon does it at its start".to_owned()))
        }
        Ok(false) => State::Fails(format!("{} is on none", pin_dir.display())),
        Err(error) => State::Fails(error.to_string()),
    }
}

fn memory_is_free() -> Result<(), String> {
    let release = release().map_err(|error| error.to_string())?;
    if Version::parse(&release) >= Some(Version(5, 11)) {
        return Ok(());
    }
    match getrlimit(Resource::Memlock).current {
        None => Ok(()),
        Some(most) => Err(format!("at most {most} octets of it")),
    }
}

fn tables() -> Result<(), String> {
    let table = memory::create_table(1).map_err(|error| chain(&error))?;
    memory::read(&table, 1).map_err(|error| chain(&error))?;
    memory::create_holder(&table).map_err(|error| chain(&error)).map(drop)
}

fn map(kind: MapType) -> State {
    supported(is_map_supported(kind))
}

fn helper(helper: BpfHelper) -> State {
    supported(is_helper_supported(ProgramType::Xdp, helper))
}

fn supported(result: Result<bool, impl Error>) -> State {
    match result {
        Ok(true) => State::Works(None),
        Ok(false) => State::Fails("this kernel has none".to_owned()),
        Err(error) => State::Fails(chain(&error)),
    }
}

/// Loads the program with maps of its own, which go with it.
fn with_program(
    config: &Config,
    check: impl FnOnce(&mut Xdp) -> Result<(), String>,
) -> Result<(), String> {
    let mut ebpf = program::load_alone(config).map_err(|error| error.to_string())?;
    let program = ebpf.program_mut(gateway_ebpf::abi::PROGRAM);
    let program = program.and_then(|program| <&mut Xdp>::try_from(program).ok());
    check(program.ok_or("the object holds no program")?)
}

/// Asks for what cannot be, native mode on the loopback: a kernel with links refuses the link, one without goes on to refuse
/// what aya tries next.
fn links(program: &mut Xdp) -> Result<(), String> {
    match program.attach_to_if_index(LOOPBACK, XdpMode::Driver) {
        Err(error) if attach::errno(&error).is_some() => Ok(()),
        Err(_) | Ok(_) => Err("this kernel has none".to_owned()),
    }
}

fn room(index: u32) -> State {
    match attach::running(index) {
        None => State::Works(None),
        Some((id, name)) if name == gateway_ebpf::abi::PROGRAM => {
            State::Works(Some(format!("the filter runs there, program {id}")))
        }
        Some((id, name)) if name.is_empty() => {
            State::Unknown(format!("program {id} runs there, and only root may ask whose it is"))
        }
        Some((id, name)) => State::Fails(attach::name_other(id, &name)),
    }
}
