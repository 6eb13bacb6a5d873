//! The daemon as a process: started with a configuration of its own, watched, signalled, stopped.

use std::env;
use std::fs::{self, File, Permissions};
use std::io;
use std::io::ErrorKind::{Interrupted, WouldBlock};
use std::net::Shutdown;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::cleanup::folder_prefix;
use crate::deadline::{Deadline, wait_for};
use crate::netns::NetNs;

/// How long the daemon may take to be ready, or to stop.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Names another binary than the one of the build that the test belongs to.
pub const BINARY: &str = "PORTCULLIS_BINARY";

const CONFIG: &str = "portcullis.toml";
const AUDIT: &str = "audit.jsonl";
const LOG: &str = "daemon.log";

/// A folder with a configuration, in which a daemon can be started, killed and started again.
///
/// In the text of the configuration `{dir}` stands for the folder. Its audit records are expected in
/// `{dir}/audit.jsonl`.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    netns: Option<String>,
    binary: PathBuf,
}

impl Home {
    /// Writes `config` into a new folder; the daemon will run in `netns` where one is given.
    pub fn new(config: &str, netns: Option<&NetNs>) -> Result<Self> {
        Self::with_binary(binary()?, config, netns)
    }

    /// The same for another program than the daemon of this build.
    pub fn with_binary(binary: PathBuf, config: &str, netns: Option<&NetNs>) -> Result<Self> {
        let home = Self {
            folder: tempfile::Builder::new().prefix(&folder_prefix()).tempdir()?,
            netns: netns.map(|netns| netns.path().display().to_string()),
            binary,
        };
        home.configure(config)?;
        Ok(home)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces the configuration.
    pub fn configure(&self, config: &str) -> Result<()> {
        let folder = self.path().display().to_string();
        self.write(CONFIG, &config.replace("{dir}", &folder)).map(drop)
    }

    /// Writes a file of the folder, at once for whoever watches it.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.path().join(name);
        let fresh = self.path().join(format!(".{name}.new"));
        fs::write(&fresh, text).with_context(|| fresh.display().to_string())?;
        fs::rename(&fresh, &file)?;
        Ok(file)
    }

    /// Starts the daemon and waits until it says that it is ready.
    pub fn start(&self) -> Result<Daemon> {
        self.start_with(self.command(), &[])
    }

    /// The same with further arguments of `run`, by `command`, which ends in the name of the daemon's program.
    pub fn start_with(&self, command: Command, arguments: &[&str]) -> Result<Daemon> {
        let mut daemon = self.spawn_with(command, arguments)?;
        daemon.wait_for_notification("READY=1", PATIENCE)?;
        Ok(daemon)
    }

    /// The same, without waiting.
    pub fn spawn_with(&self, mut command: Command, arguments: &[&str]) -> Result<Daemon> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // One for each start, for two daemons may run at the same time.
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let socket = self.path().join(format!("notify-{number}"));
        let notify = UnixDatagram::bind(&socket)?;
        // Whoever it becomes.
        fs::set_permissions(&socket, Permissions::from_mode(0o666))?;
        let log = File::options().append(true).create(true).open(self.path().join(LOG))?;
        let child = command
            .args(["run", "--config"])
            .arg(self.path().join(CONFIG))
            .args(arguments)
            .env("NOTIFY_SOCKET", &socket)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Daemon { child, log: self.path().join(LOG), notify })
    }

    /// Lets the user `uid` have the folder with all that is in it.
    pub fn give_to(&self, uid: u32) -> Result<()> {
        chown(self.path(), Some(uid), None)?;
        for entry in fs::read_dir(self.path())? {
            chown(entry?.path(), Some(uid), None)?;
        }
        Ok(())
    }

    /// Runs one command of the command line to its end, with this configuration.
    pub fn cli(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.cli_command(arguments).output()?)
    }

    /// Runs one command and reads the JSON that it prints, whatever its exit code.
    pub fn cli_json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.cli(arguments)?;
        serde_json::from_slice(&output.stdout).with_context(|| format!("{arguments:?}: {output:?}"))
    }

    /// Runs `portcullis run` where it should give up by itself; what it said then.
    pub fn run_in_vain(&self, within: Duration) -> Result<Output> {
        let mut command = self.cli_command(&["run"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let ended = wait_for("`portcullis run` to give up", within, || Ok(child.try_wait()?));
        if ended.is_err() {
            child.kill()?;
        }
        let output = child.wait_with_output()?;
        ended.with_context(|| format!("{output:?}")).map(|_status| output)
    }

    /// One command, not yet started, for tests that feed its standard input.
    pub fn cli_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command();
        command.args(arguments).arg("--config").arg(self.path().join(CONFIG));
        command
    }

    /// All audit records so far.
    pub fn audit(&self) -> Result<Vec<Value>> {
        let text = match fs::read_to_string(self.path().join(AUDIT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        // The last line may still be on its way.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _rest)| whole);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }

    /// Waits for an audit record that is what `looks_right` says.
    pub fn wait_for_audit(
        &self,
        what: &str,
        within: Duration,
        looks_right: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        wait_for(what, within, || Ok(self.audit()?.into_iter().find(|record| looks_right(record))))
            .with_context(|| format!("audit records: {:?}", self.audit()))
    }

    /// The program in its network namespace, not yet started, without arguments.
    pub fn command(&self) -> Command {
        self.command_by(&[])
    }

    /// The same, started by another program with its arguments, `["setpriv", "--reuid=1"]` for one.
    pub fn command_by(&self, starter: &[&str]) -> Command {
        let netns = self.netns.iter().map(|netns| format!("--net={netns}"));
        let entered = netns.flat_map(|netns| ["nsenter".to_owned(), netns, "--".to_owned()]);
        let words = entered.chain(starter.iter().map(|word| (*word).to_owned()));
        let words: Vec<_> = words.chain([self.binary.display().to_string()]).collect();
        let mut words = words.iter();
        let mut command = Command::new(words.next().map_or("", String::as_str));
        command.args(words).stdin(Stdio::null());
        command
    }
}

/// A running daemon; dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
    notify: UnixDatagram,
}

impl Daemon {
    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written to its standard streams, by earlier runs in the same home too.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it sends `state`, such as `READY=1`, to its service manager.
    pub fn wait_for_notification(&mut self, state: &str, within: Duration) -> Result<()> {
        let deadline = Deadline::after(within);
        let mut buffer = [0; 4096];
        // Short, so that a daemon that gave up is noticed at once.
        self.notify.set_read_timeout(Some(Duration::from_millis(20)))?;
        loop {
            let read = match self.notify.recv(&mut buffer) {
                // A wait with a time limit is interrupted when all of this is stopped and goes on (signal(7)).
                Err(error) if [WouldBlock, Interrupted].contains(&error.kind()) => 0,
                read => read?,
            };
            let text = String::from_utf8_lossy(buffer.get(..read).unwrap_or_default()).into_owned();
            if text.lines().any(|line| line == state) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the daemon ended with {status}:\n{}", self.log_tail());
            }
            if deadline.passed() {
                bail!("no {state} within {within:?}:\n{}", self.log_tail());
            }
        }
    }

    /// Waits until its log contains `text`.
    pub fn wait_for_log(&self, text: &str, within: Duration) -> Result<()> {
        wait_for(text, within, || Ok(self.log().contains(text).then_some(())))
            .with_context(|| self.log_tail())
    }

    /// Asks it to read its configuration again (SIGHUP).
    pub fn hang_up(&self) -> Result<()> {
        self.signal(Signal::HUP)
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub fn terminate(mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(PATIENCE)
    }

    /// Kills it as the kernel would (SIGKILL).
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        self.wait(PATIENCE)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.context("no process")?, signal)?)
    }

    /// Stops it, and waits until all of its threads stand still: the signal alone promises neither.
    pub fn hold_still(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let tasks = format!("/proc/{}/task", self.child.id());
        wait_for("a process that stands still", PATIENCE, || {
            for task in fs::read_dir(&tasks)? {
                let stat = fs::read_to_string(task?.path().join("stat"))?;
                let state = stat.rsplit_once(") ").and_then(|(_name, rest)| rest.chars().next());
                if state != Some('T') {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let child = &mut self.child;
        wait_for("the end of the daemon", within, || Ok(child.try_wait()?))
            .with_context(|| self.log_tail())
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines = log.lines().collect::<Vec<_>>();
        let from = lines.len().saturating_sub(40);
        lines.get(from..).unwrap_or_default().join("\n")
    }
}

impl Drop for Daemon {
    /// One that has ended already cannot be killed, which is fine.
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
        self.notify.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

/// The daemon's binary of the build that this program belongs to.
pub fn binary() -> Result<PathBuf> {
    if let Some(binary) = env::var_os(BINARY) {
        return Ok(binary.into());
    }
    let own = env::current_exe()?;
    // Test binaries are in `deps`, below the folder of the others.
    let found = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("portcullis"))
        .find(|file| file.is_file());
    found
        .with_context(|| format!("no portcullis beside {}, run `cargo build` first", own.display()))
}
