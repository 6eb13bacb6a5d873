//! `portcullis list check`: what the sources of lists hold, and their lines that are no entries.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Serialize;

use super::super::output::{self, Meaning};
use super::super::progress::Progress;
use super::super::{Exit, Failure, offline};
use super::find;
use crate::clock::Clock;
use crate::feed;
use crate::list::{
    Doubt, Entries, Format, Guard, Origin, Reading, Source, doubt_entries, doubt_text, parse_with,
};

/// Arguments of `list check`.
#[derive(Debug, Args)]
pub(in super::super) struct Options {
    /// Names of lists, or files; without any, all lists of the configuration
    #[arg(value_name = "NAME|FILE")]
    names: Vec<String>,
    /// The format of the files, instead of detecting it
    #[arg(long, value_parser = PossibleValuesParser::new(Format::ALL.map(Format::name)))]
    format: Option<String>,
    /// Print JSON: an object for one NAME or FILE, else an array
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let checked: Vec<_> = files(options, config)?.iter().map(checked).collect();
    match checked.as_slice() {
        [one] if options.json && options.names.len() == 1 => output::json(one)?,
        all if options.json => output::json(&all)?,
        all => all.iter().try_for_each(show)?,
    }
    if let Some(unread) = checked.iter().find(|file| file.fault.is_some()) {
        return Err(Failure::Unavailable {
            text: format!("cannot read {}", unread.file.display()),
            hint: "see whether the file is there and this user may read it".to_owned(),
        });
    }
    let refused = checked.iter().any(|file| !file.rejected.is_empty());
    Ok(if refused { Exit::Refused } else { Exit::Done })
}

/// A file to check, and as what.
struct File {
    path: PathBuf,
    format: Option<Format>,
    foreign: bool,
}

#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    /// `null` where the file cannot be read.
    format: Option<&'static str>,
    entries: Option<usize>,
    prefixes_v4: Option<usize>,
    prefixes_v6: Option<usize>,
    rejected: Vec<Rejected>,
    warnings: Vec<String>,
    fault: Option<String>,
}

#[derive(Serialize)]
struct Rejected {
    line: u32,
    text: String,
    why: String,
}

/// The files that the arguments mean; a path needs no configuration.
fn files(options: &Options, config: &Path) -> Result<Vec<File>, Failure> {
    let wanted = options.format.as_deref();
    let format =
        wanted.and_then(|name| Format::ALL.into_iter().find(|format| format.name() == name));
    let is_file = |name: &String| name.contains('/') || Path::new(name).is_file();
    let file = |name: &String| File { path: name.into(), format, foreign: false };
    if !options.names.is_empty() && options.names.iter().all(is_file) {
        return Ok(options.names.iter().map(file).collect());
    }
    let config = offline::config(config)?;
    let of_list = |list: &crate::list::List| {
        let format = format.or(list.format);
        let copies = config.list_copies();
        let origins = feed::origins(&list.source).unwrap_or_default();
        let path = |origin: &Origin| match origin {
            Origin::File(path) => path.clone(),
            _ => feed::copy_path(list, origin, &copies),
        };
        let foreign = matches!(list.source, Source::Url(_));
        origins
            .iter()
            .map(|origin| File { path: path(origin), format, foreign })
            .collect::<Vec<_>>()
    };
    if options.names.is_empty() {
        return Ok(config.lists.iter().flat_map(|list| of_list(list)).collect());
    }
    let mut files = Vec::new();
    for name in &options.names {
        match find(&config, name) {
            Ok(list) => files.extend(of_list(list)),
            Err(_unknown) if is_file(name) => files.push(file(name)),
            Err(unknown) => return Err(unknown),
        }
    }
    Ok(files)
}

fn checked(file: &File) -> Checked {
    let File { path, format, foreign } = file;
    let _reading = Progress::reading(path);
    let octets = match feed::read_list(path) {
        Ok(octets) => octets,
        Err(error) => {
            let (format, entries, rejected, warnings) = Default::default();
            let fault = Some(error.to_string());
            return Checked {
                file: path.clone(),
                format,
                entries,
                prefixes_v4: None,
                prefixes_v6: None,
                rejected,
                warnings,
                fault,
            };
        }
    };
    let mut rejected = Vec::new();
    let reading = Reading { format: *format, as_of: Clock::System.now(), foreign: *foreign };
    let parsed = parse_with(&octets, reading, |error| {
        let why = error.fault.to_string();
        rejected.push(Rejected { line: error.line, text: error.text, why });
    });
    let doubt = doubt_text(&octets)
        .or_else(|| doubt_entries(&parsed, &Entries::default(), Guard::default()));
    let doubt = doubt.map(|doubt: Doubt| format!("it {doubt}"));
    Checked {
        file: path.clone(),
        format: Some(parsed.format.name()),
        entries: Some(parsed.entries.len()),
        prefixes_v4: Some(parsed.entries.v4_len()),
        prefixes_v6: Some(parsed.entries.v6_len()),
        rejected,
        warnings: doubt.into_iter().chain(parsed.entries.notices()).collect(),
        fault: None,
    }
}

fn show(checked: &Checked) -> Result<(), Failure> {
    let file = checked.file.display();
    let (Some(entries), Some(format)) = (checked.entries, checked.format) else {
        let fault = output::coloured(checked.fault.as_deref().unwrap_or_default(), Meaning::Bad);
        return output::line(format_args!("{file}: {fault}"));
    };
    let count = checked.rejected.len();
    let meaning = if count == 0 { Meaning::Good } else { Meaning::Bad };
    let rejected = output::coloured(format_args!("rejected lines: {count}"), meaning);
    let (v4, v6) = (checked.prefixes_v4.unwrap_or(0), checked.prefixes_v6.unwrap_or(0));
    output::line(format_args!(
        "{file}: format {format}, entries: {entries} (IPv4 {v4}, IPv6 {v6}), {rejected}"
    ))?;
    for warning in &checked.warnings {
        output::line(format_args!("{file}: {}", output::coloured(warning, Meaning::Doubtful)))?;
    }
    for error in &checked.rejected {
        output::line(format_args!("{file}:{}: `{}`: {}", error.line, error.text, error.why))?;
    }
    Ok(())
}
