//! OpenSMTPD as a sender, run from the unpacked package: it takes mail on the loopback and sends all of it on.

use std::fs::{self, Permissions};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::cleanup::folder_prefix;
use crate::mail_server::{MailServer, OwnFiles};
use crate::netns::NetNs;
use crate::running_server::{RunningServer, wait_for_line};

/// The package.
pub const OPENSMTPD: MailServer = MailServer {
    name: "OpenSMTPD",
    package: "opensmtpd",
    program: "usr/sbin/smtpd",
    variable: "PORTCULLIS_OPENSMTPD",
};

/// Whom Debian's OpenSMTPD was built to run as, and who owns its queue.
const USERS: [(&str, u32); 2] = [("opensmtpd", 64_001), ("opensmtpq", 64_002)];

/// A running OpenSMTPD; dropping it ends it and all its processes.
#[derive(Debug)]
pub struct OpenSmtpd {
    parent: RunningServer,
    folder: TempDir,
}

impl OpenSmtpd {
    /// Starts one in `netns` that takes mail at `listen` and sends it from `client` to `edge`; waits until it listens.
    pub fn start(
        packages: &Path,
        netns: &NetNs,
        listen: SocketAddr,
        client: IpAddr,
        edge: SocketAddr,
    ) -> Result<Self> {
        Self::start_with(packages, netns, (listen, ""), client, edge)
    }

    /// The same where each connection begins with a PROXY header of version 2.
    pub fn start_behind_proxy(
        packages: &Path,
        netns: &NetNs,
        listen: SocketAddr,
        client: IpAddr,
        edge: SocketAddr,
    ) -> Result<Self> {
        Self::start_with(packages, netns, (listen, "proxy-v2"), client, edge)
    }

    fn start_with(
        packages: &Path,
        netns: &NetNs,
        (listen, options): (SocketAddr, &str),
        client: IpAddr,
        edge: SocketAddr,
    ) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix(&format!("{}opensmtpd-", folder_prefix())).tempdir()?;
        let own = lay_out(folder.path(), packages, (listen, options), client, edge)?;
        let child = own
            .command(netns)
            .arg("-d")
            .arg("-f")
            .arg(folder.path().join("smtpd.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log"))?)
            .spawn()
            .context("start the unpacked OpenSMTPD")?;
        let parent = RunningServer::new(OPENSMTPD.name, child);
        let mut server = Self { parent, folder };
        let log = server.folder.path().join("log");
        server.parent.wait_until_started(
            || fs::read_to_string(&log).unwrap_or_default(),
            || Ok(netns.run(|| std::net::TcpStream::connect(listen))?.is_ok()),
        )?;
        Ok(server)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until its log has a line with all of `parts`; that line.
    pub fn wait_for_log(&self, parts: &[&str], within: Duration) -> Result<String> {
        wait_for_line(|| self.log(), parts, within)
    }

    /// How many messages are in its queue.
    pub fn queued(&self) -> Result<usize> {
        let mut messages = 0;
        for bucket in fs::read_dir(self.folder.path().join("var/spool/smtpd/queue"))? {
            messages += fs::read_dir(bucket?.path())?.count();
        }
        Ok(messages)
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        self.parent.stop().map(drop)
    }
}

/// Makes what one instance sees in place of the system's files: users, and a `/var` of its own.
fn lay_out(
    folder: &Path,
    packages: &Path,
    (listen, options): (SocketAddr, &str),
    client: IpAddr,
    edge: SocketAddr,
) -> Result<OwnFiles> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "OpenSMTPD runs as several users, so that root alone can start it"
    );
    let var = folder.join("var");
    for name in ["lib/opensmtpd/empty", "run", "spool/smtpd"] {
        fs::create_dir_all(var.join(name))?;
    }
    // It makes the folders of its queue, and insists on the modes of those that it finds.
    for path in [folder, &var.join("spool/smtpd")] {
        fs::set_permissions(path, Permissions::from_mode(0o711))?;
    }
    let (host, port) = (edge.ip(), edge.port());
    let host = if host.is_ipv6() { format!("[{host}]") } else { host.to_string() };
    let configuration = format!(
        "listen on {} port {} hostname opensmtpd.example.net {options}
action \"edge\" relay host \"smtp://{host}:{port}\" src {client}
match from any for any action \"edge\"
",
        listen.ip(),
        listen.port(),
    );
    fs::write(folder.join("smtpd.conf"), configuration)?;
    // There is no name server for it to ask.
    fs::write(folder.join("resolv.conf"), "")?;
    let mut own = OwnFiles::new(&OPENSMTPD, packages, folder, &USERS)?;
    own.put(&var, Path::new("/var"));
    own.put(&folder.join("resolv.conf"), Path::new("/etc/resolv.conf"));
    Ok(own)
}
