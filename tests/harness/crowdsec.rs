//! CrowdSec as a reader of our lines: its own parsers and scenarios for Postfix, from the unpacked package.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::mail_server::MailServer;
use crate::netns::NetNs;

/// The package.
pub const CROWDSEC: MailServer = MailServer {
    name: "CrowdSec",
    package: "crowdsec",
    program: "usr/bin/crowdsec",
    variable: "PORTCULLIS_CROWDSEC",
};

/// What is made of a line, stage by stage, and what counts the results.
const ENABLED: [(&str, &str); 4] = [
    ("parsers/s00-raw", "crowdsecurity/syslog-logs"),
    ("parsers/s01-parse", "crowdsecurity/postfix-logs"),
    ("parsers/s02-enrich", "crowdsecurity/dateparse-enrich"),
    ("scenarios", "crowdsecurity/postfix-spam"),
];

/// The addresses that its parser of Postfix lines finds in a log file, one for each line that it understands. It runs in `netns`, since
/// it talks to itself over a port, and keeps what it needs in `folder`.
pub fn found(packages: &Path, netns: &NetNs, folder: &Path, log: &Path) -> Result<Vec<String>> {
    let home = folder.join("crowdsec");
    let config = lay_out(packages, &home)?;
    let dump = home.join("dump");
    let machine = ["machines", "add", "x", "--password", "y", "-u", "http://127.0.0.1:18080", "-f"];
    let run = |program: &str, arguments: &[&str], path: &Path| -> Result<String> {
        let mut command: Command = netns.command(packages.join("usr/bin").join(program));
        command.arg("-c").arg(&config).args(arguments).arg(path).stdin(Stdio::null());
        let output = command.current_dir(&home).output().with_context(|| program.to_owned())?;
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program}: {said}");
        Ok(said.into_owned())
    };
    run("cscli", &machine, &home.join("local_api_credentials.yaml"))?;
    let log = format!("file://{}", log.display());
    let said = run("crowdsec", &["-type", "syslog", "-dsn", &log, "-dump-data"], &dump)?;
    let parsed = fs::read_to_string(dump.join("parser-dump.yaml")).context(said)?;
    // Each line is told after each stage; of the second one that is understood, the parser of Postfix is the last word.
    let (_, second) = parsed.split_once("\ns01-parse:").unwrap_or_default();
    let second = second.split("\ns02-enrich:").next().unwrap_or_default();
    let address = |line: &str| line.trim().strip_prefix("source_ip: ").map(ToOwned::to_owned);
    Ok(second.lines().filter_map(address).collect())
}

/// Its folder with a configuration, which names no server but itself.
fn lay_out(packages: &Path, home: &Path) -> Result<std::path::PathBuf> {
    let shared = packages.join("usr/share/crowdsec");
    for name in ["data", "log", "notifications", "plugins", "dump"] {
        fs::create_dir_all(home.join(name))?;
    }
    for (kind, name) in ENABLED {
        let (folder, hub) = (home.join(kind), shared.join("hub").join(kind));
        fs::create_dir_all(&folder)?;
        let file = hub.join(format!("{name}.yaml"));
        let link = folder.join(file.file_name().context("no name")?);
        symlink(file, link)?;
    }
    symlink(packages.join("etc/crowdsec/patterns"), home.join("patterns"))?;
    for name in ["simulation.yaml", "profiles.yaml"] {
        fs::copy(packages.join("etc/crowdsec").join(name), home.join(name))?;
    }
    fs::write(home.join("acquis.yaml"), "")?;
    let home = home.display();
    let hub = shared.join("hub");
    let hub = hub.display();
    let config = format!(
        "common:
  log_media: stdout
  log_level: info
config_paths:
  config_dir: {home}/
  data_dir: {home}/data/
  simulation_path: {home}/simulation.yaml
  hub_dir: {hub}/
  index_path: {hub}/.index.json
  notification_dir: {home}/notifications/
  plugin_dir: {home}/plugins
crowdsec_service:
  acquisition_path: {home}/acquis.yaml
  parser_routines: 1
db_config:
  type: sqlite
  db_path: {home}/data/crowdsec.db
  use_wal: false
api:
  client:
    credentials_path: {home}/local_api_credentials.yaml
  server:
    listen_uri: 127.0.0.1:18080
    profiles_path: {home}/profiles.yaml
prometheus:
  enabled: false
"
    );
    let file = format!("{home}/config.yaml");
    fs::write(&file, config)?;
    Ok(file.into())
}
