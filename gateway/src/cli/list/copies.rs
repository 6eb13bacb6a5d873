//! `portcullis list held-back` and `list put --dry-run`: what another copy of a list would change.

use std::path::Path;

use clap::Args;
use serde_json::Value;

use super::super::output::{self, Meaning};
use super::super::progress::size;
use super::super::safe::safe;
use super::super::{Exit, Failure, daemon};
use super::in_path;
use crate::admin;
use crate::config::Config;
use crate::json::{items, plain};

/// Prefixes of each side, and lines, that are shown.
const SHOWN: usize = 10;

/// Arguments of `list held-back`.
#[derive(Debug, Args)]
pub(in super::super) struct HeldBack {
    /// The list
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn held_back(options: &HeldBack, config: &Path) -> Result<Exit, Failure> {
    let path = format!("/api/v1/lists/{}/held-back", in_path(&options.name)?);
    let socket = Config::admin_socket_of(config);
    let answer = daemon::wait_for(admin::get_slowly(&socket, &path))?;
    output::answer(options.json, &answer, show_all)?;
    Ok(Exit::Done)
}

/// The answer may come from a daemon of another version, so nothing in it is taken for granted.
fn show_all(answer: &Value) -> Result<(), Failure> {
    let copies: Vec<_> = items(&answer["copies"]).collect();
    for copy in &copies {
        output::headline(safe(&plain(&copy["where"])))?;
        output::field("held back", output::coloured(safe(&plain(&copy["why"])), Meaning::Bad))?;
        let octets = size(copy["octets"].as_u64().unwrap_or(0));
        output::field("copy", format_args!("{octets}, {}", plain(&copy["as_of"])))?;
        output::field("sha256", plain(&copy["sha256"]))?;
        show(copy)?;
    }
    let count = answer["count"].as_u64().unwrap_or(0);
    let more = count.saturating_sub(u64::try_from(copies.len()).unwrap_or(u64::MAX));
    if more > 0 {
        output::line(format_args!("and {more} more"))?;
    }
    let list = plain(&answer["list"]);
    output::line(match copies.as_slice() {
        [one] => format!(
            "`portcullis list accept {list} --sha256 {}` puts it in force",
            plain(&one["sha256"])
        ),
        _ => format!(
            "`portcullis list accept {list}` puts all in force, with `--sha256 HASH` one of them"
        ),
    })
}

/// What a copy would change.
pub(super) fn show(copy: &Value) -> Result<(), Failure> {
    output::field(
        "entries",
        format_args!("{}, as {}", plain(&copy["entries"]), plain(&copy["format"])),
    )?;
    for (side, title, meaning) in [
        ("come", "would come", Meaning::Good),
        ("go", "would go", Meaning::Bad),
        ("stay", "would stay", Meaning::Doubtful),
    ] {
        let side = &copy[side];
        let count = side["count"].as_u64().unwrap_or(0);
        let named: Vec<_> = items(&side["first"]).take(SHOWN).map(plain).collect();
        let dots =
            if u64::try_from(named.len()).is_ok_and(|named| named < count) { " …" } else { "" };
        let count = output::coloured(count, meaning);
        output::field(title, format_args!("{count}  {}{dots}", named.join(" ")))?;
    }
    if copy["rejected"].as_u64().is_some_and(|rejected| rejected > 0) {
        output::field("rejected lines", plain(&copy["rejected"]))?;
        for line in items(&copy["rejected_lines"]).take(SHOWN) {
            let [number, text, why] = ["line", "text", "why"].map(|name| safe(&plain(&line[name])));
            output::line(format_args!("    {number}: `{text}`: {why}"))?;
        }
    }
    items(&copy["notices"]).map(plain).for_each(output::warn);
    Ok(())
}

/// What `put` would do, where nothing is put.
pub(super) fn show_preview(preview: &Value) -> Result<(), Failure> {
    output::headline(format_args!("{}, if this were put", plain(&preview["list"])))?;
    show(preview)?;
    let doubt = preview["doubt"].as_str();
    doubt.map_or(Ok(()), |doubt| {
        let doubt = output::coloured(doubt, Meaning::Bad);
        output::field("held back", format_args!("it would be: {doubt}"))
    })
}
