//! What the process may do, as `status` shows it.

use nix::unistd::{Uid, User};
use rustix::process::{getegid, geteuid};
use serde::Serialize;

use super::Confinement;
use super::capabilities::in_effect;

/// What the process may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The name of the user; `null` where he has none.
    pub user: Option<String>,
    /// The number of the user.
    pub uid: u32,
    /// The number of the group.
    pub gid: u32,
    /// The capabilities in effect.
    pub capabilities: Vec<String>,
    /// How far files are out of reach that the daemon has no need of: `full`, `partial`, `none` or `off`.
    pub landlock: &'static str,
    /// Why not all of them are; `null` where they are, or where that is switched off.
    pub landlock_reason: Option<String>,
}

impl Report {
    /// What this thread may do, and with it all that it starts.
    pub fn new(confinement: &Confinement) -> Self {
        let uid = geteuid().as_raw();
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        Self {
            user: user.map(|user| user.name),
            uid,
            gid: getegid().as_raw(),
            capabilities: in_effect(),
            landlock: confinement.word(),
            landlock_reason: confinement.reason().map(ToOwned::to_owned),
        }
    }
}
