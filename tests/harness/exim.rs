//! Exim as a sender, run from the unpacked package: it takes one message, tries to deliver it at once, and ends.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::cleanup::folder_prefix;
use crate::deadline::wait_for;
use crate::mail_server::{MailServer, OwnFiles, PLACE};
use crate::netns::NetNs;
use crate::running_server::{RunningServer, wait_for_line};

/// The package; the one with fewest features is as good a sender as any.
pub const EXIM: MailServer = MailServer {
    name: "Exim",
    package: "exim4-daemon-light",
    program: "usr/sbin/exim4",
    variable: "PORTCULLIS_EXIM",
};

/// How long it may take to try.
const PATIENCE: Duration = Duration::from_secs(20);
/// Whom Debian's Exim was built to run as.
const USER: (&str, u32) = ("Debian-exim", 64_003);

/// What an Exim made of one message; its spool is gone when this is dropped.
#[derive(Debug)]
pub struct Exim {
    folder: TempDir,
}

/// An Exim that takes mail for everybody and keeps it in one file, and knows the user `a` with the password `b`; dropping it
/// ends it.
#[derive(Debug)]
pub struct EximServer {
    daemon: RunningServer,
    folder: TempDir,
}

impl EximServer {
    /// Starts one in `netns` that listens at `listen`, and waits until it does.
    pub fn start(packages: &Path, netns: &NetNs, listen: SocketAddr) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix(&format!("{}exim-", folder_prefix())).tempdir()?;
        let own = lay_out(folder.path(), packages, &server_configuration(folder.path(), listen)?)?;
        let child = own
            .command(netns)
            .arg("-C")
            .arg(folder.path().join("exim.conf"))
            // In the foreground.
            .arg("-bdf")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("stderr"))?)
            .spawn()
            .context("start the unpacked Exim")?;
        let daemon = RunningServer::new(EXIM.name, child);
        let mut server = Self { daemon, folder };
        let folder = server.folder.path().to_owned();
        server.daemon.wait_until_started(
            || {
                let said = ["stderr", "log/mainlog", "log/paniclog"]
                    .map(|name| fs::read_to_string(folder.join(name)).unwrap_or_default());
                said.concat()
            },
            || Ok(netns.run(|| std::net::TcpStream::connect(listen))?.is_ok()),
        )?;
        Ok(server)
    }

    /// What it delivered so far, all messages in one text.
    pub fn delivered(&self) -> String {
        fs::read_to_string(self.folder.path().join("mail/inbox")).unwrap_or_default()
    }
}

impl Exim {
    /// Has it send `message` from `client` to the only address of `edge`, and waits until it has tried.
    pub fn send(
        packages: &Path,
        netns: &NetNs,
        client: IpAddr,
        edge: SocketAddr,
        message: &str,
    ) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix(&format!("{}exim-", folder_prefix())).tempdir()?;
        let own = lay_out(folder.path(), packages, &configuration(folder.path(), client, edge)?)?;
        let mut exim = own
            .command(netns)
            .arg("-C")
            .arg(folder.path().join("exim.conf"))
            // It delivers before it ends.
            .args(["-odf", "-f", "a@example.com", "b@example.org"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("stderr"))?)
            .spawn()
            .context("start the unpacked Exim")?;
        exim.stdin.take().context("no input")?.write_all(message.as_bytes())?;
        let ended = wait_for("Exim to have tried", PATIENCE, || Ok(exim.try_wait()?));
        if ended.is_err() {
            exim.kill()?;
            exim.wait()?;
        }
        let exim = Self { folder };
        let status = ended.with_context(|| exim.log())?;
        ensure!(status.success(), "Exim ended with {status}:\n{}", exim.log());
        Ok(exim)
    }

    /// Its log.
    pub fn log(&self) -> String {
        let log = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        log("log/mainlog") + &log("log/paniclog") + &log("stderr")
    }

    /// Waits until its log has a line with all of `parts`; that line.
    pub fn wait_for_log(&self, parts: &[&str], within: Duration) -> Result<String> {
        wait_for_line(|| self.log(), parts, within)
    }

    /// Waits for the bounce, which is what the sender of the message reads.
    pub fn wait_for_bounce(&self, within: Duration) -> Result<String> {
        // It is whole once its delivery was logged.
        self.wait_for_log(&["=> a <a@example.com>"], within)?;
        Ok(fs::read_to_string(self.folder.path().join("mail/inbox"))?)
    }
}

/// Makes the folders of one instance: `spool`, `log`, `mail`, and what it sees in place of the system's files.
fn lay_out(folder: &Path, packages: &Path, configuration: &str) -> Result<OwnFiles> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "Exim runs as another user, so that root alone can start it"
    );
    // Its processes run as another user, who has to get in.
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    for name in ["spool", "log", "mail"] {
        fs::create_dir(folder.join(name))?;
        chown(folder.join(name), Some(USER.1), Some(USER.1))?;
    }
    fs::write(folder.join("exim.conf"), configuration)?;
    OwnFiles::new(&EXIM, packages, folder, &[USER])
}

/// All mail goes into one file.
fn server_configuration(folder: &Path, listen: SocketAddr) -> Result<String> {
    let mut text = common(folder);
    write!(
        text,
        "local_interfaces = <; {}
daemon_smtp_ports = {}
acl_smtp_rcpt = take
begin acl
take:
  accept
begin routers
all:
  driver = accept
  transport = inbox
begin transports
inbox:
  driver = appendfile
  file = {}/mail/inbox
  user = {}
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{a}}}}{{eq{{$auth3}}{{b}}}}}}}}
  server_set_id = $auth2
",
        listen.ip(),
        listen.port(),
        folder.display(),
        USER.0
    )?;
    Ok(text)
}

fn common(folder: &Path) -> String {
    let (folder, program) = (folder.display(), EXIM.program);
    format!(
        "primary_hostname = exim.example.net
exim_path = {PLACE}/{program}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
keep_environment = LD_LIBRARY_PATH
tls_advertise_hosts =
qualify_domain = example.net
"
    )
}

/// Bounces go into a file, all other mail to the edge.
fn configuration(folder: &Path, client: IpAddr, edge: SocketAddr) -> Result<String> {
    let (host, port) = (edge.ip(), edge.port());
    let mut text = common(folder);
    text.push_str(
        "begin routers
bounces:
  driver = accept
  senders = :
  transport = inbox
",
    );
    let folder = folder.display();
    // Lists are parted by colons, unless told otherwise.
    write!(
        text,
        "all:
  driver = manualroute
  route_list = <; * \"<+ {host}\"
  self = send
  transport = edge
begin transports
inbox:
  driver = appendfile
  file = {folder}/mail/inbox
  user = {}
edge:
  driver = smtp
  port = {port}
  interface = <; {client}
begin retry
* * F,1h,1m
",
        USER.0
    )?;
    Ok(text)
}
