//! What this process may do: the account that it runs as, its capabilities, the files that it reaches.
//!
//! All of it is given up by the one thread that there is at the start, so that every later thread begins without it.

mod account;
mod capabilities;
mod confine;
mod error;
mod folders;
mod report;

use std::fs;

pub use account::Account;
pub use capabilities::{KERNEL_FILTER, NOTHING, Needed};
pub use confine::{Confinement, Reach, confine};
pub use error::RightsError;
pub use folders::{make_folder, open_lock, own_file, own_state};
pub use report::Report;

/// Becomes `account`, where one is given, and keeps of the capabilities at most those of `needed`.
///
/// Root without an account stays what it is: an operator who wants that says nothing. To be called before there is a second
/// thread: capabilities belong to each thread by itself (capabilities(7)).
pub fn give_up(account: Option<&Account>, needed: Needed) -> Result<(), RightsError> {
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(RightsError::Threads { threads });
    }
    if let Some(account) = account.filter(|account| !account.is_current()) {
        capabilities::keep_over_switch()?;
        account.become_it()?;
    }
    if account.is_some() || !rustix::process::geteuid().is_root() {
        capabilities::reduce_to(needed)?;
    }
    Ok(())
}
