//! Network namespaces: hosts of a test's own, joined by virtual cables, gone when the test is.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::xdp_return::{self, Returns};

/// Every name begins with it, followed by the process that made it, so that leftovers can be told.
const MARK: &str = "portcullis-";
/// Where `ip netns` keeps its namespaces.
const FOLDER: &str = "/run/netns";

/// A network namespace with its loopback up; it is deleted when dropped.
#[derive(Debug)]
pub struct NetNs {
    name: String,
}

impl NetNs {
    /// Makes a namespace; `label` is there to be recognised in `ip netns list`.
    pub fn new(label: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{MARK}{}-{number}-{label}", process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let netns = Self { name };
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    /// The name, as `ip -n` takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for the namespace.
    pub fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }

    /// Runs `ip` with `arguments`, parted by blanks, in the namespace.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name]);
        run(command.args(arguments.split_whitespace())).map(drop)
    }

    /// Gives `device` its addresses, such as `192.0.2.1/24` or `2001:db8::1/64`, and sets it up.
    ///
    /// IPv6 addresses work at once: nobody else in here could have them.
    pub fn addresses<S: AsRef<str>>(&self, device: &str, addresses: &[S]) -> Result<()> {
        for address in addresses.iter().map(AsRef::as_ref) {
            let no_detection = if address.contains(':') { "nodad" } else { "" };
            self.ip(&format!("address add {address} dev {device} {no_detection}"))?;
        }
        self.ip(&format!("link set {device} up"))
    }

    /// A command that runs in the namespace and sees the host's files, the bpffs included (`ip netns exec` hides it).
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program.as_ref());
        command
    }

    /// Runs `work` on a thread in the namespace; sockets that it opens stay there wherever they are used.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let file = File::open(self.path()).with_context(|| self.name.clone())?;
        let inside = || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .with_context(|| format!("cannot enter {}", self.name))?;
            Ok(work())
        };
        thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|panicked| resume_unwind(panicked))
    }

    /// Attaches a program that passes everything to `device`, in native mode.
    ///
    /// Without one, a veth device throws away what its peer sends by `XDP_TX`.
    pub fn attach_pass_program(&self, device: &str) -> Result<()> {
        self.attach_xdp(device, Returns::Pass)
    }

    /// Attaches a program that returns `verdict` for every frame to `device`, in native mode.
    pub fn attach_xdp(&self, device: &str, verdict: Returns) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let object = folder.path().join("program.o");
        xdp_return::write(&object, verdict)?;
        let object = object.to_str().ok_or_else(|| anyhow!("{} is not UTF-8", object.display()))?;
        self.ip(&format!("link set dev {device} xdpdrv obj {object} sec {}", xdp_return::SECTION))
    }
}

impl Drop for NetNs {
    /// A namespace that is gone already is as good as deleted.
    fn drop(&mut self) {
        drop(run(Command::new("ip").args(["netns", "delete", &self.name])));
    }
}

/// Joins `a` and `b` with a cable between the new devices `a_device` and `b_device`; both are still down.
pub fn veth(a: &NetNs, a_device: &str, b: &NetNs, b_device: &str) -> Result<()> {
    a.ip(&format!("link add {a_device} type veth peer name {b_device} netns {}", b.name()))
}

/// Runs `command` to its end; a failure carries the command and what it said.
pub fn run(command: &mut Command) -> Result<Output> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}:\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output)
}

/// The names of all namespaces that this process made and did not drop yet.
pub(crate) fn of_this_process() -> Vec<String> {
    let prefix = format!("{MARK}{}-", process::id());
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&prefix)).collect()
}

/// Deletes the namespaces of processes that were killed before they could.
fn sweep() {
    for entry in fs::read_dir(FOLDER).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(MARK).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            drop(NetNs { name });
        }
    }
}
