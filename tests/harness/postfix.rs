//! Postfix as a peer, run from unpacked packages: a real next hop, and a real sender.
//!
//! Mail servers exclude each other as packages, so it is never installed. It runs as two users that every system
//! has, reads nothing outside its own folder, and ends with the test.

use std::fmt::Write;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, io};

use anyhow::{Context, Result, anyhow, ensure};
use tempfile::TempDir;

use crate::cleanup::folder_prefix;
use crate::deadline::wait_for;
use crate::mail_server::{self, MailServer};
use crate::netns::{NetNs, run};
use crate::running_server::{RunningServer, wait_for_line};

/// The package.
pub const POSTFIX: MailServer = MailServer {
    name: "Postfix",
    package: "postfix",
    program: "usr/lib/postfix/sbin/master",
    variable: "PORTCULLIS_POSTFIX",
};

/// The user of the queue: every system has it, and it is neither root nor the one that delivers.
const OWNER: &str = "daemon";
/// The group that may drop mail: every system has it.
const DROP_GROUP: &str = "uucp";
/// `nobody`, who owns the delivered mail.
const RECIPIENT: u32 = 65534;

/// What one Postfix does.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where it takes mail from anybody who may say XCLIENT.
    pub listen: Option<SocketAddr>,
    /// Where every connection begins with a PROXY header.
    pub listen_proxy: Option<SocketAddr>,
    /// Where it sends all mail on to; without it, all mail is delivered into a folder.
    pub relay_to: Option<SocketAddr>,
    /// The domain whose mail it delivers into its folder though it sends all other mail on: bounces to its senders.
    pub keeps: Option<&'static str>,
    /// Where postscreen looks at clients before its smtpd does.
    pub postscreen: Option<Postscreen>,
    /// More lines for `main.cf`.
    pub settings: Vec<String>,
}

/// A postscreen.
#[derive(Clone, Copy, Debug)]
pub struct Postscreen {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The network whose clients it drops.
    pub refuses: &'static str,
}

/// A running Postfix; dropping it ends it and all its processes.
#[derive(Debug)]
pub struct Postfix {
    master: RunningServer,
    folder: TempDir,
}

impl Postfix {
    /// Starts it from the unpacked packages in `packages`, in `netns` where one is given, and waits until it listens.
    pub fn start(packages: &Path, netns: Option<&NetNs>, options: &Options) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix(&format!("{}postfix-", folder_prefix())).tempdir()?;
        lay_out(folder.path(), packages, options)?;
        let master = packages.join(POSTFIX.program);
        let mut command =
            netns.map_or_else(|| Command::new(&master), |netns| netns.command(&master));
        let child = command
            .arg("-c")
            .arg(folder.path().join("config"))
            .arg("-d")
            .env("LD_LIBRARY_PATH", libraries(packages)?)
            .current_dir(folder.path())
            // It stops its servers by a signal to the process group that it leads.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("stderr"))?)
            .spawn()
            .context("start the unpacked Postfix")?;
        let mut master = RunningServer::new(POSTFIX.name, child);
        let said = || log(folder.path());
        master.wait_until_started(said, || Ok(said().contains("daemon started")))?;
        Ok(Self { master, folder })
    }

    /// Its first process.
    pub fn id(&self) -> u32 {
        self.master.id()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        log(self.folder.path())
    }

    /// Waits until its log has a line with all of `parts`; that line.
    pub fn wait_for_log(&self, parts: &[&str], within: Duration) -> Result<String> {
        wait_for_line(|| self.log(), parts, within)
    }

    /// The messages delivered so far.
    pub fn delivered(&self) -> Result<Vec<String>> {
        let folder = self.folder.path().join("mail/inbox/new");
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        files.sort();
        files.iter().map(|file| Ok(fs::read_to_string(file)?)).collect()
    }

    /// How many messages wait in the hold queue until somebody releases them.
    pub fn held(&self) -> Result<usize> {
        let folder = self.folder.path().join("queue/hold");
        Ok(fs::read_dir(folder)?.filter_map(io::Result::ok).count())
    }

    /// Waits until `count` messages are delivered; all of them.
    pub fn wait_for_delivered(&self, count: usize, within: Duration) -> Result<Vec<String>> {
        wait_for(&format!("{count} delivered messages"), within, || {
            let all = self.delivered()?;
            Ok((all.len() >= count).then_some(all))
        })
        .with_context(|| self.log())
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        self.master.stop().map(drop)
    }
}

/// One of the small programs in the unpacked packages, such as `smtp-sink`, as a command that runs in `netns`.
pub fn tool(packages: &Path, netns: &NetNs, name: &str) -> Result<Command> {
    let mut command = netns.command(packages.join("usr/sbin").join(name));
    command.env("LD_LIBRARY_PATH", libraries(packages)?).current_dir(packages);
    Ok(command)
}

/// The log of the instance in `folder` so far.
fn log(folder: &Path) -> String {
    let log = |name| fs::read_to_string(folder.join(name)).unwrap_or_default();
    log("log/mail.log") + &log("stderr")
}

/// The folders with the libraries of the unpacked packages.
fn libraries(packages: &Path) -> Result<String> {
    let mut folders = mail_server::libraries(packages)?;
    folders.push("usr/lib/postfix".into());
    let folders = env::join_paths(folders.iter().map(|folder| packages.join(folder)))?;
    folders.into_string().map_err(|folders| anyhow!("{} is not UTF-8", folders.display()))
}

/// Makes the folders of one instance: `config`, `queue`, `data`, `mail`, `log`.
fn lay_out(folder: &Path, packages: &Path, options: &Options) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "Postfix runs as several users, so that root alone can start it"
    );
    // Its processes run as other users, who have to get in.
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    for name in ["config", "queue", "queue/pid", "data", "mail", "log"] {
        fs::create_dir(folder.join(name))?;
    }
    let queues = [
        "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
        "public", "maildrop", "saved", "trace",
    ];
    let (owner, group) = (id("-u", OWNER)?, id("-g", OWNER)?);
    for name in queues {
        let queue = folder.join("queue").join(name);
        fs::create_dir(&queue)?;
        fs::set_permissions(&queue, Permissions::from_mode(0o700))?;
        chown(&queue, Some(owner), Some(group))?;
    }
    chown(folder.join("data"), Some(owner), Some(group))?;
    chown(folder.join("mail"), Some(RECIPIENT), Some(RECIPIENT))?;
    fs::write(folder.join("config/main.cf"), main_cf(folder, packages, options)?)?;
    fs::write(folder.join("config/master.cf"), master_cf(options))?;
    if let Some(postscreen) = options.postscreen {
        let table = format!("{} reject\n", postscreen.refuses);
        fs::write(folder.join("config/postscreen.cidr"), table)?;
    }
    let maps = packages.join("usr/share/postfix/dynamicmaps.cf");
    fs::copy(maps, folder.join("config/dynamicmaps.cf"))?;
    Ok(())
}

fn main_cf(folder: &Path, packages: &Path, options: &Options) -> Result<String> {
    let (folder, postfix) = (folder.display(), packages.join("usr/lib/postfix"));
    let postfix = postfix.display();
    let libraries = libraries(packages)?;
    let mut text = format!(
        "compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {postfix}/sbin
shlib_directory = {postfix}
meta_directory = {folder}/config
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
import_environment = MAIL_CONFIG MAIL_LOGTAG LANG=C LD_LIBRARY_PATH={libraries}
mail_owner = {OWNER}
setgid_group = {DROP_GROUP}
myhostname = postfix.example.net
mydestination =
mynetworks = 0.0.0.0/0 [::]/0
inet_interfaces = all
inet_protocols = all
alias_maps =
alias_database =
local_recipient_maps =
biff = no
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 0.0.0.0/0 [::]/0
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions =
smtpd_upstream_proxy_timeout = 5s
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = none
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
"
    );
    match options.relay_to {
        Some(hop) => {
            let ip = hop.ip();
            let family = if ip.is_ipv6() { "IPv6:" } else { "" };
            writeln!(text, "default_transport = smtp:[{family}{ip}]:{}", hop.port())?;
        }
        None => writeln!(text, "virtual_mailbox_domains = static:all")?,
    }
    if let Some(domain) = options.keeps {
        writeln!(text, "virtual_mailbox_domains = {domain}")?;
    }
    if options.relay_to.is_none() || options.keeps.is_some() {
        writeln!(
            text,
            "virtual_mailbox_maps = static:inbox/
virtual_mailbox_base = {folder}/mail
virtual_uid_maps = static:{RECIPIENT}
virtual_gid_maps = static:{RECIPIENT}
virtual_minimum_uid = 100"
        )?;
    }
    if options.postscreen.is_some() {
        writeln!(
            text,
            "postscreen_access_list = cidr:{folder}/config/postscreen.cidr
postscreen_denylist_action = drop
postscreen_cache_map ="
        )?;
    }
    for line in &options.settings {
        writeln!(text, "{line}")?;
    }
    Ok(text)
}

fn master_cf(options: &Options) -> String {
    let mut lines = Vec::new();
    for (listen, settings) in
        [(options.listen, ""), (options.listen_proxy, " -o smtpd_upstream_proxy_protocol=haproxy")]
    {
        lines.extend(listen.map(|listen| format!("{listen} inet n - n - - smtpd{settings}")));
    }
    if let Some(postscreen) = options.postscreen {
        lines.push(format!("{} inet n - n - 1 postscreen", postscreen.listen));
        lines.push("smtpd pass - - n - - smtpd".to_owned());
    }
    lines.extend(
        [
            "cleanup unix n - n - 0 cleanup",
            "qmgr unix n - n 300 1 qmgr",
            "rewrite unix - - n - - trivial-rewrite",
            "bounce unix - - n - 0 bounce",
            "defer unix - - n - 0 bounce",
            "trace unix - - n - 0 bounce",
            "verify unix - - n - 1 verify",
            "proxymap unix - - n - - proxymap",
            "smtp unix - - n - - smtp",
            "relay unix - - n - - smtp",
            "error unix - - n - - error",
            "retry unix - - n - - error",
            "discard unix - - n - - discard",
            "virtual unix - n n - - virtual",
            "anvil unix - - n - 1 anvil",
            "scache unix - - n - 1 scache",
            "tlsmgr unix - - n 1000? 1 tlsmgr",
            "postlog unix-dgram n - n - 1 postlogd",
        ]
        .map(ToOwned::to_owned),
    );
    lines.push(String::new());
    lines.join("\n")
}

fn id(which: &str, user: &str) -> Result<u32> {
    let output = run(Command::new("id").args([which, user]))?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
