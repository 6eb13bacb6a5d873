//! The pins of links to interfaces: their names, and their removal.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use aya::programs::links::{FdLink, LinkError, PinnedLink};
use aya::programs::loaded_links;

use super::attach::RunsIn;
use super::{XdpError, interface, pins};

/// How often, and how many times, it is looked whether the kernel has let go of a link.
const WAIT: (Duration, usize) = (Duration::from_millis(2), 1000);

/// Where the link to an interface is pinned, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LinkPin {
    path: PathBuf,
    interface: String,
}

impl LinkPin {
    /// The pin for one interface and mode.
    pub(super) fn new(folder: &Path, interface: &str, mode: RunsIn) -> Self {
        Self {
            path: folder.join(format!("link-{}-{}", escape(interface), mode.name())),
            interface: interface.to_owned(),
        }
    }

    /// The pin that a file of the folder is; `None` when it is something else.
    pub(super) fn from_path(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (escaped, _mode) = name.strip_prefix("link-")?.rsplit_once('-')?;
        Some(Self { interface: unescape(escaped)?, path })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The interface.
    pub(super) fn interface(&self) -> &str {
        &self.interface
    }

    /// The word for where on the interface the program runs.
    pub(super) fn mode(&self) -> &str {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.rsplit_once('-').map_or("", |(_, mode)| mode)
    }

    /// The pinned link.
    pub(super) fn open(&self) -> Result<FdLink, LinkError> {
        PinnedLink::from_pin(&self.path).map(FdLink::from)
    }

    /// Removes the pin, and waits until the program is off the interface: the kernel takes it off some time after the
    /// last hold on its link is gone, and until then it lets no other on.
    pub(super) fn remove(&self) -> Result<(), XdpError> {
        let link = self.open().and_then(|link| link.info());
        pins::remove(&self.path)?;
        let Ok(link) = link else { return Ok(()) };
        let index = interface::index(&self.interface).ok();
        let is_held = || {
            let running = index.and_then(|index| interface::running_program(index).ok().flatten());
            running == Some(link.program_id())
                || loaded_links().any(|other| other.is_ok_and(|other| other.id() == link.id()))
        };
        for _ in 0..WAIT.1 {
            if !is_held() {
                return Ok(());
            }
            thread::sleep(WAIT.0);
        }
        tracing::warn!(
            interface = self.interface,
            "the kernel has not let go of the interface yet"
        );
        Ok(())
    }
}

/// An interface's name as a file name: a BPF filesystem takes no dots, which names of VLAN interfaces have.
fn escape(interface: &str) -> String {
    interface
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02x}"),
        })
        .collect()
}

/// The name that `escape` made a file name of.
fn unescape(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interface_has_its_own_file_name() {
        let folder = Path::new("/sys/fs/bpf/portcullis/v2");
        for (interface, mode, expected) in [
            ("eth0", RunsIn::Native, "link-eth0-native"),
            ("eth0", RunsIn::Generic, "link-eth0-generic"),
            ("eth0.100", RunsIn::Native, "link-eth0%2e100-native"),
            ("a-native", RunsIn::Generic, "link-a%2dnative-generic"),
            ("dé", RunsIn::Generic, "link-d%c3%a9-generic"),
        ] {
            let pin = LinkPin::new(folder, interface, mode);
            assert_eq!(pin.path(), folder.join(expected));
            assert_eq!((pin.interface(), pin.mode()), (interface, mode.name()));
            assert_eq!(LinkPin::from_path(folder.join(expected)), Some(pin));
        }
    }

    #[test]
    fn other_files_are_no_links() {
        for name in ["BAD_V4", "link-eth0", "link-%-native", "link-%zz-native", "link-%ff-native"] {
            assert_eq!(LinkPin::from_path(PathBuf::from(name)), None, "{name}");
        }
    }
}
