//! `portcullis review`: asks that an address be looked at again, shows what was asked, decides.

use std::path::Path;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::answer::{items, plain, plain_at};
use super::output::{self, Meaning};
use super::safe::safe;
use super::{Exit, Failure, author, daemon, duration, letter};
use crate::admin::{self, Method};
use crate::config::Config;
use crate::review::{Outcome, State};

/// Where the daemon is asked.
const PATH: &str = "/api/v1/reviews";

/// How long a decision may take: zones are asked before it and after it.
const PATIENCE: Duration = Duration::from_mins(2);

/// What can be done with reviews.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ask that an address or a prefix be looked at again
    Request(Request),
    /// Show reviews, the newest first
    List(List),
    /// Show one review
    Show(One),
    /// Decide about a review, and end it
    Resolve(Resolve),
    /// Print a letter to the administrator of the open proxy that a review is about
    Letter(One),
}

/// Arguments of `review request`.
#[derive(Debug, Args)]
pub(super) struct Request {
    /// An address, a prefix, or the reference from a reply
    #[arg(value_name = "IP|PREFIX|REFERENCE")]
    about: String,
    /// The reference from the reply, beside an address
    #[arg(long)]
    reference: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Whom to answer
    #[arg(long, value_name = "ADDRESS")]
    contact: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `review list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Which reviews
    #[arg(long, default_value = "open", value_parser = PossibleValuesParser::new(["open", "resolved", "all"]))]
    state: String,
    /// At most as many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Those with a lower number: the next page
    #[arg(long, value_name = "ID")]
    before: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `review show` and `review letter`.
#[derive(Debug, Args)]
pub(super) struct One {
    /// Its number
    id: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `review resolve`.
#[derive(Debug, Args)]
pub(super) struct Resolve {
    /// Its number
    id: u64,
    /// What is decided
    #[arg(value_parser = PossibleValuesParser::new(Outcome::ALL.map(Outcome::name)))]
    result: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// For how long the good entry counts, such as 30d
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
    time: Option<Duration>,
    /// The good list; without it the first one of class local-good
    #[arg(long)]
    list: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command, config: &Path) -> Result<Exit, Failure> {
    let socket = Config::admin_socket_of(config);
    match command {
        Command::Request(options) => request(options, &socket),
        Command::List(options) => list(options, &socket),
        Command::Show(One { id, json }) => {
            let answer = daemon::wait_for(admin::get(&socket, &format!("{PATH}/{id}")))?;
            print(*json, &answer, show)
        }
        Command::Resolve(options) => resolve(options, &socket),
        Command::Letter(One { id, json }) => {
            let answer = daemon::wait_for(admin::get(&socket, &format!("{PATH}/{id}/letter")))?;
            print(*json, &answer, letter::show)
        }
    }
}

/// Prints an answer. It may come from a daemon of another version, so nothing in it is taken for granted.
fn print(
    is_json: bool,
    answer: &Value,
    show: impl FnOnce(&Value) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    output::answer(is_json, answer, show)?;
    Ok(Exit::Done)
}

fn request(options: &Request, socket: &Path) -> Result<Exit, Failure> {
    let wanted = json!({
        "about": options.about,
        "author": author::author(),
        "reference": options.reference,
        "note": options.note,
        "contact": options.contact,
    });
    let answer = daemon::wait_for(admin::send(socket, Method::POST, PATH, &wanted))?;
    print(options.json, &answer, |answer| {
        let id = plain_at(answer, "/review/id");
        let prefix = safe(&plain_at(answer, "/review/prefix"));
        let done = if answer["joined"] == true { "joined, it was open already" } else { "open" };
        output::line(format_args!("review {id} of {prefix}: {done}"))?;
        warn(answer);
        Ok(())
    })
}

fn list(options: &List, socket: &Path) -> Result<Exit, Failure> {
    let mut states = [State::Open, State::Resolved].into_iter();
    let state = states.find(|state| state.name() == options.state);
    let state = state.map(|state| format!("&state={}", state.name())).unwrap_or_default();
    let before = options.before.map(|before| format!("&before={before}")).unwrap_or_default();
    let path = format!("{PATH}?limit={}{state}{before}", options.limit);
    let answer = daemon::wait_for(admin::get(socket, &path))?;
    print(options.json, &answer, |answer| {
        let count = |name: &str| plain(&answer[name]);
        let (open, resolved) = (count("open"), count("resolved"));
        output::headline(format_args!("Reviews: {open} open, {resolved} resolved"))?;
        items(&answer["rows"]).try_for_each(|row| output::line(in_one_line(row)))
    })
}

fn resolve(options: &Resolve, socket: &Path) -> Result<Exit, Failure> {
    let wanted = json!({
        "result": options.result,
        "author": author::author(),
        "note": options.note,
        "for_s": options.time.map(duration::whole_seconds),
        "list": options.list,
    });
    let path = format!("{PATH}/{}/resolve", options.id);
    let sent = admin::send_within(PATIENCE, socket, Method::POST, &path, &wanted);
    let answer = daemon::wait_for(sent)?;
    print(options.json, &answer, |answer| {
        show(&answer["review"])?;
        show_now(answer)?;
        warn(answer);
        Ok(())
    })
}

/// What would be decided now, and what is still against the address.
fn show_now(answer: &Value) -> Result<(), Failure> {
    let text = |pointer: &str| safe(&plain_at(answer, pointer));
    if !answer["now"].is_null() {
        let dry = if answer.pointer("/now/enforced") == Some(&Value::Bool(false)) {
            ", dry run"
        } else {
            ""
        };
        let meaning =
            if plain_at(answer, "/now/action") == "accept" { Meaning::Good } else { Meaning::Bad };
        let verdict = output::coloured(text("/now/verdict"), meaning);
        let code = text("/now/code");
        output::field("now", format_args!("{verdict} ({code}), {}{dry}", text("/now/action")))?;
    }
    for hit in items(&answer["still"]) {
        let name = if hit["list"].is_null() { &hit["zone"] } else { &hit["list"] };
        let name = if name.is_null() { "the score".to_owned() } else { safe(&plain(name)) };
        let what = safe(&plain(&hit["what_to_do"]));
        output::field(
            "still hit",
            format_args!("{name}, {}: {what}", safe(&plain(&hit["action"]))),
        )?;
    }
    Ok(())
}

fn warn(answer: &Value) {
    let warnings = items(&answer["warnings"]).filter_map(Value::as_str);
    warnings.for_each(|warning| output::warn(safe(warning)));
}

/// A review with all that is known of it.
fn show(review: &Value) -> Result<(), Failure> {
    let text = |value: &Value| safe(&plain(value));
    output::headline(format_args!(
        "review {} of {}",
        text(&review["id"]),
        text(&review["prefix"])
    ))?;
    output::field("state", text(&review["state"]))?;
    let references: Vec<_> = items(&review["references"]).map(text).collect();
    if !references.is_empty() {
        output::field("references", references.join(" "))?;
    }
    for ask in items(&review["asks"]) {
        let told = |before: &str, name: &str| match &ask[name] {
            Value::Null => String::new(),
            value => format!("{before}{}", text(value)),
        };
        let (contact, note) = (told(", answer to ", "contact"), told(": ", "note"));
        let (at, author) = (text(&ask["at"]), text(&ask["author"]));
        output::field("asked", format_args!("{at} by {author}{contact}{note}"))?;
    }
    let kept = items(&review["asks"]).count();
    let more =
        review["requests"].as_u64().unwrap_or(0).saturating_sub(u64::try_from(kept).unwrap_or(0));
    if more > 0 {
        output::field("asked", format_args!("{more} times more, which are only counted"))?;
    }
    let end = &review["resolution"];
    if end.is_null() {
        return Ok(());
    }
    let until = match &end["until"] {
        Value::Null => String::new(),
        until => format!(" until {}", text(until)),
    };
    let (result, at, author) = (text(&end["result"]), text(&end["at"]), text(&end["author"]));
    let note = text(&end["note"]);
    output::field("result", format_args!("{result}{until}, {at} by {author}: {note}"))?;
    items(&end["done"]).try_for_each(|done| output::field("done", text(done)))
}

/// A review as one line of a list.
pub(super) fn in_one_line(review: &Value) -> String {
    let text = |pointer: &str| safe(&plain_at(review, pointer));
    let first = |name: &str| match review.pointer(&format!("/asks/0/{name}")) {
        None | Some(Value::Null) => String::new(),
        Some(value) => format!(": {}", safe(&plain(value))),
    };
    let times = review["requests"].as_u64().filter(|requests| *requests > 1);
    let times = times.map(|times| format!(", {times} times")).unwrap_or_default();
    let state = match &review["resolution"] {
        Value::Null => "open".to_owned(),
        _ => format!(
            "{}, {} by {}",
            text("/resolution/result"),
            text("/resolution/at"),
            text("/resolution/author")
        ),
    };
    format!(
        "{} {} {state}; asked {} by {}{times}{}",
        text("/id"),
        text("/prefix"),
        text("/asks/0/at"),
        text("/asks/0/author"),
        first("note")
    )
}
