//! `portcullis import`: the allowed and blocked senders of an old gateway as lists and zones, with a report of the rest.

mod written;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use self::written::{Written, WrittenList};
use super::files::{WriteError, write_all};
use super::output::{self, Meaning};
use super::progress::Progress;
use super::{Exit, Failure};
use crate::feed;
use crate::list::{ImportError, Imported, LeftOut, import};

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The old gateway's `allowedblockedlist.txt`
    file: PathBuf,
    /// Write list files into this folder, and what names them into `conf.d` in it: the folder of `portcullis.toml`
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// Write over files that are there
    #[arg(long, requires = "into")]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    file: &'a Path,
    /// The files that were written; none without `--into`.
    written: Vec<PathBuf>,
    /// What belongs into `conf.d`.
    config: &'a str,
    lists: &'a [WrittenList],
    zones: Vec<ShownZone<'a>>,
    left_out: Vec<ShownLine<'a>>,
    remarks: &'a [String],
}

#[derive(Serialize)]
struct ShownZone<'a> {
    name: &'a str,
    class: &'static str,
    enforce: bool,
    line: u32,
}

#[derive(Serialize)]
struct ShownLine<'a> {
    line: u32,
    text: &'a str,
    why: String,
}

pub(super) fn run(options: &Options) -> Result<Exit, Failure> {
    let file = options.file.as_path();
    let reading = Progress::reading(file);
    let octets = feed::read(file).map_err(|error| Failure::Unavailable {
        text: format!("cannot read {}: {error}", file.display()),
        hint:
            "give the allowedblockedlist.txt of the old gateway, as a file that this user may read"
                .to_owned(),
    })?;
    let imported = import(&octets).map_err(|error| no_import(file, &error))?;
    let written = Written::new(file, &imported);
    drop(reading);
    let paths = match &options.into {
        Some(folder) => write(folder, &written, options.force)?,
        None => Vec::new(),
    };
    if options.json {
        output::json(&answer(file, paths, &written, &imported))?;
    } else if options.into.is_some() {
        show_written(&paths, &written)?;
        report(file, &imported, "")?;
    } else {
        // All of it together is TOML still.
        output::line(written.config.trim_end())?;
        output::line("")?;
        report(file, &imported, "# ")?;
        output::note("nothing is written without `--into FOLDER`");
    }
    imported
        .remarks
        .iter()
        .for_each(|remark| output::warn(format_args!("{}: {remark}", file.display())));
    Ok(Exit::Done)
}

fn no_import(file: &Path, error: &ImportError) -> Failure {
    let path = file.display();
    let hint = match error {
        ImportError::List { format, .. } => format!(
            "`portcullis list check {path}` shows what it holds; [[list]] with file = \"{path}\" and format = \"{}\" uses it",
            format.name()
        ),
        ImportError::TooLong => "divide it: the files of a list can lie in one folder".to_owned(),
        ImportError::Doubt(_) | ImportError::Other => {
            format!("`portcullis list check {path}` shows whether it is a list")
        }
    };
    Failure::Asked { text: format!("{path} {error}"), hint: Some(hint) }
}

/// Writes the lists, then what puts them in force.
fn write(folder: &Path, written: &Written, force: bool) -> Result<Vec<PathBuf>, Failure> {
    let lists = written.lists.iter().map(|list| (folder.join(&list.file), list.text.as_bytes()));
    let config = (folder.join("conf.d").join(written::CONFIG), written.config.as_bytes());
    let files: Vec<_> = lists.chain([config]).collect();
    write_all(&files, force).map_err(|error| {
        let hint = match error {
            WriteError::Exist(_) => "`--force` writes over them; nothing is written now",
            WriteError::Io { .. } => {
                "nothing is written; give a folder that this user may write to"
            }
        };
        Failure::Unavailable { text: error.to_string(), hint: hint.to_owned() }
    })?;
    Ok(files.into_iter().map(|(path, _text)| path).collect())
}

fn answer<'a>(
    file: &'a Path,
    paths: Vec<PathBuf>,
    written: &'a Written,
    imported: &'a Imported,
) -> Answer<'a> {
    let zones = imported.zones.iter().zip(&written.zones).map(|(zone, name)| ShownZone {
        name,
        class: written::zone_class(zone),
        enforce: zone.enabled,
        line: zone.line,
    });
    let left_out = imported.left_out.iter().map(|LeftOut { line, text, why }| ShownLine {
        line: *line,
        text,
        why: why.to_string(),
    });
    Answer {
        file,
        written: paths,
        config: &written.config,
        lists: &written.lists,
        zones: zones.collect(),
        left_out: left_out.collect(),
        remarks: &imported.remarks,
    }
}

fn show_written(paths: &[PathBuf], written: &Written) -> Result<(), Failure> {
    for (path, list) in paths.iter().zip(&written.lists) {
        let dry = if list.enforce { "" } else { ", dry run" };
        let (path, name) = (path.display(), &list.name);
        output::line(format_args!(
            "{path}: list {name} ({}{dry}), entries: {}",
            list.class, list.entries
        ))?;
    }
    let config = paths.last().map(|path| path.display().to_string()).unwrap_or_default();
    output::line(format_args!(
        "{config}: in force after a reload, if `portcullis check` finds nothing"
    ))
}

/// What was taken over and what was not, each line after `mark`.
fn report(file: &Path, imported: &Imported, mark: &str) -> Result<(), Failure> {
    let Imported { connections, zones, left_out, remarks: _ } = imported;
    let file = file.display();
    let taken = format!("connections: {}, DNS lists: {}", connections.len(), zones.len());
    let meaning = if left_out.is_empty() { Meaning::Good } else { Meaning::Doubtful };
    let left = output::coloured(format_args!("lines left out: {}", left_out.len()), meaning);
    output::line(format_args!("{mark}{file}: taken over: {taken}; {left}"))?;
    left_out.iter().try_for_each(|LeftOut { line, text, why }| {
        output::line(format_args!("{mark}{file}:{line}: `{text}`: {why}"))
    })
}
