//! `portcullis list export`: the entries of a list as other programs read them.

use std::io::{self, BufWriter, Write as _};
use std::iter::{self, Peekable};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::super::files::replace;
use super::super::offline::{self, Lists};
use super::super::output;
use super::super::progress::Progress;
use super::super::{Exit, Failure};
use super::find;
use crate::clock::{Clock, Timestamp};
use crate::list::{Entry, ExportFormat, Loaded, export};

/// Arguments of `list export`.
#[derive(Debug, Args)]
pub(in super::super) struct Options {
    /// The list
    name: String,
    /// What it is written as
    #[arg(long, value_parser = PossibleValuesParser::new(ExportFormat::ALL.map(ExportFormat::name)))]
    format: String,
    /// Write to this file, all of it at once, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = offline::config(config)?;
    let list = find(&config, &options.name)?;
    let lists = Lists::open(&config);
    let reading = Progress::of(format!("reading the list {}", list.name));
    let (loaded, status) = lists.load(list);
    drop(reading);
    offline::notice(&status).iter().for_each(output::warn);
    let named = ExportFormat::ALL.into_iter().find(|format| format.name() == options.format);
    // The parser of the arguments takes no other word.
    let format = named.unwrap_or(ExportFormat::Plain);
    let mut count = 0_usize;
    let entries = merged(&loaded, Clock::System.now()).inspect(|_entry| count += 1);
    let Some(file) = &options.output else {
        let mut out = BufWriter::new(io::stdout().lock());
        export(format, &options.name, entries, &mut out)?;
        out.flush()?;
        return Ok(Exit::Done);
    };
    let writing = Progress::of(format!("writing {}", file.display()));
    let written = replace(file, |out| export(format, &options.name, entries, out));
    drop(writing);
    written.map_err(|error| {
        let hint = "give a file in a folder that this user may write to";
        Failure::Unavailable { text: error.to_string(), hint: hint.to_owned() }
    })?;
    let (file, name) = (file.display(), &options.name);
    output::line(format_args!("{file}: list {name} as {format}, entries: {count}"))?;
    Ok(Exit::Done)
}

/// The entries of all parts that count at `now`, in order; of one prefix in several parts the entry that lasts longest.
fn merged(loaded: &Loaded, now: Timestamp) -> impl Iterator<Item = Entry> {
    let counts = move |entry: &Entry| entry.expires.is_none_or(|expires| expires.is_after(now));
    let parts = loaded.parts.iter().map(|part| part.entries.iter().filter(counts).peekable());
    let mut parts: Vec<_> = parts.collect();
    iter::from_fn(move || {
        let next = parts.iter_mut().filter_map(|part| Some(part.peek()?.prefix)).min()?;
        let of_prefix = parts.iter_mut().filter_map(|part| {
            let same = iter::from_fn(|| Peekable::next_if(part, |entry| entry.prefix == next));
            same.max_by_key(lasting)
        });
        of_prefix.max_by_key(lasting)
    })
}

/// The later an entry ends, the more this is.
fn lasting(entry: &Entry) -> impl Ord + use<> {
    (entry.expires.is_none(), entry.expires)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Expiry;
    use crate::list::{Class, Entries, List, ListAction, Listed, Origin, Part, Remark};

    /// The entries of `LINE PREFIX [END]`, where an end is a second.
    fn part(rows: &[(u32, &str, Option<i64>)]) -> Part {
        let mut entries = Entries::builder();
        for &(line, prefix, end) in rows {
            let end = end.map(|second| Expiry::at(Timestamp::from_second(second).unwrap()));
            let prefix = prefix.parse().unwrap();
            entries.push(Listed { prefix, line, remark: Remark::default(), expires: end });
        }
        Part { origin: Arc::new(Origin::Put), entries: Arc::new(entries.finish()) }
    }

    #[test]
    fn the_parts_of_a_list_are_one_with_each_prefix_once() {
        let parts = vec![
            part(&[
                (1, "192.0.2.0/24", None),
                (2, "192.0.2.7", Some(50)),
                (3, "2001:db8::/32", None),
            ]),
            part(&[(4, "192.0.2.7", None), (5, "192.0.2.0/25", Some(10)), (6, "10.0.0.0/8", None)]),
            part(&[]),
            part(&[
                (7, "192.0.2.7", Some(70)),
                (8, "2001:db8::/32", Some(70)),
                (9, "192.0.2.9", Some(70)),
            ]),
        ];
        let list = Arc::new(List::new("x", Class::LocalBad, ListAction::Reject));
        let loaded = Loaded { list, parts };
        let shown = |second| -> Vec<String> {
            let now = Timestamp::from_second(second).unwrap();
            merged(&loaded, now).map(|entry| format!("{} {}", entry.line, entry.prefix)).collect()
        };
        let always = ["6 10.0.0.0/8", "1 192.0.2.0/24", "4 192.0.2.7", "3 2001:db8::/32"];
        assert_eq!(shown(100), always);
        assert_eq!(
            shown(0),
            [
                "6 10.0.0.0/8",
                "1 192.0.2.0/24",
                "5 192.0.2.0/25",
                "4 192.0.2.7",
                "9 192.0.2.9",
                "3 2001:db8::/32"
            ]
        );
    }
}
