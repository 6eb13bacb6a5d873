//! The start of the daemon up to where it gives up its rights: ports are bound, folders made, and nothing is read from strangers.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;
use tracing::{info, warn};

use super::Failure;
use super::sockets::{Sockets, from_service_manager};
use super::take_over::TakeOver;
use crate::config::Config;
use crate::quarantine;
use crate::rights::{
    self, Account, Confinement, KERNEL_FILTER, NOTHING, Reach, Report, RightsError,
};
use crate::xdp::{self, Mode};

/// What a daemon has that has given up its rights.
#[derive(Debug)]
pub struct Begun {
    pub(super) sockets: Sockets,
    /// The lock of the state folder; not yet there while another daemon that hands over has it.
    pub(super) lock: Option<File>,
    /// The daemon that hands over.
    pub(super) earlier: Option<TakeOver>,
    pub(super) rights: Report,
    /// The files that this process reaches; `None` where it reaches all that its user does.
    pub(super) reach: Option<Reach>,
}

/// Does all that takes rights, then gives them up, for the calling thread and all that it will start. To be called before
/// there is another thread.
///
/// With `take_over` a daemon that runs hands its sockets over; where none runs, this is a start like any other.
pub fn begin(config: &Config, take_over: bool) -> Result<Begun, Failure> {
    let account = prepare(config)?;
    let earlier = if take_over { TakeOver::ask(&config.state_dir)? } else { None };
    let (earlier, handed) = match earlier {
        Some((earlier, handed)) => (Some(earlier), handed),
        None => (None, Vec::new()),
    };
    let lock = if earlier.is_none() { Some(lock(&config.state_dir)?) } else { None };
    let handed: Vec<TcpListener> =
        handed.into_iter().chain(from_service_manager(config)?).collect();
    let sockets = Sockets::bind(config, handed)?;
    let needed = if config.xdp.mode == Mode::Off { NOTHING } else { KERNEL_FILTER };
    if let Some(account) = &account {
        unreadable(config, account).for_each(|what| warn!(target: "start", "{what}"));
    }
    rights::give_up(account.as_ref(), needed)?;
    let reach = config.rights.landlock.then(|| config.reach().existing());
    let confinement = reach.as_ref().map_or(Ok(Confinement::Off), rights::confine)?;
    let rights = Report::new(&confinement);
    tell(&rights);
    let is_confined = matches!(confinement, Confinement::Full | Confinement::Partial(_));
    Ok(Begun { sockets, lock, earlier, rights, reach: reach.filter(|_reach| is_confined) })
}

/// Does what takes rights for a filter that a daemon without any is to keep up to date, and becomes the user that this daemon is.
/// The lock says that none runs meanwhile.
pub fn begin_attach(config: &Config) -> Result<File, Failure> {
    let account = prepare(config)?;
    let lock = lock(&config.state_dir).map_err(|failure| match failure {
        Failure::Unavailable { text, .. } => Failure::Unavailable {
            text,
            hint: "stop it first: the filter goes on without it".to_owned(),
        },
        other => other,
    })?;
    rights::give_up(account.as_ref(), KERNEL_FILTER)?;
    Ok(lock)
}

/// Whom the daemon is to become; `None` where it stays who it is.
pub fn account(config: &Config) -> Result<Option<Account>, RightsError> {
    let Some(user) = &config.rights.user else { return Ok(None) };
    Account::find(user, config.rights.group.as_deref()).map(Some)
}

/// Files that were read by whoever started this, and which a reload by `account` could not read; each with what to do.
pub fn unreadable(config: &Config, account: &Account) -> impl Iterator<Item = String> {
    let files = config.reads.iter().chain([&config.file]);
    files.filter_map(|file| account.unreadable(file)).map(|what| {
        format!("{what}, so that a reload cannot: give it a group that the user is in, or let the service manager pass it on (`LoadCredential=`)")
    })
}

/// Finds whom the daemon is to become, and makes the folders that it writes in.
fn prepare(config: &Config) -> Result<Option<Account>, Failure> {
    let account = account(config)?;
    match account.as_ref().filter(|_account| geteuid().is_root()) {
        Some(account) => make_folders(config, account)?,
        None => make_own_folders(config)?,
    }
    Ok(account)
}

/// Makes sure that no other daemon keeps its state in the same folder. The lock goes with the process.
pub(super) fn lock(state_dir: &Path) -> Result<File, Failure> {
    let file = rights::open_lock(state_dir).map_err(|error| Failure::Setup {
        text: format!("cannot write {}: {error}", state_dir.join("lock").display()),
        hint: "make the folder writable, or set `state_dir` to another path".to_owned(),
    })?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_locked| {
        Failure::Unavailable {
            text: format!("another daemon keeps its state in {}", state_dir.display()),
            hint: "take over from it with `portcullis run --take-over`, stop it first, or give this one another `state_dir`".to_owned(),
        }
    })?;
    Ok(file)
}

/// Makes what `account` could not make, and gives it what an earlier daemon left as root.
fn make_folders(config: &Config, account: &Account) -> Result<(), Failure> {
    rights::own_state(&config.state_dir, account)?;
    for folder in config.socket_paths().into_iter().filter_map(Path::parent) {
        rights::make_folder(folder, 0o750, account)?;
    }
    if config.uses_quarantine() {
        rights::make_folder(&config.quarantine.folder, quarantine::FOLDER_MODE, account)?;
    }
    for file in config.audit.files() {
        rights::own_file(file, account)?;
    }
    if config.xdp.mode != Mode::Off
        && let Err(error) = xdp::give_pins(&config.xdp, account.uid(), account.gid())
    {
        // Why there is no filter is said when it is opened; mail does not wait for it.
        warn!(target: "start", "the pins are not given to `{}`: {error}", account.name());
    }
    Ok(())
}

/// The same for one that stays who it is; afterwards nothing can be mounted any more.
fn make_own_folders(config: &Config) -> Result<(), Failure> {
    let state_dir = &config.state_dir;
    std::fs::create_dir_all(state_dir).map_err(|error| Failure::Setup {
        text: format!("cannot write {}: {error}", state_dir.display()),
        hint: "make the folder writable, or set `state_dir` to another path".to_owned(),
    })?;
    for folder in config.socket_paths().into_iter().filter_map(Path::parent) {
        // What is wrong with it is said when the socket is bound.
        std::fs::create_dir_all(folder).unwrap_or_default();
    }
    if config.uses_quarantine() {
        // As above, for the quarantine.
        quarantine::make_folder(&config.quarantine.folder).unwrap_or_default();
    }
    if config.xdp.mode != Mode::Off {
        // As above, for the pins.
        xdp::make_pin_folder(&config.xdp).unwrap_or_default();
    }
    Ok(())
}

fn tell(rights: &Report) {
    let Report { user, uid, capabilities, landlock, landlock_reason, .. } = rights;
    let user = user.as_deref().unwrap_or("-");
    let few = capabilities.len() <= 8;
    let held = if few { capabilities.join(",") } else { format!("{} of them", capabilities.len()) };
    info!(target: "start", "rights user={user} uid={uid} capabilities={held} landlock={landlock}");
    if *uid == 0 {
        warn!(
            target: "start",
            "runs as root, with all rights, while it reads what strangers send; set `user` at the top of the configuration, see rights.md"
        );
    }
    if let Some(reason) = landlock_reason {
        warn!(target: "start", "landlock={landlock}: {reason}");
    }
}

impl From<RightsError> for Failure {
    fn from(error: RightsError) -> Self {
        Self::Setup { text: error.to_string(), hint: error.hint() }
    }
}
