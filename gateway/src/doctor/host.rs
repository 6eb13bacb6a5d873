//! What the host gives: open files, a clock that is right, room on the disk, a trail that can be written.

use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, StatVfs, access, statvfs};
use rustix::process::{Resource, getegid, geteuid, getrlimit};

use super::check::Check;
use super::{AS_ROOT, Daemon};
use crate::config::Config;
use crate::front::files_needed;
use crate::rights::Account;
use crate::xdp::{self, KernelClock};

const AREA: &str = "host";

/// With less than so many octets the next copy of a list, or the next hour of the trail, may not fit.
const LITTLE: u64 = 64 << 20;

/// A time service that is further off than this is none.
const FAR_OFF: Duration = Duration::from_secs(1);

/// What there is to say of it.
pub(super) fn checks(config: Option<&Config>, daemon: &Daemon) -> Vec<Check> {
    let mut checks = vec![clock(xdp::kernel_clock())];
    if let Some(config) = config {
        checks.push(files(daemon.open_files(), config.connections()));
        checks.push(room(&config.state_dir));
        checks.push(trail(config));
    }
    checks
}

/// The limit of open files, of the daemon where it is to be seen.
fn files(of_daemon: Option<u64>, connections: usize) -> Check {
    const NAME: &str = "open files";
    let (most, whose) = match of_daemon {
        Some(most) => (most, "of the daemon"),
        // The daemon raises its own to the hard one.
        None => (getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX), "of this command"),
    };
    let needed = files_needed(connections);
    let shown = if most == u64::MAX { "no limit".to_owned() } else { format!("at most {most}") };
    let found = format!("{shown} ({whose}), {connections} connections may need {needed}");
    if most >= needed {
        Check::ok(AREA, NAME, found)
    } else {
        let remedy = format!("`LimitNOFILE={needed}` in the unit, or lower `[limits] connections`");
        Check::doubtful(AREA, NAME, found, remedy)
    }
}

fn clock(found: std::io::Result<KernelClock>) -> Check {
    const NAME: &str = "clock";
    const REMEDY: &str = "timedatectl set-ntp true, or install chrony";
    match found {
        Err(error) => {
            Check::unseen(AREA, NAME, error, "timedatectl says whether it is synchronised")
        }
        Ok(KernelClock { is_synchronised: false, .. }) => {
            let found = "no time service keeps it right: times of records and signatures of DKIM depend on it";
            Check::doubtful(AREA, NAME, found, REMEDY)
        }
        Ok(KernelClock { most_wrong, .. }) => {
            let found = format!("synchronised, at most {} ms off", most_wrong.as_millis());
            if most_wrong > FAR_OFF {
                Check::doubtful(AREA, NAME, found, REMEDY)
            } else {
                Check::ok(AREA, NAME, found)
            }
        }
    }
}

/// The room on the disk of the state.
fn room(state_dir: &Path) -> Check {
    const NAME: &str = "room for the state";
    let Some(folder) = state_dir.ancestors().find(|folder| folder.is_dir()) else {
        return Check::unseen(
            AREA,
            NAME,
            "no folder of that name is to be seen",
            "set `state_dir`",
        );
    };
    match statvfs(folder) {
        Err(error) => Check::unseen(AREA, NAME, error, "df, as root"),
        Ok(StatVfs { f_bavail, f_blocks, f_frsize, f_favail, f_files, .. }) => {
            let free = f_bavail.saturating_mul(f_frsize);
            let all = f_blocks.saturating_mul(f_frsize);
            // Some file systems have no bound on files, and say 0 of 0.
            let files = (f_files > 0).then_some(f_favail);
            judge_room(state_dir, free, all, files)
        }
    }
}

fn judge_room(state_dir: &Path, free: u64, all: u64, files: Option<u64>) -> Check {
    const NAME: &str = "room for the state";
    let percent = free.saturating_mul(100).checked_div(all).unwrap_or(0);
    let dir = state_dir.display();
    let found = format!("{} MiB free ({percent} %) for {dir}", free >> 20);
    let remedy = format!(
        "`du -xh -d1 {dir}` says what is large; make room, or set `state_dir` to another disk"
    );
    if free < LITTLE {
        Check::bad(AREA, NAME, found, remedy)
    } else if let Some(files @ ..1000) = files {
        Check::bad(AREA, NAME, format_args!("{found}, and room for {files} files"), remedy)
    } else if percent < 5 {
        Check::doubtful(AREA, NAME, found, remedy)
    } else {
        Check::ok(AREA, NAME, found)
    }
}

/// Whether the daemon can write its trail.
fn trail(config: &Config) -> Check {
    const NAME: &str = "audit trail";
    let file = &config.audit.file;
    let Some(folder) = file.parent().filter(|folder| folder.is_dir()) else {
        let found = format!("no folder for {}", file.display());
        let remedy = format!("mkdir -p {}", file.parent().unwrap_or(file).display());
        // The daemon makes the folder of its state itself.
        return if file.starts_with(&config.state_dir) {
            Check::doubtful(
                AREA,
                NAME,
                format_args!("{found} yet"),
                "start the daemon once: it makes it",
            )
        } else {
            Check::bad(AREA, NAME, found, remedy)
        };
    };
    let shown = file.display();
    let (may, who) = match may_write(config, file, folder) {
        Ok(found) => found,
        Err(why) => return Check::unseen(AREA, NAME, why, AS_ROOT),
    };
    if may {
        Check::ok(AREA, NAME, format_args!("{who} can write {shown}"))
    } else {
        let remedy = format!("chown {who} {shown}, or set `[audit] file` to another path");
        Check::bad(AREA, NAME, format_args!("{who} cannot write {shown}"), remedy)
    }
}

/// Whether the one that the daemon is could write `file`, and who that is.
fn may_write(config: &Config, file: &Path, folder: &Path) -> Result<(bool, String), String> {
    let group = config.rights.group.as_deref();
    if let Some(user) = &config.rights.user {
        let account = Account::find(user, group).map_err(|error| error.to_string())?;
        let may = account.may_write(file);
        let may = may.ok_or_else(|| format!("{} cannot be looked at", file.display()))?;
        return Ok((may, account.name().to_owned()));
    }
    let may = if file.exists() {
        access(file, Access::WRITE_OK).is_ok()
    } else {
        access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
    };
    // Root may anything but what is mounted to be read alone, which the call knows.
    let who = format!("uid {} gid {}", geteuid().as_raw(), getegid().as_raw());
    if may || geteuid().is_root() {
        return Ok((may, who));
    }
    Err(format!(
        "{who} may not write {}, and no configuration says whom the daemon is",
        file.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn room_is_judged_by_octets_share_and_files() {
        let dir = Path::new("/var/lib/portcullis");
        for (free, all, files, expected) in [
            (50 << 30, 100 << 30, Some(1_000_000), State::Ok),
            (50 << 30, 100 << 30, None, State::Ok),
            (4 << 30, 100 << 30, None, State::Doubtful),
            (63 << 20, 100 << 20, None, State::Bad),
            (50 << 30, 100 << 30, Some(999), State::Bad),
            (0, 0, None, State::Bad),
        ] {
            let check = judge_room(dir, free, all, files);
            assert_eq!(check.state, expected, "{check:?}");
        }
    }

    #[test]
    fn clock_and_files_are_judged() {
        let judged = |is_synchronised, seconds| {
            let most_wrong = Duration::from_secs(seconds);
            clock(Ok(KernelClock { is_synchronised, most_wrong })).state
        };
        assert_eq!(judged(true, 0), State::Ok);
        assert_eq!((judged(true, 16), judged(false, 0)), (State::Doubtful, State::Doubtful));
        let refused = Err(std::io::ErrorKind::PermissionDenied.into());
        assert_eq!(clock(refused).state, State::Unseen);
        for (most, connections, expected) in [
            (1024, 100, State::Ok),
            (1024, 1000, State::Doubtful),
            (u64::MAX, usize::MAX, State::Ok),
        ] {
            assert_eq!(files(Some(most), connections).state, expected, "{most} {connections}");
        }
    }
}
