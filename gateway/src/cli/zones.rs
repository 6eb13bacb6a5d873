//! `portcullis zones`: how DNS lists are, and which are asked.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::answer::{items, plain, plain_at};
use super::output::{self, Meaning};
use super::{Exit, Failure, author, daemon};
use crate::admin::{self, Method};
use crate::config::Config;

/// Where the daemon is asked.
const PATH: &str = "/api/v1/zones";

/// Arguments of `zones`; without a command it shows how all are.
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
    /// Ask for the test entries of a zone now, or of all zones
    Test {
        /// The zone
        zone: Option<String>,
    },
    /// Ask a zone again
    Enable {
        /// The zone
        zone: String,
    },
    /// Do not ask a zone until it is switched on
    Disable {
        /// The zone
        zone: String,
    },
    /// Ask a zone from now on that the configuration does not have, also after a restart
    Add(Box<Add>),
    /// Do not ask a zone any more that was added by a command
    Remove {
        /// The zone
        zone: String,
    },
}

/// Arguments of `zones add`: the keys of [[zone]].
#[derive(Debug, Args)]
struct Add {
    /// The name in commands and records, and what is asked unless --domain says otherwise
    zone: String,
    /// What is asked
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// The file with an access key
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The name that refused senders read
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// third-party-bad, third-party-good or open-proxy
    #[arg(long, default_value = "third-party-bad")]
    class: String,
    /// A pattern for answers, such as `127.0.0.[2..9]*600`; may be given more than once
    #[arg(long = "match", value_name = "PATTERN")]
    patterns: Vec<String>,
    /// reject, defer, score, observe, tag, quarantine, reject-message or discard; accept for good zones
    #[arg(long)]
    action: Option<String>,
    /// What a listing adds to the score
    #[arg(long, allow_negative_numbers = true)]
    weight: Option<i64>,
    /// connect, unauthenticated or all
    #[arg(long)]
    hops: Option<String>,
    /// open or defer
    #[arg(long)]
    on_dns_error: Option<String>,
    /// The zone has no test entries, as private ones have none
    #[arg(long)]
    no_test_points: bool,
    /// Record listings, do nothing about them
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let socket = Config::admin_socket_of(config);
    let get = |path: &str| daemon::wait_for(admin::get(&socket, path));
    let send = |method, path: &str, wanted: &Value| {
        daemon::wait_for(admin::send(&socket, method, path, wanted))
    };
    let said = json!({"author": author::author()});
    let switch =
        |zone: &str, verb: &str| send(Method::POST, &format!("{}/{verb}", path(zone)?), &said);
    let answer = match &options.command {
        None => {
            let zones = get(PATH)?;
            return answered(options.json, &zones, show_all);
        }
        Some(Command::Test { zone }) => {
            let names = match zone {
                Some(zone) => vec![zone.clone()],
                None => names(&get(PATH)?),
            };
            let tests: Result<Vec<_>, _> = names.iter().map(|zone| switch(zone, "test")).collect();
            let tests = Value::from(tests?);
            let is_well = items(&tests).all(|test| test["well"] == true);
            answered(options.json, &tests, |tests| items(tests).try_for_each(show_test))?;
            return Ok(if is_well { Exit::Done } else { Exit::Refused });
        }
        Some(Command::Enable { zone }) => switch(zone, "enable")?,
        Some(Command::Disable { zone }) => switch(zone, "disable")?,
        Some(Command::Remove { zone }) => send(Method::DELETE, &path(zone)?, &said)?,
        Some(Command::Add(add)) => {
            let wanted = json!({"author": author::author(), "spec": add.spec()});
            send(Method::POST, PATH, &wanted)?
        }
    };
    answered(options.json, &answer, |answer| {
        let done = output::coloured(plain(&answer["done"]), Meaning::Good);
        output::line(format_args!("{}: {done}", plain(&answer["zone"])))?;
        items(&answer["warnings"]).filter_map(Value::as_str).for_each(output::warn);
        Ok(())
    })
}

fn answered(
    json: bool,
    answer: &Value,
    show: impl Fn(&Value) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    if json {
        output::json(answer)?;
    } else {
        show(answer)?;
    }
    Ok(Exit::Done)
}

impl Add {
    /// The zone as a table of the configuration.
    fn spec(&self) -> String {
        let mut spec = "[[zone]]\n".to_owned();
        let mut add = |key: &str, value: toml::Value| {
            // Writing to a `String` cannot fail.
            writeln!(spec, "{key} = {value}").unwrap_or_default();
        };
        let key_file = self.key_file.as_ref().map(|file| {
            // The daemon runs in another folder.
            std::path::absolute(file).unwrap_or_else(|_empty| file.clone()).display().to_string()
        });
        let texts = [
            ("name", Some(&self.zone)),
            ("domain", self.domain.as_ref()),
            ("key_file", key_file.as_ref()),
            ("label", self.label.as_ref()),
            ("class", Some(&self.class)),
            ("action", self.action.as_ref()),
            ("hops", self.hops.as_ref()),
            ("on_dns_error", self.on_dns_error.as_ref()),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                add(key, value.clone().into());
            }
        }
        if let Some(weight) = self.weight {
            add("weight", weight.into());
        }
        if !self.patterns.is_empty() {
            add("match", self.patterns.clone().into());
        }
        if self.no_test_points {
            add("test_points", false.into());
        }
        if self.dry_run {
            add("enforce", false.into());
        }
        spec
    }
}

/// What can be no name of a zone is not put into a path of the API.
fn path(zone: &str) -> Result<String, Failure> {
    let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    let is_name = !zone.is_empty() && !zone.starts_with('.') && zone.bytes().all(is_letter);
    is_name
        .then(|| format!("{PATH}/{zone}"))
        .ok_or_else(|| Failure::Usage(format!("`{zone}` is no name of a zone")))
}

fn names(zones: &Value) -> Vec<String> {
    items(zones).map(|zone| plain(&zone["name"])).collect()
}

fn show_all(zones: &Value) -> Result<(), Failure> {
    if items(zones).next().is_none() {
        return output::line("no zones: [[zone]] in the configuration, or `portcullis zones add`");
    }
    items(zones).try_for_each(show)
}

/// The answer may come from a daemon of another version, so nothing in it is taken for granted.
fn show(zone: &Value) -> Result<(), Failure> {
    let text = |pointer: &str| plain_at(zone, pointer);
    let state = text("/state");
    let meaning = match state.as_str() {
        "healthy" => Meaning::Good,
        "ill" => Meaning::Bad,
        _ => Meaning::Doubtful,
    };
    output::headline(format_args!("{} ({}, {})", text("/name"), text("/class"), text("/action")))?;
    output::field(
        "state",
        format_args!("{} since {}", output::coloured(state, meaning), text("/since")),
    )?;
    for (name, pointer) in [("asks", "/domain"), ("reason", "/reason"), ("remedy", "/remedy")] {
        if zone.pointer(pointer).is_some_and(|value| !value.is_null()) {
            output::field(name, text(pointer))?;
        }
    }
    let counts = zone["counts"].as_object().into_iter().flatten();
    let counts: Vec<_> = counts
        .filter(|(_name, count)| count.as_u64().is_some_and(|count| count > 0))
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if counts.is_empty() { Ok(()) } else { output::field("counts", counts.join(", ")) }
}

fn show_test(test: &Value) -> Result<(), Failure> {
    let is_well = test["well"] == true;
    let meaning = if is_well { Meaning::Good } else { Meaning::Bad };
    let verdict = output::coloured(plain(&test["verdict"]), meaning);
    output::headline(format_args!("{}: {verdict}", plain(&test["zone"])))?;
    for point in items(&test["points"]) {
        let expected = if point["expected"] == true { "listed" } else { "not listed" };
        let codes: Vec<_> = items(&point["codes"]).map(plain).collect();
        let answer = match (point["fault"].as_str(), codes.is_empty()) {
            (Some(fault), _) => fault.to_owned(),
            (None, true) => "not listed".to_owned(),
            (None, false) => codes.join(", "),
        };
        output::field(
            &plain(&point["address"]),
            format_args!(
                "expected {expected}, found {answer}, {} ms",
                plain(&point["milliseconds"])
            ),
        )?;
    }
    if test["remedy"].is_null() { Ok(()) } else { output::field("remedy", plain(&test["remedy"])) }
}
