//! Gives the folder of pins to the account that the daemon is going to be, while it is still root.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, lchown};
use std::path::Path;

use super::pins::{Pins, is_bpffs, mount_bpffs};
use super::{Config, XdpError};

/// Makes the folder of pins for this process, where the system lets it.
pub fn make_pin_folder(config: &Config) -> Result<(), XdpError> {
    let pins = Pins::new(config);
    mount_bpffs(pins.folder())?;
    make_folders(&pins)
}

/// Makes the folder of pins, and gives it with all that root pinned in it to the user `uid`.
///
/// What is pinned there belongs to its owner alone. The folders around it, that of the file system too, get the right of all to
/// pass through (not to look), without which nobody but root comes to a folder of his own.
pub fn give_pins(config: &Config, uid: u32, gid: u32) -> Result<(), XdpError> {
    let pins = Pins::new(config);
    mount_bpffs(pins.folder())?;
    make_folders(&pins)?;
    open_the_way(&config.pin_dir)?;
    let owner =
        fs::metadata(&config.pin_dir).map_err(|error| XdpError::path(&config.pin_dir, error))?;
    // In a folder that is not root's, its owner may have put links to what is not his.
    if owner.uid() != 0 {
        return Ok(());
    }
    let give = |path: &Path| {
        lchown(path, Some(uid), Some(gid)).map_err(|error| XdpError::path(path, error))
    };
    for version in pins.of_other_versions().iter().chain([&pins]) {
        version.files()?.iter().try_for_each(|pin| give(pin))?;
        give(version.folder())?;
    }
    give(&config.pin_dir)
}

fn make_folders(pins: &Pins) -> Result<(), XdpError> {
    pins.folders().try_for_each(|folder| {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| XdpError::path(folder, error))
    })
}

/// Lets everybody pass through the folders of the BPF file system around `folder`.
fn open_the_way(folder: &Path) -> Result<(), XdpError> {
    for outer in folder.ancestors().skip(1) {
        if !is_bpffs(outer)? {
            break;
        }
        let failed = |error| XdpError::path(outer, error);
        let mode = fs::metadata(outer).map_err(failed)?.permissions().mode();
        if mode & 0o001 == 0 {
            fs::set_permissions(outer, Permissions::from_mode(mode | 0o001)).map_err(failed)?;
        }
    }
    Ok(())
}
