//! Puts the program on interfaces: a link per interface, pinned, taken over by the next daemon without a gap.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use aya::programs::links::FdLink;
use aya::programs::xdp::{XdpLink, XdpMode};
use aya::programs::{ProgramError, Xdp, loaded_programs};
use rustix::io::Errno;
use serde::Serialize;

use super::error::chain;
use super::links::LinkPin;
use super::pins::Pins;
use super::{Config, Mode, XdpError, interface, vlan};

/// Where on an interface the program runs, the best place first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunsIn {
    /// In the driver.
    Native,
    /// After the socket buffer is allocated.
    Generic,
    /// Nowhere.
    Off,
}

impl RunsIn {
    /// The word that `status` and records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Off => "off",
        }
    }
}

/// What came of putting the program on one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// The interface.
    pub interface: String,
    /// Where the program runs.
    pub mode: RunsIn,
    /// Whether a program of an earlier daemon ran there, and was replaced without a gap.
    pub adopted: bool,
    /// Whether the program can answer there: not where VLAN tags are taken off before it sees a frame.
    pub replies: bool,
    /// Why it is not as well as it could be; `None` when it is.
    pub reason: Option<String>,
}

/// Puts the program on all configured interfaces, and takes it from all others.
pub(super) fn attach(program: &mut Xdp, config: &Config, pins: &Pins) -> Vec<Attachment> {
    let interfaces = interfaces(config);
    if interfaces.is_empty() {
        // The default route may be gone for a moment: what runs on some interface goes on.
        return Vec::new();
    }
    inherit(pins);
    let attachments: Vec<Attachment> =
        interfaces.into_iter().map(|name| attach_one(program, name, config.mode, pins)).collect();
    discard_others(&attachments, pins);
    attachments
}

/// Where a program runs that another process has put there, by the pinned links; nothing is changed.
pub(super) fn found(config: &Config, pins: &Pins) -> Vec<Attachment> {
    interfaces(config).into_iter().map(|name| found_on(name, pins)).collect()
}

fn found_on(name: String, pins: &Pins) -> Attachment {
    let running = interface::index(&name).and_then(interface::running_program).ok().flatten();
    let is_ours = |mode: &RunsIn| {
        let link = pins.link(&name, *mode).open().and_then(|link| link.info());
        running.is_some() && link.is_ok_and(|link| Some(link.program_id()) == running)
    };
    let mode = [RunsIn::Native, RunsIn::Generic].into_iter().find(is_ours);
    let reason = "the filter does not run there, and the daemon has no rights to put it there: run `portcullis xdp attach` as root";
    Attachment {
        replies: vlan::hidden(&name).is_empty(),
        reason: mode.is_none().then(|| reason.to_owned()),
        mode: mode.unwrap_or(RunsIn::Off),
        adopted: mode.is_some(),
        interface: name,
    }
}

/// Puts the program behind the pinned links that still lead to their interfaces; all others wait for [`attach`].
pub(super) fn take_over_pinned(program: &mut Xdp, pins: &Pins) -> Result<(), XdpError> {
    for pin in pins.links()? {
        let index = interface::index(pin.interface()).map_err(|error| error.to_string());
        if let Err(reason) = index.and_then(|index| take_over(program, &pin, index)) {
            tracing::debug!(interface = pin.interface(), "not taken over yet: {reason}");
        }
    }
    Ok(())
}

/// Moves the links of a daemon of another schema version in here, so that they are adopted like our own.
///
/// Its program goes on with its own maps until ours takes its place, filled: nobody slips through an upgrade.
fn inherit(pins: &Pins) {
    for older in pins.of_other_versions() {
        for link in older.links().unwrap_or_default() {
            let here = pins.folder().join(link.path().file_name().unwrap_or_default());
            if here.exists() {
                discard(&link);
            } else if let Err(error) = fs::rename(link.path(), &here) {
                tracing::warn!("{}: {error}", link.path().display());
            }
        }
        if let Err(error) = older.remove_all() {
            tracing::warn!("{error}");
        }
    }
}

/// Whether the program still runs where `attachments` say, and nowhere else is it wanted.
pub(super) fn is_intact(program: u32, config: &Config, attachments: &[Attachment]) -> bool {
    let wanted = interfaces(config);
    let same = wanted.iter().eq(attachments.iter().map(|attachment| &attachment.interface));
    let runs = |attachment: &Attachment| {
        let index = interface::index(&attachment.interface);
        let running = index.and_then(interface::running_program);
        running.is_ok_and(|running| running == Some(program))
            && attachment.replies == vlan::hidden(&attachment.interface).is_empty()
    };
    wanted.is_empty() || (same && attachments.iter().all(runs))
}

/// The numbers of the interfaces on which the program must not answer, as [`Attachment::replies`] says.
pub(super) fn without_replies(config: &Config) -> Vec<u32> {
    let hiding = interfaces(config).into_iter().filter(|name| !vlan::hidden(name).is_empty());
    hiding.filter_map(|name| interface::index(&name).ok()).collect()
}

/// The interfaces that are configured, or those of the default routes.
pub(super) fn interfaces(config: &Config) -> Vec<String> {
    if config.interfaces.is_empty() {
        interface::of_default_routes()
    } else {
        config.interfaces.clone()
    }
}

fn attach_one(program: &mut Xdp, name: String, mode: Mode, pins: &Pins) -> Attachment {
    let (mode, adopted, mut reasons) = match wanted(mode) {
        [] => {
            let reason = "switched off in the configuration".to_owned();
            (RunsIn::Off, false, vec![reason])
        }
        wanted => match interface::index(&name) {
            Ok(index) => adopt_or_attach(program, &name, index, wanted, pins),
            Err(error) => {
                let reason = format!("no such interface ({error})");
                (RunsIn::Off, false, vec![reason])
            }
        },
    };
    let vlans = vlan::hidden(&name);
    if mode != RunsIn::Off {
        reasons.extend(vlan::remark(&name, &vlans));
    }
    Attachment {
        interface: name,
        mode,
        adopted,
        replies: vlans.is_empty(),
        reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
    }
}

/// The modes to try, best first.
const fn wanted(mode: Mode) -> &'static [RunsIn] {
    match mode {
        Mode::Auto => &[RunsIn::Native, RunsIn::Generic],
        Mode::Native => &[RunsIn::Native],
        Mode::Generic => &[RunsIn::Generic],
        Mode::Off => &[],
    }
}

fn adopt_or_attach(
    program: &mut Xdp,
    name: &str,
    index: u32,
    wanted: &[RunsIn],
    pins: &Pins,
) -> (RunsIn, bool, Vec<String>) {
    if let Some(mode) = adopt(program, name, index, wanted, pins) {
        let mut reasons = Vec::new();
        if Some(&mode) != wanted.first() {
            reasons.push("generic since an earlier start; `portcullis xdp detach` and a restart try native again".to_owned());
        }
        return (mode, true, reasons);
    }
    let mut reasons = Vec::new();
    for mode in wanted.iter().copied() {
        match attach_new(program, index, mode, &pins.link(name, mode)) {
            Ok(()) => return (mode, false, reasons),
            Err(refusal) => {
                reasons.push(format!("{}: {}", mode.name(), refusal.reason));
                if refusal.is_final {
                    break;
                }
            }
        }
    }
    (RunsIn::Off, false, reasons)
}

/// Replaces the program of an earlier daemon by ours, in one step, if its link is still good.
fn adopt(
    program: &mut Xdp,
    name: &str,
    index: u32,
    wanted: &[RunsIn],
    pins: &Pins,
) -> Option<RunsIn> {
    for mode in [RunsIn::Native, RunsIn::Generic] {
        let pin = pins.link(name, mode);
        if !pin.path().exists() {
            continue;
        }
        let adopted = if wanted.contains(&mode) {
            take_over(program, &pin, index)
        } else {
            Err("the configuration wants another mode".to_owned())
        };
        match adopted {
            Ok(()) => return Some(mode),
            Err(reason) => {
                tracing::warn!(
                    interface = name,
                    "the pinned link is not adopted but made anew: {reason}"
                );
                discard(&pin);
            }
        }
    }
    None
}

/// Puts our program behind the link pinned at `path`; refuses a link to another interface, or to one that is gone.
fn take_over(program: &mut Xdp, pin: &LinkPin, index: u32) -> Result<(), String> {
    let link = pin.open().map_err(|error| chain(&error))?;
    let behind_link = link.info().map_err(|error| chain(&error))?.program_id();
    let running = interface::running_program(index).map_err(|error| error.to_string())?;
    if running != Some(behind_link) {
        return Err("it leads to another interface, or to none".to_owned());
    }
    let link = XdpLink::try_from(link).map_err(|error| chain(&error))?;
    program
        .attach_to_link(link)
        .and_then(|id| program.take_link(id))
        .map(drop)
        .map_err(|error| chain(&error))
}

/// Attaches and pins.
fn attach_new(program: &mut Xdp, index: u32, mode: RunsIn, pin: &LinkPin) -> Result<(), Refusal> {
    // A kernel without links would put ours in its place.
    if let Some((id, name)) = running(index) {
        return Err(Refusal { reason: name_other(id, &name), is_final: true });
    }
    if NO_LINKS.load(Ordering::Relaxed) {
        return Err(Refusal { reason: no_link(""), is_final: true });
    }
    // Without a place for the pin it would come off again at once, each time, which costs a card its packets.
    if !pin.path().parent().is_some_and(Path::exists) {
        let reason = "its pins are gone, as after `portcullis xdp detach`; a restart puts it back";
        return Err(Refusal { reason: reason.to_owned(), is_final: true });
    }
    let xdp_mode = match mode {
        RunsIn::Native => XdpMode::Driver,
        RunsIn::Generic | RunsIn::Off => XdpMode::Skb,
    };
    let link = program
        .attach_to_if_index(index, xdp_mode)
        .and_then(|id| program.take_link(id))
        .map_err(|error| Refusal::new(&error, index))?;
    // Where the kernel refuses a link, aya attaches over netlink without a word. What runs like that cannot be pinned, handed
    // over or told from a program of others, so it is taken off again.
    let Ok(link) = FdLink::try_from(link) else {
        let undone = interface::take_off(index, mode == RunsIn::Native);
        let left =
            undone.map_err(|error| format!("; the program is left on the interface: {error}"));
        let left = left.err().unwrap_or_default();
        NO_LINKS.store(true, Ordering::Relaxed);
        return Err(Refusal { reason: no_link(&left), is_final: true });
    };
    link.pin(pin.path())
        .map(drop)
        .map_err(|error| Refusal { reason: chain(&error), is_final: true })
}

/// Whether this kernel was seen to give no links. It will give none later either, and each try puts a program on the interface
/// for a moment, for which a driver may well stop its queues.
static NO_LINKS: AtomicBool = AtomicBool::new(false);

fn no_link(left: &str) -> String {
    format!("the kernel gives no link to the interface, which Linux 5.9 does{left}")
}

/// Why a program is not attached, and whether another mode is worth a try.
struct Refusal {
    reason: String,
    is_final: bool,
}

impl Refusal {
    fn new(error: &ProgramError, index: u32) -> Self {
        let (reason, is_final) = match errno(error) {
            Some(Errno::BUSY | Errno::EXIST) => (other_program(index), true),
            Some(Errno::PERM | Errno::ACCESS) => ("not permitted".to_owned(), true),
            Some(Errno::OPNOTSUPP) => ("the driver cannot do it".to_owned(), false),
            _ => (chain(error), false),
        };
        Self { reason, is_final }
    }
}

/// The number of the error that a system call gave.
pub(super) fn errno(error: &ProgramError) -> Option<Errno> {
    let ProgramError::SyscallError(error) = error else {
        return None;
    };
    Errno::from_io_error(&error.io_error)
}

/// Names the program that runs on an interface already.
fn other_program(index: u32) -> String {
    match running(index) {
        Some((id, name)) => name_other(id, &name),
        None => "another XDP program runs there already".to_owned(),
    }
}

/// Number and name of the program that runs on an interface.
pub(super) fn running(index: u32) -> Option<(u32, String)> {
    let id = interface::running_program(index).ok().flatten()?;
    let mut programs = loaded_programs().filter_map(Result::ok);
    let program = programs.find(|program| program.id() == id);
    let name = program.and_then(|program| Some(program.name_as_str()?.to_owned()));
    Some((id, name.unwrap_or_default()))
}

/// Says which other program is in the way.
pub(super) fn name_other(id: u32, name: &str) -> String {
    let whose = if name == DISPATCHER { ", the dispatcher of libxdp" } else { "" };
    format!("another XDP program runs there already: `{name}`, number {id}{whose}")
}

/// What libxdp calls the program that calls others.
const DISPATCHER: &str = "xdp_dispatcher";

/// Takes the program from interfaces that are no longer configured, or gone.
fn discard_others(attachments: &[Attachment], pins: &Pins) {
    let kept: Vec<LinkPin> = attachments
        .iter()
        .map(|attachment| pins.link(&attachment.interface, attachment.mode))
        .collect();
    match pins.links() {
        Ok(links) => {
            for pin in links.iter().filter(|pin| !kept.contains(pin)) {
                discard(pin);
            }
        }
        Err(error) => tracing::warn!("{error}"),
    }
}

fn discard(pin: &LinkPin) {
    if let Err(error) = pin.remove() {
        tracing::warn!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_in_the_way_is_named() {
        for (name, expected) in [
            ("only", "another XDP program runs there already: `only`, number 7"),
            (
                "xdp_dispatcher",
                "another XDP program runs there already: `xdp_dispatcher`, number 7, the dispatcher of libxdp",
            ),
        ] {
            assert_eq!(name_other(7, name), expected);
        }
    }
}
