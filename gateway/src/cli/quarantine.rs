//! `portcullis quarantine`: the messages that are held back, released and deleted.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::answer::{items, plain, plain_at};
use super::output::{self, Meaning};
use super::safe::{safe, safe_lines};
use super::{Exit, Failure, author, daemon, moment};
use crate::admin::{self, Method};
use crate::clock::Timestamp;
use crate::config::Config;

/// Where the daemon is asked.
const PATH: &str = "/api/v1/quarantine";

/// How long a release may take: the next hop has its time for each recipient, and for the end of the message.
const RELEASE: Duration = Duration::from_mins(30);

/// Arguments of `quarantine`; without a command it lists the newest.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is there, the newest first
    List(Wanted),
    /// Show a message: why it is there, for whom, its header
    Show {
        /// Its reference
        id: String,
        /// Print the message itself, as it came
        #[arg(long)]
        raw: bool,
    },
    /// Hand messages to the next hop, as their clients said them; they are not judged again
    Release {
        /// Their references
        #[arg(required = true)]
        ids: Vec<String>,
        /// Only for these recipients; for the others it stays
        #[arg(long, value_name = "ADDRESS")]
        to: Vec<String>,
    },
    /// Delete messages for good
    Delete {
        /// Their references
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

/// Which messages are listed.
#[derive(Clone, Debug, Args)]
struct Wanted {
    /// A part of the sender
    #[arg(long, value_name = "TEXT")]
    from: Option<String>,
    /// A part of a recipient
    #[arg(long, value_name = "TEXT")]
    to: Option<String>,
    /// The address of the client
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// Those that came since then: a time like 2026-11-20T08:00:00Z, or how long ago, such as 2d
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<Timestamp>,
    /// At most as many
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { from: None, to: None, client: None, since: None, limit: 100 }
    }
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let socket = Config::admin_socket_of(config);
    match &options.command {
        None => list(&socket, &Wanted::default(), options.json),
        Some(Command::List(wanted)) => list(&socket, wanted, options.json),
        Some(Command::Show { id, raw: false }) => show(&socket, id, options.json),
        Some(Command::Show { id, raw: true }) => raw(&socket, id),
        Some(Command::Release { ids, to }) => release(&socket, ids, to, options.json),
        Some(Command::Delete { ids }) => delete(&socket, ids, options.json),
    }
}

fn list(socket: &Path, wanted: &Wanted, is_json: bool) -> Result<Exit, Failure> {
    let query = daemon::parameters(&[
        ("from", wanted.from.clone()),
        ("to", wanted.to.clone()),
        ("client", wanted.client.map(|client| client.to_string())),
        ("since", wanted.since.map(|since| since.to_string())),
    ]);
    let path = format!("{PATH}?limit={}{query}", wanted.limit);
    let answer = &daemon::wait_for(admin::get(socket, &path))?;
    if is_json {
        output::json(answer)?;
        return Ok(Exit::Done);
    }
    let count = |name: &str| plain_at(answer, &format!("/quarantine/{name}"));
    output::headline(format_args!(
        "Quarantine: {} messages of {}, {} octets of {}",
        count("messages"),
        count("max_messages"),
        count("octets"),
        count("max_size")
    ))?;
    for row in items(&answer["rows"]) {
        show_row(row)?;
    }
    if answer["has_more"] == Value::Bool(true) {
        output::note("there are more: narrow them down, or raise --limit");
    }
    Ok(Exit::Done)
}

/// The answer may come from a daemon of another version, so nothing in it is taken for granted; what strangers wrote is in it.
fn show_row(row: &Value) -> Result<(), Failure> {
    let (id, since) = (plain(&row["id"]), plain(&row["since"]));
    let head =
        format!("  {:<13} {:<20} {:>10}", safe(&id), safe(&brief(&since)), plain(&row["octets"]));
    if let Some(fault) = row["fault"].as_str() {
        let fault = output::coloured(safe(fault), Meaning::Bad);
        return output::line(format_args!("{head}  {fault}"));
    }
    let message = &row["message"];
    let recipients: Vec<_> = items(&message["recipients"]).collect();
    let first = recipients.first().map(|recipient| plain(&recipient["address"]));
    let more = match recipients.len() {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    output::line(format_args!(
        "{head}  [{}] <{}> to <{}>{more}",
        safe(&plain(&message["client"])),
        safe(&plain(&message["sender"])),
        safe(&first.unwrap_or_default())
    ))?;
    let subject = message["subject"].as_str().unwrap_or_default();
    output::line(format_args!(
        "  {:<45}  {}; {}",
        "",
        safe(&because(&message["why"])),
        safe(subject)
    ))
}

/// A time without its fraction of a second.
fn brief(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _fraction)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

/// In one line why a message is there.
fn because(why: &Value) -> String {
    let text = |name: &str| plain(&why[name]);
    let entry = why["entry"].as_str().map(|entry| format!(", entry {entry}")).unwrap_or_default();
    let (verdict, address, hop) = (text("verdict"), text("address"), text("hop"));
    format!("{verdict}: {address} ({hop}) on {}{entry}", text("list"))
}

fn show(socket: &Path, id: &str, is_json: bool) -> Result<Exit, Failure> {
    let answer = &daemon::wait_for(admin::get(socket, &path(id)))?;
    if is_json {
        output::json(answer)?;
        return Ok(Exit::Done);
    }
    let text = |name: &str| safe(&plain(&answer[name]));
    output::headline(format_args!("{}, {} octets", text("id"), text("octets")))?;
    output::field("came", text("time"))?;
    output::field("client", format_args!("{} ({})", text("client"), text("helo")))?;
    output::field("why", safe(&because(&answer["why"])))?;
    if let Some(reason) = answer.pointer("/why/reason").and_then(Value::as_str) {
        output::field("reason", safe(reason))?;
    }
    let rules = (plain_at(answer, "/why/rules"), plain_at(answer, "/why/rules_at_end"));
    output::field("rules", format_args!("{}, at the end {}", rules.0, rules.1))?;
    output::field("sender", format_args!("<{}>", text("sender")))?;
    for recipient in items(&answer["recipients"]) {
        let refused = recipient["refused"].as_str();
        let refused = refused.map(|said| format!(", not taken: {}", safe(said)));
        let address = safe(&plain(&recipient["address"]));
        output::field("recipient", format_args!("<{address}>{}", refused.unwrap_or_default()))?;
    }
    if answer["release_begun"].is_object() {
        let to: Vec<_> = answer
            .pointer("/release_begun/to")
            .into_iter()
            .flat_map(items)
            .map(|to| safe(&plain(to)))
            .collect();
        let to = if to.is_empty() { String::new() } else { format!(" for {}", to.join(", ")) };
        let begun = format!(
            "begun by {} at {}{to}, its end is not known: the next hop may have the message",
            safe(&plain_at(answer, "/release_begun/author")),
            safe(&plain_at(answer, "/release_begun/time"))
        );
        output::field("release", output::coloured(begun, Meaning::Doubtful))?;
    }
    output::headline("Header")?;
    output::line(safe_lines(answer["header"].as_str().unwrap_or_default()))?;
    Ok(Exit::Done)
}

/// As it is, since whoever asks for it wants every octet.
fn raw(socket: &Path, id: &str) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    let path = format!("{}/message", path(id));
    daemon::block_on(admin::copy(socket, &path, &mut out))??;
    out.flush()?;
    Ok(Exit::Done)
}

fn release(socket: &Path, ids: &[String], to: &[String], is_json: bool) -> Result<Exit, Failure> {
    let author = author::author();
    // An earlier daemon, which runs until it is restarted, does not know all of it.
    let asked =
        if to.is_empty() { json!({"author": author}) } else { json!({"author": author, "to": to}) };
    each(ids, is_json, |id| {
        let path = format!("{}/release", path(id));
        let answer = admin::send_within(RELEASE, socket, Method::POST, &path, &asked);
        let answer = daemon::wait_for(answer)?;
        if !is_json {
            show_released(&answer)?;
        }
        let is_done = is_done(&answer);
        Ok((answer, is_done))
    })
}

/// Whether everybody has the message who was to have it, and it is gone for them.
fn is_done(answer: &Value) -> bool {
    let recipients: Vec<_> = items(&answer["recipients"]).collect();
    let have_it = recipients.iter().all(|outcome| outcome["released"] == true);
    have_it && !recipients.is_empty() && answer["fault"].is_null()
}

fn show_released(answer: &Value) -> Result<(), Failure> {
    let id = safe(&plain(&answer["id"]));
    for outcome in items(&answer["recipients"]) {
        let (word, meaning) = match outcome["released"] {
            Value::Bool(true) => ("released", Meaning::Good),
            _ => ("not taken", Meaning::Bad),
        };
        let word = output::coloured(word, meaning);
        let (recipient, reply) = (plain(&outcome["recipient"]), plain(&outcome["reply"]));
        output::line(format_args!("{id} {word} <{}>: {}", safe(&recipient), safe(&reply)))?;
    }
    if let Some(fault) = answer["fault"].as_str() {
        output::warn(format_args!(
            "{id} is delivered as above, and still there, so that another release would deliver it twice: {}",
            safe(fault)
        ));
    } else if answer["left"] != json!(0) {
        output::note(format_args!("{id} stays in quarantine for those who do not have it"));
    }
    Ok(())
}

fn delete(socket: &Path, ids: &[String], is_json: bool) -> Result<Exit, Failure> {
    let asked = json!({"author": author::author()});
    each(ids, is_json, |id| {
        let path = path(id);
        let answer = daemon::wait_for(admin::send(socket, Method::DELETE, &path, &asked))?;
        if !is_json {
            output::line(format_args!("{} deleted", safe(&plain_at(&answer, "/id"))))?;
        }
        Ok((answer, true))
    })
}

/// Does it to all of them, whatever becomes of one; the first that fails says how the command ends.
fn each(
    ids: &[String],
    is_json: bool,
    mut work: impl FnMut(&str) -> Result<(Value, bool), Failure>,
) -> Result<Exit, Failure> {
    let (mut answers, mut failed, mut exit) = (Vec::new(), None, Exit::Done);
    for id in ids {
        match work(id) {
            Ok((answer, is_done)) => {
                answers.push(answer);
                if !is_done {
                    exit = Exit::Left;
                }
            }
            Err(failure) => {
                if let Some(earlier) = failed.replace(failure) {
                    output::warn(earlier);
                }
            }
        }
    }
    if is_json {
        output::json(&answers)?;
    }
    failed.map_or(Ok(exit), Err)
}

fn path(id: &str) -> String {
    format!("{PATH}/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}
