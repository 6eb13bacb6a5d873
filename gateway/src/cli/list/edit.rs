//! `portcullis list add|remove|restore|enable|disable|accept|put`: changes of lists, made by the daemon, in force when they return.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::super::output::{self, Meaning};
use super::super::progress::{Progress, size};
use super::super::{Exit, Failure, author, daemon, duration};
use super::{copies, in_path};
use crate::admin::{self, Method};
use crate::config::Config;
use crate::feed;
use crate::net::Prefix;

/// Arguments of `list add` and `list remove`.
#[derive(Debug, Args)]
pub(in super::super) struct Entry {
    /// The list
    name: String,
    /// An address or a prefix, such as 192.0.2.7 or `2001:db8::/32`
    prefix: Prefix,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// For how long, such as 4h or 30d; it ends by itself, in the kernel, too
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
    time: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `list enable` and `list disable`.
#[derive(Debug, Args)]
pub(in super::super) struct Switch {
    /// The list
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `list restore`.
#[derive(Debug, Args)]
pub(in super::super) struct Restore {
    /// The list
    name: String,
    /// The address or prefix, as it was taken out
    prefix: Prefix,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `list accept`.
#[derive(Debug, Args)]
pub(in super::super) struct Accept {
    /// The list
    name: String,
    /// Only the copy that hashes to this, as `list held-back` shows it
    #[arg(long, value_name = "HASH")]
    sha256: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `list put`.
#[derive(Debug, Args)]
pub(in super::super) struct Put {
    /// The list; one without a source
    name: String,
    /// A file in any format of lists; `-` reads standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn add(options: &Entry, config: &Path) -> Result<Exit, Failure> {
    change_entry(options, Method::POST, config)
}

pub(super) fn remove(options: &Entry, config: &Path) -> Result<Exit, Failure> {
    change_entry(options, Method::DELETE, config)
}

/// `verb` is the last part of the path.
pub(super) fn switch(options: &Switch, verb: &str, config: &Path) -> Result<Exit, Failure> {
    let wanted = json!({"author": author::author()});
    change(options.json, Method::POST, &options.name, verb, &wanted, config)
}

pub(super) fn restore(options: &Restore, config: &Path) -> Result<Exit, Failure> {
    let wanted = json!({"prefix": options.prefix, "author": author::author()});
    change(options.json, Method::DELETE, &options.name, "exceptions", &wanted, config)
}

pub(super) fn accept(options: &Accept, config: &Path) -> Result<Exit, Failure> {
    let author = author::author();
    // An earlier daemon, which runs until it is restarted, does not know all of it.
    let wanted = match &options.sha256 {
        Some(sha256) => json!({"author": author, "sha256": sha256}),
        None => json!({"author": author}),
    };
    change(options.json, Method::POST, &options.name, "accept", &wanted, config)
}

pub(super) fn put(options: &Put, config: &Path) -> Result<Exit, Failure> {
    let path = path(&options.name)?;
    let octets = content(&options.file)?;
    let socket = Config::admin_socket_of(config);
    let size = size(u64::try_from(octets.len()).unwrap_or(u64::MAX));
    if options.dry_run {
        let reading = Progress::of(format!("comparing {size} with {}", options.name));
        let path = format!("{path}/preview");
        let answer = daemon::wait_for(admin::send_octets(&socket, Method::POST, &path, octets));
        drop(reading);
        output::answer(options.json, &answer?, copies::show_preview)?;
        return Ok(Exit::Done);
    }
    let author = author::author();
    let author = utf8_percent_encode(&author, NON_ALPHANUMERIC);
    let path = format!("{path}/entries?author={author}");
    let putting = Progress::of(format!("putting {size} into {}", options.name));
    let answer = daemon::wait_for(admin::send_octets(&socket, Method::PUT, &path, octets));
    drop(putting);
    show(options.json, answer?)
}

fn content(file: &Path) -> Result<Vec<u8>, Failure> {
    let octets = if file == Path::new("-") {
        feed::bounded(io::stdin().lock(), feed::SIZE_LIMIT)
            .and_then(|octets| feed::decompressed(octets, feed::SIZE_LIMIT))
    } else {
        feed::read(file)
    };
    octets.map_err(|error| Failure::Unavailable {
        text: format!("cannot read {}: {error}", file.display()),
        hint: "give a file that this user may read, or `-` for standard input".to_owned(),
    })
}

fn change_entry(options: &Entry, method: Method, config: &Path) -> Result<Exit, Failure> {
    let seconds = options.time.map(duration::whole_seconds);
    let wanted = json!({
        "prefix": options.prefix,
        "author": author::author(),
        "reason": options.reason,
        "for_s": seconds,
    });
    change(options.json, method, &options.name, "entries", &wanted, config)
}

/// Asks for a change of a list; `part` is the last part of the path.
fn change(
    json: bool,
    method: Method,
    name: &str,
    part: &str,
    wanted: &Value,
    config: &Path,
) -> Result<Exit, Failure> {
    let path = format!("{}/{part}", path(name)?);
    let socket = Config::admin_socket_of(config);
    show(json, daemon::wait_for(admin::send(&socket, method, &path, wanted))?)
}

fn path(name: &str) -> Result<String, Failure> {
    Ok(format!("/api/v1/lists/{}", in_path(name)?))
}

/// The answer may come from a daemon of another version, so nothing in it is taken for granted.
fn show(json: bool, answer: Value) -> Result<Exit, Failure> {
    if json {
        output::json(&answer)?;
        return Ok(Exit::Done);
    }
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or("-");
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
    let done = output::coloured(text("done"), Meaning::Good);
    output::line(format_args!(
        "{}: {done}; entries: {}, in force as rules {}",
        text("list"),
        number("entries"),
        number("rules")
    ))?;
    if number("rejected") > 0 {
        output::warn(format_args!(
            "rejected lines: {}; see `portcullis list check {}`",
            number("rejected"),
            text("list")
        ));
    }
    let warnings = answer.get("warnings").and_then(Value::as_array).into_iter().flatten();
    warnings.filter_map(Value::as_str).for_each(output::warn);
    Ok(Exit::Done)
}
