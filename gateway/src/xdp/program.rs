//! The program on its way into the kernel: the object that the daemon carries, its constants, and the maps that it finds.

use std::path::PathBuf;

use aya::programs::{ProgramError, Xdp};
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use aya_log::LEVEL;
use gateway_ebpf::abi::{MAX_PORTS, MapShape, PORTS, PROGRAM, map};
use gateway_ebpf::event::{EVENT_MOST, EVENT_SHIFT, Sampling};

use super::{Config, XdpError, log};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/portcullis-xdp"));

/// Loads the program with the maps pinned at `pin`.
pub(super) fn load(config: &Config, pin: impl Fn(MapShape) -> PathBuf) -> Result<Ebpf, XdpError> {
    load_program(config, |shape| Some(pin(shape)))
}

/// Loads the program with maps of its own, which hold nothing: whether this kernel takes it.
pub(super) fn load_alone(config: &Config) -> Result<Ebpf, XdpError> {
    load_program(config, |_shape| None)
}

fn load_program(
    config: &Config,
    pin: impl Fn(MapShape) -> Option<PathBuf>,
) -> Result<Ebpf, XdpError> {
    let mut ebpf = load_object(OBJECT, config, pin)?;
    let program = ebpf.program_mut(PROGRAM).ok_or_else(no_program)?;
    let program: &mut Xdp = program.try_into().map_err(refused)?;
    program.load().map_err(refused)?;
    Ok(ebpf)
}

/// Prepares an object with the maps pinned at `pin`, or with maps of its own; its programs are still to be loaded.
pub(super) fn load_object(
    object: &[u8],
    config: &Config,
    pin: impl Fn(MapShape) -> Option<PathBuf>,
) -> Result<Ebpf, XdpError> {
    let mut ports = [0_u16; MAX_PORTS];
    let wanted: Vec<u16> = config.ports.iter().copied().filter(|port| *port != 0).collect();
    let Some(places) = ports.get_mut(..wanted.len()) else {
        return Err(XdpError::DoesNotFit { what: "ports", found: wanted.len(), most: MAX_PORTS });
    };
    places.copy_from_slice(&wanted);
    let level = log::level();
    let mut loader = EbpfLoader::new();
    let sampling = Sampling::per_second(config.events_per_second);
    loader
        .override_global(PORTS, &ports, true)
        .override_global(EVENT_MOST, &sampling.most, true)
        .override_global(EVENT_SHIFT, &sampling.shift, true)
        .override_global(LEVEL, &level, false);
    for shape in map::ALL {
        if let Some(pin) = pin(shape) {
            loader.map_pin_path(shape.name, pin);
        }
    }
    loader.load(object).map_err(|error| XdpError::program(&error))
}

/// The kernel refused it.
pub(super) fn refused(error: ProgramError) -> XdpError {
    XdpError::program(&error)
}

/// Our own object is not what it should be.
pub(super) fn no_program() -> XdpError {
    XdpError::Program { reason: format!("the object holds no program named {PROGRAM}") }
}
